"""The arithmetic of the risk gate: every rule an order that could add exposure must pass, in integers.

Source of both twins: the build compiles this very file, typed by ``gate_c.pxd``, to ``native.gate_c``. The
rules, their names, words and reasons stand in ``app.risk.checks`` and ``app.risk.exposure``; the order of the
numbers below is the order of ``checks.EXPOSING_PLACE``. A check answers PASSED only when every rule passes
beyond doubt; otherwise the number of the first that fails, or that cannot be decided here (a contract, hours
or a trading day that were not told): that rule itself then decides, and the ones after it. Nothing here ever
approves an order. Sums and products beyond 64 bits raise OverflowError.
"""

from __future__ import annotations

from typing import Any

_MAX = 9223372036854775807
_MIN = -_MAX - 1

PASSED = -1
SHAPE, LISTED, SYNCED, TRADING_STATE, ARMED, UNKNOWN_ORDER, JOURNAL, ACCOUNT = 0, 1, 2, 3, 4, 5, 6, 7
INSTRUMENT, BRACKET, ORDER_SIZE, REDUCE_ONLY, ENTRY_HOURS, QUOTE, COLLAR = 8, 9, 10, 11, 12, 13, 14
ORDER_RATE, CONTRACTS, LOSS, DUPLICATE = 15, 16, 17, 18


def _int(value: Any) -> int:
    """Return ``value``; OverflowError outside signed 64 bits, TypeError for no integer."""
    if not isinstance(value, int):
        raise TypeError(f"an integer is needed, not {type(value).__name__}")
    try:
        number = value  # in C this is where it must fit, and compared are machine words
    except OverflowError:
        raise OverflowError("integer outside the signed 64-bit range") from None
    if number > _MAX or number < _MIN:
        raise OverflowError("integer outside the signed 64-bit range")
    return number


def _plus(a: int, b: int) -> int:
    return _int(a + b)


def _minus(a: int, b: int) -> int:
    return _int(a - b)


def _times(a: int, b: int) -> int:
    return _int(a * b)


def _size(a: int) -> int:
    """``abs``, which in C has no answer for the most negative number."""
    return _minus(0, a) if a < 0 else a


class Product:
    """One contract as the gate counts it, and when it may be entered.

    ``instrument`` is compared by identity: expiries of one product share it. ``most`` is how many of it are
    allowed. Entries are known to be open from ``open_ns`` until ``until_ns`` (market time).
    """

    def __init__(
        self, instrument: Any, weight_tenths: int, tick_value_micro: int, fee_micro: int, most: int
    ) -> None:
        self.instrument = instrument
        self.weight, self.tick_value = _int(weight_tenths), _int(tick_value_micro)
        self.fee, self.most = _int(fee_micro), _int(most)
        self.open_ns = self.until_ns = 0

    def entries(self, open_ns: int, until_ns: int) -> None:
        """Entries are open in [open_ns, until_ns)."""
        self.open_ns, self.until_ns = _int(open_ns), _int(until_ns)


