"""A venue that does what a test tells it: REST and both hubs on a real loopback port, and a sink.

It is no simulator: it knows no market and checks no order. Every answer is scripted, every request is kept.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from app import listeners
from app.clock import MS, NS, SystemClock
from app.config import TopstepX as Settings
from app.domain.orders import Bracket, Order, OrderState, OrderType, Side
from app.risk.approved import SEAL, Action, Approved
from app.venues.topstepx.adapter import TopstepX
from app.venues.topstepx.times import TIMES, Times
from tests.guards import PATIENCE

ACCOUNT = 1001
CONTRACT = "CON.F.US.EP.Z26"
STAMP = "2026-11-20T19:48:53.5274910+00:00"

LONG_NS = int(PATIENCE) * NS
# No waiting between two tries; time-outs that a busy machine does not meet by accident. Tests of a time-out
# bring their own.
QUICK = replace(
    TIMES,
    connect_ns=LONG_NS,
    read_ns=LONG_NS,
    order_ns=LONG_NS,
    kill_ns=LONG_NS,
    retries_ns=(MS, MS),
    hub_delays_ns=(0, MS),
    hub_close_ns=50 * MS,
    resync_ns=MS,
)

Handler = Callable[[dict[str, Any]], "dict[str, Any] | web.StreamResponse | Awaitable[Any]"]


def jwt(life_s: int = 86_400, serial: int = 0) -> str:
    """A token that looks like a real one."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"iat": 1_795_000_000, "exp": 1_795_000_000 + life_s, "jti": serial}
    return f"{part({'alg': 'HS256'})}.{part(claims)}.c2lnbmF0dXJlLXRoYXQtbXVzdC1uZXZlci1sZWFr"


def ok(**members: Any) -> dict[str, Any]:
    return {"success": True, "errorCode": 0, "errorMessage": None, **members}


def refused(code: int, text: str, **members: Any) -> dict[str, Any]:
    return {"success": False, "errorCode": code, "errorMessage": text, **members}


def order_row(**members: Any) -> dict[str, Any]:
    row = {
        "id": 70,
        "accountId": ACCOUNT,
        "contractId": CONTRACT,
        "symbolId": "F.US.EP",
        "creationTimestamp": STAMP,
        "updateTimestamp": None,
        "status": 1,
        "type": 4,
        "side": 0,
        "size": 1,
        "limitPrice": None,
        "stopPrice": 6700.25,
        "fillVolume": 0,
        "filledPrice": None,
        "customTag": "a-tag",
    }
    return row | members


def trade_row(**members: Any) -> dict[str, Any]:
    row = {
        "id": 500,
        "accountId": ACCOUNT,
        "contractId": CONTRACT,
        "creationTimestamp": STAMP,
        "price": 6700.5,
        "profitAndLoss": None,
        "fees": 1.4,
        "commissions": 0.49,
        "side": 0,
        "size": 1,
        "voided": False,
        "orderId": 70,
    }
    return row | members


def position_row(**members: Any) -> dict[str, Any]:
    row = {
        "id": 9,
        "accountId": ACCOUNT,
        "contractId": CONTRACT,
        "creationTimestamp": STAMP,
        "type": 1,
        "size": 1,
        "averagePrice": 6700.3333333333333,
    }
    return row | members


def account_row(**members: Any) -> dict[str, Any]:
    row = {
        "id": ACCOUNT,
        "name": "SIM-50K-1001",
        "balance": 50000.0,
        "canTrade": True,
        "isVisible": True,
        "simulated": True,
    }
    return row | members


def contract_row(**members: Any) -> dict[str, Any]:
    row = {
        "id": CONTRACT,
        "name": "ESZ6",
        "description": "E-mini",
        "tickSize": 0.25,
        "tickValue": 12.5,
        "activeContract": True,
        "symbolId": "F.US.EP",
    }
    return row | members


