"""A world for the engine on a virtual clock: a small exchange, a wire that can fail, a journal that can
crash.

Everything is driven by one seed. The exchange is written here on its own, so that the engine's tests share no
code with the product's simulator. `World.check()` asserts the invariants of the design after every step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from app.clock import MS, NS, VirtualClock
from app.domain.calendar import TradingCalendar
from app.domain.events import (
    AccountReport,
    AccountSnapshot,
    Fill,
    OpenSnapshot,
    OrderReport,
    Outcome,
    PositionReport,
    Reply,
    Request,
)
from app.domain.market import Quote
from app.domain.orders import Order, OrderState, OrderType, Side
from app.engine.engine import Engine, Parts
from app.engine.ports import Action, Approved, Strategy
from app.engine.records import (
    ArmedChanged,
    EndOfDay,
    FillBooked,
    FillVoided,
    Latch,
    OrderChanged,
    ReasonClosed,
    ReasonOpened,
    Record,
    Recovered,
    StrategyState,
    TagsReserved,
)
from app.engine.settings import EngineSettings
from app.risk.limits import Limits
from app.risk.rules import AccountRules
from app.risk.state import Kind

ACCOUNT = 7
ES = "CON.F.US.EP.Z26"
FEE = 1_890_000  # one way, ES
TICK_VALUE = 12_500_000
START_BALANCE = 50_000_000_000
MONDAY_10 = int(datetime(2026, 10, 5, 15, 0, tzinfo=UTC).timestamp()) * NS  # 10:00 Chicago


@dataclass
class VenueOrder:
    id: int
    tag: str
    contract: str
    type: OrderType
    side: Side
    size: int
    limit: int | None
    stop: int | None
    state: OrderState
    parent: int = 0
    linked: int = 0
    filled: int = 0
    bracket: Any = None
    created: int = 0
    updated: int = 0


class Exchange:
    """Truth: orders, fills, positions, balance. Events go to `tell`."""

    def __init__(self, clock: VirtualClock, price: int = 24_000) -> None:
        self.clock, self.price = clock, price
        self.orders: dict[int, VenueOrder] = {}
        self.fills: list[Fill] = []
        self.net: dict[str, int] = {}
        self.cost: dict[str, list[tuple[int, int]]] = {}
        self.balance = START_BALANCE
        self.tags: set[str] = set()
        self.next_id = 1000
        self.can_trade = True
        self.open = True
        self.tell: Callable[[Any], None] = lambda event: None
        self.auto_oco = True
        self.refusal = ""  # words with which every order is refused

    # -- requests

    def place(self, order: Order) -> Reply:
        def refuse(why: str) -> Reply:
            return Reply(Request.PLACE, order.tag, Outcome.REJECTED, 0, why)

        if order.tag in self.tags:
            return refuse("custom tag already in use")
        self.tags.add(order.tag)
        if self.refusal:
            return refuse(self.refusal)
        if not self.open:
            return refuse(
                "Trading is currently unavailable. The instrument is not in an active trading status."
            )
        if order.bracket and not self.auto_oco:
            return refuse(
                "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets."
            )
        if order.type is OrderType.STOP and (order.stop_ticks - self.price) * order.side <= 0:
            return refuse("Invalid stop price")
        entry = self._new(
            order.tag, order.contract, order.type, order.side, order.size, order.limit_ticks, order.stop_ticks
        )
        entry.bracket = order.bracket
        if order.bracket:
            self._legs(entry)
        self._report(entry)
        for leg in self._children(entry):
            self._report(leg)
        if order.type is OrderType.MARKET:
            self._execute(entry, self.price)
        return Reply(Request.PLACE, order.tag, Outcome.ACCEPTED, entry.id)

    def cancel(self, order_id: int) -> bool:
        order = self.orders.get(order_id)
        if order is None or order.state.terminal or not self.open:
            return False
        self._end(order, OrderState.CANCELLED)
        for leg in self._children(order):
            if not leg.state.terminal and order.filled == 0:
                self._end(leg, OrderState.CANCELLED)
        return True

    def close(self, contract: str) -> str:
        net = self.net.get(contract, 0)
        if not self.open:
            return "Trading is currently unavailable."
        if not net:
            return "PositionNotFound"
        side = Side.SELL if net > 0 else Side.BUY
        order = self._new("", contract, OrderType.MARKET, side, abs(net), None, None)
        self._report(order)
        self._execute(order, self.price)
        return ""

    def modify(self, order_id: int, limit: int | None, stop: int | None) -> bool:
        order = self.orders.get(order_id)
        if order is None or order.state is not OrderState.WORKING:
            return False
        order.limit = limit if limit is not None else order.limit
        order.stop = stop if stop is not None else order.stop
        order.updated = self._stamp()
        self._report(order)
        return True

    def manual(self, side: Side, size: int, contract: str = ES) -> None:
        """The owner clicks in the platform."""
        order = self._new("", contract, OrderType.MARKET, side, size, None, None)
        self._report(order)
        self._execute(order, self.price)

    # -- the market

    def move(self, price: int) -> None:
        """The price walks tick by tick; stops and limits execute."""
        step = 1 if price > self.price else -1
        while self.price != price:
            self.price += step
            for order in list(self.orders.values()):
                if order.state is OrderState.WORKING and self._touched(order):
                    self._execute(order, self.price)

    def _touched(self, order: VenueOrder) -> bool:
        if order.type is OrderType.STOP:
            return (self.price - order.stop) * order.side >= 0
        return order.type is OrderType.LIMIT and (order.limit - self.price) * order.side > 0

    # -- inside

    def _stamp(self) -> int:
        return self.clock.utc_ns()

    def _new(
        self,
        tag: str,
        contract: str,
        type_: OrderType,
        side: Side,
        size: int,
        limit: int | None,
        stop: int | None,
    ) -> VenueOrder:
        now = self._stamp()
        order = VenueOrder(
            self.next_id,
            tag,
            contract,
            type_,
            side,
            size,
            limit,
            stop,
            OrderState.WORKING,
            created=now,
            updated=now,
        )
        self.orders[order.id] = order
        self.next_id += 1
        return order

    def _legs(self, entry: VenueOrder) -> None:
        stop = self._new(
            f"{entry.tag}-SL", entry.contract, OrderType.STOP, entry.side.opposite, entry.size, None, None
        )
        stop.state, stop.parent = OrderState.SUSPENDED, entry.id
        if entry.bracket.target_ticks:
            target = self._new(
                f"{entry.tag}-TP",
                entry.contract,
                OrderType.LIMIT,
                entry.side.opposite,
                entry.size,
                None,
                None,
            )
            target.state, target.parent, target.linked = OrderState.SUSPENDED, entry.id, stop.id

    def _children(self, entry: VenueOrder) -> list[VenueOrder]:
        return [o for o in self.orders.values() if o.parent == entry.id]

    def _end(self, order: VenueOrder, state: OrderState) -> None:
        order.state, order.updated = state, self._stamp()
        self._report(order)

    def _execute(self, order: VenueOrder, price: int) -> None:
        order.filled, order.state, order.updated = order.size, OrderState.FILLED, self._stamp()
        gross = self._book(order, price)
        fill = Fill(
            len(self.fills) + 1,
            order.id,
            ACCOUNT,
            order.contract,
            order.side,
            order.size,
            price,
            FEE * order.size,
            self._stamp(),
            gross,
        )
        self.fills.append(fill)
        self._report(order)
        self.tell(fill)
        self.tell(PositionReport(ACCOUNT, order.contract, self.net.get(order.contract, 0)))
        self.tell(self.account())
        for leg in self._children(order):
            if leg.state is OrderState.SUSPENDED:
                self._activate(leg, order, price)
        if order.parent:
            for leg in self._children(self.orders[order.parent]):
                if not leg.state.terminal:
                    self._end(leg, OrderState.CANCELLED)

    def _activate(self, leg: VenueOrder, entry: VenueOrder, price: int) -> None:
        leg.state, leg.updated = OrderState.WORKING, self._stamp()
        if leg.type is OrderType.STOP:
            leg.stop = price - entry.bracket.stop_ticks * entry.side
        else:
            leg.limit = price + entry.bracket.target_ticks * entry.side
        self._report(leg)

    def _book(self, order: VenueOrder, price: int) -> int | None:
        """Netting FIFO, written independently of the product's ledger."""
        lots = self.cost.setdefault(order.contract, [])
        gross, left, closed = 0, order.size, False
        while left and lots and lots[0][0] * order.side < 0:
            held, at = lots[0]
            take = min(left, abs(held))
            gross += (price - at) * take * (1 if held > 0 else -1) * TICK_VALUE
            closed = True
            left -= take
            rest = abs(held) - take
            if rest:
                lots[0] = ((1 if held > 0 else -1) * rest, at)
            else:
                lots.pop(0)
        if left:
            lots.append((left * order.side, price))
        self.net[order.contract] = sum(size for size, _ in lots)
        self.balance += gross - FEE * order.size
        return gross if closed else None

    def report(self, o: VenueOrder) -> OrderReport:
        return OrderReport(
            o.id,
            ACCOUNT,
            o.contract,
            o.state,
            o.type,
            o.side,
            o.size,
            o.filled,
            o.limit,
            o.stop,
            o.tag,
            o.parent,
            o.linked,
            o.created,
            o.updated,
        )

    def _report(self, order: VenueOrder) -> None:
        self.tell(self.report(order))

    def account(self) -> AccountReport:
        return AccountReport(ACCOUNT, "TEST-50K", self.balance, self.can_trade, True)

    def positions(self) -> tuple[PositionReport, ...]:
        return tuple(PositionReport(ACCOUNT, c, n) for c, n in self.net.items() if n)


