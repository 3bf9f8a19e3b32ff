"""What the venue says about orders and fills, applied to the book: each word at most once, in whatever order
it comes.

Hub events may precede the place reply, be duplicated, late or lost; a complete read repeats them all. So
every report is an upsert by id or tag, terminal states never regress, and executions are keyed by the venue's
fill id.
"""

from __future__ import annotations

from typing import Protocol

from app.clock import Clock
from app.domain.calendar import TradingCalendar
from app.domain.events import AccountSnapshot, Fill, OrderReport, Outcome, Reply
from app.domain.orders import MANUAL, TRANSITIONS, Order, OrderEvent, OrderState, OrderType, Role
from app.engine.book import Book
from app.engine.events import EventLog
from app.engine.latency import Stages
from app.engine.ports import Journal
from app.engine.records import FillBooked, FillVoided, OrderChanged
from app.engine.settings import ORPHANS_LIMIT
from app.errors import Refused

_EVENT_OF: dict[OrderState, OrderEvent] = {
    OrderState.WORKING: OrderEvent.WORK,
    OrderState.SUSPENDED: OrderEvent.SUSPEND,
    OrderState.FILLED: OrderEvent.FILL,
    OrderState.CANCELLED: OrderEvent.CANCEL,
    OrderState.EXPIRED: OrderEvent.EXPIRE,
    OrderState.REJECTED: OrderEvent.REJECT,
}


class Hooks(Protocol):
    """Who else wants to know. Called after the book is consistent."""

    def order_changed(self, order: Order, before: OrderState) -> None: ...
    def filled(self, fill: Fill, order: Order) -> None: ...


