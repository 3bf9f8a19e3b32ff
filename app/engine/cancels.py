"""Orders that must go: cancelled now, and again after a fresh read until the venue no longer shows them.

For the other side of a pair, an order that surfaced after it was given up, and what a strategy asks to
cancel. The halt has its own pursuit. An order whose id is not known yet is cancelled the moment it is.
"""

from __future__ import annotations

from collections.abc import Callable

from app.clock import Clock, Timer
from app.domain.orders import Order, OrderState
from app.engine.settings import PURSUIT_DELAYS_NS


class Cancels:
    """`send` asks the venue once, `read` begins a read of what is open."""

    def __init__(self, clock: Clock, send: Callable[[Order, str], None], read: Callable[[], None]) -> None:
        self._clock, self._send, self._read_now = clock, send, read
        self._wanted: dict[str, tuple[Order, str]] = {}
        self._asked_mono_ns: dict[str, int] = {}
        self._attempt = 0
        self._timer: Timer | None = None

    def want(self, order: Order, why: str) -> None:
        """`order` must go, whatever state it is in."""
        if order.state.terminal or order.tag in self._wanted:
            return
        self._wanted[order.tag] = (order, why)
        self._attempt = 0
        self._ask(order, why)
        self._schedule()

    def heard(self, order: Order) -> None:
        """Something was said of `order`: it is gone, or its id is known at last."""
        wanted = self._wanted.get(order.tag)
        if wanted is None:
            return
        if order.state.terminal:
            self._forget(order.tag)
        elif order.tag not in self._asked_mono_ns:
            self._ask(*wanted)

    def on_read(self, begun_mono_ns: int) -> None:
        """A read that began at `begun_mono_ns` was taken in: what it still shows is asked again."""
        for tag, (order, why) in list(self._wanted.items()):
            if order.state.terminal:
                self._forget(tag)
            elif self._asked_mono_ns.get(tag, 0) < begun_mono_ns:
                self._ask(order, why)

    def _ask(self, order: Order, why: str) -> None:
        if order.venue_id and order.state is not OrderState.UNKNOWN:
            self._asked_mono_ns[order.tag] = self._clock.mono_ns()
            self._send(order, why)

    def _forget(self, tag: str) -> None:
        del self._wanted[tag]
        self._asked_mono_ns.pop(tag, None)

    def _schedule(self) -> None:
        if self._timer is not None or not self._wanted:
            return
        delay = PURSUIT_DELAYS_NS[min(self._attempt, len(PURSUIT_DELAYS_NS) - 1)]
        self._attempt += 1
        self._timer = self._clock.call_later(delay, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._wanted:
            self._read_now()
            self._schedule()