@dataclass
class Heard:
    """One REST request as it arrived."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


class HubScript:
    """One hub of the scripted venue: answers, keeps what it heard, says what it is told."""

    def __init__(self) -> None:
        self.sockets: list[web.WebSocketResponse] = []
        self.invocations: list[tuple[str, list[Any]]] = []
        self.tokens: list[str] = []
        self.negotiated = 0
        self.handshake = b"{}\x1e"
        self.completes = True
        self.refuse_status = 0
        self.redirects = False
        self.pings = 0
        self.changed = asyncio.Event()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_status:
            status, self.refuse_status = self.refuse_status, 0
            return web.Response(status=status)
        if self.redirects:
            raise web.HTTPFound(str(request.url))
        self.tokens.append(request.query.get("access_token", ""))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        self.changed.set()
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._hear(socket, message.data)
        return socket

    async def _hear(self, socket: web.WebSocketResponse, text: str) -> None:
        for record in filter(None, text.split("\x1e")):
            data = json.loads(record)
            if "protocol" in data:
                await socket.send_str(self.handshake.decode())
            elif data["type"] == 6:
                self.pings += 1
            elif data["type"] == 1:
                self.invocations.append((data["target"], data["arguments"]))
                if self.completes:
                    await socket.send_str(
                        json.dumps({"type": 3, "invocationId": data["invocationId"], "result": None}) + "\x1e"
                    )
            self.changed.set()

    async def negotiate(self, request: web.Request) -> web.Response:
        self.negotiated += 1
        return web.json_response(
            {"negotiateVersion": 1, "connectionId": "c", "connectionToken": "t", "availableTransports": []}
        )

    async def say(self, target: str, *arguments: Any) -> None:
        record = json.dumps({"type": 1, "target": target, "arguments": list(arguments)})
        await self.sockets[-1].send_str(record + "\x1e")

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class ScriptedVenue:
    """REST answers by path (`on`), hubs by `user` and `market`. `heard` keeps every request."""

    def __init__(self) -> None:
        self.user, self.market = HubScript(), HubScript()
        self.heard: list[Heard] = []
        self.logins = 0
        self.handlers: dict[str, Handler] = {
            "/api/Auth/loginKey": self._login,
            "/api/Auth/validate": lambda _: ok(newToken=None),
            "/api/Account/search": lambda _: ok(accounts=[account_row()]),
            "/api/Contract/available": lambda _: ok(contracts=[contract_row()]),
            "/api/Order/search": lambda _: ok(orders=[]),
            "/api/Order/searchOpen": lambda _: ok(orders=[]),
            "/api/Order/v2/query": lambda _: ok(orders=[]),
            "/api/Position/searchOpen": lambda _: ok(positions=[]),
            "/api/Trade/search": lambda _: ok(trades=[]),
        }
        self.url = ""
        self.over = asyncio.Event()

    async def hang(self, _: dict[str, Any]) -> web.Response:
        """An answer that does not come while the test runs."""
        await self.over.wait()
        return web.Response()

    def _login(self, body: dict[str, Any]) -> dict[str, Any]:
        self.logins += 1
        if body["apiKey"] != "demo-key":
            return refused(3, "Invalid credentials.", token=None)
        return ok(token=jwt(serial=self.logins))

    def on(self, path: str, handler: Handler) -> None:
        self.handlers[path] = handler

    def paths(self) -> list[str]:
        return [heard.path for heard in self.heard]

    async def _post(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else {}
        self.heard.append(Heard(request.path, body, dict(request.headers)))
        handler = self.handlers.get(request.path)
        if handler is None:
            return web.Response(status=404)
        answer: Any = handler(body)
        if isinstance(answer, Awaitable):
            answer = await answer
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedVenue]:
        app = web.Application()
        app.router.add_get("/hubs/user", self.user.serve)
        app.router.add_get("/hubs/market", self.market.serve)
        app.router.add_post("/hubs/user/negotiate", self.user.negotiate)
        app.router.add_post("/hubs/market/negotiate", self.market.negotiate)
        app.router.add_get("/api/Status/ping", _pong)
        app.router.add_post("/{path:.*}", self._post)
        async with served(app) as self.url:
            try:
                yield self
            finally:
                self.over.set()
                for socket in self.user.sockets + self.market.sockets:
                    if not socket.closed and socket._req is not None and socket._req.transport is not None:
                        socket._req.transport.abort()


@contextlib.asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The application on a port of this machine, by its URL; a client may be connecting when it ends."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    assert runner.server is not None
    listening = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        await listeners.close([listening])
        await runner.cleanup()


async def _pong(_: web.Request) -> web.Response:
    return web.Response(text="pong")


@dataclass
class RecordingSink:
    """Remembers every call by name; `until` waits for one; `may` decides the last check."""

    calls: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    may: Callable[[Approved], str] = lambda _: ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("on_"):
            raise AttributeError(name)

        def remember(*arguments: Any) -> None:
            self.calls.append((name, arguments))
            self.changed.set()

        return remember

    def may_send(self, approved: Approved) -> str:
        self.calls.append(("may_send", (approved,)))
        return self.may(approved)

    def of(self, name: str) -> list[Any]:
        """First arguments of every call of `name`."""
        return [arguments[0] for called, arguments in self.calls if called == name]

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    async def until(self, name: str, count: int = 1) -> Any:
        """The first argument of the `count`th call of `name`, waiting for it."""
        async with asyncio.timeout(PATIENCE):
            while len(self.of(name)) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.of(name)[count - 1]


def settings_for(url: str, folder: Path, key: str = "demo-key", **members: Any) -> Settings:
    """Settings that point at a scripted venue; the key lies in a file, as always."""
    path = folder / "topstepx.key"
    path.touch(mode=0o600)
    path.write_text(key + "\n")
    defaults: dict[str, Any] = {
        "accounts": (ACCOUNT,),
        "symbols": ("ES",),
        "user_name": "demo",
        "api_key_file": path,
    }
    urls = {"rest_url": url, "user_hub_url": f"{url}/hubs/user", "market_hub_url": f"{url}/hubs/market"}
    return Settings(**(urls | defaults | members))


@contextlib.asynccontextmanager
async def running(settings: Settings, sink: RecordingSink, times: Times = QUICK) -> AsyncIterator[TopstepX]:
    """A started and running adapter, linked; stopped in the right order at the end."""
    venue = TopstepX(settings, SystemClock(), times=times)
    venue.connect(sink)  # type: ignore[arg-type]
    await venue.start()
    task = asyncio.create_task(venue.run(), name="venue")
    try:
        await sink.until("on_link")
        await warmed(venue)
        yield venue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await venue.stop()
        await asyncio.sleep(0)


async def warmed(venue: TopstepX) -> None:
    """Wait until every warm order connection is open."""
    async with asyncio.timeout(PATIENCE):
        while venue._pool._missing():
            await asyncio.sleep(0)


def entry(tag: str = "Plimsoll-v1.0-strategy-test-stop-1-1795000000", **members: Any) -> Order:
    """A buy stop with both legs of a bracket."""
    values: dict[str, Any] = {
        "tag": tag,
        "strategy": "test",
        "account_id": ACCOUNT,
        "contract": CONTRACT,
        "side": Side.BUY,
        "size": 1,
        "type": OrderType.STOP,
        "stop_ticks": 26801,
        "bracket": Bracket(10, 16),
    }
    return Order(**(values | members))


def working(venue_id: int = 70, **members: Any) -> Order:
    return entry(venue_id=venue_id, state=OrderState.WORKING, **members)


def approved(order: Order, body: bytes, action: Action = Action.PLACE, exposing: bool = True) -> Approved:
    """What the gate would hand out."""
    return Approved(
        SEAL, action, order, body, epoch=1, expires_mono_ns=2**62, max_quote_age_ns=0, exposing=exposing
    )
