"""The rules of the gate, one small function each, and the tables that put them in order. No approval is
made here.

A rule refuses (`Refused` with its name, the value and the limit) or returns. It changes nothing. Everything
it needs and does not know refuses. The names are stable: journal, page and owner see them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from app.domain import instruments
from app.domain.calendar import Session, TradingCalendar
from app.domain.events import AccountReport
from app.domain.instruments import Instrument
from app.domain.market import Quote
from app.domain.orders import TERMINAL, Bracket, Order, OrderState, OrderType, Role
from app.domain.units import money
from app.errors import Refused
from app.risk import exposure
from app.risk.limits import Limits
from app.risk.state import TradingState
from app.risk.throttle import MS, Throttle
from native import gate

SECOND_NS = 1_000_000_000
PRODUCTS_KEPT = 256  # contracts whose product is remembered: several times what one account ever holds


@dataclass(slots=True, eq=False)
class GateView:
    """What the gate may know, filled by the engine for one check. Every default refuses.

    `because` says why `state` is not ACTIVE. `listed`: the owner named this account. `synced`: orders,
    positions and trades agree with the venue. `positions` maps contracts to signed net, `orders` are all
    live orders of the account, `quote` and `instrument` belong to the order's contract. `day_net_micro` is
    today's P&L, fees and unrealised included; `equity_micro` is the balance with what is open.
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


# type -> (has a limit price, has a stop price)
PRICES: dict[OrderType, tuple[bool, bool]] = {
    OrderType.MARKET: (False, False),
    OrderType.LIMIT: (True, False),
    OrderType.STOP: (False, True),
    OrderType.TRAILING_STOP: (False, True),  # the absolute level it starts from
    OrderType.JOIN_BID: (False, False),
    OrderType.JOIN_ASK: (False, False),
}

# What `native.gate` compares by identity: an entry's role, the open state, an order's usual states and the
# ended ones, the prices; and the classes of all that it reads.
_WORDS = (
    Role.ENTRY,
    TradingState.ACTIVE,
    OrderState.WORKING,
    OrderState.PENDING,
    tuple(TERMINAL),
    tuple((kind, *prices) for kind, prices in PRICES.items()),
)
_KINDS = (Order, GateView, Quote, Bracket, AccountReport)


class Desk:
    """What the rules may look at beside the view: limits, calendar, windows, sizes still to be answered."""

    __slots__ = ("_native", "_products", "calendar", "limits", "raised", "throttle")

    def __init__(self, limits: Limits, calendar: TradingCalendar) -> None:
        self.limits, self.calendar = limits, calendar
        self.throttle = Throttle(limits, calendar)
        self.raised: dict[str, int] = {}  # tag -> size approved by a modification, until the order has it
        self._products: dict[str, Instrument] = {}
        self._native = gate.Gate(limits, _WORDS, self.raised, _KINDS)

    def first_doubt(self, order: Order, view: GateView) -> int:
        """The place in `EXPOSING_PLACE` of the first rule that fails or is not settled by arithmetic alone.

        Every rule before it passes: `native.gate` is these rules once more, in integers. It answers for
        what the rules themselves have told it (products, open hours, rates), and what does not fit 64 bits
        is left to them from the first on.
        """
        try:
            found = self._native.check(order, view)
        except (OverflowError, TypeError):
            return 0
        return len(EXPOSING_PLACE) if found < 0 else found

    def entries_open(self, order: Order, utc_ns: int, session: Session) -> None:
        """The hours rule passed: it will, until this window or the time for entries ends."""
        product = self._native.product(order.contract)
        if product is not None:
            start, end = next(window for window in session.windows if window[0] <= utc_ns < window[1])
            product.entries(start, min(end, session.entries_until_ns, session.venue_close_ns))

    def rates_known(self, utc_ns: int, mono_ns: int) -> None:
        """The windows changed, or were asked about: until when their answer stays what it is."""
        try:
            self._native.counted(*self.throttle.known_until(utc_ns, mono_ns))
        except Refused:  # the calendar ends here: the rule itself is asked each time
            self.rates_forgotten()

    def rates_forgotten(self) -> None:
        self._native.counted(0, 0, 0, 0)

    def instrument(self, contract: str) -> Instrument:
        """The product of any contract the account holds. Raises Refused for an unknown one."""
        found = self._products.get(contract)
        if found is None:
            if len(self._products) >= PRODUCTS_KEPT:
                self._products.clear()
                self._native.forget()
            found = self._products[contract] = instruments.by_contract(contract)
            if found.fee_round_turn_micro is not None:
                self._native.know(contract, self._counted(found, found.fee_round_turn_micro))
        return found

    def _counted(self, found: Instrument, fee_micro: int) -> gate.Product:
        most = self.limits.max_contracts_of(found.symbol)
        return gate.Product(found, found.weight_tenths, found.tick_value_micro, fee_micro, most)

    def pending(self, order: Order, view: GateView) -> exposure.Pending:
        return exposure.pending(view.orders, order, self.raised)


