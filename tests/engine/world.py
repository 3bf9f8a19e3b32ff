"""A world for the engine on a virtual clock: exchange, faulty wire, and a journal that can crash.

One seed drives everything. `World.check()` asserts the invariants of the design after every step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from app.clock import MS, NS, VirtualClock
from app.domain.calendar import TradingCalendar
from app.domain.market import Quote
from app.domain.orders import Order
from app.engine.engine import Engine, Parts
from app.engine.ports import Approved, Strategy
from app.engine.records import (
    ArmedChanged,
    EndOfDay,
    FillBooked,
    FillVoided,
    GoalChanged,
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
from app.engine.snapshot import BoardView
from app.risk.limits import Limits
from app.risk.rules import AccountRules
from app.risk.state import Goal, Kind
from tests.engine.exchange import ACCOUNT, ES, FEE, MONDAY_10, START_BALANCE, Exchange
from tests.engine.wire import Faults, Wire

__all__ = ["ACCOUNT", "ES", "FEE", "MONDAY_10", "RULES", "START_BALANCE", "Faults", "World"]


class MemoryJournal:
    """Commits after `delay` of virtual time; a crash loses what was not committed."""

    def __init__(self, clock: VirtualClock, delay: int = 3 * MS) -> None:
        self.clock, self.delay = clock, delay
        self.committed: list[Record] = []
        self.failing = ""
        self.commits = 0
        self.dead = False
        self.marked = False  # the armed mark: removed by any halt, full disk or not

    @property
    def failed(self) -> str:
        return self.failing

    def disarm(self) -> None:
        self.marked = False

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
        self.marked = self.marked or any(isinstance(r, ArmedChanged) and r.armed for r in rows)
        if then is not None:
            self.commits += 1
            then(None)

    def recovered(self) -> Recovered:
        """What a store would give back."""
        orders: dict[str, Order] = {}
        fills: dict[int, FillBooked] = {}
        reasons: dict[Any, Any] = {}
        armed: bool | None = None
        goal: GoalChanged | None = None
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
            elif isinstance(r, GoalChanged):
                goal = r
            elif isinstance(r, StrategyState):
                states[r.strategy] = r.text
        kept = tuple(r for r in reasons.values() if r.kind is not Kind.CONDITION)
        latch = None if armed is None else Latch(armed and self.marked, kept)
        goals = (goal,) if goal is not None and not goal.done else ()
        return Recovered(
            latch, tuple(orders.values()), tuple(fills.values()), tuple(days.values()), goals, tags, states
        )


class QuietPanel:
    def __init__(self) -> None:
        self.beats = 0
        self.shown: Any = None

    def show(self, snapshot: Any) -> None:
        self.shown = snapshot

    def heartbeat(self, mono_ns: int) -> None:
        self.beats += 1

    def view(self) -> BoardView:
        return BoardView()


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
    show_ns: int = 0
    on_trip: Goal = Goal.FLAT
    may_expose: Callable[[], bool] = lambda: True

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
            show_ns=self.show_ns,
            on_trip=self.on_trip,
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
                self.may_expose,
            )
        )
        self.wire.sink = engine
        self.wire.durable = self._durable
        return engine

    def _durable(self, approved: Approved) -> bool:
        """The journal holds the intent of an approval."""
        tags = (r.order.tag for r in reversed(self.journal.committed) if isinstance(r, OrderChanged))
        return approved.order.tag in tags

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
        kept, marked = self.journal.committed, self.journal.marked
        self.journal = MemoryJournal(self.clock)
        self.journal.committed, self.journal.marked = kept, marked
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
        if not engine.trading.state:
            assert engine.trading.armed and engine.board.closed, "open without latch or switch"
            assert not engine.trading.reasons.all(), "open against a reason"
        ledger = engine.book.ledger
        days = sum(day.net_micro for day in ledger.days())
        assert days == sum(ledger.net_micro(day) for day in ledger.dates()), "the parts are not the whole"

    def agrees(self) -> None:
        """At rest the book says what the venue says."""
        book, exchange = self.engine.book, self.exchange
        assert book.positions() == {c: n for c, n in exchange.net.items() if n}
        net = sum(d.net_micro for d in book.ledger.days())
        assert START_BALANCE + net == exchange.balance
        live = {o.venue_id for o in book.live_orders() if o.venue_id}
        assert live == {o.id for o in exchange.orders.values() if not o.state.terminal}