@dataclass
class Faults:
    """Probabilities per message, and switches for whole tests. All zero: a perfect wire."""

    lose_reply: float = 0.0  # the request arrives, the answer does not: AMBIGUOUS
    lose_request: float = 0.0  # nothing arrives: AMBIGUOUS too
    lose_event: float = 0.0
    duplicate_event: float = 0.0
    late_event: float = 0.0  # delivered up to 3 s later, so out of order
    read_fails: float = 0.0
    unreachable: bool = False


class Wire:
    """`ports.Venue` over an Exchange, with delay and faults. `sent` is everything that reached the wire, in
    order.
    """

    def __init__(self, clock: VirtualClock, exchange: Exchange, rng: random.Random, faults: Faults) -> None:
        self.clock, self.exchange, self.rng, self.faults = clock, exchange, rng, faults
        self.sink: Any = None
        self.delay = 2 * MS
        self.sent: list[tuple[int, str, str]] = []
        self.dead = False
        exchange.tell = self.event

    def encode_place(self, order: Order) -> bytes:
        return order.tag.encode()

    def encode_modify(
        self, order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None
    ) -> bytes:
        return repr((order.tag, limit_ticks, stop_ticks, size)).encode()

    def submit(self, approved: Approved) -> None:
        request = Request.PLACE if approved.action is Action.PLACE else Request.MODIFY
        why = self.sink.may_send(approved)
        if why:
            self._answer(Reply(request, approved.order.tag, Outcome.WITHDRAWN, 0, why))
            return
        self.sent.append((self.clock.mono_ns(), str(request), approved.order.tag))
        order, body = copy(approved.order), approved.body
        self.sink.on_sent(approved)
        self._request(
            lambda: self._do(request, order, body),
            Reply(request, order.tag, Outcome.AMBIGUOUS, 0, "time-out"),
        )

    def cancel(self, order: Order) -> None:
        self.sent.append((self.clock.mono_ns(), "cancel", order.tag))
        order_id, tag = order.venue_id, order.tag

        def act() -> Reply:
            done = self.exchange.cancel(order_id)
            return Reply(Request.CANCEL, tag, Outcome.ACCEPTED if done else Outcome.REJECTED)

        self._request(act, Reply(Request.CANCEL, tag, Outcome.AMBIGUOUS))

    def close(self, contract: str) -> None:
        self.sent.append((self.clock.mono_ns(), "close", contract))

        def act() -> Reply:
            why = self.exchange.close(contract)
            return Reply(Request.CLOSE, contract, Outcome.REJECTED if why else Outcome.ACCEPTED, 0, why)

        self._request(act, Reply(Request.CLOSE, contract, Outcome.AMBIGUOUS))

    def read(self, since_ns: int) -> None:
        begun = self.clock.mono_ns()
        self._read(lambda: self.sink.on_snapshot(self._snapshot(since_ns, begun)))

    def read_open(self) -> None:
        begun = self.clock.mono_ns()

        def act() -> None:
            orders = tuple(
                self.exchange.report(o)
                for o in self.exchange.orders.values()
                if o.state is OrderState.WORKING
            )
            self.sink.on_open(
                OpenSnapshot(ACCOUNT, orders, self.exchange.positions(), begun, self.clock.mono_ns())
            )

        self._read(act)

    def read_bars(self, contract: str, start_ns: int, end_ns: int) -> None:
        self._later(self.delay, lambda: self.sink.on_bars(contract, ()))

    # -- delivery

    def event(self, event: Any) -> None:
        """A hub event on its way: lost, doubled or late by the seed."""
        if self.rng.random() < self.faults.lose_event:
            return
        times = 2 if self.rng.random() < self.faults.duplicate_event else 1
        for _ in range(times):
            late = self.rng.randrange(3 * NS) if self.rng.random() < self.faults.late_event else 0
            self._later(self.delay + late, lambda: self._deliver(event))

    def _deliver(self, event: Any) -> None:
        if isinstance(event, OrderReport):
            self.sink.on_order(event)
        elif isinstance(event, Fill):
            self.sink.on_fill(event)
        elif isinstance(event, PositionReport):
            self.sink.on_position(event)
        else:
            self.sink.on_account(event)

    def _do(self, request: Request, order: Order, body: bytes) -> Reply:
        if request is Request.PLACE:
            return self.exchange.place(order)
        _, limit, stop, _ = eval(body)  # our own repr of four literals
        done = self.exchange.modify(order.venue_id, limit, stop)
        return Reply(request, order.tag, Outcome.ACCEPTED if done else Outcome.REJECTED)

    def _request(self, act: Callable[[], Reply], ambiguous: Reply) -> None:
        if self.faults.unreachable or self.rng.random() < self.faults.lose_request:
            self._later(5 * NS, lambda: self._answer(ambiguous))
            return
        lost = self.rng.random() < self.faults.lose_reply

        def arrive() -> None:
            reply = act()
            if lost:
                self._later(5 * NS, lambda: self._answer(ambiguous))
            else:
                self._later(self.delay, lambda: self._answer(reply))

        self._later_always(self.delay, arrive)

    def _answer(self, reply: Reply) -> None:
        self.sink.on_reply(reply)

    def _read(self, act: Callable[[], None]) -> None:
        if self.faults.unreachable or self.rng.random() < self.faults.read_fails:
            self._later(self.delay, lambda: self.sink.on_read_failed(ACCOUNT, "time-out"))
        else:
            self._later(self.delay, act)

    def _snapshot(self, since_ns: int, begun: int) -> AccountSnapshot:
        x = self.exchange
        return AccountSnapshot(
            x.account(),
            tuple(x.report(o) for o in x.orders.values() if o.created >= since_ns or not o.state.terminal),
            x.positions(),
            tuple(f for f in x.fills if f.utc_ns >= since_ns),
            since_ns,
            begun,
            self.clock.mono_ns(),
        )

    def _later(self, delay: int, call: Callable[[], None]) -> None:
        """To the engine of this process: a crash forgets it."""
        self.clock.call_later(delay, lambda: None if self.dead else call())

    def _later_always(self, delay: int, call: Callable[[], None]) -> None:
        """To the venue: what was sent arrives though the sender died."""
        self.clock.call_later(delay, call)


