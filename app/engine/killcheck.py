"""Proof that the kill would work, for the watchdog: a service that could not halt must not be kept alive.

Three questions, each answered with "" or with what is wrong. The open reasons are copied and the switch is
opened on the copy; the real pursuit must follow the real goal and have a next step; and a throw-away desk
with one position and one entry order is halted by the same code. Nothing real is changed, no timer is set,
no record is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from app.clock import VirtualClock
from app.domain.calendar import TradingCalendar
from app.domain.events import Fill
from app.domain.orders import MANUAL, Order, OrderState, OrderType, Side
from app.engine.book import Book
from app.engine.events import EventLog
from app.engine.latency import Stages
from app.engine.lifecycle import Lifecycle
from app.engine.ports import Venue
from app.engine.pursuit import Acts, Pursuit
from app.engine.records import Record
from app.engine.trading import EVERYWHERE, Trading
from app.risk.state import Code, Goal, Kind, Reason, Reasons, TradingState

ACCOUNT = 1  # of the throw-away desk
CONTRACT = "kill-check"  # no contract of any venue: its hours are unknown, which stops no halt
TAG = "kill-check-1"


def check(trading: Trading, pursuit: Pursuit, calendar: TradingCalendar, scope: str) -> str:
    """ "" when the switch would halt trading and close positions, else the first thing that is wrong."""
    return _halts(trading.reasons, scope) or _follows(trading, pursuit) or _acts(calendar)


def _halts(reasons: Reasons, scope: str) -> str:
    """Whether the switch on top of the reasons that stand means HALTED and FLAT."""
    tried = Reasons(reasons.all())
    tried.open(Reason(Code.SWITCH, Kind.PERSON, EVERYWHERE, 0, CONTRACT, goal=Goal.FLAT))
    state, goal = tried.state(scope), tried.goal(scope)
    if state is TradingState.HALTED and goal is Goal.FLAT:
        return ""
    return f"the switch would make the state {state.name} with goal {goal.name}"


def _follows(trading: Trading, pursuit: Pursuit) -> str:
    """Whether the goal of the reasons is what is pursued, with a next step while it is not confirmed."""
    if pursuit.goal is not trading.goal:
        return f"goal {trading.goal.name} is wanted and {pursuit.goal.name} is pursued"
    return f"nobody goes on pursuing {pursuit.goal.name}" if pursuit.stalled else ""


def _acts(calendar: TradingCalendar) -> str:
    """Whether the switch cancels an entry and closes a position before it returns, and looks again."""
    clock, did = VirtualClock(0), _Did()
    journal = _Nowhere()
    log = EventLog(clock, journal, ACCOUNT)
    book = _desk()
    lifecycle = Lifecycle(clock, calendar, journal, book, log, Stages(clock, journal), _Nobody())
    acts = Acts(lambda order, why: did.cancelled.append(order.tag), lambda goal: None)
    pursuit = Pursuit(clock, calendar, journal, cast(Venue, did), book, lifecycle, log, acts)
    trading = Trading(
        clock, journal, log, str(ACCOUNT), False, lambda: pursuit.aim(trading.goal), lambda: pursuit.done
    )
    epoch = trading.epoch
    trading.restrict(Code.SWITCH, Kind.PERSON, CONTRACT, goal=Goal.FLAT)
    if trading.epoch == epoch:
        return "a halt would leave earlier approvals valid"
    if did.closed != [CONTRACT] or did.cancelled != [TAG]:
        return f"a halt would close {did.closed} and cancel {did.cancelled}"
    return "" if clock.next_due_ns() is not None else "a halt would not look whether it was done"


def _desk() -> Book:
    """One position and one working entry order, as the venue would tell of them."""
    book = Book(ACCOUNT, CONTRACT)
    order = Order(TAG, MANUAL, ACCOUNT, CONTRACT, Side.BUY, 1, OrderType.LIMIT, limit_ticks=1)
    order.state, order.venue_id = OrderState.WORKING, 1
    book.add(order)
    book.venue_net[CONTRACT] = 1
    book.read_once = True
    return book


class _Did:
    """The venue of the throw-away desk: remembers what it was asked."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.cancelled: list[str] = []

    def close(self, contract: str) -> None:
        self.closed.append(contract)

    def read_open(self) -> None:
        """Its clock never moves, so nobody reads."""


class _Nowhere:
    """A journal that keeps nothing."""

    failed = ""

    def append(
        self, records: Sequence[Record], then: Callable[[Exception | None], None] | None = None
    ) -> None:
        """Nothing is written."""

    def disarm(self) -> None:
        """Nothing was armed."""


class _Nobody:
    """Who would be told of fills and orders of the throw-away desk."""

    def order_changed(self, order: Order, before: OrderState) -> None:
        """No report ever comes."""

    def filled(self, fill: Fill, order: Order) -> None:
        """No fill ever comes."""