Rule = Callable[[Desk, Order, GateView], None]


# -- what the order itself must be -------------------------------------------------------------------------


def shape(desk: Desk, order: Order, view: GateView) -> None:
    """Size and prices fit the type."""
    if type(order.size) is not int or order.size < 1 or order.size <= order.filled:
        raise Refused("gate.size", f"{order.size} contracts", f"more than the {order.filled} filled")
    prices = PRICES.get(order.type)
    if prices is None:
        raise Refused("gate.price", f"type {order.type}", ", ".join(PRICES))
    for name, price, needed in zip(
        ("limit", "stop"), (order.limit_ticks, order.stop_ticks), prices, strict=True
    ):
        if (price is not None) is not needed:
            must = "with" if needed else "without"
            raise Refused("gate.price", f"{name} price {price}", f"{order.type} {must} a {name} price")


def reduce_only(desk: Desk, order: Order, view: GateView) -> None:
    """An exit that could turn the position round is refused in every state: it is not what its role says."""
    if order.role is Role.ENTRY:
        return
    if order.bracket is not None:
        raise Refused("gate.reduce_only", f"{order.role} with a bracket", "an exit has none")
    found = desk.pending(order, view)
    if not exposure.only_reduces(order, view.positions, found):
        against = found[order.contract][order.side < 0]
        most = held_against(order, view)
        raise Refused("gate.reduce_only", f"{against} contracts against the position", f"{most} held")


def bracket(desk: Desk, order: Order, view: GateView) -> None:
    if order.role is not Role.ENTRY:
        return
    least, needed = desk.limits.min_bracket_ticks, desk.limits.require_bracket
    stop, target = (order.bracket.stop_ticks, order.bracket.target_ticks) if order.bracket else (0, 0)
    if stop < least and (needed or stop):
        value = f"stop {stop} ticks" if stop else "an entry without a stop"
        raise Refused("gate.bracket", value, f"a stop of {least} ticks or more")
    if target < least and target:
        raise Refused("gate.bracket", f"target {target} ticks", f"{least} ticks or more")


def held_against(order: Order, view: GateView) -> int:
    """Contracts held that `order` would take away; 0 when it would add."""
    return max(0, -order.side * view.positions.get(order.contract, 0))


# -- may anything be sent ----------------------------------------------------------------------------------


def listed(desk: Desk, order: Order, view: GateView) -> None:
    """An account the owner did not name is never touched."""
    seen = view.account
    if not view.listed:
        raise Refused("gate.account", f"account {order.account_id}", "accounts named in the settings")
    if seen is not None and seen.account_id != order.account_id:
        raise Refused("gate.account", f"account {order.account_id}", f"account {seen.account_id}")


def synced(desk: Desk, order: Order, view: GateView) -> None:
    if not view.synced:
        raise Refused("gate.not_synced", "not agreed with the venue", "orders, positions and trades agree")


def trading_state(desk: Desk, order: Order, view: GateView) -> None:
    if view.state is TradingState.ACTIVE:
        return
    rule = "gate.halted" if view.state is TradingState.HALTED else "gate.state"
    raise Refused(rule, f"{view.state.name} {view.because}".rstrip(), TradingState.ACTIVE.name)