class _Side:
    """What may still be bought and sold of one contract."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.buys = self.sells = 0

    def add(self, side: int, size: int) -> int:
        if size > 0:
            if side < 0:
                self.sells = _plus(self.sells, size)
            else:
                self.buys = _plus(self.buys, size)
        return 0


class Gate:
    """The limits of one account and what was told of time; ``check`` is the question.

    ``limits`` has the fields of ``app.risk.limits.Limits``. ``words`` are (the role of an entry, the active
    state, the terminal states, and (type, has a limit price, has a stop price) of what can be sent), all
    compared by identity. ``raised`` are sizes by tag that were approved and not answered yet. After a check,
    ``value`` and ``limit`` are what the rule compared, 0 where it compares no numbers.
    """

    def __init__(self, limits: Any, words: tuple[Any, ...], raised: dict[str, int]) -> None:
        self._entry, self._active, self._terminal, self._types = words
        self._raised = raised
        self._products: dict[str, Product] = {}
        self._collar, self._quote_age = _int(limits.collar_ticks), _int(limits.max_quote_age_ns)
        self._order_contracts = _int(limits.max_order_contracts)
        self._tenths, self._slippage = _int(limits.max_contracts_tenths), _int(limits.slippage_reserve_ticks)
        daily = limits.daily_loss_limit_micro
        self._has_daily, self._daily = daily is not None, _int(daily or 0)
        self._least_bracket, self._need_bracket = _int(limits.min_bracket_ticks), bool(limits.require_bracket)
        self._full_until = self._day_from = self._day_until = 0
        self._recent_until = 0
        self.value = self.limit = 0

    # -- what is told

    def know(self, contract: str, product: Product) -> None:
        self._products[contract] = product

    def product(self, contract: str) -> Product | None:
        return self._products.get(contract)

    def forget(self) -> None:
        self._products.clear()

    def counted(self, full_until: int, day_from: int, day_until: int, recent_until: int) -> None:
        """The minute is full before monotonic ``full_until``; the trading day has room within market times
        [day_from, day_until); before monotonic ``recent_until`` an intent may be an echo.
        """
        self._full_until, self._recent_until = _int(full_until), _int(recent_until)
        self._day_from, self._day_until = _int(day_from), _int(day_until)

    # -- the question

    def check(self, order: Any, view: Any) -> int:
        """The number of the first rule that fails or is in doubt, PASSED when there is none.

        Raises OverflowError for an amount outside 64 bits and TypeError for what is no integer.
        """
        self.value = self.limit = 0
        failed = self._state(order, view)
        if failed == PASSED:
            failed = self._order(order, view)
        if failed == PASSED:
            failed = self._market(order, view)
        if failed == PASSED:
            failed = self._amounts(order, view)
        if failed == PASSED and _int(view.mono_ns) < self._recent_until:
            failed = DUPLICATE
        return failed

    def _fail(self, rule: int, value: int, limit: int) -> int:
        self.value, self.limit = value, limit
        return rule

    def _state(self, order: Any, view: Any) -> int:
        """Its shape, and may anything be sent."""
        if type(order.size) is not int or type(order.filled) is not int or not self._is_shaped(order):
            return SHAPE
        account = view.account
        if not view.listed or (account is not None and account.account_id != order.account_id):
            return LISTED
        if not view.synced:
            return SYNCED
        if view.state is not self._active:
            return TRADING_STATE
        if not view.armed:
            return ARMED
        if view.unknown_orders:
            return UNKNOWN_ORDER
        if view.journal_failed:
            return JOURNAL
        if account is None or not account.can_trade:
            return ACCOUNT
        return PASSED

    def _is_shaped(self, order: Any) -> bool:
        size, filled, kind = _int(order.size), _int(order.filled), order.type
        if size < 1 or size <= filled:
            return False
        for each in self._types:
            if each[0] is kind:
                return ((order.limit_ticks is not None) == each[1]) and (
                    (order.stop_ticks is not None) == each[2]
                )
        return False

    def _order(self, order: Any, view: Any) -> int:
        """The product, the bracket, the size, the hours. Exits are the rule's own to judge."""
        product = self._products.get(order.contract)
        if product is None or view.instrument is not product.instrument:
            return INSTRUMENT
        if order.role is self._entry:
            bracket = order.bracket
            stop = _int(bracket.stop_ticks) if bracket is not None else 0
            target = _int(bracket.target_ticks) if bracket is not None else 0
            if stop < self._least_bracket and (self._need_bracket or stop):
                return self._fail(BRACKET, stop, self._least_bracket)
            if target < self._least_bracket and target:
                return self._fail(BRACKET, target, self._least_bracket)
        size = _int(order.size)
        if size > self._order_contracts:
            return self._fail(ORDER_SIZE, size, self._order_contracts)
        if order.role is not self._entry:
            return REDUCE_ONLY
        now = _int(view.utc_ns)
        if not product.open_ns <= now < product.until_ns:
            return ENTRY_HOURS
        return PASSED

    def _market(self, order: Any, view: Any) -> int:
        """Quote, collar and rates."""
        quote = view.quote
        if quote is None or quote.bid_ticks is None or quote.ask_ticks is None:
            return QUOTE
        now = _int(view.mono_ns)
        age = _minus(now, _int(quote.recv_mono_ns))
        if quote.contract != order.contract or not 0 <= age <= self._quote_age:
            return self._fail(QUOTE, age, self._quote_age)
        bid, ask, most, side = _int(quote.bid_ticks), _int(quote.ask_ticks), self._collar, _int(order.side)
        spread = _minus(ask, bid)
        if not 0 <= spread <= most:
            return self._fail(COLLAR, spread, most)
        near = ask if side > 0 else bid
        if quote.last_ticks is not None:
            off = _size(_minus(_int(quote.last_ticks), near))
            if off > most:
                return self._fail(COLLAR, off, most)
        price = near
        if order.stop_ticks is not None:
            price = _int(order.stop_ticks)
            if _times(_minus(price, near), side) <= 0:
                return self._fail(COLLAR, price, near)
        elif order.limit_ticks is not None:
            price = _int(order.limit_ticks)
        off = _size(_minus(price, near))
        if off > most:
            return self._fail(COLLAR, off, most)
        if now < self._full_until or not self._day_from <= _int(view.utc_ns) < self._day_until:
            return ORDER_RATE
        return PASSED

    def _amounts(self, order: Any, view: Any) -> int:
        """Contracts in the worst case, and what is lost if all of it is stopped out."""
        positions = view.positions
        found: dict[str, _Side] = {}
        groups: dict[str, int] = {}
        legs: dict[str, tuple[int, Any]] = {}
        left: dict[str, int] = {}
        tag, seen, risk = order.tag, False, 0
        for each in view.orders:
            live = each
            if each.tag == tag:
                live, seen = order, True
            remaining = self._remaining(live)
            if self._raised and remaining:
                remaining = _plus(
                    remaining, max(0, _minus(_int(self._raised.get(live.tag, 0)), _int(live.size)))
                )
            if live.role is not self._entry and live.parent_tag:
                best = legs.get(live.parent_tag)
                if best is None or remaining > best[0]:
                    legs[live.parent_tag] = (remaining, live)
            else:
                left[live.tag] = remaining
                if not self._add(found, live, remaining):
                    return CONTRACTS
            if each.role is self._entry and each.tag != tag:
                risk = _plus(risk, self._dearest(groups, each, self._at_risk(each)))
        if not seen and not self._add(found, order, self._remaining(order)):
            return CONTRACTS
        for parent, pair in legs.items():
            if not self._add(found, pair[1], _minus(pair[0], _int(left.get(parent, 0)))):
                return CONTRACTS
        failed = self._worst(order, positions, found)
        if failed != PASSED:
            return failed
        risk = _plus(risk, self._dearest(groups, order, self._at_risk(order)))
        return self._loss(view, _plus(risk, self._to_close(positions)))

    def _remaining(self, order: Any) -> int:
        state = order.state
        for ended in self._terminal:
            if state is ended:
                return 0
        return _minus(_int(order.size), _int(order.filled))

    def _add(self, found: dict[str, _Side], order: Any, size: int) -> bool:
        """False for a contract that is not known."""
        side = found.get(order.contract)
        if side is None:
            product = self._products.get(order.contract)
            if product is None:
                return False
            side = found[order.contract] = _Side(product)
        side.add(_int(order.side), size)
        return True

    def _worst(self, order: Any, positions: Any, found: dict[str, _Side]) -> int:
        for contract in positions:
            if contract not in found:
                held = self._products.get(contract)
                if held is None:
                    return CONTRACTS
                found[contract] = _Side(held)
        own, of_symbol, tenths = self._products[order.contract], 0, 0
        for contract, side in found.items():
            net = _int(positions.get(contract, 0))
            worst = max(_plus(net, side.buys), _minus(side.sells, net))
            tenths = _plus(tenths, _times(worst, side.product.weight))
            if side.product.instrument is own.instrument:
                of_symbol = _plus(of_symbol, worst)
        if of_symbol > own.most:
            return self._fail(CONTRACTS, of_symbol, own.most)
        if tenths > self._tenths:
            return self._fail(CONTRACTS, tenths, self._tenths)
        return PASSED

    def _at_risk(self, order: Any) -> int:
        """What an entry loses at its stop, slippage and fees included. Every contract was found before."""
        product, bracket = self._products[order.contract], order.bracket
        stop = _int(bracket.stop_ticks) if bracket is not None else 0
        each = _plus(_times(_plus(self._slippage, stop), product.tick_value), product.fee)
        return _times(self._remaining(order), each)

    def _dearest(self, groups: dict[str, int], order: Any, loss: int) -> int:
        """What ``loss`` adds: of one OCO group only the dearest counts."""
        if not order.oco:
            return loss
        counted = _int(groups.get(order.oco, 0))
        groups[order.oco] = max(loss, counted)
        return max(0, _minus(loss, counted))

    def _to_close(self, positions: Any) -> int:
        total = 0
        for contract, held in positions.items():
            net = _int(held)
            if net:
                product = self._products[contract]
                each = _plus(_times(product.tick_value, self._slippage), _plus(product.fee, 1) // 2)
                total = _plus(total, _times(_size(net), each))
        return total

    def _loss(self, view: Any, risk: int) -> int:
        if view.day_net_micro is None or view.equity_micro is None:
            return LOSS
        if view.balance_micro is None or view.floor_micro is None:
            return LOSS
        day, equity, floor = _int(view.day_net_micro), _int(view.equity_micro), _int(view.floor_micro)
        if self._has_daily and _minus(day, risk) <= _minus(0, self._daily):
            return self._fail(LOSS, _minus(day, risk), _minus(0, self._daily))
        if _minus(equity, risk) <= floor:
            return self._fail(LOSS, _minus(equity, risk), floor)
        return PASSED
