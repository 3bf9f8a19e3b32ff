"""The arithmetic of the risk gate: every rule an order that could add exposure must pass, in integers.

Source of both twins: the build compiles this very file, typed by ``gate_c.pxd``, to ``native.gate_c``. The
rules, their names, words and reasons stand in ``app.risk.checks`` and ``app.risk.exposure``; the order of the
numbers below is the order of ``checks.EXPOSING_PLACE``. A check answers PASSED only when every rule passes
beyond doubt; otherwise the number of the first that fails, or that cannot be decided here (a contract, hours
or a trading day that were not told): that rule itself then decides, and the ones after it. Nothing here ever
approves an order. Sums and products beyond 64 bits raise OverflowError.

The orders of the account are read once, into lines; what may be bought, sold and is held of a contract is
summed in its tally. Both are kept from one check to the next: a check makes no object.
"""

from __future__ import annotations

from typing import Any

import native.int64 as int64
import native.slots as slots

PASSED = -1
SHAPE, LISTED, SYNCED, TRADING_STATE, ARMED, UNKNOWN_ORDER, JOURNAL, ACCOUNT = 0, 1, 2, 3, 4, 5, 6, 7
INSTRUMENT, BRACKET, ORDER_SIZE, REDUCE_ONLY, ENTRY_HOURS, QUOTE, COLLAR = 8, 9, 10, 11, 12, 13, 14
ORDER_RATE, CONTRACTS, LOSS, DUPLICATE = 15, 16, 17, 18

MOST_LINES = 128  # live orders of an account counted here: legs are matched pair by pair; more is in doubt
_MOST_LINES = MOST_LINES


class Places:
    """Where the objects that a check reads keep their attributes; they are of these classes exactly.

    Of ``app.domain`` and ``app.risk``: the order, the view, the quote, the bracket, the account's report.
    """

    def __init__(self, order: type, view: type, quote: type, bracket: type, account: type) -> None:
        self.order, self.view, self.quote, self.bracket, self.account = order, view, quote, bracket, account
        self._of_order(order)
        self._of_view(view)
        self.bracket_stop = slots.place(bracket, "stop_ticks")
        self.bracket_target = slots.place(bracket, "target_ticks")
        self.quoted, self.recv = slots.place(quote, "contract"), slots.place(quote, "recv_mono_ns")
        self.bid, self.ask = slots.place(quote, "bid_ticks"), slots.place(quote, "ask_ticks")
        self.last = slots.place(quote, "last_ticks")
        self.reported_id = slots.place(account, "account_id")
        self.can_trade = slots.place(account, "can_trade")

    def _of_order(self, order: type) -> None:
        self.tag, self.account_id = slots.place(order, "tag"), slots.place(order, "account_id")
        self.contract, self.side = slots.place(order, "contract"), slots.place(order, "side")
        self.size, self.filled = slots.place(order, "size"), slots.place(order, "filled")
        self.type, self.role = slots.place(order, "type"), slots.place(order, "role")
        self.limit, self.stop = slots.place(order, "limit_ticks"), slots.place(order, "stop_ticks")
        self.order_bracket, self.state = slots.place(order, "bracket"), slots.place(order, "state")
        self.oco, self.parent = slots.place(order, "oco"), slots.place(order, "parent_tag")

    def _of_view(self, view: type) -> None:
        self.utc, self.mono = slots.place(view, "utc_ns"), slots.place(view, "mono_ns")
        self.trading, self.armed = slots.place(view, "state"), slots.place(view, "armed")
        self.listed, self.synced = slots.place(view, "listed"), slots.place(view, "synced")
        self.reported, self.unknown = slots.place(view, "account"), slots.place(view, "unknown_orders")
        self.journal = slots.place(view, "journal_failed")
        self.instrument, self.seen = slots.place(view, "instrument"), slots.place(view, "quote")
        self.positions, self.orders = slots.place(view, "positions"), slots.place(view, "orders")
        self.day, self.balance = slots.place(view, "day_net_micro"), slots.place(view, "balance_micro")
        self.equity, self.floor = slots.place(view, "equity_micro"), slots.place(view, "floor_micro")


