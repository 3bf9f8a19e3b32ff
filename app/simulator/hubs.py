"""The two hubs: who is connected, what they subscribed to, and how events reach them without anybody
waiting for anybody.

Sending is a plain call into a bounded outbox; one task per connection empties it, one frame for all that
piled up, and a client beyond OUTBOX_LIMIT is dropped. Quotes are state and leave by `quotes` instead, one
buffer for all sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from app.clock import Clock, Timer
from app.errors import Theirs
from app.simulator import signalr
from app.simulator.book import Event
from app.simulator.faults import Faults, Outgoing
from app.simulator.listing import find
from app.simulator.quotes import Quotes
from app.simulator.rows import without_nulls
from app.simulator.signalr import Kind, Message, Records
from app.simulator.tokens import Session
from app.simulator.world import DEPTH, QUOTES, TRADES, World

NS = 1_000_000_000
PING_NS = 15 * NS  # of our silence, then we ping: the framework's default
SILENCE_NS = 30 * NS  # of the client's silence, then it is dropped
HANDSHAKE_NS = 15 * NS  # for the first record to arrive
OUTBOX_LIMIT = 5_000  # records: a minute of a busy market; a client further behind is dropped
FRAME_LIMIT = 256 * 1024  # characters joined into one frame: clients cap frames at 1 MiB
SUBSCRIPTIONS_LIMIT = 300  # of one connection: every contract on every channel
CONNECTIONS_LIMIT = 64  # of both hubs together

TARGETS = {QUOTES: "GatewayQuote", TRADES: "GatewayTrade", DEPTH: "GatewayDepth"}
USER_CHANNELS = {
    "subscribeorders": "GatewayUserOrder",
    "subscribepositions": "GatewayUserPosition",
    "subscribetrades": "GatewayUserTrade",
}
MARKET_CHANNELS = {
    "subscribecontractquotes": QUOTES,
    "subscribecontracttrades": TRADES,
    "subscribecontractmarketdepth": DEPTH,
}


class Wire(Protocol):
    """The transport under a connection."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """Where whole frames may be written, None once it is gone."""

    async def send(self, text: str) -> None: ...

    def close(self) -> None:
        """End once everything sent has left."""

    def abort(self) -> None:
        """End now."""


class Connection:
    """One client on one hub. It lives once; `close` may be called twice."""

    def __init__(self, hubs: Hubs, hub: str, session: Session, wire: Wire) -> None:
        self.hubs, self.hub, self.session, self._wire = hubs, hub, session, wire
        self.topics: set[tuple[str, str]] = set()
        self._records = Records()
        self._outbox: list[str] = []
        self._wake = asyncio.Event()
        self._shaken, self._closing, self.closed = False, False, False
        self._heard = self._spoke = hubs.clock.mono_ns()
        self._timer: Timer | None = None
        self.transport = wire.transport
        self._rearm()

    # -- from the client ---------------------------------------------------------------------------

    def receive(self, text: str) -> None:
        """One text frame. A client that breaks the protocol is told so and dropped."""
        if self._closing:
            return
        self._heard = self.hubs.clock.mono_ns()
        try:
            for record in self._records.feed(text):
                self._record(record)
        except Theirs as error:
            self.finish(error.problem)

    def _record(self, record: str) -> None:
        if not self._shaken:
            error = signalr.handshake_error(record)
            self.push(signalr.handshake_reply(error))
            self._shaken = not error
            self._closing = bool(error)
        elif record:
            self._message(signalr.parse(record))

    def _message(self, message: Message) -> None:
        if message.type == Kind.CLOSE:
            self._closing = True
            self._wake.set()
        elif message.type in (Kind.INVOCATION, Kind.STREAM_INVOCATION):
            streams = message.type == Kind.STREAM_INVOCATION
            error = "No method of this hub returns a stream." if streams else self.hubs.invoke(self, message)
            if message.invocation_id is not None:
                self.push(signalr.completion(message.invocation_id, error))

    # -- to the client -----------------------------------------------------------------------------

    def push(self, record: str) -> None:
        """Queue a record."""
        if self.closed:
            return
        if len(self._outbox) >= OUTBOX_LIMIT:
            self.close()
            return
        self._outbox.append(record)
        self._wake.set()

    def finish(self, error: str = "") -> None:
        """Say goodbye with a close record, then end."""
        self.push(signalr.close(error))
        self._closing = True

    async def write(self) -> None:
        """Send what piles up until the end. The one task of a connection that waits."""
        while not self.closed:
            await self._wake.wait()
            self._wake.clear()
            records, self._outbox = self._outbox, []
            for frame in _frames(records):
                await self._wire.send(frame)
            self._spoke = self.hubs.clock.mono_ns()
            if self._closing and not self._outbox:
                self.close(politely=True)

    # -- life --------------------------------------------------------------------------------------

    def close(self, politely: bool = False) -> None:
        """Leave the hub and end the transport; one that does not take our bytes is cut."""
        if not self.closed:
            self.closed = True
            if self._timer is not None:
                self._timer.cancel()
            self.hubs.leave(self)
            self._wake.set()
            (self._wire.close if politely else self._wire.abort)()

    def _rearm(self) -> None:
        patience = SILENCE_NS if self._shaken else HANDSHAKE_NS
        due = min(self._heard + patience, self._spoke + PING_NS)
        self._timer = self.hubs.clock.call_later(due - self.hubs.clock.mono_ns(), self._tick)

    def _tick(self) -> None:
        now = self.hubs.clock.mono_ns()
        if now - self._heard >= (SILENCE_NS if self._shaken else HANDSHAKE_NS):
            self.close()
            return
        if now - self._spoke >= PING_NS:
            self._spoke = now
            if self._shaken:
                self.push(signalr.PING)
        self._rearm()


class Hubs:
    """Both hubs. It is the world's sink: events come in here and go to whoever subscribed."""

    def __init__(
        self, world: World, clock: Clock, faults: Faults, users: Callable[[str], Sequence[int]]
    ) -> None:
        self.world, self.clock, self._faults, self._accounts_of = world, clock, faults, users
        self.connections: set[Connection] = set()
        self._topics: dict[tuple[str, str], dict[Connection, None]] = {}
        self._quotes = Quotes(clock, self._lost)
        self.on_interest: Callable[[], None] = lambda: None

    # -- connections -------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        return len(self.connections) >= CONNECTIONS_LIMIT

    def join(self, hub: str, session: Session, wire: Wire) -> Connection:
        connection = Connection(self, hub, session, wire)
        self.connections.add(connection)
        return connection

    def leave(self, connection: Connection) -> None:
        self.connections.discard(connection)
        for topic in sorted(connection.topics):
            self._unsubscribe(connection, topic)

    def log_out(self, session: Session) -> None:
        """The session ended elsewhere: tell its connections and end them."""
        for connection in [c for c in self.connections if c.session.number == session.number]:
            connection.push(signalr.invocation("GatewayLogout", ("session ended",)))
            connection.finish()

    def close(self) -> None:
        for connection in tuple(self.connections):
            connection.close()
        self._quotes.close()

    def _lost(self, transport: asyncio.Transport) -> None:
        """The transport of a connection failed, or took nothing for too long."""
        for connection in [c for c in self.connections if c.transport is transport]:
            connection.close()

    # -- invocations -------------------------------------------------------------------------------

    def invoke(self, connection: Connection, message: Message) -> str:
        """Run a hub method; the error text of its completion, "" for success. Unknown ones change nothing."""
        name = message.target.lower()
        leaving = name.startswith("unsubscribe")
        found = self._topic(connection, name.removeprefix("un"), message.arguments)
        if isinstance(found, str):
            return found
        if leaving:
            self._unsubscribe(connection, found)
        elif len(connection.topics) >= SUBSCRIPTIONS_LIMIT:
            return "Too many subscriptions on one connection."
        else:
            self._subscribe(connection, found)
        self.on_interest()
        return ""

    def _topic(self, connection: Connection, name: str, arguments: list[Any]) -> tuple[str, str] | str:
        """What a method is about as (channel, account or contract), or the error text."""
        if connection.hub == "market" and name in MARKET_CHANNELS:
            contract = arguments[0] if arguments else None
            known = isinstance(contract, str) and find(contract) is not None
            return (MARKET_CHANNELS[name], str(contract)) if known else _failed(name, "unknown contract")
        if connection.hub == "user" and name == "subscribeaccounts":
            return ("GatewayUserAccount", connection.session.user)
        if connection.hub == "user" and name in USER_CHANNELS:
            account = arguments[0] if arguments else None
            mine = type(account) is int and account in self._accounts_of(connection.session.user)
            return (USER_CHANNELS[name], str(account)) if mine else _failed(name, "unknown account")
        return _failed(name[:40], "Method does not exist")

    def _subscribe(self, connection: Connection, topic: tuple[str, str]) -> None:
        members = self._topics.setdefault(topic, {})
        if connection in members:
            return
        members[connection] = None
        connection.topics.add(topic)
        if connection.hub == "market":
            self.world.advance()  # an idle world may lag; nobody is told what was before they came
            first = self.world.watch(*topic)
            if topic[0] == QUOTES and connection.transport is not None:
                told = self._quotes.join(topic[1], connection.transport)
                first = None if first == told else first
            if first:
                self._send([connection], "market", TARGETS[topic[0]], (topic[1], first))

    def _unsubscribe(self, connection: Connection, topic: tuple[str, str]) -> None:
        members = self._topics.get(topic, {})
        if members.pop(connection, 0) is None:
            connection.topics.discard(topic)
            if topic[0] == QUOTES and connection.transport is not None:
                self._quotes.leave(topic[1], connection.transport)
            if connection.hub == "market":
                self.world.unwatch(*topic)
            if not members:
                del self._topics[topic]

    # -- Sink --------------------------------------------------------------------------------------

    def user_events(self, events: list[Event]) -> None:
        for event in events:
            wrapped = {"action": event.action, "data": without_nulls(event.data)}
            self._send(self._listeners(event), "user", event.target, (wrapped,))

    def _listeners(self, event: Event) -> list[Connection]:
        if event.target != "GatewayUserAccount":
            return list(self._topics.get((event.target, str(event.account_id)), ()))
        owners = (members for (target, _), members in self._topics.items() if target == event.target)
        everybody = [connection for members in owners for connection in members]
        return [c for c in everybody if event.account_id in self._accounts_of(c.session.user)]

    def market_data(self, channel: str, contract: str, payload: Any) -> None:
        self._send(
            list(self._topics.get((channel, contract), ())), "market", TARGETS[channel], (contract, payload)
        )

    def _send(self, to: list[Connection], hub: str, target: str, arguments: tuple[Any, ...]) -> None:
        if not to:
            return
        for outgoing in self._faults.event(hub, Outgoing(target, arguments)):
            if outgoing.delay_ns:
                self.clock.call_later(outgoing.delay_ns, self._deliver, to, outgoing)
            else:
                self._deliver(to, outgoing)

    def _deliver(self, to: list[Connection], outgoing: Outgoing) -> None:
        if outgoing.target == TARGETS[QUOTES]:
            self._quotes.tell(*outgoing.arguments)
            return
        record = signalr.invocation(outgoing.target, outgoing.arguments)
        for connection in to:
            connection.push(record)


def _failed(name: str, why: str) -> str:
    return f"Failed to invoke '{name}' due to an error on the server. HubException: {why}."


def _frames(records: list[str]) -> list[str]:
    """Records joined into as few frames as the limit allows."""
    frames: list[str] = []
    size = FRAME_LIMIT
    for record in records:
        if size + len(record) > FRAME_LIMIT:
            frames.append("")
            size = 0
        frames[-1] += record
        size += len(record)
    return frames
