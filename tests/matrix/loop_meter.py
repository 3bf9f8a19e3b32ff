"""How long a callback kept the event loop from its work: its own doing, not the machine's.

A callback that never waited is charged the processor time it took; one that waited for something, the time
that passed less what it spent runnable without a processor. So a machine that stalls is not taken for a loop
that blocks. Linux only.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Callable
from typing import Any

SCHEDSTAT = "/proc/thread-self/schedstat"  # ns on a processor, ns runnable without one, slices


class LoopMeter:
    """`longest_ns` is the longest callback since `forget`."""

    def __init__(self) -> None:
        self.longest_ns = 0
        self._schedstat = os.open(SCHEDSTAT, os.O_RDONLY)

    def install(self) -> None:
        """Watch every callback of every loop of this process, for good."""
        run: Callable[[asyncio.Handle], Any] = asyncio.Handle._run

        def measured(handle: asyncio.Handle) -> Any:
            return self.measure(run, handle)

        setattr(asyncio.Handle, "_run", measured)  # noqa: B010  # the only place that every callback passes

    def forget(self) -> None:
        self.longest_ns = 0

    def measure(self, call: Callable[..., Any], *arguments: Any) -> Any:
        waits, waited_ns = _waits(), self._waited_ns()
        busy_ns, begun_ns = time.thread_time_ns(), time.monotonic_ns()
        try:
            return call(*arguments)
        finally:
            took_ns = time.thread_time_ns() - busy_ns
            if _waits() != waits:
                took_ns = time.monotonic_ns() - begun_ns - (self._waited_ns() - waited_ns)
            self.longest_ns = max(self.longest_ns, took_ns)

    def _waited_ns(self) -> int:
        return int(os.pread(self._schedstat, 64, 0).split()[1])


def _waits() -> int:
    """How often this thread gave up its processor to wait for something."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
