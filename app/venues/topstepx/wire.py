"""The connections that carry orders, cancels and closes: a small pool of warm HTTP/1.1 connections.

Why not the pooled session that carries everything else: a request there takes a task and a few awaits before
its first byte, while an order must be checked and written in the very call that decided it, with nothing in
between. One request is in flight on a connection, never two. Nothing is ever repeated here.

A connection lives once. When it breaks with a request under way, that request is told *after* the socket was
closed, and closed hard: bytes the kernel still held must not reach the venue minutes later, when the outcome
was already looked up.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.clock import NS, Clock, Timer
from app.errors import Theirs, Unreachable, clean
from app.venues.topstepx.codec.http1 import Answer, AnswerReader
from app.venues.topstepx.limiter import Lane
from app.venues.topstepx.pacing import Bell
from app.venues.topstepx.times import Times

log = logging.getLogger(__name__)

WARM = 4  # connections kept open: both entries of an OCO pair, one being pinged, one reserved
RESERVE = 1  # idle connections that an order leaves for cancels, closes and their reads
LIMIT = 8  # connections at most: beyond, requests queue; the venue sees a modest client
# Requests of one lane waiting for a connection; an engine under its order rate never has more than a few.
# Each lane has its own bound: a jam of orders must not refuse the cancel that ends it.
MAX_QUEUE = 64
PING_EVERY_NS = (
    20 * NS
)  # an idle connection is used at least this often, well inside the usual 60 s of servers
TURN_NS = PING_EVERY_NS // WARM  # the warm ones are pinged one after the other
RETRY_NS = NS  # between two failed connects, unless somebody asks

_HARD_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: unsent bytes are dropped, the peer sees a reset


class Request:
    """One request. Exactly one of `withheld`, `answered` (returning True) and `failed` ends it."""

    lane = Lane.GENERAL
    timeout_ns = 10 * NS  # from the written bytes to the whole answer

    def encode(self) -> bytes:
        """Head and body, asked for at the moment of writing."""
        raise NotImplementedError

    def may_send(self) -> str:
        """The last check, directly before the bytes: "" to send."""
        return ""

    def withheld(self, reason: str) -> None:
        """`may_send` said no; not a byte left."""

    def sent(self) -> None:
        """The bytes were handed to the transport."""

    def answered(self, answer: Answer) -> bool:
        """A whole answer came. False: it proves nothing, close the connection and then call `failed`."""
        raise NotImplementedError

    def failed(self, problem: str, sent: bool) -> None:
        """No usable answer. The connection that carried it is closed; `sent` False: not a byte left."""
        raise NotImplementedError


class Connection(asyncio.Protocol):
    """One connection of the pool: idle, busy with one request, or closed for good."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._reader = AnswerReader()
        self._timer: Timer | None = None
        self._problem = ""
        self.used_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: Request) -> bool:
        """Check and write in one go. False when the last check withheld it: the connection is idle."""
        transport = self._transport
        assert transport is not None and self._request is None
        message = request.encode()
        if refusal := request.may_send():
            request.withheld(refusal)
            return False
        transport.write(message)
        self._request, self._reader = request, AnswerReader()
        self._timer = self._pool.clock.call_later(request.timeout_ns, self.abort, "no answer in time")
        request.sent()
        return True

    def data_received(self, data: bytes) -> None:
        if self._request is None:
            self.abort("bytes that nobody asked for")
            return
        try:
            answer = self._reader.feed(data)
        except Theirs as error:
            self.abort(str(error))
            return
        if answer is not None:
            self._answer(self._request, answer)

    def _answer(self, request: Request, answer: Answer) -> None:
        if not request.answered(answer):
            self.abort("the answer proves nothing")
            return
        self._end_request()
        if not answer.reusable:
            self.abort("closed by the venue")
        self._pool.freed(self)

    def _end_request(self) -> None:
        self._request = None
        self.used_ns = self._pool.clock.mono_ns()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abort(self, problem: str) -> None:
        """Close at once and for good. May be called twice; the first problem is kept."""
        if not self.usable or self._transport is None:
            return
        self._problem = self._problem or problem
        raw = self._transport.get_extra_info("socket")
        if raw is not None and self._request is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HARD_CLOSE)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        problem = self._problem or clean(
            f"connection lost ({type(exc).__name__ if exc else 'closed by the venue'})"
        )
        request = self._request
        self._end_request()
        self._pool.lost(self)
        if request is not None:
            # The transport closes its socket after this call returns; only then may the outcome be told.
            asyncio.get_running_loop().call_soon(request.failed, problem, True)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the venue is. `tls` None = plain HTTP (a simulator on loopback)."""

    host: str
    port: int
    tls: ssl.SSLContext | None

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class Pool:
    """Warm connections and the requests that wait for one.

    `post` writes at once when an idle connection may be used. An order leaves RESERVE idle connections alone;
    kill traffic takes any and goes first in the queue. `run` opens what is missing and keeps the idle ones
    warm with `ping`.
    """

    def __init__(self, address: Address, clock: Clock, times: Times) -> None:
        self.address, self.clock, self._times = address, clock, times
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._queues: dict[Lane, deque[Request]] = {lane: deque() for lane in sorted(Lane, reverse=True)}
        self._bell = Bell(clock)
        self._stopped = False
        self._reachable = True

    # -- requests ----------------------------------------------------------------------------------

    def post(self, request: Request) -> None:
        """Send now, or as soon as a connection is free. Never raises for a network reason."""
        if self._stopped:
            request.failed("the connection pool is stopped", False)
            return
        connection = self._take(request.lane)
        if connection is not None:
            self._carry(connection, request)
        elif len(self._queues[request.lane]) >= MAX_QUEUE:
            request.failed(f"{MAX_QUEUE} requests are waiting already", False)
        else:
            self._queues[request.lane].append(request)
            self._bell.ring()

    def _take(self, lane: Lane) -> Connection | None:
        """An idle connection that `lane` may use, the most recently used first."""
        while self._idle:
            if lane is Lane.GENERAL and len(self._idle) <= RESERVE:
                return None
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    def _carry(self, connection: Connection, request: Request) -> None:
        if not connection.send(request):
            self.freed(connection)

    def freed(self, connection: Connection) -> None:
        """`connection` has no request: give it the next one that may have it, or rest it."""
        if not connection.usable:
            return
        self._idle.append(connection)
        for lane, queue in self._queues.items():
            while queue and (free := self._take(lane)) is not None:
                self._carry(free, queue.popleft())

    def lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._bell.ring()

    # -- upkeep ------------------------------------------------------------------------------------

    async def run(self, ping: Callable[[], Request]) -> None:
        """Until cancelled: open missing connections, keep idle ones warm."""
        while not self._stopped:
            if self._missing():
                await self._open_one()
            else:
                await self._bell.wait(TURN_NS)
                self._tend(ping)

    def _missing(self) -> bool:
        waiting = sum(map(len, self._queues.values()))
        busy = len(self._all) - len(self._idle)
        return len(self._all) < max(WARM, min(LIMIT, busy + waiting + RESERVE))

    async def _open_one(self) -> None:
        try:
            await self.connect()
        except Unreachable as error:
            self._fail_waiting(str(error))
            log.log(logging.WARNING if self._reachable else logging.DEBUG, "order connection: %s", error)
            self._reachable = False
            await self._bell.wait(RETRY_NS)
        else:
            self._reachable = True

    async def connect(self) -> None:
        """Add one connection. Raises Unreachable."""
        where = self.address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._times.connect_ns / NS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self), where.host, where.port, ssl=where.tls
                )
        except (OSError, TimeoutError) as error:
            raise Unreachable(where.authority, f"cannot connect ({type(error).__name__})") from None
        if self._stopped:
            connection.abort("stopped")
            return
        self._all.add(connection)
        connection.used_ns = self.clock.mono_ns()
        self.freed(connection)

    def _fail_waiting(self, problem: str) -> None:
        """Nothing can be sent: say so, unless connections exist that will come free."""
        if self._all:
            return
        for queue in self._queues.values():
            while queue:
                queue.popleft().failed(problem, False)

    def _tend(self, ping: Callable[[], Request]) -> None:
        """Ping the idle connection that rested longest; with too many of them, close it instead."""
        oldest = min(self._idle, key=lambda c: c.used_ns, default=None)
        if oldest is None or self.clock.mono_ns() - oldest.used_ns < TURN_NS:
            return
        if len(self._all) > WARM:
            oldest.abort("not needed")
        elif len(self._idle) > RESERVE:
            self._idle.remove(oldest)
            self._carry(oldest, ping())

    def stop(self) -> None:
        """Close everything; requests under way are told. Idempotent."""
        self._stopped = True
        self._bell.ring()
        for queue in self._queues.values():
            while queue:
                queue.popleft().failed("stopped", False)
        for connection in list(self._all):
            connection.abort("stopped")