class Product:
    """One contract as the gate counts it, and when it may be entered.

    ``instrument`` is compared by identity: expiries of one product share it. ``most`` is how many of it are
    allowed. Entries are known to be open from ``open_ns`` until ``until_ns`` (market time).
    """

    def __init__(
        self, instrument: Any, weight_tenths: int, tick_value_micro: int, fee_micro: int, most: int
    ) -> None:
        self.instrument = instrument
        self.weight, self.tick_value = int64.whole(weight_tenths), int64.whole(tick_value_micro)
        self.fee, self.most = int64.whole(fee_micro), int64.whole(most)
        self.open_ns = self.until_ns = 0

    def state(self) -> tuple[Any, ...]:
        amounts = self.weight, self.tick_value, self.fee, self.most
        return self.instrument, amounts, (self.open_ns, self.until_ns)

    def restore(self, state: tuple[Any, ...]) -> None:
        self.instrument = state[0]
        self.weight, self.tick_value, self.fee, self.most = state[1]
        self.open_ns, self.until_ns = state[2]

    def entries(self, open_ns: int, until_ns: int) -> None:
        """Entries are open in [open_ns, until_ns)."""
        self.open_ns, self.until_ns = int64.whole(open_ns), int64.whole(until_ns)


class _Tally:
    """What may be bought and sold of one contract, and what is held, in the check numbered ``round``."""

    def __init__(self, contract: str, product: Product) -> None:
        self.contract, self.product = contract, product
        self.round = self.buys = self.sells = self.net = 0
        self.before: _Tally | None = None  # the contract that was counted before


class _Line:
    """What counts of one order: contracts not filled (``open``), with those that a change may add (``left``),
    and the ticks to its stop. ``parent`` is read of exits, ``oco`` and the stop of entries alone.
    """

    def __init__(self) -> None:
        self.tag = self.parent = self.oco = ""
        self.tally: Any = None  # a _Tally; None = a contract that is not known
        self.entry = self.leg = self.spare = False
        self.side = self.size = self.open = self.left = self.stop = 0
        self.counted = 0  # the dearest of its group so far, kept in the group's first line


