"""What the page shows now, rendered when somebody looks, and the stream that keeps open pages true.

One difference is made for all readers and one buffer sent to all of them (`native.fanout`); who comes, or
fell behind, is told everything instead, so that a slow reader skips what it missed and never makes the
service keep anything for it. No reader, no rendering. No login and no routing here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from app.clock import MS, NS, Clock, Timer
from app.engine.snapshot import Snapshot
from app.web.chart import POINTS_MAX
from app.web.page import Parts, render, sound
from native import fanout

STREAMS_MAX = 8  # open pages: a household's phones and laptops, and a flood stays small
INTERVAL_NS = 250 * MS  # 4 Hz: faster than a person reads
BYTES_PER_SECOND = 2000  # a page's share of a weak Wi-Fi; a large change is followed by a longer pause
PAUSE_MAX_NS = 1500 * MS  # but never so long that the page calls itself stale (3 s)
PATIENCE_NS = 20 * NS  # for a reader to take what it was sent; then it is gone
SAMPLE_NS = 5 * NS  # between two points of the picture
SYMBOLS_MAX = 16  # pictures kept


@dataclass(slots=True)
class Reader:
    """One open page: whether it may still read, and what its request waits for."""

    wanted: Callable[[], bool]
    over: asyncio.Future[None]

    def end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


class Live:
    """Renders at most once an interval, whoever asks."""

    def __init__(self, clock: Clock, snapshot: Callable[[], Snapshot]) -> None:
        self._clock, self._snapshot = clock, snapshot
        self._history: dict[str, deque[float]] = {}
        self._parts, self._rendered_ns = Parts(), 0
        self._confirmed_ns = 0  # market time of the newest sound picture
        self._readers: dict[asyncio.Transport, Reader] = {}
        self._fanout = fanout.Fanout(patience=PATIENCE_NS // INTERVAL_NS)
        self._told, self._due_ns = Parts(), 0  # what the readers have, and when they are told more
        self._samples: Timer | None = None
        self._turns: Timer | None = None
        self._stopped = False

    @property
    def streams(self) -> int:
        """How many pages are open."""
        return len(self._readers)

    def start(self) -> None:
        """Begin to collect points."""
        self._sample()

    def stop(self) -> None:
        """End every stream. Idempotent."""
        self._stopped = True
        for reader in self._readers.values():
            reader.end()
        for timer in (self._samples, self._turns):
            if timer is not None:
                timer.cancel()
        self._samples = self._turns = None

    def parts(self) -> Parts:
        """The page now, at most one interval old."""
        now = self._clock.mono_ns()
        if not self._rendered_ns or now - self._rendered_ns >= INTERVAL_NS - MS:
            view = self._look()
            self._parts, self._rendered_ns = render(view, self._history, self._confirmed_ns), now
        return self._parts

    async def follow(self, transport: asyncio.Transport, wanted: Callable[[], bool]) -> None:
        """Server-sent events, chunked, over `transport` while `wanted()`; the first carries everything.

        Returns when the stream is over: not wanted any more, the service ends, or the reader is gone.
        """
        if self._stopped or transport.is_closing():
            return
        reader = Reader(wanted, asyncio.get_running_loop().create_future())
        self._fanout.add(transport.get_extra_info("socket").fileno(), transport)
        self._readers[transport] = reader
        try:
            self._welcome()
            await reader.over
        finally:
            self._fanout.remove(transport)
            del self._readers[transport]

    @staticmethod
    def pause_ns(size: int) -> int:
        """How long to be silent after `size` bytes."""
        return min(PAUSE_MAX_NS, max(INTERVAL_NS, size * NS // BYTES_PER_SECOND))

    def _welcome(self) -> None:
        """Tell a new reader, and nothing to the others unless there is a new picture."""
        if self.parts() is not self._told:
            self._tell()
        self._flush()
        if self._turns is None:
            self._turns = self._clock.call_later(INTERVAL_NS, self._turn)

    def _turn(self) -> None:
        """Once an interval while somebody reads: end who may not any more, tell the others."""
        self._turns = self._clock.call_later(INTERVAL_NS, self._turn) if self._readers else None
        for transport, reader in self._readers.items():
            if not reader.wanted():
                reader.end()
                self._fanout.remove(transport)  # now: its request ends the stream a turn of the loop later
        if len(self._fanout) > 0:
            if self._clock.mono_ns() >= self._due_ns:
                self._tell()
            self._flush()

    def _tell(self) -> None:
        """Publish the picture; an empty difference too, so that the page knows the line is alive."""
        parts = self.parts()
        step = _event(parts.changed(self._told))
        self._fanout.publish(_event(parts.changed(Parts())), step)
        self._told, self._due_ns = parts, self._clock.mono_ns() + self.pause_ns(len(step)) - MS

    def _flush(self) -> None:
        for transport, _why in self._fanout.flush():
            self._readers[transport].end()

    def _look(self) -> Snapshot:
        view = self._snapshot()
        if sound(view):
            self._confirmed_ns = view.utc_ns
        return view

    def _sample(self) -> None:
        for feed in self._look().feeds[:SYMBOLS_MAX]:
            if feed.last and not feed.stale:
                self._history.setdefault(feed.symbol, deque(maxlen=POINTS_MAX)).append(float(feed.last))
        self._samples = self._clock.call_later(SAMPLE_NS, self._sample)


def _event(changes: dict[str, dict[str, str]]) -> bytes:
    """One event as a chunk of an HTTP/1.1 body."""
    event = b"data: " + msgspec.json.encode(changes) + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)
