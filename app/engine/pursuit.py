"""The halt is a goal, pursued until the venue confirms it: cancel, close, read, sweep, read, repeat.

NO_ENTRIES: cancel what could add exposure, keep stops and targets. FLAT: NO_ENTRIES, then close each position
by the venue's own close call (it computes the size), re-read, sweep the remaining legs, re-read. Protective
legs are never cancelled before the position reads flat; a close is repeated only after a fresh read and never
while one is unanswered.

Nothing here waits for the disk. After a restart nothing is sent before the account was read once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.clock import Clock, Timer
from app.domain.calendar import TradingCalendar
from app.domain.events import AccountSnapshot, OpenSnapshot, Outcome, Reply
from app.domain.instruments import by_contract
from app.domain.orders import MANUAL, Order, OrderState, OrderType, Role
from app.engine.book import Book
from app.engine.events import EventLog
from app.engine.lifecycle import Lifecycle
from app.engine.ports import Journal, Venue
from app.engine.records import GoalChanged
from app.engine.settings import PURSUIT_DELAYS_NS
from app.engine.snapshot import GoalView
from app.errors import PlimsollError
from app.risk.state import Goal

MARKET_CLOSED = "cancel pending, market closed"
SHOWN = 3  # of what is left, in the words for the owner


@dataclass(slots=True)
class Acts:
    """What the pursuit may do."""

    cancel: Callable[[Order, str], None]
    confirmed: Callable[[Goal], None]


@dataclass(slots=True)
class _Left:
    """What a goal waits for: orders to cancel, entries the venue may have, contracts to close."""

    cancels: Sequence[Order]
    unanswered: Sequence[Order]
    closes: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.cancels or self.unanswered or self.closes)

    def __str__(self) -> str:
        """The first few, in words."""
        orders = [f"order {o.tag} ({o.state})" for o in self.cancels[:SHOWN]]
        orders += [f"order {o.tag} unanswered" for o in self.unanswered[:SHOWN]]
        return ", ".join([*orders, *(f"position {c}" for c in self.closes[:SHOWN])][:SHOWN])

    def contracts(self) -> set[str]:
        return {*(o.contract for o in self.cancels), *self.closes}


class Pursuit:
    """One account's goal. `aim` starts it at once; snapshots drive it; `confirmed` ends it."""

    def __init__(
        self,
        clock: Clock,
        calendar: TradingCalendar,
        journal: Journal,
        venue: Venue,
        book: Book,
        lifecycle: Lifecycle,
        log: EventLog,
        acts: Acts,
        idle: bool = False,
    ) -> None:
        self._clock, self._calendar, self._journal = clock, calendar, journal
        self._venue, self._book, self._lifecycle = venue, book, lifecycle
        self._log, self._acts = log, acts
        self._idle = idle  # shadow mode: there is nothing of ours at the venue
        self.goal = Goal.NONE
        self.done = True
        self.detail = ""
        self._attempt = 0
        self._timer: Timer | None = None
        self._next_mono_ns = 0
        self._reading = False
        self._closes: set[str] = set()  # contracts with a close call that is not answered
        self._answered: dict[str, int] = {}  # contract -> when its last close was answered
        self._read_mono_ns = 0  # when the newest read began
        self._started_mono_ns = 0
        self._hurried = False
        self._only: frozenset[str] = frozenset()  # contracts that a strategy asked to close

    def view(self) -> GoalView:
        return GoalView(self.goal.name.lower(), not self.done, self.detail, self._next_mono_ns)

    @property
    def stalled(self) -> bool:
        """Whether an unconfirmed goal has neither a next try nor a read under way; that is a bug."""
        return not self.done and self._timer is None and not self._reading

    # -- commands

    def aim(self, goal: Goal) -> None:
        """Follow the goal of the open reasons: rise at once, fall when the reasons ended."""
        if goal == self.goal:
            return
        rising = goal > self.goal
        self.goal = goal
        if goal is Goal.NONE and not self._only:
            self._finish("")
        elif rising:
            self._start()

    def close_contract(self, contract: str, strategy: str) -> None:
        """A strategy wants out of `contract`: the same closing as FLAT, for one contract."""
        self._only |= {contract}
        self._lifecycle.closing[contract] = strategy
        self._start()

    def resume(self) -> None:
        """After a restart: a goal was not confirmed, so a close of ours may be under way. Its fill carries no
        tag.
        """
        for contract in self._book.positions():
            self._lifecycle.closing[contract] = self._owner(contract)

    def poke(self) -> None:
        """Something new appeared: a confirmed goal that no longer holds is pursued again; a position that is
        gone is read at once, so that its legs are swept.
        """
        if self.done:
            if (self.goal or self._only) and self._left():
                self._start()
        elif self._answered and not self._hurried and not self._to_close():
            self._hurried = True
            self._schedule(0)

    # -- what came back

    def on_reply(self, contract: str, reply: Reply) -> None:
        """A close call was answered. REJECTED with no position is as good as done; the next read tells."""
        self._closes.discard(contract)
        self._answered[contract] = self._clock.mono_ns()
        if reply.outcome is not Outcome.ACCEPTED:
            self.detail = f"close {contract}: {reply.reason or reply.outcome}"

    def on_read(self, snapshot: AccountSnapshot | OpenSnapshot) -> None:
        """The book has taken in the snapshot: confirmed, or act again."""
        self._reading = False
        self._read_mono_ns = max(self._read_mono_ns, snapshot.begun_mono_ns)
        if self.done:
            return
        left = self._left()
        if not left and snapshot.begun_mono_ns >= self._started_mono_ns:
            self._confirm()
            return
        if self._act(left):
            self._attempt += 1
        self._schedule()

    def on_read_failed(self, reason: str) -> None:
        self._reading = False
        if not self.done:
            self.detail = f"pending: venue not readable ({reason})"
            self._schedule()

    # -- the work

    def _start(self) -> None:
        self.done, self._attempt = False, 0
        self._started_mono_ns = self._clock.mono_ns()
        self._hurried = False
        self._journal.append([self._record()], _flushed)  # nobody waits, and yet at once: a crash may follow
        if self._book.read_once:
            left = self._left()
            if left:
                self._act(left)
            else:
                self.detail = "confirming"
        self._schedule()

    def _left(self) -> _Left:
        """What still stands between the account and the goal."""
        if self._idle:
            return _Left((), (), ())
        live = list(self._book.live.values())
        cancels = [o for o in live if o.venue_id and o.state is not OrderState.UNKNOWN and self._must_go(o)]
        unanswered = [o for o in self._book.in_flight() if o.role is Role.ENTRY]
        return _Left(cancels, unanswered, self._to_close())

    def _must_go(self, order: Order) -> bool:
        """Entries, and the legs of a flat contract, which could open a position; those of an open one protect
        it.
        """
        if self.goal is Goal.NONE:
            return order.contract in self._only and order.role is not Role.ENTRY and self._reads_flat(order)
        return order.role is Role.ENTRY or self._reads_flat(order)

    def _reads_flat(self, order: Order) -> bool:
        contract = order.contract
        flat = not self._book.net(contract) and not self._book.venue_net.get(contract, 0)
        # a suspended leg lives and dies with its entry
        return flat and order.state is OrderState.WORKING

    def _to_close(self) -> Sequence[str]:
        book = self._book
        if self.goal is Goal.FLAT:
            return book.exposed_contracts()
        return sorted(c for c in self._only if book.net(c) or book.venue_net.get(c)) if self._only else ()

    def _act(self, left: _Left) -> bool:
        """Cancel and close what is left. False while the market is closed."""
        closed_market = [c for c in left.contracts() if not self._market_open(c)]
        for order in left.cancels:
            if order.contract not in closed_market or not order.cancel_requested:
                self._acts.cancel(order, f"goal {self.goal.name}")
        for contract in left.closes:
            if contract not in closed_market:
                self._close(contract)
        self.detail = MARKET_CLOSED if closed_market else f"pending: {left}"
        return not closed_market

    def _close(self, contract: str) -> None:
        unread = self._answered.get(contract, 0) > self._read_mono_ns
        if contract in self._closes or unread or self._closing_order(contract):
            return  # repeated only when answered, read again since, and no order of an earlier one works
        self._closes.add(contract)
        self._lifecycle.closing[contract] = self._owner(contract)
        self._venue.close(contract)

    def _closing_order(self, contract: str) -> bool:
        """A market order that closes `contract` works already: a second one could reverse the position."""
        return any(
            order.role is Role.EXIT and order.type is OrderType.MARKET
            for order in self._book.live_orders(contract)
        )

    def _owner(self, contract: str) -> str:
        """The strategy whose sub-book holds most of the position: the close is booked there."""
        asked = self._lifecycle.closing.get(contract)
        if asked and self._book.ledger.net_of(asked, contract):
            return asked
        net = self._book.net(contract)
        holders = {s: self._book.ledger.net_of(s, contract) for s in self._book.ledger.strategies()}
        return max(sorted(holders), key=lambda s: holders[s] * (1 if net > 0 else -1), default=MANUAL)

    def _market_open(self, contract: str) -> bool:
        try:
            return self._calendar.is_open(self._clock.utc_ns(), by_contract(contract).hours)
        except PlimsollError:
            return True  # unknown hours are no reason not to try

    # -- reads and the end

    def _schedule(self, delay_ns: int | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = delay_ns if delay_ns is not None else self._delay_ns()
        self._next_mono_ns = self._clock.mono_ns() + delay
        self._timer = self._clock.call_later(delay, self._read)

    def _delay_ns(self) -> int:
        delay = PURSUIT_DELAYS_NS[min(self._attempt, len(PURSUIT_DELAYS_NS) - 1)]
        if self.detail == MARKET_CLOSED:
            delay = PURSUIT_DELAYS_NS[-1]
        return delay

    def _read(self) -> None:
        self._timer = None
        self._next_mono_ns = 0
        if self.done:
            return
        if self._reading:
            self._schedule()
        elif self._book.read_once and self.detail == MARKET_CLOSED and not self._any_open():
            self._schedule()  # nothing can change before the open: no requests either
        else:
            self._reading = True
            self._venue.read_open()

    def _any_open(self) -> bool:
        return any(self._market_open(c) for c in self._left().contracts())

    def _confirm(self) -> None:
        goal = self.goal
        if goal is not Goal.NONE:
            self._log.add("info", "goal", f"{goal.name} confirmed by the venue")
        self._finish("confirmed" if goal or self._only else "")
        self._journal.append([self._record()])
        self._acts.confirmed(goal)

    def _finish(self, detail: str) -> None:
        self.done, self.detail, self._attempt = True, detail, 0
        self._only = frozenset()
        self._closes.clear()
        self._answered.clear()
        for contract in list(self._lifecycle.closing):
            if not self._book.net(contract):
                del self._lifecycle.closing[contract]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._next_mono_ns = 0

    def _record(self) -> GoalChanged:
        now = self._clock.utc_ns()
        return GoalChanged(self._book.account_id, self.goal, self.done, self.detail, now)


def _flushed(error: Exception | None) -> None:
    """Makes an append flush at once; the halt goes on whatever the disk says."""