def armed(desk: Desk, order: Order, view: GateView) -> None:
    if not view.armed:
        raise Refused("gate.not_armed", "not armed", "armed", "re-arm on the command line")


def unknown_order(desk: Desk, order: Order, view: GateView) -> None:
    if view.unknown_orders:
        raise Refused("gate.unknown_order", f"{view.unknown_orders} orders of unknown outcome", 0)


def journal(desk: Desk, order: Order, view: GateView) -> None:
    if view.journal_failed:
        raise Refused("gate.journal", view.journal_failed, "a journal that can be written")


def account(desk: Desk, order: Order, view: GateView) -> None:
    if view.account is None:
        raise Refused("gate.account", f"account {order.account_id} not read yet", "the venue's report")
    if not view.account.can_trade:
        raise Refused("gate.account", f"{view.account.name} may not trade", "canTrade true")


def instrument(desk: Desk, order: Order, view: GateView) -> None:
    product = view.instrument
    if product is None:
        raise Refused("gate.instrument", order.contract, "known products")
    if product.product != desk.instrument(order.contract).product:
        raise Refused("gate.instrument", order.contract, f"a contract of {product.symbol}")
    if product.fee_round_turn_micro is None:
        raise Refused("gate.fee", f"fees of {product.symbol} are not known", "a fee in the table")


# -- when --------------------------------------------------------------------------------------------------


def venue_open(desk: Desk, order: Order, view: GateView) -> None:
    """Exchange and venue trade: all a reduction needs."""
    if not desk.calendar.is_open(view.utc_ns, desk.instrument(order.contract).hours):
        raise Refused("gate.hours", f"{order.contract} is closed", "open hours")


def entry_hours(desk: Desk, order: Order, view: GateView) -> None:
    """Open, and not yet in the last minutes before the venue flattens."""
    session = desk.calendar.session_at(view.utc_ns, desk.instrument(order.contract).hours)
    if session is None or not session.is_open(view.utc_ns):
        raise Refused("gate.hours", f"{order.contract} is closed", "open hours")
    late_ns = view.utc_ns - session.entries_until_ns
    if late_ns >= 0:
        before = (session.flat_by_ns - session.entries_until_ns) // SECOND_NS
        value = f"{late_ns // SECOND_NS} s after the last entry"
        raise Refused("gate.hours", value, f"entries end {before} s before the venue flattens")
    desk.entries_open(order, view.utc_ns, session)


# -- at what price -----------------------------------------------------------------------------------------


def quote(desk: Desk, order: Order, view: GateView) -> None:
    seen = view.quote
    if seen is None or seen.bid_ticks is None or seen.ask_ticks is None:
        raise Refused("gate.quote_missing", f"no bid and ask of {order.contract}", "both")
    if seen.contract != order.contract:
        raise Refused("gate.quote_missing", f"a quote of {seen.contract}", order.contract)
    age, most = view.mono_ns - seen.recv_mono_ns, desk.limits.max_quote_age_ns
    if not 0 <= age <= most:
        raise Refused("gate.quote_stale", f"quote {age // MS} ms old", f"{most // MS} ms")


def collar(desk: Desk, order: Order, view: GateView) -> None:
    """Prices near the market, stops beyond it, and a market that makes sense itself."""
    bid, ask, last = _market(view)
    most = desk.limits.collar_ticks
    if not 0 <= ask - bid <= most:
        raise Refused("gate.collar", f"ask {ask - bid} ticks above bid", f"0..{most} ticks")
    near = ask if order.side > 0 else bid
    if last is not None and abs(last - near) > most:
        raise Refused("gate.collar", f"last trade {abs(last - near)} ticks off the quote", f"{most} ticks")
    if order.stop_ticks is not None and (order.stop_ticks - near) * order.side <= 0:
        beyond = "above the ask" if order.side > 0 else "below the bid"
        raise Refused("gate.price", f"stop at {order.stop_ticks} ticks", f"{beyond} of {near} ticks")
    price = order.limit_ticks if order.stop_ticks is None else order.stop_ticks
    if price is not None and abs(price - near) > most:
        raise Refused("gate.collar", f"{abs(price - near)} ticks off the market", f"{most} ticks")


