"""The only door to time. Nothing else in Plimsoll reads a clock.

Two kinds of time, never mixed:

- *market time*, `utc_ns()`: integer UTC nanoseconds. Sessions, bars, tags, trade dates. With `clock =
"simulator"` it
  follows the simulator's clock, in a replay it is virtual.
- *monotonic time*, `mono_ns()`: integer nanoseconds that only grow. Every safety timer, age, time-out and
rate window.
  The board has no battery-backed clock and wakes up in the past; nothing that protects money may depend on
  the wall clock.

`wall_ns()` is the machine's own wall clock (tokens, file dates); it equals market time except under a
simulator.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from typing import Any, Protocol

NS = 1_000_000_000
MS = 1_000_000
US = 1_000
MAX_RATE = 100_000  # simulated seconds per real second; above this, timers would be coarser than a session


class Timer(Protocol):
    """A scheduled call. `cancel()` may be called at any time and twice."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """What the engine and its adapters know of time."""

    def utc_ns(self) -> int: ...
    def mono_ns(self) -> int: ...
    def wall_ns(self) -> int: ...
    def call_later(self, delay_ns: int, call: Callable[..., Any], *args: Any) -> Timer:
        """Call after `delay_ns` of monotonic time."""

    def call_at(self, utc_ns: int, call: Callable[..., Any], *args: Any) -> Timer:
        """Call when market time reaches `utc_ns` (at once, on the next turn, if it has passed)."""


async def pause(clock: Clock, delay_ns: int) -> None:
    """Wait `delay_ns` of monotonic time on `clock`."""
    import asyncio

    over = asyncio.Event()
    timer = clock.call_later(delay_ns, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()


class SystemClock:
    """Real time. Timers run on the asyncio loop that is current when they are set."""

    def utc_ns(self) -> int:
        return time.time_ns()

    def mono_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()

    def call_later(self, delay_ns: int, call: Callable[..., Any], *args: Any) -> Timer:
        import asyncio  # not at the top: an updater looks at the time too, in little memory

        return asyncio.get_running_loop().call_later(max(0, delay_ns) / NS, call, *args)

    def call_at(self, utc_ns: int, call: Callable[..., Any], *args: Any) -> Timer:
        return self.call_later(utc_ns - self.utc_ns(), call, *args)


class _Retimed:
    """A market-time timer of a `FollowingClock`: re-armed when the simulator's clock is moved."""

    __slots__ = ("args", "call", "clock", "handle", "utc_ns")

    def __init__(
        self, clock: FollowingClock, utc_ns: int, call: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        self.clock, self.utc_ns, self.call, self.args = clock, utc_ns, call, args
        self.handle: Timer | None = None

    def arm(self) -> None:
        if self.handle is not None:
            self.handle.cancel()
        real = max(0, self.utc_ns - self.clock.utc_ns()) // self.clock.rate
        self.handle = SystemClock.call_later(self.clock, real, self.fire)

    def fire(self) -> None:
        if self.clock.utc_ns() < self.utc_ns:
            self.arm()
            return
        self.clock.timers.discard(self)
        self.call(*self.args)

    def cancel(self) -> None:
        self.clock.timers.discard(self)
        if self.handle is not None:
            self.handle.cancel()


class FollowingClock(SystemClock):
    """Market time that follows a simulator: `utc_ns` at an anchor, growing `rate` times as fast as real time.

    Everything else (monotonic time, wall time, `call_later`) stays real.
    """

    def __init__(self, utc_ns: int, rate: int = 1) -> None:
        self.timers: set[_Retimed] = set()
        self.follow(utc_ns, rate)

    def follow(self, utc_ns: int, rate: int) -> None:
        """Anchor market time: it is `utc_ns` now and runs at `rate` (1 to MAX_RATE)."""
        if not 1 <= rate <= MAX_RATE:
            raise ValueError(f"rate {rate} is outside 1..{MAX_RATE}")
        self.anchor_utc, self.anchor_mono, self.rate = utc_ns, self.mono_ns(), rate
        for timer in sorted(self.timers, key=lambda t: t.utc_ns):
            timer.arm()

    def utc_ns(self) -> int:
        return self.anchor_utc + (self.mono_ns() - self.anchor_mono) * self.rate

    def call_at(self, utc_ns: int, call: Callable[..., Any], *args: Any) -> Timer:
        timer = _Retimed(self, utc_ns, call, args)
        self.timers.add(timer)
        timer.arm()
        return timer


class _VirtualTimer:
    __slots__ = ("args", "call", "cancelled")

    def __init__(self, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.call, self.args, self.cancelled = call, args, False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """Time that moves only when told to: replay, simulations, tests. Market and monotonic time run together.

    Timers due at the same instant fire in the order in which they were set.
    """

    def __init__(self, utc_ns: int, mono_ns: int = NS) -> None:
        self.now_utc, self.now_mono = utc_ns, mono_ns
        self._heap: list[tuple[int, int, _VirtualTimer]] = []
        self._count = 0

    def utc_ns(self) -> int:
        return self.now_utc

    def mono_ns(self) -> int:
        return self.now_mono

    def wall_ns(self) -> int:
        return self.now_utc

    def call_later(self, delay_ns: int, call: Callable[..., Any], *args: Any) -> Timer:
        timer = _VirtualTimer(call, args)
        self._count += 1
        heapq.heappush(self._heap, (self.now_mono + max(0, delay_ns), self._count, timer))
        return timer

    def call_at(self, utc_ns: int, call: Callable[..., Any], *args: Any) -> Timer:
        return self.call_later(utc_ns - self.now_utc, call, *args)

    def next_due_ns(self) -> int | None:
        """Market time of the next live timer, None when there is none."""
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0][0] - self.now_mono + self.now_utc if self._heap else None

    def advance_to(self, utc_ns: int) -> None:
        """Move to `utc_ns`, firing every timer due on the way at its own time."""
        heap = self._heap
        while heap:
            due, _, timer = heap[0]
            at_ns = due - self.now_mono + self.now_utc
            if at_ns > utc_ns:
                break
            heapq.heappop(heap)
            if not timer.cancelled:
                self._move(at_ns)
                timer.call(*timer.args)
        if utc_ns > self.now_utc:
            self._move(utc_ns)

    def advance(self, delta_ns: int) -> None:
        """Move `delta_ns` forward."""
        self.advance_to(self.now_utc + delta_ns)

    def step_wall(self, delta_ns: int) -> None:
        """Set market time forward or back without monotonic time moving, as a clock correction does."""
        self.now_utc += delta_ns

    def _move(self, utc_ns: int) -> None:
        if utc_ns > self.now_utc:
            self.now_mono += utc_ns - self.now_utc
            self.now_utc = utc_ns