class Lifecycle:
    """Applies reports, replies and fills. `orphans` are executions whose order is not known yet."""

    def __init__(
        self,
        clock: Clock,
        calendar: TradingCalendar,
        journal: Journal,
        book: Book,
        log: EventLog,
        stages: Stages,
        hooks: Hooks,
    ) -> None:
        self._clock, self._calendar, self._journal = clock, calendar, journal
        self._book, self._log, self._stages, self._hooks = book, log, stages, hooks
        self.orphans: dict[int, tuple[Fill, int]] = {}  # by fill id, with the monotonic time of hearing
        self.closing: dict[str, str] = {}  # contract -> strategy of a close call of ours under way

    # -- orders

    def on_report(self, report: OrderReport) -> Order:
        """Upsert one order from the venue's word and return it."""
        order = self._book.find(report) or self._adopt(report)
        if not order.venue_id:
            order.venue_id = report.venue_id
            self._book.index(order)
        changed = report.updated_ns >= order.venue_updated_ns and self._copy(order, report)
        self._move(order, report, changed)
        if self.orphans:
            self._settle_orphans(order)
        return order

    def _adopt(self, report: OrderReport) -> Order:
        order = self._book.adopt(report)
        closer = self.closing.get(report.contract)
        if closer is not None and not report.tag and self._book.net(report.contract) * report.side < 0:
            order.strategy, order.role = closer, Role.EXIT
        return order

    def _copy(self, order: Order, report: OrderReport) -> bool:
        """Take over prices and size of a newer report; True when one of them changed."""
        before = (order.limit_ticks, order.stop_ticks, order.size)
        order.venue_updated_ns = report.updated_ns
        if report.limit_ticks is not None:
            order.limit_ticks = report.limit_ticks
        if report.stop_ticks is not None:
            order.stop_ticks = report.stop_ticks
        if not order.state.terminal:
            order.size = report.size
        return before != (order.limit_ticks, order.stop_ticks, order.size)

    def _move(self, order: Order, report: OrderReport, changed: bool) -> None:
        before, event = order.state, _EVENT_OF[report.state]
        more = report.filled > order.filled
        if more:
            order.filled = report.filled
            event = OrderEvent.PART if event is OrderEvent.WORK else event
        if event not in TRANSITIONS[before]:
            return  # terminal states never regress, a leg that works is not suspended again
        moved = order.apply(event, report.updated_ns) is not before
        if moved:
            self._book.index(order)
        if moved or more or changed:
            words = event if moved or more else "changed"
            self._journal.append([OrderChanged(order, words, order.updated_ns)])
            self._hooks.order_changed(order, before)

    # -- replies to our own requests

    def on_placed(self, order: Order, reply: Reply) -> None:
        """The answer to a place: ACCEPTED and REJECTED are certain, AMBIGUOUS leaves the order UNKNOWN."""
        self._stages.acknowledged(order.tag)
        before = order.state
        if reply.venue_id and not order.venue_id:
            order.venue_id = reply.venue_id
            self._book.index(order)
        event = {
            Outcome.ACCEPTED: OrderEvent.ACCEPT,
            Outcome.REJECTED: OrderEvent.REJECT,
            Outcome.AMBIGUOUS: OrderEvent.DOUBT,
        }[reply.outcome]
        if before not in (OrderState.PENDING, OrderState.SENT, OrderState.UNKNOWN):
            self._settle_orphans(order)
            return  # the hub was faster: its word stands
        if before is OrderState.PENDING and event is not OrderEvent.DOUBT:
            order.apply(OrderEvent.SEND, self._clock.utc_ns())
        order.reason = reply.reason or order.reason
        order.apply(event, order.updated_ns)
        self._book.index(order)
        self._journal.append([OrderChanged(order, event, self._clock.utc_ns())])
        self._settle_orphans(order)
        self._hooks.order_changed(order, before)

    def lose(self, order: Order) -> None:
        """Proven absent by complete reads."""
        before = order.state
        order.reason = "absent from the venue's complete reads"
        order.apply(OrderEvent.LOSE, self._clock.utc_ns())
        self._book.index(order)
        self._journal.append([OrderChanged(order, OrderEvent.LOSE, order.updated_ns)])
        self._log.add("warning", "lost", f"{order.tag} never reached the venue", order.strategy)
        self._hooks.order_changed(order, before)

    # -- fills

    def on_fill(self, fill: Fill) -> bool:
        """Book one execution once. False when it was known, or must wait for its order."""
        if fill.voided:
            return self._void(fill)
        if self._book.ledger.has(fill.id):
            return False
        order = self._book.by_id.get(fill.order_id)
        if order is None:
            self._keep_orphan(fill)
            return False
        self.orphans.pop(fill.id, None)
        return self._book_fill(fill, order)

    def adopt_orphans(self, snapshot: AccountSnapshot) -> None:
        """Executions that were known before a complete read began, and whose order it does not list, are the
        owner's own.
        """
        listed = {fill.id for fill in snapshot.fills}
        known = [f for f, heard in self.orphans.values() if heard < snapshot.begun_mono_ns and f.id in listed]
        for fill in sorted(known, key=lambda f: (f.utc_ns, f.id)):
            del self.orphans[fill.id]
            self._book_fill(fill, self._stranger(fill))

    def _stranger(self, fill: Fill) -> Order:
        from_close = self.closing.get(fill.contract)
        closes = from_close is not None and self._book.net(fill.contract) * fill.side < 0
        return Order(
            tag=f"venue:{fill.order_id}",
            strategy=from_close if closes and from_close else MANUAL,
            account_id=fill.account_id,
            contract=fill.contract,
            side=fill.side,
            size=fill.size,
            type=OrderType.MARKET,
            state=OrderState.FILLED,
            venue_id=fill.order_id,
            filled=fill.size,
            created_ns=fill.utc_ns,
            updated_ns=fill.utc_ns,
        )

    def _keep_orphan(self, fill: Fill) -> None:
        if len(self.orphans) < ORPHANS_LIMIT:
            self.orphans.setdefault(fill.id, (fill, self._clock.mono_ns()))

    def _settle_orphans(self, order: Order) -> None:
        if not self.orphans or not order.venue_id:
            return
        for fill in [f for f, _ in self.orphans.values() if f.order_id == order.venue_id]:
            del self.orphans[fill.id]
            self._book_fill(fill, order)

    def _book_fill(self, fill: Fill, order: Order) -> bool:
        try:
            day = self._calendar.trade_date(fill.utc_ns)
        except Refused as refusal:  # not booked: the position will differ, and trading closes for that
            self._log.add("alarm", "fill_time", f"execution {fill.id}: {refusal}", order.strategy)
            return False
        if not self._book.ledger.book(fill, order.strategy, day):
            return False
        self._journal.append([FillBooked(fill, order.tag, order.strategy, day)])
        self._hooks.filled(fill, order)
        return True

    def _void(self, fill: Fill) -> bool:
        self.orphans.pop(fill.id, None)
        if not self._book.ledger.void(fill.id):
            return False
        self._journal.append([FillVoided(fill.account_id, fill.id, self._clock.utc_ns())])
        self._log.add("alarm", "voided", f"the venue took execution {fill.id} back")
        return True