class MemoryJournal:
    """Commits after `delay` of virtual time; a crash loses what was not committed."""

    def __init__(self, clock: VirtualClock, delay: int = 3 * MS) -> None:
        self.clock, self.delay = clock, delay
        self.committed: list[Record] = []
        self.failing = ""
        self.commits = 0
        self.dead = False

    @property
    def failed(self) -> str:
        return self.failing

    def append(
        self, records: Sequence[Record], then: Callable[[Exception | None], None] | None = None
    ) -> None:
        rows = [replace(r, order=copy(r.order)) if isinstance(r, OrderChanged) else r for r in records]
        self.clock.call_later(self.delay, lambda: self._commit(rows, then))

    def _commit(self, rows: list[Record], then: Callable[[Exception | None], None] | None) -> None:
        if self.dead:
            return
        if self.failing:
            if then is not None:
                then(OSError(self.failing))
            return
        self.committed.extend(rows)
        if then is not None:
            self.commits += 1
            then(None)

    def recovered(self) -> Recovered:
        """What a store would give back."""
        orders: dict[str, Order] = {}
        fills: dict[int, FillBooked] = {}
        reasons: dict[Any, Any] = {}
        armed: bool | None = None
        days: dict[date, EndOfDay] = {}
        tags, states = 0, {}
        for r in self.committed:
            if isinstance(r, OrderChanged):
                orders[r.order.tag] = copy(r.order)
            elif isinstance(r, FillBooked):
                fills.setdefault(r.fill.id, r)
            elif isinstance(r, FillVoided):
                fills.pop(r.fill_id, None)
            elif isinstance(r, ReasonOpened):
                reasons[r.reason.key] = r.reason
            elif isinstance(r, ReasonClosed):
                reasons.pop(r.reason.key, None)
            elif isinstance(r, ArmedChanged):
                armed = r.armed
            elif isinstance(r, EndOfDay):
                days[r.trade_date] = r
            elif isinstance(r, TagsReserved):
                tags = max(tags, r.up_to)
            elif isinstance(r, StrategyState):
                states[r.strategy] = r.text
        kept = tuple(r for r in reasons.values() if r.kind is not Kind.CONDITION)
        latch = None if armed is None else Latch(armed, kept)
        return Recovered(
            latch, tuple(orders.values()), tuple(fills.values()), tuple(days.values()), (), tags, states
        )


