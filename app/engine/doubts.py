"""Orders whose answer was ambiguous: looked up by complete reads, never sent again.

A doubt ends by evidence only: the order is found (by tag or id), or it is absent from three complete reads
over 30 s that began after the connection that carried it was closed. Until then the reason UNKNOWN_ORDER is
open and exposure-increasing orders are refused; no person is needed to end it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.clock import Clock, Timer
from app.domain.events import AccountSnapshot
from app.domain.orders import Order, OrderState
from app.engine.settings import DOUBT_READ_DELAYS_NS, LOST_AFTER_NS, LOST_READS
from app.engine.trading import Trading
from app.risk.state import Code, Goal, Kind, TradingState


@dataclass(slots=True)
class _Doubt:
    order: Order
    since_mono_ns: int
    reads: list[int] = field(default_factory=list)  # monotonic begin of each complete read without the order


class Doubts:
    """The doubtful orders of one account. `read` begins a complete read, `lose` is told what was proven
    absent.
    """

    def __init__(
        self, clock: Clock, trading: Trading, read: Callable[[], None], lose: Callable[[Order], None]
    ) -> None:
        self._clock, self._trading, self._read_now, self._lose = clock, trading, read, lose
        self._open: dict[str, _Doubt] = {}
        self._attempt = 0
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, order: Order) -> None:
        """`order` became UNKNOWN now; its connection is closed."""
        if order.tag not in self._open:
            self._open[order.tag] = _Doubt(order, self._clock.mono_ns())
            self._attempt = 0
            words, state = f"{order.tag} may be at the venue", TradingState.REDUCING
            self._trading.restrict(Code.UNKNOWN_ORDER, Kind.CONDITION, words, goal=Goal.NONE, state=state)
            self._schedule()

    def heard(self, order: Order) -> None:
        """The venue said something of `order`: if it was in doubt, it is no longer."""
        if order.tag in self._open and order.state is not OrderState.UNKNOWN:
            self._end(order.tag)

    def _end(self, tag: str) -> None:
        del self._open[tag]
        if not self._open:
            self._trading.end(Code.UNKNOWN_ORDER, "evidence")

    def on_snapshot(self, snapshot: AccountSnapshot) -> None:
        """Every order in the snapshot was applied already: those still UNKNOWN were absent from it."""
        for tag, doubt in list(self._open.items()):
            if doubt.order.state is not OrderState.UNKNOWN:
                self._end(tag)
            elif snapshot.begun_mono_ns >= doubt.since_mono_ns:
                self._absent(tag, doubt, snapshot.begun_mono_ns)
        self._schedule()

    def on_read_failed(self) -> None:
        self._schedule()

    def _absent(self, tag: str, doubt: _Doubt, begun_mono_ns: int) -> None:
        doubt.reads.append(begun_mono_ns)
        span = doubt.reads[-1] - doubt.since_mono_ns
        if len(doubt.reads) >= LOST_READS and span >= LOST_AFTER_NS:
            self._lose(doubt.order)
            self._end(tag)

    def _schedule(self) -> None:
        if not self._open or self._timer is not None:
            return
        delay = DOUBT_READ_DELAYS_NS[min(self._attempt, len(DOUBT_READ_DELAYS_NS) - 1)]
        self._attempt += 1
        self._timer = self._clock.call_later(delay, self._read)

    def _read(self) -> None:
        self._timer = None
        if self._open:
            self._read_now()
