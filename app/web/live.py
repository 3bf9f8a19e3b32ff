"""What the page shows now, rendered when somebody looks, and the stream that keeps open pages true.

Every reader gets the difference to what *it* was sent last, so that a slow one skips what it missed and never
makes the service keep anything for it. No reader, no rendering. No login and no routing here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import msgspec

from app.clock import MS, NS, Clock, Timer
from app.engine.snapshot import Snapshot
from app.web.chart import POINTS_MAX
from app.web.page import Parts, render, sound

STREAMS_MAX = 8  # open pages; each costs one rendering share and a socket
INTERVAL_NS = 250 * MS  # 4 Hz: faster than a person reads
BYTES_PER_SECOND = 2000  # a page's share of a weak Wi-Fi; a large change is followed by a longer pause
PAUSE_MAX_NS = 1500 * MS  # but never so long that the page calls itself stale (3 s)
SAMPLE_NS = 5 * NS  # between two points of the picture
SYMBOLS_MAX = 16  # pictures kept


class Live:
    """Renders at most once an interval, whoever asks."""

    def __init__(self, clock: Clock, snapshot: Callable[[], Snapshot]) -> None:
        self._clock, self._snapshot = clock, snapshot
        self._history: dict[str, deque[float]] = {}
        self._parts, self._rendered_ns = Parts(), 0
        self._confirmed_ns = 0  # market time of the newest sound picture
        self._timer: Timer | None = None
        self._over = asyncio.Event()
        self.streams = 0

    def start(self) -> None:
        """Begin to collect points."""
        self._sample()

    def stop(self) -> None:
        """End every stream. Idempotent."""
        self._over.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def parts(self) -> Parts:
        """The page now, at most one interval old."""
        now = self._clock.mono_ns()
        if not self._rendered_ns or now - self._rendered_ns >= INTERVAL_NS - MS:
            view = self._look()
            self._parts, self._rendered_ns = render(view, self._history, self._confirmed_ns), now
        return self._parts

    async def changes(self, wanted: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Server-sent events for one reader while `wanted()`; the first carries everything."""
        self.streams += 1
        try:
            sent = Parts()
            while wanted() and not self._over.is_set():
                parts = self.parts()
                event = _event(parts.changed(sent))
                sent = parts
                yield event
                await self._pause(self.pause_ns(len(event)))
        finally:
            self.streams -= 1

    async def _pause(self, pause_ns: int) -> None:
        """`pause_ns`, or less when the service ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_ns / NS):
                await self._over.wait()

    @staticmethod
    def pause_ns(size: int) -> int:
        """How long to be silent after `size` bytes."""
        return min(PAUSE_MAX_NS, max(INTERVAL_NS, size * NS // BYTES_PER_SECOND))

    def _look(self) -> Snapshot:
        view = self._snapshot()
        if sound(view):
            self._confirmed_ns = view.utc_ns
        return view

    def _sample(self) -> None:
        for feed in self._look().feeds[:SYMBOLS_MAX]:
            if feed.last and not feed.stale:
                self._history.setdefault(feed.symbol, deque(maxlen=POINTS_MAX)).append(float(feed.last))
        self._timer = self._clock.call_later(SAMPLE_NS, self._sample)


def _event(changes: dict[str, dict[str, str]]) -> bytes:
    """One event; a comment when nothing changed, so that the page knows the line is alive."""
    return b"data: " + msgspec.json.encode(changes) + b"\n\n" if changes else b"data: {}\n\n"
