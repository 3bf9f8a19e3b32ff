"""How many may be connected, and how long a silent one may stay. No HTTP here: a thin protocol around the
server's own.

The HTTP library bounds line and header sizes but not the time a head may take, so that a few slow connections
could keep the owner out. Here every connection that is not being served has a deadline, and when all places
are taken the one that has been silent longest makes room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.clock import NS, Clock, Timer

MAX_CONNECTIONS = 48  # a phone, a laptop and a monitor open at most 6 each; the rest is room for a flood
IDLE_LIMIT_NS = 15 * NS  # to send a whole head, or between two requests: Wi-Fi needs 1-2 s at worst
SWEEP_NS = 5 * NS  # how often silence is looked for


class Door(asyncio.Protocol):
    """One connection: passes everything on, and remembers since when nobody serves it (0 = being served)."""

    __slots__ = ("_doors", "admitted", "idle_since_ns", "inner")

    def __init__(self, doors: Doors, inner: asyncio.Protocol) -> None:
        self._doors, self.inner = doors, inner
        self.admitted, self.idle_since_ns = False, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.admitted = self._doors.admit(transport, self)
        if self.admitted:
            self.inner.connection_made(transport)
        else:
            transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._doors.forget(self)
        if self.admitted:
            self.inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received()

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()


class Doors:
    """All open connections. `serving` and `served` are called by the request handler."""

    def __init__(
        self, clock: Clock, serve: Callable[[], asyncio.Protocol], limit: int = MAX_CONNECTIONS
    ) -> None:
        self._clock, self._serve, self._limit = clock, serve, limit
        self._open: dict[asyncio.BaseTransport, Door] = {}
        self._timer: Timer | None = clock.call_later(SWEEP_NS, self._sweep)

    def __len__(self) -> int:
        return len(self._open)

    def __call__(self) -> Door:
        return Door(self, self._serve())

    def admit(self, transport: asyncio.Transport, door: Door) -> bool:
        """Take `door` in; when full, the longest silent one is cut for it. False when all are served."""
        if len(self._open) >= self._limit and not self._cut_idlest():
            return False
        door.idle_since_ns = self._clock.mono_ns()
        self._open[transport] = door
        return True

    def forget(self, door: Door) -> None:
        self._open = {transport: other for transport, other in self._open.items() if other is not door}

    def serving(self, transport: asyncio.BaseTransport | None) -> None:
        if transport is not None and (door := self._open.get(transport)):
            door.idle_since_ns = 0

    def served(self, transport: asyncio.BaseTransport | None) -> None:
        if transport is not None and (door := self._open.get(transport)):
            door.idle_since_ns = self._clock.mono_ns()

    def close(self) -> None:
        """Stop looking and cut every connection. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for transport in list(self._open):
            self._cut(transport)

    def _sweep(self) -> None:
        oldest = self._clock.mono_ns() - IDLE_LIMIT_NS
        for transport, door in list(self._open.items()):
            if 0 < door.idle_since_ns <= oldest:
                self._cut(transport)
        self._timer = self._clock.call_later(SWEEP_NS, self._sweep)

    def _cut_idlest(self) -> bool:
        idle = {transport: door.idle_since_ns for transport, door in self._open.items() if door.idle_since_ns}
        if idle:
            self._cut(min(idle, key=lambda transport: idle[transport]))
        return bool(idle)

    def _cut(self, transport: asyncio.BaseTransport) -> None:
        """Abort it: its place is free at once, its protocol hears of it on the loop's next turn."""
        del self._open[transport]
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
