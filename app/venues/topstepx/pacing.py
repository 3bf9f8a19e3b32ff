"""Waiting on our own clock: a pause, a bell that can be rung early, delays that grow. No venue knowledge.

Everything that waits here waits on `app.clock`, so that a virtual clock moves it in tests.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from app.clock import Clock


class Bell:
    """One waiter sleeps until the time is over or somebody rings. A ring while nobody waits is kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self, delay_ns: int | None = None) -> None:
        """Until rung, at most `delay_ns` (None = no limit); then the bell is silent again."""
        timer = None if delay_ns is None else self._clock.call_later(delay_ns, self._event.set)
        try:
            await self._event.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._event.clear()


class Backoff:
    """Delays that grow along a list and then stay; jitter keeps two clients from marching in step."""

    JITTER = 0.2  # share of the delay added at most: enough to spread, too little to matter

    def __init__(self, delays_ns: Sequence[int], jitter: Callable[[], float] = random.random) -> None:
        self._delays, self._jitter = delays_ns, jitter
        self.failures = 0

    def next_ns(self) -> int:
        """The delay before the next try."""
        delay = self._delays[min(self.failures, len(self._delays) - 1)]
        self.failures += 1
        return delay + int(delay * self.JITTER * self._jitter())

    def reset(self) -> None:
        self.failures = 0
