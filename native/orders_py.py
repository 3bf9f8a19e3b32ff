"""The JSON bodies of place, modify and cancel requests, written straight from an order's attributes.

Source of both twins (typed by ``orders_c.pxd``). It knows no venue: names and codes come in as tables. What
it is not sure of it does not write: the answer is None, and the caller's full encoder writes the body or says
what is wrong. So nothing is refused here, and a body from here is the encoder's to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import native.spans as spans

MAX_PRODUCTS = 64  # contracts remembered: a session trades a few
MAX_TAG = 128  # characters of a tag written here; ours are under 80
MAX_NAME = 40  # characters of a member's name: with this and MAX_CODE every body fits the buffer
MAX_CODE = 99

_MAX_TAG = MAX_TAG
_MAX_SIZE = 10_000  # contracts in one order, as the encoder bounds it
_MAX_ID = 10**15  # of accounts and orders: a million times what was seen
_MAX_LEG = 10**9  # ticks of a bracket's distance
_MAX_UNITS = 10**17  # of a price in its last decimal place
_MAX_NANO = 2**63 - 1  # of a price in 1e-9: beyond it the full encoder refuses
_UNFIT = -1
_NO_TICKS = -(10**18)  # no price in ticks is as low


class _Form:
    """How orders of one type in one contract are written: all up to the size, for the last account seen.

    `limit` and `stop` are the names of the prices the type needs, empty for none; a tick is `units` of the
    last of `places` decimals.
    """

    def __init__(self, contract: str, tick_nano: int, places: int, code: int, limit: str, stop: str) -> None:
        self.middle = b',"contractId":"%b","type":%d,"side":' % (contract.encode(), code)
        self.account = _UNFIT
        self.buy = self.sell = b""
        self.limit = b',"%b":' % limit.encode() if limit else b""
        self.stop = b',"%b":' % stop.encode() if stop else b""
        self.units = tick_nano // 10 ** (9 - places)
        self.most = min(_MAX_UNITS // self.units, _MAX_NANO // tick_nano)
        self.places = places
        self.scale = 10**places

    def state(self) -> tuple[Any, ...]:
        words = self.middle, self.buy, self.sell, self.limit, self.stop
        return words, (self.account, self.units, self.most, self.places, self.scale)

    def restore(self, state: tuple[Any, ...]) -> None:
        self.middle, self.buy, self.sell, self.limit, self.stop = state[0]
        self.account, self.units, self.most, self.places, self.scale = state[1]

    def begin(self, account: int) -> None:
        self.account = account
        self.buy = b'{"accountId":%d%b0,"size":' % (account, self.middle)
        self.sell = b'{"accountId":%d%b1,"size":' % (account, self.middle)


class Writer:
    """Writes bodies for the order types of ``kinds``: type -> code, limit price's name, stop price's name.

    An empty name: the type has no such price. ``stop_code`` and ``limit_code`` are the types of a
    bracket's legs. Bodies are built in one buffer: not for two threads.
    """

    def __init__(self, kinds: Mapping[Any, tuple[int, str, str]], stop_code: int, limit_code: int) -> None:
        """Raises ValueError for a name or a code that is too long for the buffer."""
        if any(len(name) > MAX_NAME for _, *names in kinds.values() for name in names):
            raise ValueError(f"a price's name has at most {MAX_NAME} characters")
        codes = [stop_code, limit_code, *[code for code, *_ in kinds.values()]]
        if not all(0 <= code <= MAX_CODE for code in codes):
            raise ValueError(f"a type's code is 0 to {MAX_CODE}")
        self._kinds = dict(kinds)
        self._forms: dict[str, dict[Any, _Form]] = {}
        self._stop_end = b',"type":%d}' % stop_code
        self._target_end = b',"type":%d}' % limit_code
        self._out = bytearray(1_024)
        self._at = 0

    def know(self, contract: str, tick_nano: int, places: int) -> bool:
        """Write ``contract`` from now on: its tick in 1e-9, the decimals that show every tick.

        False when it is no plain text, or one too many. Once known, it stays as it is. Raises ValueError
        unless 0 <= places <= 9 and the tick is a positive number of units of the last place.
        """
        if not 0 <= places <= 9 or tick_nano <= 0 or tick_nano % 10 ** (9 - places) or tick_nano > 10**15:
            raise ValueError(f"a tick of {tick_nano} in 1e-9 is not shown by {places} decimals")
        if contract in self._forms:
            return True
        plain = contract.isascii() and contract.isprintable() and not set(contract) & {'"', "\\"}
        if not plain or len(contract) > 40 or len(self._forms) >= MAX_PRODUCTS:
            return False
        self._forms[contract] = {
            kind: _Form(contract, tick_nano, places, *values) for kind, values in self._kinds.items()
        }
        return True

    def state(self) -> tuple[Any, ...]:
        """All that is remembered and what was written last, for `restore` of either twin."""
        forms = [(name, tuple(of_kinds.items())) for name, of_kinds in self._forms.items()]
        ends = self._stop_end, self._target_end
        return tuple(self._kinds.items()), tuple(forms), ends, spans.cut(self._out, self._at)

    def restore(self, state: tuple[Any, ...]) -> None:
        self._kinds = dict(state[0])
        self._forms = {name: dict(of_kinds) for name, of_kinds in state[1]}
        self._stop_end, self._target_end = state[2]
        self._out = bytearray(1_024)
        self._at = 0
        self._put(state[3])

    # -- the bodies --------------------------------------------------------------------------------

    def place(
        self, kind: Any, contract: str, account_id: int, side: int, size: int, limit_ticks: int | None,
        stop_ticks: int | None, stop_leg: int, target_leg: int, tag: str,
    ) -> bytes | None:  # fmt: skip
        """The body of a place request; None when the full encoder must write it.

        Legs are distances of a bracket in ticks, 0 for none. The order's attributes come one by one, for the
        interpreter reads a slot in a fifth of the time that the same takes from C.
        """
        form = self._form(contract, kind)
        account = _whole(account_id, _MAX_ID)
        contracts = _whole(size, _MAX_SIZE)
        if form is None or account < 0 or contracts < 1:
            return None
        is_buy = side == 1
        if not is_buy and side != -1:
            return None
        if account != form.account:
            form.begin(account)
        self._at = 0
        self._put(form.buy if is_buy else form.sell)
        self._number(contracts)
        if not self._needed(form.limit, limit_ticks, form) or not self._needed(form.stop, stop_ticks, form):
            return None
        if not self._legs(stop_leg, target_leg, is_buy):
            return None
        if type(tag) is not str or (tag and not self._tag(tag)):
            return None
        return self._ended()

    def _form(self, contract: str, kind: Any) -> _Form | None:
        forms = self._forms.get(contract)
        return None if forms is None else forms.get(kind)

    def modify(
        self, kind: Any, contract: str, account_id: int, venue_id: int, limit_ticks: int | None,
        stop_ticks: int | None, size: int | None,
    ) -> bytes | None:  # fmt: skip
        """The body of a modify request, where None leaves a member as it is; None: the encoder must."""
        form = self._form(contract, kind)
        account, order = _whole(account_id, _MAX_ID), _whole(venue_id, _MAX_ID)
        if form is None or account < 0 or order < 1:
            return None
        if limit_ticks is None and stop_ticks is None and size is None:
            return None
        self._pair(account, order)
        if size is not None:
            contracts = _whole(size, _MAX_SIZE)
            if contracts < 1:
                return None
            self._put(b',"size":')
            self._number(contracts)
        if limit_ticks is not None and not self._needed(form.limit, limit_ticks, form):
            return None
        if stop_ticks is not None and not self._needed(form.stop, stop_ticks, form):
            return None
        return self._ended()

    def cancel(self, account_id: int, venue_id: int) -> bytes | None:
        """The body that names one order; None when the full encoder must write it."""
        account, order = _whole(account_id, _MAX_ID), _whole(venue_id, _MAX_ID)
        if account < 0 or order < 0:
            return None
        self._pair(account, order)
        return self._ended()

    # -- their parts -------------------------------------------------------------------------------

    def _pair(self, account: int, order: int) -> None:
        self._at = 0
        self._put(b'{"accountId":')
        self._number(account)
        self._put(b',"orderId":')
        self._number(order)

    def _needed(self, name: bytes, ticks: int | None, form: _Form) -> bool:
        """Write the price of this name; False when it is missing, unwanted or too large."""
        if ticks is None:
            return not name
        price = _signed(ticks, form.most)
        if not name or price == _NO_TICKS:
            return False
        self._put(name)
        self._price(price, form)
        return True

    def _price(self, ticks: int, form: _Form) -> None:
        """Exact decimal text with the form's places."""
        units = ticks * form.units
        if units < 0:
            self._out[self._at] = 45
            self._at += 1
            units = -units
        self._number(units // form.scale)
        if form.places:
            self._out[self._at] = 46
            self._at += 1
            self._digits(units % form.scale, form.places)

    def _legs(self, stop_leg: int, target_leg: int, is_buy: bool) -> bool:
        """Signed offsets from the fill: a long's stop is negative, its target positive; a short mirrored."""
        stop, target = _whole(stop_leg, _MAX_LEG), _whole(target_leg, _MAX_LEG)
        if stop < 0 or target < 0:
            return False
        if stop:
            self._put(b',"stopLossBracket":{"ticks":-' if is_buy else b',"stopLossBracket":{"ticks":')
            self._number(stop)
            self._put(self._stop_end)
        if target:
            self._put(b',"takeProfitBracket":{"ticks":' if is_buy else b',"takeProfitBracket":{"ticks":-')
            self._number(target)
            self._put(self._target_end)
        return True

    def _tag(self, text: str) -> bool:
        """Write the tag as the last member, if it is printable ASCII without escapes."""
        self._put(b',"customTag":"')
        size = spans.plain(self._out, self._at, text, _MAX_TAG)
        if size < 0:
            return False
        self._at += size
        self._out[self._at] = 34
        self._at += 1
        return True

    def _ended(self) -> bytes:
        self._out[self._at] = 125
        return spans.cut(self._out, self._at + 1)

    def _put(self, words: bytes) -> None:
        size = len(words)
        spans.copy(self._out, self._at, words, size)
        self._at += size

    def _number(self, value: int) -> None:
        """Write a number that is not negative."""
        places = 1
        limit = 10
        while limit <= value:
            limit *= 10
            places += 1
        self._digits(value, places)

    def _digits(self, value: int, places: int) -> None:
        """Write the last ``places`` digits of a number that is not negative."""
        end = self._at + places
        at = end
        rest = value
        while at > self._at:
            at -= 1
            self._out[at] = 48 + rest % 10
            rest //= 10
        self._at = end


def _whole(value: Any, most: int) -> int:
    """``value`` when it is an integer of 0 to ``most``, else -1."""
    if type(value) is not int:
        return _UNFIT
    try:
        number = value
    except OverflowError:
        return _UNFIT
    return number if 0 <= number <= most else _UNFIT


def _signed(value: Any, most: int) -> int:
    """``value`` when it is an integer of -``most`` to ``most``, else _NO_TICKS."""
    if type(value) is not int:
        return _NO_TICKS
    try:
        number = value
    except OverflowError:
        return _NO_TICKS
    return number if -most <= number <= most else _NO_TICKS
