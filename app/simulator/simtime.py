"""Simulated time: an instant, an integer rate, and a counter of every time it was moved by hand.

The simulator owns it and serves it; nothing here talks to anybody. Real time comes in through a `Clock`
alone, so a test that drives a `VirtualClock` drives the simulated one too.
"""

from __future__ import annotations

from collections.abc import Callable

from app.clock import MAX_RATE, Clock
from app.errors import Refused

Listener = Callable[[], None]


class SimTime:
    """`utc_ns()` is an anchor plus real monotonic time times `rate`; `epoch` counts the re-anchorings."""

    def __init__(self, clock: Clock, start_ns: int, rate: int = 1) -> None:
        self._clock = clock
        self.rate = _checked(rate)
        self.epoch = 1
        self._anchor_utc, self._anchor_mono = start_ns, clock.mono_ns()
        self._listeners: list[Listener] = []

    def utc_ns(self) -> int:
        return self._anchor_utc + (self._clock.mono_ns() - self._anchor_mono) * self.rate

    def real_delay_ns(self, utc_ns: int) -> int:
        """Real time until the simulated clock shows `utc_ns`, rounded up, 0 when it already does."""
        return max(0, -((self.utc_ns() - utc_ns) // self.rate))

    def state(self) -> dict[str, int]:
        """What `/sim/clock` serves."""
        return {"utc_ns": self.utc_ns(), "rate": self.rate, "epoch": self.epoch}

    def change(self, rate: int | None = None, utc_ns: int | None = None) -> None:
        """Set the rate, jump forward, or both. Raises Refused: simulated time never runs backwards."""
        now = self.utc_ns()
        if utc_ns is not None and utc_ns < now:
            raise Refused("clock.backwards", utc_ns, f"at least {now}")
        new_rate = self.rate if rate is None else _checked(rate)
        self._anchor_utc, self._anchor_mono = utc_ns or now, self._clock.mono_ns()
        self.rate, self.epoch = new_rate, self.epoch + 1
        for listener in tuple(self._listeners):
            listener()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every change; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None


def _checked(rate: int) -> int:
    if not 1 <= rate <= MAX_RATE:
        raise Refused("clock.rate", rate, f"1 to {MAX_RATE} simulated seconds per second")
    return rate
