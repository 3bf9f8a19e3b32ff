"""One SignalR hub: connections that live once, and the policy that replaces them.

    Hub.run --- opens --> HubConnection.run --- records --> on_event(target, arguments, received_mono_ns)
        ^                        |
        `-- waits, fresh token --'  ends: closed, silent, refused, too old, or told to

The hub has no replay and no sequence numbers (facts 0.7). A new connection therefore means: subscribe
everything again, then say `on_up`, whose receiver re-reads REST. What the events mean is not known here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

import aiohttp
from msgspec import Raw
from yarl import URL

from app.clock import NS, Clock, pause
from app.errors import Later, Refused, Theirs, Unreachable, clean
from app.venues.topstepx.codec import signalr
from app.venues.topstepx.codec.fields import SOURCE
from app.venues.topstepx.pacing import Backoff, Bell
from app.venues.topstepx.times import Times
from app.venues.topstepx.tokens import Tokens
from native import frames

log = logging.getLogger(__name__)

BATCH = 500  # records handled before the loop gets a turn; the desk's bound for one callback
MAX_FRAME = signalr.MAX_RECORD  # bytes; the library's own limit is smaller, and a peer met close 1009
MAX_ASKED = 128  # calls waiting to be sent; two a contract, far fewer contracts
MAX_NEGOTIATION = 64 * 1024  # bytes of a negotiation's answer, usually under 1 KiB

Socket: TypeAlias = "aiohttp.ClientWebSocketResponse[bool]"
Subscription = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class HubHandlers:
    """Who listens. None of these may block; what they raise is a bug of ours and ends the hub.

    `on_scanned` gets the reader on an event that it has read; False: decode it and call `on_event` instead.
    `contracts` are those whose market events are scanned.
    """

    on_event: Callable[[str, Sequence[Raw], int], None]
    subscriptions: Callable[[], Iterable[Subscription]]
    on_up: Callable[[], None]
    on_down: Callable[[str], None]
    on_scanned: Callable[[frames.Reader, int], bool] = lambda reader, received_mono_ns: False
    contracts: frames.Contracts = field(default_factory=lambda: frames.Contracts())


class HubConnection:
    """One WebSocket with its handshake and subscriptions. Opened once, ended once."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._clock, self._times = hub, hub.clock, hub.times
        self._reader = frames.Reader(hub.handlers.contracts, signalr.MAX_RECORD)
        self._socket: Socket | None = None
        self._bell = Bell(hub.clock)
        self._problem = ""
        self._awaited: set[str] = set()
        self._outbox: deque[bytes] = deque(maxlen=MAX_ASKED)
        self._calls = 0
        self._handled = 0
        self.up = False
        self._opened_ns = self._heard_ns = self._pinged_ns = hub.clock.mono_ns()

    # -- the life of it ----------------------------------------------------------------------------

    async def run(self) -> str:
        """Open, subscribe, read until it ends; returns why. Only our own bugs are raised."""
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep(), name=f"{self._hub.name} keeper")
                reason = await self._guarded()
                keeper.cancel()
        finally:
            await self._close()
        return reason

    async def _guarded(self) -> str:
        try:
            async with asyncio.timeout(self._times.hub_open_ns / NS):
                await self._open()
            self._handle_some(self._clock.mono_ns())
            await self._subscribe(self._hub.handlers.subscriptions())
            await self._read()
        except (Later, Theirs, Refused) as error:
            return self._problem or str(error)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return self._problem or type(error).__name__  # their texts may hold the URL, and that the token

    def end(self, reason: str) -> None:
        """Give it up. Idempotent; the first reason is kept."""
        self._problem = self._problem or reason
        self._bell.ring()

    @property
    def age_ns(self) -> int:
        return self._clock.mono_ns() - self._opened_ns

    async def _close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    # -- opening -----------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Connect and shake hands. Records that came along with the handshake's answer are left unread."""
        await self._hub.tokens.fresh()
        generation = self._hub.tokens.generation
        try:
            self._socket = await self._connect()
        except aiohttp.WSServerHandshakeError as error:
            self._turned_away(error.status, generation)
        await self._send(signalr.HANDSHAKE)
        while not signalr.feed(self._reader, await self._frame()):
            pass
        signalr.check_handshake(self._reader.record())
        self._reader.next()

    async def _connect(self) -> Socket:
        query = {"access_token": self._hub.tokens.reveal()}
        if not self._hub.skip_negotiation:
            query["id"] = await self._negotiate()
        return await self._hub.session.ws_connect(
            self._hub.url.update_query(query),
            max_msg_size=MAX_FRAME,
            decode_text=False,
            timeout=aiohttp.ClientWSTimeout(ws_close=self._times.hub_close_ns / NS),
        )

    async def _negotiate(self) -> str:
        url = (self._hub.url / "negotiate").update_query(negotiateVersion=1)
        generation = self._hub.tokens.generation
        headers = {"Authorization": f"Bearer {self._hub.tokens.reveal()}"}
        async with self._hub.session.post(url, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                self._turned_away(response.status, generation)
            return signalr.connection_key(await response.content.read(MAX_NEGOTIATION))

    def _turned_away(self, status: int, generation: int) -> NoReturn:
        if status in (401, 403):
            self._hub.tokens.died(generation)
        raise Unreachable(self._hub.name, f"HTTP {status}")

    async def _subscribe(self, subscriptions: Iterable[Subscription]) -> None:
        """Ask for everything; `up` follows when the hub has confirmed each."""
        for target, arguments in subscriptions:
            self._calls += 1
            self._awaited.add(str(self._calls))
            await self._send(signalr.invocation(target, arguments, str(self._calls)))

    def ask(self, target: str, *arguments: object) -> None:
        """Call a hub method soon. Nobody depends on it: an error in its completion is only noted."""
        self._calls += 1
        self._outbox.append(signalr.invocation(target, arguments, str(self._calls)))
        self._bell.ring()

    # -- reading -----------------------------------------------------------------------------------

    async def _send(self, record: bytes) -> None:
        assert self._socket is not None
        await self._socket.send_str(record.decode())

    async def _frame(self) -> bytes:
        """The next frame's bytes. Raises Unreachable when the socket is closed."""
        assert self._socket is not None
        if self._problem:
            raise Unreachable(self._hub.name, self._problem)
        message = await self._socket.receive()
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            code = self._socket.close_code
            raise Unreachable(
                self._hub.name, self._problem or f"closed with {message.type.name} {code or ''}"
            )
        data: bytes = message.data
        return data

    async def _read(self) -> NoReturn:
        while True:
            data = await self._frame()
            received = self._heard_ns = self._clock.mono_ns()
            signalr.feed(self._reader, data)
            count = self._handle_some(received)
            while count == BATCH:
                await asyncio.sleep(0)
                count = self._handle_some(received)
            await self._yield_sometimes(count)

    async def _yield_sometimes(self, count: int) -> None:
        """Frames that lie ready are received without a turn of the loop: their records count together."""
        self._handled += count
        if self._handled >= BATCH:
            self._handled = 0
            await asyncio.sleep(0)

    def _handle_some(self, received_ns: int) -> int:
        """Handle the records that are left of this frame, at most BATCH of them; returns how many it were."""
        reader, count = self._reader, 0
        on_scanned = self._hub.handlers.on_scanned
        while reader.kind and count < BATCH:
            count += 1
            if reader.kind == frames.OTHER or not on_scanned(reader, received_ns):
                self._handle(signalr.decode_message(reader.record()), received_ns)
            reader.next()
        return count

    def _handle(self, message: signalr.Message, received_ns: int) -> None:
        if message.type == signalr.INVOCATION and message.target is not None:
            self._hub.handlers.on_event(message.target, message.arguments or [], received_ns)
        elif message.type == signalr.COMPLETION:
            self._completed(message)
        elif message.type == signalr.CLOSE:
            raise Unreachable(self._hub.name, message.error or "closed by the hub")

    def _completed(self, message: signalr.Message) -> None:
        key = message.invocation_id or ""
        if message.error is not None:
            if key in self._awaited:
                raise Theirs(self._hub.name, message.error)
            log.info("%s: %s", self._hub.name, clean(message.error))
        self._awaited.discard(key)
        if not self._awaited and not self.up:
            self.up = True
            self._hub.handlers.on_up()

    # -- keeping -----------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Ping, send what was asked for, and give the connection up when there is a reason to."""
        while not self._problem:
            await self._bell.wait(self._times.hub_tick_ns)
            self._problem = self._problem or self._fault()
            if not self._problem and self._socket is not None:
                await self._send_due()
        if self._socket is not None:
            await self._socket.close()

    def _fault(self) -> str:
        now, times = self._clock.mono_ns(), self._times
        if not self.up and now - self._opened_ns >= times.hub_open_ns:
            return "not subscribed in time"
        if now - self._heard_ns >= times.hub_silence_ns:
            return f"silent for {times.hub_silence_ns // NS} s"
        return "planned rebuild" if now - self._opened_ns >= times.hub_life_ns else ""

    async def _send_due(self) -> None:
        now = self._clock.mono_ns()
        if now - self._pinged_ns >= self._times.hub_ping_ns:
            self._pinged_ns = now
            self._outbox.append(signalr.PING)
        try:
            while self._outbox:
                await self._send(self._outbox.popleft())
        except (aiohttp.ClientError, OSError) as error:
            self._problem = type(error).__name__


class Hub:
    """Keeps one hub connected: a new connection each time, a fresh token, growing delays."""

    def __init__(
        self,
        name: str,
        url: str,
        session: aiohttp.ClientSession,
        tokens: Tokens,
        clock: Clock,
        times: Times,
        handlers: HubHandlers,
        skip_negotiation: bool = True,
    ) -> None:
        self.name = f"{SOURCE} {name}"
        self.url = _http(URL(url))
        self.session, self.tokens, self.clock, self.times = session, tokens, clock, times
        self.handlers, self.skip_negotiation = handlers, skip_negotiation
        self._connection: HubConnection | None = None
        self._backoff = Backoff(times.hub_delays_ns)

    @property
    def up(self) -> bool:
        return self._connection is not None and self._connection.up

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            reason = await self._live_once()
            await pause(self.clock, max(1, self._delay_ns(reason)))

    async def _live_once(self) -> str:
        connection = self._connection = HubConnection(self)
        try:
            reason = await connection.run()
        finally:
            self._connection = None
        if connection.up:
            if connection.age_ns >= self.times.hub_stable_ns:
                self._backoff.reset()
            self.handlers.on_down(f"{self.name}: {reason}")
        return reason

    def _delay_ns(self, reason: str) -> int:
        level = logging.DEBUG if self._backoff.failures else logging.WARNING
        log.log(level, "%s: %s; connecting anew", self.name, reason)
        return self._backoff.next_ns()

    def restart(self, reason: str) -> None:
        """Give the current connection up and open a new one at once."""
        if self._connection is not None:
            self._connection.end(reason)

    def ask(self, target: str, *arguments: object) -> None:
        """Call a hub method on the current connection. Without one nothing: ask in `on_up`."""
        if self._connection is not None and self._connection.up:
            self._connection.ask(target, *arguments)


def _http(url: URL) -> URL:
    """ws and wss are http and https to the library, and negotiation needs the latter."""
    return url.with_scheme({"ws": "http", "wss": "https"}.get(url.scheme, url.scheme))
