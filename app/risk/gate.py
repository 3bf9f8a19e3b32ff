"""The risk gate: the only maker of an `Approved`. Pure; time, state and prices come in through a `GateView`.

What could add exposure passes every rule of `RULES`, in the order of cheapness; what can only take it away passes the few of
`REDUCING_RULES`, with trading halted, without a quote and without the journal, but never for more than the position.
Everything a rule needs and does not know refuses. A refused order leaves no trace in the gate's windows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.domain import instruments
from app.domain.calendar import TradingCalendar
from app.domain.events import AccountReport
from app.domain.instruments import Instrument
from app.domain.market import Quote
from app.domain.orders import Order, OrderState, OrderType, Role
from app.domain.units import money
from app.errors import Refused
from app.risk import exposure
from app.risk.approved import SEAL, Action, Approved
from app.risk.limits import Limits
from app.risk.state import TradingState

MINUTE_NS = 60_000_000_000
PRODUCTS_KEPT = 256  # contracts whose instrument is remembered: several times what one account ever holds


@dataclass(slots=True, eq=False)
class GateView:
    """What the gate may know, filled by the engine for one check. Every default refuses.

    `because` says why `state` is not ACTIVE. `listed`: the owner named this account. `synced`: orders, positions and trades
    agree with the venue. `positions` maps contracts to signed net, `orders` are all live orders of the account, `quote` and
    `instrument` belong to the order's contract. `day_net_micro` is today's P&L with fees and unrealised.
    """

    utc_ns: int = 0
    mono_ns: int = 0
    epoch: int = 0
    state: TradingState = TradingState.HALTED
    because: str = "trading state was never computed"
    armed: bool = False
    account: AccountReport | None = None
    listed: bool = False
    synced: bool = False
    unknown_orders: int = 0
    journal_failed: str = "not open"
    instrument: Instrument | None = None
    quote: Quote | None = None
    positions: Mapping[str, int] = field(default_factory=dict)
    orders: Collection[Order] = ()
    day_net_micro: int | None = None
    balance_micro: int | None = None
    equity_micro: int | None = None
    floor_micro: int | None = None


class Gate:
    """The rules of one account with their rolling windows; the same calls give the same answers."""

    def __init__(
        self,
        limits: Limits,
        calendar: TradingCalendar,
        encode_place: Callable[[Order], bytes],
        encode_modify: Callable[[Order, int | None, int | None, int | None], bytes],
    ) -> None:
        self.limits, self.calendar = limits, calendar
        self._encode_place, self._encode_modify = encode_place, encode_modify
        self._minute: deque[int] = deque()  # mono_ns of approvals; what is older than a minute is dropped
        self._day_start_ns = 0
        self._day_count = 0
        self._recent: dict[tuple[Any, ...], int] = {}  # intent -> mono_ns, oldest first; only `duplicate_window_ns`
        self._products: dict[str, Instrument] = {}

    # -- the two questions -----------------------------------------------------------------------------------

    def place(self, order: Order, view: GateView) -> Approved:
        """Approve a new order with its bytes. Raises Refused with rule, value and limit; then nothing was counted."""
        check_shape(order)
        if order.state is not OrderState.PENDING or order.filled:
            raise Refused("gate.order_state", order.state, OrderState.PENDING)
        adds = self.exposing(order, view)
        self._apply(ENTRY_RULES if adds else REDUCING_RULES, order, view)
        if adds:
            self._refuse_duplicate(order, view.mono_ns)
        return self._approve(Action.PLACE, order, self._encode_place(order), view, adds)

    def modify(
        self, order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None, view: GateView
    ) -> Approved:
        """Approve a change of a working order; None = unchanged. Raises Refused like `place`."""
        if order.state not in _CHANGEABLE or order.cancel_requested or not order.venue_id:
            raise Refused("gate.order_state", order.state, "a working order that nobody is cancelling")
        changed = _changed(order, limit_ticks, stop_ticks, size)
        check_shape(changed)
        adds = self._modify_exposes(order, changed, view)
        self._apply(MODIFY_RULES if adds else REDUCING_RULES, changed, view)
        body = self._encode_modify(order, limit_ticks, stop_ticks, size)
        return self._approve(Action.MODIFY, order, body, view, adds)

    def exposing(self, order: Order, view: GateView) -> bool:
        """Could filling `order` take |net| of its contract up, in whatever order it and the other live orders fill?"""
        if order.role is Role.ENTRY or order.bracket is not None:
            return True
        return not exposure.only_reduces(order, view.positions, exposure.pending(view.orders, order))

    # -- windows ---------------------------------------------------------------------------------------------

    def resume(self, orders_today: int, utc_ns: int) -> None:
        """After a restart: so many orders were sent since the trading day of `utc_ns` began."""
        self._day_start_ns, self._day_count = self.calendar.trading_day_start(utc_ns), orders_today

    def _approve(self, action: Action, order: Order, body: bytes, view: GateView, adds: bool) -> Approved:
        limits = self.limits
        self._count(order, action, view)
        return Approved(
            SEAL,
            action,
            order,
            body,
            epoch=view.epoch,
            expires_mono_ns=view.mono_ns + limits.approval_life_ns,
            max_quote_age_ns=limits.max_quote_age_ns if adds else 0,
            exposing=adds,
        )

    def _count(self, order: Order, action: Action, view: GateView) -> None:
        self._roll(view)
        self._minute.append(view.mono_ns)
        self._day_count += 1
        if action is Action.PLACE:
            key = _intent(order)
            self._recent.pop(key, None)
            self._recent[key] = view.mono_ns

    def _roll(self, view: GateView) -> None:
        """Drop what left the windows. A trading day only ever ends forward: a clock set back starts no new one."""
        minute, recent = self._minute, self._recent
        while minute and view.mono_ns - minute[0] >= MINUTE_NS:
            minute.popleft()
        while recent:
            oldest = next(iter(recent))
            if view.mono_ns - recent[oldest] < self.limits.duplicate_window_ns:
                break
            del recent[oldest]
        start = self.calendar.trading_day_start(view.utc_ns)
        if start > self._day_start_ns:
            self._day_start_ns, self._day_count = start, 0

    def _refuse_rate(self, view: GateView) -> None:
        self._roll(view)
        limits = self.limits
        if len(self._minute) >= limits.orders_per_minute:
            raise Refused("gate.order_rate", f"{len(self._minute)} orders in a minute", limits.orders_per_minute)
        if self._day_count >= limits.orders_per_day:
            raise Refused("gate.order_rate", f"{self._day_count} orders today", limits.orders_per_day)

    def _refuse_duplicate(self, order: Order, mono_ns: int) -> None:
        sent = self._recent.get(_intent(order))
        if sent is not None and mono_ns - sent < self.limits.duplicate_window_ns:
            window = f"{self.limits.duplicate_window_ns} ns"
            raise Refused("gate.duplicate", f"the same order {mono_ns - sent} ns ago", window, "use a new ref")

    # -- help of the rules -----------------------------------------------------------------------------------

    def _apply(self, rules: tuple[Rule, ...], order: Order, view: GateView) -> None:
        for rule in rules:
            rule(self, order, view)

    def instrument(self, contract: str) -> Instrument:
        """The product of any contract the account holds. Raises Refused for an unknown one."""
        found = self._products.get(contract)
        if found is None:
            if len(self._products) >= PRODUCTS_KEPT:
                self._products.clear()
            found = self._products[contract] = instruments.by_contract(contract)
        return found

    def _modify_exposes(self, order: Order, changed: Order, view: GateView) -> bool:
        """Raising a size, or moving a price other than an exit's towards the market, could add exposure or loss.

        An exit of more than the position stays refused; so does a stop leg that no longer covers what it protects.
        """
        if changed.size > order.size:
            if order.role is not Role.ENTRY:
                _require_reduce_only(changed, view)
            return True
        if order.role is Role.ENTRY:
            return (changed.limit_ticks, changed.stop_ticks) != (order.limit_ticks, order.stop_ticks)
        if order.role is Role.STOP and changed.size < order.size and changed.remaining < _held_against(order, view):
            return True
        return _loosened(order, changed)


Rule = Callable[[Gate, Order, GateView], None]

_CHANGEABLE = (OrderState.WORKING, OrderState.SUSPENDED)


# -- shape: what an order must look like, whatever it is for -------------------------------------------------

# type -> (needs a limit price, needs a stop price)
_PRICES: dict[OrderType, tuple[bool, bool]] = {
    OrderType.MARKET: (False, False),
    OrderType.LIMIT: (True, False),
    OrderType.STOP: (False, True),
    OrderType.TRAILING_STOP: (False, True),  # the absolute initial level
    OrderType.JOIN_BID: (False, False),
    OrderType.JOIN_ASK: (False, False),
}


def check_shape(order: Order) -> None:
    """Size and prices fit the type. Raises Refused."""
    if type(order.size) is not int or order.size <= order.filled or order.size < 1:
        raise Refused("gate.size", f"{order.size} contracts", f"more than {order.filled}")
    needed = _PRICES.get(order.type)
    if needed is None:
        raise Refused("gate.price", f"type {order.type}", "a type that can be sent")
    limit_needed, stop_needed = needed
    if (order.limit_ticks is not None) is not limit_needed:
        raise Refused("gate.price", f"limit price {order.limit_ticks}", f"{order.type} {_needs(limit_needed)} one")
    if (order.stop_ticks is not None) is not stop_needed:
        raise Refused("gate.price", f"stop price {order.stop_ticks}", f"{order.type} {_needs(stop_needed)} one")


def _needs(needed: bool) -> str:
    return "needs" if needed else "has no"


def _changed(order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None) -> Order:
    """The order as it would be. Raises Refused when nothing would change."""
    limit = order.limit_ticks if limit_ticks is None else limit_ticks
    stop = order.stop_ticks if stop_ticks is None else stop_ticks
    most = order.size if size is None else size
    if (limit, stop, most) == (order.limit_ticks, order.stop_ticks, order.size):
        raise Refused("gate.unchanged", order.tag, "a change of price or size")
    return replace(order, limit_ticks=limit, stop_ticks=stop, size=most)


def _loosened(order: Order, changed: Order) -> bool:
    """An exit's price went away from the market: a sell stop down, a sell limit up; a buy's the other way."""
    side = order.side
    stop = order.stop_ticks is not None and _int(changed.stop_ticks) * side > order.stop_ticks * side
    limit = order.limit_ticks is not None and _int(changed.limit_ticks) * side < order.limit_ticks * side
    return stop or limit


def _int(ticks: int | None) -> int:
    assert ticks is not None, "check_shape holds the prices of the type"
    return ticks


def _held_against(order: Order, view: GateView) -> int:
    """Contracts held that `order` would take away; 0 when it would add."""
    return max(0, -order.side * view.positions.get(order.contract, 0))


def _intent(order: Order) -> tuple[Any, ...]:
    return (
        order.strategy, order.contract, order.side, order.type, order.limit_ticks, order.stop_ticks,
        order.size, order.ref,
    )  # fmt: skip


# -- rules: each refuses or returns --------------------------------------------------------------------------


def _listed(gate: Gate, order: Order, view: GateView) -> None:
    if not view.listed:
        raise Refused("gate.account", f"account {order.account_id}", "accounts named in the settings")


def _state(gate: Gate, order: Order, view: GateView) -> None:
    if view.state is TradingState.HALTED:
        raise Refused("gate.halted", view.because, "trading state ACTIVE")
    if view.state is not TradingState.ACTIVE:
        raise Refused("gate.state", f"{view.state.name}: {view.because}", "trading state ACTIVE")


def _armed(gate: Gate, order: Order, view: GateView) -> None:
    if not view.armed:
        raise Refused("gate.not_armed", "the desk is not armed", "armed", "re-arm it on the command line")


def _synced(gate: Gate, order: Order, view: GateView) -> None:
    if not view.synced:
        raise Refused("gate.not_synced", "not yet agreed with the venue", "orders, positions and trades agree")


def _unknown_order(gate: Gate, order: Order, view: GateView) -> None:
    if view.unknown_orders:
        raise Refused("gate.unknown_order", f"{view.unknown_orders} orders without a known outcome", 0)


def _journal(gate: Gate, order: Order, view: GateView) -> None:
    if view.journal_failed:
        raise Refused("gate.journal", view.journal_failed, "a journal that can be written")


def _account(gate: Gate, order: Order, view: GateView) -> None:
    account = view.account
    if account is None:
        raise Refused("gate.account", f"account {order.account_id} is not known", "a report of the venue")
    if account.account_id != order.account_id:
        raise Refused("gate.account", f"account {order.account_id}", account.account_id)
    if not account.can_trade:
        raise Refused("gate.account", f"{account.name} may not trade", "canTrade")


def _instrument(gate: Gate, order: Order, view: GateView) -> None:
    instrument = view.instrument
    if instrument is None:
        raise Refused("gate.instrument", f"{order.contract} is not known", "known products")
    if instrument is not gate.instrument(order.contract):
        raise Refused("gate.instrument", order.contract, f"a contract of {instrument.symbol}")
    if instrument.fee_round_turn_micro is None:
        raise Refused("gate.fee", f"fees of {instrument.symbol} are not known", "a known fee")


def _reduce_only(gate: Gate, order: Order, view: GateView) -> None:
    if order.role is not Role.ENTRY:
        _require_reduce_only(order, view)


def _require_reduce_only(order: Order, view: GateView) -> None:
    """An exit that could turn the position round is refused in every state: it is not what its role says."""
    found = exposure.pending(view.orders, order)
    if order.bracket is not None or not exposure.only_reduces(order, view.positions, found):
        working = found[order.contract][order.side < 0]
        held = _held_against(order, view)
        raise Refused("gate.reduce_only", f"{working} contracts would work against the position", f"{held} held")


def _bracket(gate: Gate, order: Order, view: GateView) -> None:
    bracket, least = order.bracket, gate.limits.min_bracket_ticks
    if bracket is None:
        if gate.limits.require_bracket and order.role is Role.ENTRY:
            raise Refused("gate.bracket", "an entry without a stop", f"a stop of {least} ticks or more")
        return
    if bracket.stop_ticks < least and (bracket.stop_ticks or gate.limits.require_bracket):
        raise Refused("gate.bracket", f"stop {bracket.stop_ticks} ticks", f"{least} ticks or more")
    if bracket.target_ticks and bracket.target_ticks < least:
        raise Refused("gate.bracket", f"target {bracket.target_ticks} ticks", f"{least} ticks or more")


def _hours(gate: Gate, order: Order, view: GateView) -> None:
    assert view.instrument is not None
    session = gate.calendar.session_at(view.utc_ns, view.instrument.hours)
    if session is None or not session.is_open(view.utc_ns):
        raise Refused("gate.hours", f"{view.instrument.symbol} is closed", "open hours")
    if view.utc_ns >= session.entries_until_ns:
        late = (view.utc_ns - session.entries_until_ns) // 1_000_000_000
        raise Refused("gate.hours", f"{late} s after the last entry", "entries end 5 minutes before the flatten time")


def _open(gate: Gate, order: Order, view: GateView) -> None:
    hours = gate.instrument(order.contract).hours
    if not gate.calendar.is_open(view.utc_ns, hours):
        raise Refused("gate.hours", f"{order.contract} is closed", "open hours")


def _quote(gate: Gate, order: Order, view: GateView) -> None:
    quote = view.quote
    if quote is None or quote.bid_ticks is None or quote.ask_ticks is None:
        raise Refused("gate.quote_missing", f"no bid and ask of {order.contract}", "both")
    if quote.contract != order.contract:
        raise Refused("gate.quote_missing", f"a quote of {quote.contract}", order.contract)
    age, most = view.mono_ns - quote.recv_mono_ns, gate.limits.max_quote_age_ns
    if not 0 <= age <= most:
        raise Refused("gate.quote_stale", f"{age // 1_000_000} ms old", f"{most // 1_000_000} ms")


def _collar(gate: Gate, order: Order, view: GateView) -> None:
    """Prices near the market, stops beyond it, and a market that makes sense itself."""
    quote, collar = view.quote, gate.limits.collar_ticks
    assert quote is not None
    bid, ask, last = _int(quote.bid_ticks), _int(quote.ask_ticks), quote.last_ticks
    if not 0 <= ask - bid <= collar:
        raise Refused("gate.collar", f"ask {ask - bid} ticks above bid", f"0..{collar} ticks")
    market = ask if order.side > 0 else bid
    if last is not None and abs(last - market) > collar:
        raise Refused("gate.collar", f"last trade {abs(last - market)} ticks off the market", f"{collar} ticks")
    price = order.limit_ticks if order.stop_ticks is None else order.stop_ticks
    if price is None:
        return
    if order.stop_ticks is not None and (price - market) * order.side <= 0:
        raise Refused("gate.price", f"stop {price} against a market of {market}", "strictly beyond the market", "in ticks")
    if abs(price - market) > collar:
        raise Refused("gate.collar", f"{abs(price - market)} ticks off the market", f"{collar} ticks")


def _rate(gate: Gate, order: Order, view: GateView) -> None:
    gate._refuse_rate(view)


def _contracts(gate: Gate, order: Order, view: GateView) -> None:
    """Worst case per contract over positions and live orders, summed per symbol and, by weight, over the account."""
    limits, instrument = gate.limits, gate.instrument(order.contract)
    if order.size > limits.max_order_contracts:
        raise Refused("gate.size", f"{order.size} contracts", f"{limits.max_order_contracts} in one order")
    found = exposure.pending(view.orders, order)
    symbol = account = 0
    for contract in found.keys() | view.positions.keys():
        buys, sells = found.get(contract, (0, 0))
        worst = exposure.worst(view.positions.get(contract, 0), buys, sells)
        product = gate.instrument(contract)
        account += worst * product.weight_tenths
        symbol += worst if product is instrument else 0
    most = limits.max_contracts_of(instrument.symbol)
    if symbol > most:
        raise Refused("gate.symbol_contracts", f"{symbol} {instrument.symbol}", f"{most} contracts")
    if account > limits.max_contracts_tenths:
        allowed = f"{limits.max_contracts_tenths} tenths of a mini"
        raise Refused("gate.account_contracts", f"{account} tenths of a mini", allowed)


def _loss(gate: Gate, order: Order, view: GateView) -> None:
    """If every stop of what may be entered is hit, and slips by the reserve, both loss limits still hold."""
    day, equity, floor = view.day_net_micro, view.equity_micro, view.floor_micro
    if day is None:
        raise Refused("gate.daily_loss", "today's P&L is not known", "a known P&L")
    if equity is None or view.balance_micro is None:
        raise Refused("gate.maximum_loss", "balance and equity are not known", "a known equity")
    if floor is None:
        raise Refused("gate.maximum_loss", "the floor was never stated", "start_balance, floor and as_of in the account file")
    ticks = gate.limits.slippage_reserve_ticks
    loss = exposure.loss_at_stops_micro(order, view.orders, view.positions, view.quote, gate.instrument, ticks)
    most = gate.limits.daily_loss_limit_micro
    if most is not None and day - loss <= -most:
        raise Refused("gate.daily_loss", f"{money(day)} today, {money(loss)} at risk", f"{money(-most)} USD")
    if equity - loss <= floor:
        raise Refused("gate.maximum_loss", f"equity {money(equity)}, {money(loss)} at risk", f"floor {money(floor)} USD")


_BOTH: tuple[Rule, ...] = (_listed, _synced)

# What can only reduce. It needs to know the position, nothing else of ours.
REDUCING_RULES: tuple[Rule, ...] = (*_BOTH, _open)

# A change that could add exposure: everything but the brackets, which belong to a new entry.
MODIFY_RULES: tuple[Rule, ...] = (
    *_BOTH, _state, _armed, _unknown_order, _journal, _account, _instrument, _hours, _quote, _collar, _rate, _contracts, _loss,
)  # fmt: skip

ENTRY_RULES: tuple[Rule, ...] = (
    *_BOTH, _state, _armed, _unknown_order, _journal, _account, _reduce_only, _instrument, _bracket, _hours, _quote, _collar,
    _rate, _contracts, _loss,
)  # fmt: skip