class Gate:
    """The limits of one account and what was told of time; ``check`` is the question.

    ``limits`` has the fields of ``app.risk.limits.Limits``. ``words`` are (the role of an entry, the active
    state, the working and the pending state, the terminal ones, and (type, has a limit price, has a stop
    price) of what can be sent), all compared by identity. ``raised`` are sizes by tag that were approved and
    not answered yet, ``kinds`` the classes of ``Places``. After a check, ``value`` and ``limit`` are what the
    rule compared, 0 where it compares no numbers.
    """

    def __init__(
        self, limits: Any, words: tuple[Any, ...], raised: dict[str, int], kinds: tuple[type, ...]
    ) -> None:
        self._begin(words, raised, kinds)
        self._collar, self._quote_age = int64.whole(limits.collar_ticks), int64.whole(limits.max_quote_age_ns)
        self._order_contracts = int64.whole(limits.max_order_contracts)
        self._tenths = int64.whole(limits.max_contracts_tenths)
        self._slippage = int64.whole(limits.slippage_reserve_ticks)
        daily = limits.daily_loss_limit_micro
        self._has_daily, self._daily = daily is not None, int64.whole(daily or 0)
        self._least_bracket = int64.whole(limits.min_bracket_ticks)
        self._need_bracket = bool(limits.require_bracket)

    def _begin(self, words: tuple[Any, ...], raised: dict[str, int], kinds: tuple[type, ...]) -> None:
        self._words, self._raised, self._kinds = words, raised, kinds
        self._entry, self._active, self._working, self._pending, self._terminal, types = words
        self._at = Places(*kinds)
        self._types = tuple(kind for kind, _, _ in types)
        self._limited = sum(1 << at for at, (_, limit, _) in enumerate(types) if limit)
        self._stopped = sum(1 << at for at, (_, _, stop) in enumerate(types) if stop)
        self._tallies: dict[str, _Tally] = {}
        self._own = _Line()
        self._lines: list[_Line] = []
        self._count = self._round = 0
        self._counted: _Tally | None = None
        self._full_until = self._day_from = self._day_until = self._recent_until = 0
        self._utc = self._mono = self.value = self.limit = 0

    def state(self) -> tuple[Any, ...]:
        """All that was told and what the last check compared, for `restore` of either twin."""
        limits = self._collar, self._quote_age, self._order_contracts, self._tenths, self._slippage
        more = self._has_daily, self._daily, self._least_bracket, self._need_bracket
        times = self._full_until, self._day_from, self._day_until, self._recent_until
        known = [(contract, tally.product) for contract, tally in self._tallies.items()]
        words = self._words, self._raised, self._kinds
        return words, limits, more, times, tuple(known), (self.value, self.limit)

    def restore(self, state: tuple[Any, ...]) -> None:
        words, raised, kinds = state[0]
        self._begin(words, raised, kinds)
        self._collar, self._quote_age, self._order_contracts, self._tenths, self._slippage = state[1]
        self._has_daily, self._daily, self._least_bracket, self._need_bracket = state[2]
        self._full_until, self._day_from, self._day_until, self._recent_until = state[3]
        for contract, product in state[4]:
            self.know(contract, product)
        self.value, self.limit = state[5]

    # -- what is told

    def know(self, contract: str, product: Product) -> None:
        self._forget_lines()
        self._tallies[contract] = _Tally(contract, product)

    def product(self, contract: str) -> Product | None:
        tally = self._tallies.get(contract)
        return None if tally is None else tally.product

    def forget(self) -> None:
        self._forget_lines()
        self._tallies.clear()

    def _forget_lines(self) -> None:
        """What a line remembers of its contract may not hold any more."""
        for line in (self._own, *self._lines):
            line.tally = None

    def counted(self, full_until: int, day_from: int, day_until: int, recent_until: int) -> None:
        """The minute is full before monotonic ``full_until``; the trading day has room within market times
        [day_from, day_until); before monotonic ``recent_until`` an intent may be an echo.
        """
        self._full_until, self._recent_until = int64.whole(full_until), int64.whole(recent_until)
        self._day_from, self._day_until = int64.whole(day_from), int64.whole(day_until)

    # -- the question

    def check(self, order: Any, view: Any) -> int:
        """The number of the first rule that fails or is in doubt, PASSED when there is none.

        Raises OverflowError for an amount outside 64 bits, TypeError for what is no integer and for objects
        of other classes than were named.
        """
        at = self._at
        if type(order) is not at.order or type(view) is not at.view:
            raise TypeError(f"{type(order).__name__} and {type(view).__name__} are not an order and a view")
        self.value = self.limit = 0
        self._utc, self._mono = slots.number(view, at.utc), slots.number(view, at.mono)
        if not self._is_shaped(order):
            return SHAPE
        failed = self._state(order, view)
        if failed == PASSED:
            failed = self._order(order, view)
        if failed == PASSED:
            failed = self._market(order, view)
        if failed == PASSED:
            failed = self._amounts(order, view)
        if failed == PASSED and self._mono < self._recent_until:
            failed = DUPLICATE
        return failed

    def _fail(self, rule: int, value: int, limit: int) -> int:
        self.value, self.limit = value, limit
        return rule

    def _is_shaped(self, order: Any) -> bool:
        at = self._at
        if type(slots.read(order, at.size)) is not int or type(slots.read(order, at.filled)) is not int:
            return False
        size = slots.number(order, at.size)
        if size < 1 or size <= slots.number(order, at.filled):
            return False
        kind, types = slots.read(order, at.type), self._types
        for index in range(len(types)):
            if types[index] is kind:
                limited, stopped = self._limited >> index & 1, self._stopped >> index & 1
                has_limit = slots.read(order, at.limit) is not None
                has_stop = slots.read(order, at.stop) is not None
                return has_limit == limited and has_stop == stopped
        return False

    def _state(self, order: Any, view: Any) -> int:
        """May anything be sent."""
        at = self._at
        account = slots.read(view, at.reported)
        if account is not None and type(account) is not at.account:
            raise TypeError("not an account's report")
        if not slots.read(view, at.listed):
            return LISTED
        own_id = slots.number(order, at.account_id)
        if account is not None and slots.number(account, at.reported_id) != own_id:
            return LISTED
        if not slots.read(view, at.synced):
            return SYNCED
        if slots.read(view, at.trading) is not self._active:
            return TRADING_STATE
        if not slots.read(view, at.armed):
            return ARMED
        if slots.read(view, at.unknown):
            return UNKNOWN_ORDER
        if slots.read(view, at.journal):
            return JOURNAL
        if account is None or not slots.read(account, at.can_trade):
            return ACCOUNT
        return PASSED

    def _order(self, order: Any, view: Any) -> int:
        """The product, the bracket, the size, the hours. Exits are the rule's own to judge."""
        at, own = self._at, self._own
        self._take(own, order)
        if own.tally is None or slots.read(view, at.instrument) is not own.tally.product.instrument:
            return INSTRUMENT
        if own.entry:
            bracket = slots.read(order, at.order_bracket)
            target = slots.number(bracket, at.bracket_target) if bracket is not None else 0
            if own.stop < self._least_bracket and (self._need_bracket or own.stop):
                return self._fail(BRACKET, own.stop, self._least_bracket)
            if target < self._least_bracket and target:
                return self._fail(BRACKET, target, self._least_bracket)
        if own.size > self._order_contracts:
            return self._fail(ORDER_SIZE, own.size, self._order_contracts)
        if not own.entry:
            return REDUCE_ONLY
        product = own.tally.product
        if self._utc < product.open_ns or self._utc >= product.until_ns:
            return ENTRY_HOURS
        return PASSED

    def _market(self, order: Any, view: Any) -> int:
        """Quote, collar and rates."""
        at, side = self._at, self._own.side
        quote = slots.read(view, at.seen)
        if quote is None:
            return QUOTE
        if type(quote) is not at.quote:
            raise TypeError("not a quote")
        if slots.read(quote, at.bid) is None or slots.read(quote, at.ask) is None:
            return QUOTE
        most = self._collar
        age = int64.minus(self._mono, slots.number(quote, at.recv))
        quoted = slots.read(quote, at.quoted)
        if not slots.alike(quoted, self._own.tally.contract) or age < 0 or age > self._quote_age:
            return self._fail(QUOTE, age, self._quote_age)
        bid, ask = slots.number(quote, at.bid), slots.number(quote, at.ask)
        spread = int64.minus(ask, bid)
        if spread < 0 or spread > most:
            return self._fail(COLLAR, spread, most)
        near = ask if side > 0 else bid
        if slots.read(quote, at.last) is not None:
            off = int64.size(int64.minus(slots.number(quote, at.last), near))
            if off > most:
                return self._fail(COLLAR, off, most)
        price = near
        if slots.read(order, at.stop) is not None:
            price = slots.number(order, at.stop)
            if int64.times(int64.minus(price, near), side) <= 0:
                return self._fail(COLLAR, price, near)
        elif slots.read(order, at.limit) is not None:
            price = slots.number(order, at.limit)
        off = int64.size(int64.minus(price, near))
        if off > most:
            return self._fail(COLLAR, off, most)
        if self._mono < self._full_until or self._utc < self._day_from or self._utc >= self._day_until:
            return ORDER_RATE
        return PASSED

    # -- contracts in the worst case, and what is lost if all of it is stopped out

    def _amounts(self, order: Any, view: Any) -> int:
        at, own = self._at, self._own
        self._round += 1
        self._counted = None
        self._count = 0
        if not self._take_all(slots.read(view, at.orders), slots.read(view, at.positions)):
            return CONTRACTS
        failed = self._worst(own.tally.product)
        if failed != PASSED:
            return failed
        risk = self._dearest(own, self._count)
        for index in range(self._count):
            line = self._lines[index]
            if line.entry:
                risk = int64.plus(risk, self._dearest(line, index))
        return self._loss(view, int64.plus(risk, self._to_close()))

    def _take_all(self, orders: Any, positions: Any) -> bool:
        """Count every live order, with the own one in place of what it was, and what is held.

        False when something has no known product, or there are too many.
        """
        own, known = self._own, False
        for each in orders:
            if self._count == _MOST_LINES:
                return False
            if self._count == len(self._lines):
                self._lines.append(_Line())
            line = self._lines[self._count]
            self._take(line, each)
            if line.tally is None:
                return False
            if slots.alike(line.tag, own.tag):
                known = True
                continue
            self._raise(line)
            if line.leg:
                self._pair(line)
            self._count += 1
        if known:
            self._raise(own)
        self._add(own, own.left)
        for index in range(self._count):
            line = self._lines[index]
            if not line.leg:
                self._add(line, line.left)
            elif not line.spare:
                self._add(line, int64.minus(line.left, self._left_of(line.parent, known)))
        return self._hold(positions)

    def _take(self, line: _Line, order: Any) -> None:
        """Read ``order`` into ``line``."""
        at = self._at
        if type(order) is not at.order:
            raise TypeError(f"{type(order).__name__} is not an order")
        line.tag = slots.read(order, at.tag)
        line.tally = self._tally(slots.read(order, at.contract), line.tally)
        line.side, line.size = slots.number(order, at.side), slots.number(order, at.size)
        line.entry, line.leg, line.spare = slots.read(order, at.role) is self._entry, False, False
        line.counted = line.stop = 0
        if not line.entry:
            line.parent = slots.read(order, at.parent)
            line.leg = bool(line.parent)
        else:
            line.oco = slots.read(order, at.oco)
            bracket = slots.read(order, at.order_bracket)
            if bracket is not None:
                if type(bracket) is not at.bracket:
                    raise TypeError(f"{type(bracket).__name__} is not a bracket")
                line.stop = slots.number(bracket, at.bracket_stop)
        line.open = 0
        if not self._has_ended(slots.read(order, at.state)):
            line.open = int64.minus(line.size, slots.number(order, at.filled))
        line.left = line.open

    def _tally(self, contract: str, last: _Tally | None) -> _Tally | None:
        """That of ``contract``, None when it is not known; mostly it is the ``last`` that stood there."""
        return last if last is not None and last.contract is contract else self._tallies.get(contract)

    def _has_ended(self, state: Any) -> bool:
        if state is self._working or state is self._pending:
            return False
        for ended in self._terminal:  # noqa: SIM110  (a generator here would be one in C too)
            if ended is state:
                return True
        return False

    def _raise(self, line: _Line) -> None:
        """Until the venue has answered, a size that was approved for a change counts."""
        if line.left and self._raised:
            more = int64.minus(int64.whole(self._raised.get(line.tag, 0)), line.size)
            line.left = int64.plus(line.left, max(0, more))

    def _pair(self, leg: _Line) -> None:
        """Of the two legs of one entry only one fills: the larger counts, the other is spare."""
        for index in range(self._count):
            other = self._lines[index]
            if other.leg and not other.spare and slots.alike(other.parent, leg.parent):
                other.spare = leg.left > other.left
                leg.spare = not other.spare

    def _left_of(self, tag: str, known: bool) -> int:
        """What of an entry may still fill: its legs work no earlier."""
        own = self._own
        if known and slots.alike(own.tag, tag):
            return own.left
        for index in range(self._count):
            line = self._lines[index]
            if not line.leg and slots.alike(line.tag, tag):
                return line.left
        return 0

    def _add(self, line: _Line, size: int) -> None:
        tally = line.tally
        self._touch(tally)
        if size > 0:
            if line.side < 0:
                tally.sells = int64.plus(tally.sells, size)
            else:
                tally.buys = int64.plus(tally.buys, size)

    def _touch(self, tally: _Tally) -> None:
        """Count in this check, from nothing."""
        if tally.round != self._round:
            tally.round = self._round
            tally.buys = tally.sells = tally.net = 0
            tally.before = self._counted
            self._counted = tally

    def _hold(self, positions: Any) -> bool:
        """Count what is held; False for a contract that is not known."""
        if type(positions) is not dict:
            raise TypeError("positions are a dictionary")
        nets = positions
        for contract, net in nets.items():
            tally = self._counted
            while tally is not None and tally.contract is not contract:
                tally = tally.before
            tally = self._tally(contract, tally)
            if tally is None:
                return False
            self._touch(tally)
            tally.net = int64.whole(net)
        return True

    def _worst(self, own: Product) -> int:
        of_symbol = tenths = 0
        tally = self._counted
        while tally is not None:
            product = tally.product
            worst = max(int64.plus(tally.net, tally.buys), int64.minus(tally.sells, tally.net))
            tenths = int64.plus(tenths, int64.times(worst, product.weight))
            if product.instrument is own.instrument:
                of_symbol = int64.plus(of_symbol, worst)
            tally = tally.before
        if of_symbol > own.most:
            return self._fail(CONTRACTS, of_symbol, own.most)
        if tenths > self._tenths:
            return self._fail(CONTRACTS, tenths, self._tenths)
        return PASSED

    def _dearest(self, line: _Line, before: int) -> int:
        """What an entry adds to what is lost at the stops, slippage and fees included: of one OCO group only
        the dearest counts. The first ``before`` lines are counted already.
        """
        product = line.tally.product
        each = int64.plus(int64.times(int64.plus(self._slippage, line.stop), product.tick_value), product.fee)
        loss = int64.times(line.open, each)
        if not line.oco:
            return loss
        first = self._first_of(line, before)
        counted = first.counted
        first.counted = max(loss, counted)
        return max(0, int64.minus(loss, counted))

    def _first_of(self, line: _Line, before: int) -> _Line:
        """The first line of the group of ``line``."""
        for index in range(before):
            other = self._lines[index]
            if other.entry and slots.alike(other.oco, line.oco):
                return other
        return line

    def _to_close(self) -> int:
        total = 0
        tally = self._counted
        while tally is not None:
            if tally.net:
                product = tally.product
                one_way = int64.plus(product.fee, 1) // 2
                each = int64.plus(int64.times(product.tick_value, self._slippage), one_way)
                total = int64.plus(total, int64.times(int64.size(tally.net), each))
            tally = tally.before
        return total

    def _loss(self, view: Any, risk: int) -> int:
        at = self._at
        if slots.read(view, at.day) is None or slots.read(view, at.equity) is None:
            return LOSS
        if slots.read(view, at.balance) is None or slots.read(view, at.floor) is None:
            return LOSS
        day, equity = slots.number(view, at.day), slots.number(view, at.equity)
        floor = slots.number(view, at.floor)
        if self._has_daily and int64.minus(day, risk) <= int64.minus(0, self._daily):
            return self._fail(LOSS, int64.minus(day, risk), int64.minus(0, self._daily))
        if int64.minus(equity, risk) <= floor:
            return self._fail(LOSS, int64.minus(equity, risk), floor)
        return PASSED
