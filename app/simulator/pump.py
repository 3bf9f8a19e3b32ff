"""Keeps a world up to the present: a timer for the next instant that matters, and catching up in bounded
turns.
"""

from __future__ import annotations

from app.clock import MS, Clock, Timer
from app.simulator.world import World

MIN_TURN_NS = 2 * MS  # of real time between two turns: at high rates the ticks in between go out as one batch


class Pump:
    """Runs `world.advance` when due. Synchronous: it lives on the clock's timers, not in a task."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world, self.time, self._clock = world, world.time, clock
        self._timer: Timer | None = None
        self._forget = self.time.listen(self.turn)
        self._stopped = False

    def turn(self) -> None:
        """Catch up as far as one turn goes and set the timer for the next."""
        self._arm(finished=self.world.advance())

    def catch_up(self) -> None:
        """Before a request: the present, or as near to it as one turn comes."""
        self.world.advance()

    def settle(self) -> None:
        """After a request: tell what it caused; it may have brought the next instant nearer."""
        self.world.flush()
        self._arm(finished=True)

    def stop(self) -> None:
        self._stopped = True
        self._forget()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, finished: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.world.next_due()
        if due is not None and not self._stopped:
            delay = max(MIN_TURN_NS, self.time.real_delay_ns(due)) if finished else 0
            self._timer = self._clock.call_later(delay, self.turn)
