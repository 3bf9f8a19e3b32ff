"""The HTTP face: one aiohttp application for the REST API, both hubs and the simulated clock, on one local
port.

Only transport lives here: tokens, budgets, bodies, faults, sockets. What an endpoint means is in `rest`,
what a hub means in `hubs`. Paths are case-insensitive, as on the venue.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from app.clock import NS, Clock, pause
from app.errors import Refused
from app.simulator import rest, signalr
from app.simulator.faults import Faults, Reply
from app.simulator.hubs import Hubs
from app.simulator.limits import RateLimits
from app.simulator.pump import Pump
from app.simulator.requests import LoginKey, Nothing
from app.simulator.rows import Row
from app.simulator.tokens import Session

BODY_LIMIT = 64 * 1024  # bytes of a request body: the largest real one is under 1 kB
NEGOTIATED_LIMIT = 1_000  # connection tokens handed out and not yet used; the oldest are forgotten
CLOCK_EVENTS_LIMIT = 16  # listeners of /sim/clock/events
CLOCK_REPEAT_NS = 15 * NS  # of silence on an event stream; a client that vanished is noticed by then
HUB_PATHS = {"/hubs/user": "user", "/hubs/market": "market"}
JSON = "application/json"

Handled = web.StreamResponse


class Server:
    """One simulator's web application."""

    def __init__(
        self, api: rest.Api, hubs: Hubs, pump: Pump, clock: Clock, faults: Faults, latency_ns: int = 0
    ) -> None:
        self.api, self.hubs, self.pump, self.clock = api, hubs, pump, clock
        self._faults, self._latency_ns = faults, latency_ns
        self._limits = RateLimits()
        self._negotiated: OrderedDict[str, str] = OrderedDict()
        self._handed_out = 0
        self._clock_listeners: set[asyncio.Event] = set()
        self._closed = False
        pump.time.listen(self._clock_changed)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._dispatch)
        return app

    async def _dispatch(self, request: web.Request) -> Handled:
        path = request.path.lower().rstrip("/")
        if path in HUB_PATHS:
            return await self._hub(request, HUB_PATHS[path])
        if path.removesuffix("/negotiate") in HUB_PATHS:
            return self._negotiate(request, HUB_PATHS[path.removesuffix("/negotiate")])
        if path.startswith("/sim/clock"):
            return await self._sim_clock(request, path)
        return await self._rest(request, path)

    # -- REST --------------------------------------------------------------------------------------

    async def _rest(self, request: web.Request, path: str) -> Handled:
        reply = self._faults.request(path) or await self._handle(request, path)
        reply = self._faults.reply(path, reply)
        await self._pause(reply.delay_ns + self._latency_ns)
        if reply.abort and request.transport is not None:
            request.transport.abort()
        return web.Response(status=reply.status, body=reply.body, content_type=reply.content_type or None)

    async def _handle(self, request: web.Request, path: str) -> Reply:
        if path == rest.PING_PATH:
            return Reply(200, b"pong", "text/plain")
        if path != rest.LOGIN_PATH and path not in rest.ENDPOINTS:
            return Reply(404, b"", "")
        if request.method != "POST":
            return Reply(405, b"", "")
        body = await request.read()
        return self._login(body) if path == rest.LOGIN_PATH else await self._endpoint(request, path, body)

    def _login(self, body: bytes) -> Reply:
        try:
            return _json(rest.login_key(self.api, msgspec.json.decode(body, type=LoginKey)))
        except (msgspec.DecodeError, RecursionError) as error:
            return _unbound(error)

    async def _endpoint(self, request: web.Request, path: str, body: bytes) -> Reply:
        endpoint, token = rest.ENDPOINTS[path], _bearer(request)
        session = self.api.tokens.check(token, self.clock.wall_ns())
        if session is None:
            return Reply(401, b"", "")
        if not self._limits.admit(token, endpoint.budget, self.clock.mono_ns()):
            return Reply(429, b"", "")
        try:
            bound = Nothing() if endpoint.body is Nothing else msgspec.json.decode(body, type=endpoint.body)
            return _json(await self._run(endpoint, session, bound))
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            return _unbound(error)

    async def _run(self, endpoint: rest.Endpoint, session: Session, bound: Any) -> Row:
        """At the present instant; whatever it caused is told before the reply leaves."""
        self.pump.catch_up()
        result = endpoint.run(self.api, session, bound)
        row: Row = await result if inspect.isawaitable(result) else result
        self.pump.settle()
        return row

    async def _pause(self, delay_ns: int) -> None:
        if delay_ns > 0:
            await pause(self.clock, delay_ns)

    # -- hubs --------------------------------------------------------------------------------------

    def _session(self, request: web.Request) -> Session | None:
        token = request.query.get("access_token") or _bearer(request)
        return self.api.tokens.check(token, self.clock.wall_ns())

    def _negotiate(self, request: web.Request, hub: str) -> Handled:
        if self._session(request) is None:
            return web.Response(status=401)
        if request.method != "POST":
            return web.Response(status=405)
        version = 1 if request.query.get("negotiateVersion", "0") != "0" else 0
        self._handed_out += 1
        identity, secret = f"sim-{self._handed_out:08}", f"sim-{self._handed_out:08}-token"
        self._negotiated[secret if version else identity] = hub
        if len(self._negotiated) > NEGOTIATED_LIMIT:
            self._negotiated.popitem(last=False)
        row = {"negotiateVersion": version, "connectionId": identity, "connectionToken": secret}
        transports = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]
        shown = row if version else {key: row[key] for key in ("negotiateVersion", "connectionId")}
        return web.json_response({**shown, "availableTransports": transports})

    async def _hub(self, request: web.Request, hub: str) -> Handled:
        session = self._session(request)
        if session is None:
            return web.Response(status=401)
        identity = request.query.get("id")
        if identity is not None and self._negotiated.pop(identity, None) != hub:
            return web.Response(status=404, text="No Connection with that ID")
        if self.hubs.full:
            return web.Response(status=503)
        socket = web.WebSocketResponse(max_msg_size=signalr.INBOUND_LIMIT, compress=False)
        if not socket.can_prepare(request):
            return web.Response(status=400)
        await socket.prepare(request)
        await self._serve(request, socket, hub, session)
        return socket

    async def _serve(
        self, request: web.Request, socket: web.WebSocketResponse, hub: str, session: Session
    ) -> None:
        connection = self.hubs.join(hub, session, _SocketWire(request, socket))
        writer = asyncio.create_task(_quietly(connection.write()), name=f"{hub} hub writer")
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    connection.receive(_text(message.data))
        finally:
            connection.close(politely=True)
            writer.cancel()
            await asyncio.wait((writer,))

    # -- simulated time ----------------------------------------------------------------------------

    async def _sim_clock(self, request: web.Request, path: str) -> Handled:
        if path == "/sim/clock/events":
            return await self._clock_events(request)
        if path != "/sim/clock":
            return web.Response(status=404)
        if request.method == "POST":
            try:
                asked = msgspec.json.decode(await request.read(), type=_ClockChange)
                self.pump.time.change(asked.rate, asked.utc_ns)
            except (msgspec.DecodeError, Refused) as error:
                return web.json_response({"error": str(error)}, status=400)
        return web.json_response(self.pump.time.state())

    async def _clock_events(self, request: web.Request) -> Handled:
        """Server-sent events: the state now, after every change, and again when nothing changed for long."""
        if len(self._clock_listeners) >= CLOCK_EVENTS_LIMIT:
            return web.Response(status=503)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        changed = asyncio.Event()
        self._clock_listeners.add(changed)
        try:
            with suppress(ConnectionError):
                await self._tell_clock(response, changed)
        finally:
            self._clock_listeners.discard(changed)
        return response

    async def _tell_clock(self, response: web.StreamResponse, changed: asyncio.Event) -> None:
        while not self._closed:
            changed.clear()
            again = self.clock.call_later(CLOCK_REPEAT_NS, changed.set)
            await response.write(b"data: " + msgspec.json.encode(self.pump.time.state()) + b"\n\n")
            await changed.wait()
            again.cancel()

    def _clock_changed(self) -> None:
        for changed in self._clock_listeners:
            changed.set()

    def close(self) -> None:
        """End the event streams, which would otherwise last for ever."""
        self._closed = True
        self._clock_changed()


class _ClockChange(msgspec.Struct):
    rate: int | None = None
    utc_ns: int | None = None


class _SocketWire:
    """A WebSocket as a hub connection sees it."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._request, self._socket = request, socket

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._request.transport

    async def send(self, text: str) -> None:
        await self._socket.send_str(text)

    def close(self) -> None:
        if self._request.transport is not None:
            self._request.transport.close()

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()


async def _quietly(writing: Any) -> None:
    """A client that vanished ends its writer; the reader notices by itself."""
    with suppress(ConnectionError):
        await writing


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _text(data: str | bytes) -> str:
    return data if isinstance(data, str) else data.decode("utf-8", "replace")


def _json(row: Row) -> Reply:
    return Reply(200, msgspec.json.encode(row), JSON)


def _unbound(error: Exception) -> Reply:
    """ASP.NET's answer to a body that does not bind."""
    problem = {
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "errors": {"request": ["The request field is required."], "$": [str(error)[:200]]},
    }
    return Reply(400, msgspec.json.encode(problem), "application/problem+json")