class QuietPanel:
    def __init__(self) -> None:
        self.beats = 0
        self.shown: Any = None

    def show(self, snapshot: Any) -> None:
        self.shown = snapshot

    def heartbeat(self, mono_ns: int) -> None:
        self.beats += 1


LIMITS = Limits(
    max_contracts_tenths=50, maximum_loss_limit_micro=2_000_000_000, daily_loss_limit_micro=1_000_000_000
)
RULES = AccountRules(
    START_BALANCE, START_BALANCE - 2_000_000_000, date(2026, 10, 2), 2_000_000_000, START_BALANCE
)


@dataclass
class World:
    """Engine, wire, exchange and clock. `start()` begins and arms; `run(seconds)` lets time pass with quotes
    flowing.
    """

    seed: int = 1
    start_ns: int = MONDAY_10
    resume: bool = True
    faults: Faults = field(default_factory=Faults)
    strategies: Sequence[Strategy] = ()
    limits: Limits = LIMITS
    rules: AccountRules | None = RULES
    heartbeat_ns: int = 0
    mode: str = "simulate"

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.clock = VirtualClock(self.start_ns)
        self.calendar = TradingCalendar()
        self.exchange = Exchange(self.clock)
        self.journal = MemoryJournal(self.clock)
        self.quoting = True
        self.wire = self._wire()
        self.engine = self._engine(Recovered())

    def _wire(self) -> Wire:
        return Wire(self.clock, self.exchange, self.rng, self.faults)

    def _engine(self, recovered: Recovered) -> Engine:
        self.panel = QuietPanel()
        settings = EngineSettings(
            ACCOUNT,
            mode=self.mode,
            resume=self.resume,
            clock="virtual",
            heartbeat_ns=self.heartbeat_ns,
            show_ns=0,
        )
        engine = Engine(
            Parts(
                self.clock,
                self.calendar,
                self.journal,
                self.wire,
                self.panel,
                settings,
                self.limits,
                self.rules,
                self.strategies,
                recovered,
                {},
            )
        )
        self.wire.sink = engine
        return engine

    def begin(self) -> None:
        self.engine.on_panel(True, True)
        self.engine.begin({"ES": ES})
        self.quote()
        self.engine.on_link(True, "")

    def start(self) -> World:
        """Connected, read, armed and trading."""
        self.begin()
        self.run(1)
        self.engine.rearm("test", "start")
        self.run(1)
        return self

    def crash(self) -> None:
        """kill -9: timers, answers under way and uncommitted rows are gone; what was sent still arrives."""
        self.engine.stop()
        self.wire.dead = self.journal.dead = True
        kept = self.journal.committed
        self.journal = MemoryJournal(self.clock)
        self.journal.committed = kept
        sent = self.wire.sent
        self.wire = self._wire()
        self.wire.sent = sent

    def restart(self) -> None:
        self.crash()
        self.engine = self._engine(self.journal.recovered())
        self.begin()

    def quote(self) -> None:
        price = self.exchange.price
        quote = Quote(ES, price - 1, price + 1, price, self.clock.utc_ns())
        self.engine.on_quote(quote, self.clock.mono_ns())

    def run(self, seconds: float, step_ms: int = 250) -> None:
        """Let time pass; quotes every step unless `quoting` is False."""
        end = self.clock.utc_ns() + int(seconds * NS)
        while self.clock.utc_ns() < end:
            self.clock.advance(min(step_ms * MS, end - self.clock.utc_ns()))
            if self.quoting:
                self.quote()
            self.check()

    def check(self) -> None:
        """What must hold at every step, whatever went wrong."""
        engine = self.engine
        placed = [tag for _, what, tag in self.wire.sent if what == "place"]
        assert len(placed) == len(set(placed)), "an order was sent twice"
        known = {f.id for f in self.exchange.fills}
        booked = [b.fill.id for b in engine.book.ledger.fills()]
        assert len(booked) == len(set(booked)), "a fill was booked twice"
        assert set(booked) <= known, "a fill was invented"

    def agrees(self) -> None:
        """At rest the book says what the venue says."""
        book, exchange = self.engine.book, self.exchange
        assert book.positions() == {c: n for c, n in exchange.net.items() if n}
        net = sum(d.net_micro for d in book.ledger.days())
        assert START_BALANCE + net == exchange.balance
        live = {o.venue_id for o in book.live_orders() if o.venue_id}
        assert live == {o.id for o in exchange.orders.values() if not o.state.terminal}
