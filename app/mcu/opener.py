"""Opens and closes what may hang in the kernel: beside the event loop, one after the other, with a wait that
ends.

The driver of a USB port that hung keeps an opening or a closing for as long as it likes. On the loop that
would stop everything until the watchdog; here the next attempt says so, and no second thread is started
behind one that is stuck. What such a thread brings in the end is closed again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from app.aside import aside
from app.errors import Later, Unreachable

PATIENCE_S = 3.0  # an opening takes milliseconds; a UART's close may first send what waits, 89 ms at most

Line = TypeVar("Line")


class _Handover(Generic[Line]):
    """A line that was opened belongs to who waits for it, else it is closed: never both, never neither."""

    def __init__(self, close: Callable[[Line], None]) -> None:
        self._close, self._lock = close, threading.Lock()
        self._abandoned = False
        self._lines: list[Line] = []

    def put(self, line: Line) -> Line:
        """By the thread that opened it."""
        with self._lock:
            late = self._abandoned
            self._lines.append(line)
        if late:
            self.close()
        return line

    def abandon(self) -> bool:
        """Nobody waits any more; whether somebody has to `close` what came in the same moment."""
        with self._lock:
            self._abandoned = True
            return bool(self._lines)

    def close(self) -> None:
        for line in self._lines:
            self._close(line)


class Opener:
    """`name` is what it opens, in errors and in the list of threads."""

    def __init__(self, name: str, patience_s: float = PATIENCE_S) -> None:
        self._name, self._patience_s = name, patience_s
        self._running: asyncio.Future[Any] | None = None

    async def open(self, open_: Callable[[], Line], close: Callable[[Line], None]) -> Line:
        """What `open_` returns or raises. Raises Unreachable when it takes too long, or what was begun before
        it does; whatever it brings later is given to `close`.
        """
        await self.free()
        handover = _Handover(close)
        running = self._begin(lambda: handover.put(open_()))
        try:
            async with asyncio.timeout(self._patience_s):
                return await asyncio.shield(running)
        except (TimeoutError, asyncio.CancelledError) as error:
            if handover.abandon():
                self.close(handover.close)
            raise self._stuck() if isinstance(error, TimeoutError) else error from None

    def close(self, close: Callable[[], None]) -> None:
        """Have `close` done; nobody waits for it but the next opening."""
        self._begin(close)

    async def free(self) -> None:
        """Until nothing is being opened or closed. Raises Unreachable when that takes too long."""
        if self._running is None or self._running.done():
            return
        try:
            async with asyncio.timeout(self._patience_s):
                await asyncio.wait([self._running])
        except TimeoutError:
            raise self._stuck() from None

    def _begin(self, job: Callable[[], Line]) -> asyncio.Future[Line]:
        running = self._running = aside(self._name, job)
        running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # told to who waits
        return running

    def _stuck(self) -> Later:
        return Unreachable(self._name, f"hangs: no answer of its driver within {self._patience_s:.0f} s")