def _market(view: GateView) -> tuple[int, int, int | None]:
    """Bid, ask and last trade. The rule `quote` ran before."""
    seen = view.quote
    if seen is None or seen.bid_ticks is None or seen.ask_ticks is None:
        raise Refused("gate.quote_missing", "no bid and ask", "both")
    return seen.bid_ticks, seen.ask_ticks, seen.last_ticks


# -- how often, how much -----------------------------------------------------------------------------------


def order_rate(desk: Desk, order: Order, view: GateView) -> None:
    desk.throttle.refuse_rate(view.utc_ns, view.mono_ns)
    desk.rates_known(view.utc_ns, view.mono_ns)


def duplicate(desk: Desk, order: Order, view: GateView) -> None:
    desk.throttle.refuse_duplicate(order, view.mono_ns)


def order_size(desk: Desk, order: Order, view: GateView) -> None:
    most = desk.limits.max_order_contracts
    if order.size > most:
        raise Refused("gate.size", f"{order.size} contracts", f"{most} in one order")


def contracts(desk: Desk, order: Order, view: GateView) -> None:
    """The worst cases of all contracts over positions and live orders, by symbol and by weight."""
    product, limits, found = desk.instrument(order.contract), desk.limits, desk.pending(order, view)
    of_symbol = tenths = 0
    for contract in found.keys() | view.positions.keys():
        buys, sells = found.get(contract, (0, 0))
        worst = exposure.worst(view.positions.get(contract, 0), buys, sells)
        each = desk.instrument(contract)
        tenths += worst * each.weight_tenths
        of_symbol += worst if each is product else 0
    most = limits.max_contracts_of(product.symbol)
    if of_symbol > most:
        raise Refused(
            "gate.symbol_contracts", f"{of_symbol} {product.symbol} in the worst case", f"{most} contracts"
        )
    if tenths > limits.max_contracts_tenths:
        value, allowed = _minis(tenths), _minis(limits.max_contracts_tenths)
        raise Refused("gate.account_contracts", f"{value} minis in the worst case", f"{allowed} minis")


def _minis(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}"


def loss(desk: Desk, order: Order, view: GateView) -> None:
    """If everything that may be entered is stopped out, with slippage, both loss limits still hold."""
    day, equity, floor = view.day_net_micro, view.equity_micro, view.floor_micro
    if day is None:
        raise Refused("gate.daily_loss", "today's P&L is not known", "a known P&L")
    if equity is None or view.balance_micro is None:
        raise Refused("gate.maximum_loss", "balance or equity is not known", "both known")
    if floor is None:
        raise Refused("gate.maximum_loss", "the floor is not known", "floor and as_of in the account file")
    ticks = desk.limits.slippage_reserve_ticks
    risk = exposure.loss_at_stops_micro(
        order, view.orders, view.positions, view.quote, desk.instrument, ticks
    )
    most = desk.limits.daily_loss_limit_micro
    if most is not None and day - risk <= -most:
        raise Refused(
            "gate.daily_loss", f"{money(day)} USD today and {money(risk)} at risk", f"{money(-most)} USD"
        )
    if equity - risk <= floor:
        value = f"equity {money(equity)} USD and {money(risk)} at risk"
        raise Refused("gate.maximum_loss", value, f"floor {money(floor)} USD")


# -- the tables --------------------------------------------------------------------------------------------

ALWAYS: tuple[Rule, ...] = (shape, listed, synced)

# What can only reduce: the position must be known and the venue open, nothing of ours need work.
REDUCING: tuple[Rule, ...] = (*ALWAYS, venue_open)

# What could add exposure, cheapest first. `native.gate` numbers its rules in this order.
EXPOSING: tuple[Rule, ...] = (
    *(*ALWAYS, trading_state, armed, unknown_order, journal, account, instrument, bracket, order_size),
    *(reduce_only, entry_hours, quote, collar, order_rate, contracts, loss),
)
EXPOSING_PLACE: tuple[Rule, ...] = (*EXPOSING, duplicate)
