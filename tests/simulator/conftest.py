"""A simulator on a port of its own whose time moves only when a test says so, and the plainest clients for
it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime, time
from typing import Any

import aiohttp
import pytest

from app.clock import NS, VirtualClock
from app.domain.calendar import NEW_YORK, TradingCalendar
from app.simulator.feed import Feed
from app.simulator.main import DEMO_DATE, DEMO_SEED, Simulator, SimulatorOptions
from app.simulator.market import Market
from tests.guards import PATIENCE

ES = "CON.F.US.EP.Z26"
MES = "CON.F.US.MES.Z26"
ACCOUNT = 1001
MARKET = Market(DEMO_SEED, TradingCalendar())  # pure, therefore shared by all tests


def new_york(day: date, at: str) -> int:
    return int(datetime.combine(day, time.fromisoformat(at), NEW_YORK).timestamp()) * NS


class Hub:
    """A WebSocket that speaks just enough SignalR to be told things."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []
        self._rest = ""
        self._calls = 0

    async def send(self, *records: dict[str, Any]) -> None:
        await self.socket.send_str("".join(json.dumps(record) + "\x1e" for record in records))

    async def read(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE):
            message = await self.socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise EOFError(f"{message.type} {message.data}")
        *records, self._rest = (self._rest + message.data).split("\x1e")
        found = [json.loads(record) for record in records]
        self.seen += found
        return found

    async def until(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first record, old or new, that is `wanted`."""
        while (hit := next((record for record in self.seen if wanted(record)), None)) is None:
            await self.read()
        return hit

    async def call(self, target: str, *arguments: Any) -> dict[str, Any]:
        """Invoke and wait for the completion."""
        self._calls += 1
        number = f"c{self._calls}"
        await self.send({"type": 1, "target": target, "arguments": arguments, "invocationId": number})
        return await self.until(lambda record: record.get("invocationId") == number)

    def events(self, target: str = "") -> list[Any]:
        hits = [r for r in self.seen if r.get("type") == 1 and target in ("", r["target"])]
        return [(r["target"], r["arguments"]) for r in hits] if not target else [r["arguments"] for r in hits]


class Bench:
    """One simulator, one clock, one HTTP client."""

    def __init__(
        self, simulator: Simulator, clock: VirtualClock, url: str, http: aiohttp.ClientSession
    ) -> None:
        self.simulator, self.clock, self.url, self.http = simulator, clock, url, http
        self.token = ""

    async def raw(self, path: str, body: Any = None, token: str | None = None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        async with asyncio.timeout(PATIENCE), self.http.post(path, data=data, headers=headers) as reply:
            return reply.status, await reply.text()

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        status, text = await self.raw(path, body)
        assert status == 200, (status, text)
        answer: dict[str, Any] = json.loads(text)
        assert answer["success"] == (answer["errorCode"] == 0)
        return answer

    async def log_in(self, user: str = "demo", key: str = "demo-key") -> None:
        self.token = (await self.post("/api/Auth/loginKey", userName=user, apiKey=key))["token"]

    async def place(self, **order: Any) -> dict[str, Any]:
        return await self.post("/api/Order/place", **market_order(**order))

    async def bars(self, **changes: Any) -> dict[str, Any]:
        """The reply to a request for one-minute bars of ES since the evening, with `changes`."""
        query = {
            "contractId": ES,
            "live": False,
            "startTime": "2026-11-17T23:00:00Z",
            "endTime": "2026-11-18T23:00:00Z",
            "unit": 2,
            "unitNumber": 1,
            "limit": 20_000,
            "includePartialBar": False,
        }
        return await self.post("/api/History/retrieveBars", **{**query, **changes})

    async def hub(self, name: str) -> Hub:
        hub = Hub(await self.http.ws_connect(f"/hubs/{name}?access_token={self.token}", max_msg_size=0))
        await hub.send({"protocol": "json", "version": 1})
        await hub.until(lambda record: record == {})
        return hub

    async def user_hub(self) -> Hub:
        hub = await self.hub("user")
        for channel in ("Orders", "Positions", "Trades"):
            await hub.call(f"Subscribe{channel}", ACCOUNT)
        await hub.call("SubscribeAccounts")
        hub.seen.clear()
        return hub

    async def orders(self) -> list[dict[str, Any]]:
        answer = await self.post(
            "/api/Order/v2/query", filter={"accountId": ACCOUNT}, sortBy=1, pageSize=1000
        )
        orders: list[dict[str, Any]] = answer["orders"]
        return orders

    async def positions(self) -> list[dict[str, Any]]:
        positions: list[dict[str, Any]] = (await self.post("/api/Position/searchOpen", accountId=ACCOUNT))[
            "positions"
        ]
        return positions


def market_order(**changes: Any) -> dict[str, Any]:
    return {"accountId": ACCOUNT, "contractId": ES, "type": 2, "side": 0, "size": 1, **changes}


Make = Callable[..., Any]


@pytest.fixture
async def bench_at() -> AsyncIterator[Make]:
    """Start a simulator: `await bench_at("09:28", day=..., feed=..., **options)`, logged in."""
    running: list[Bench] = []

    async def make(
        at: str = "10:00", day: date = DEMO_DATE, feed: Feed | None = None, **options: Any
    ) -> Bench:
        chosen = SimulatorOptions(port=0, day=day, start=time.fromisoformat(at), **options)
        clock = VirtualClock(new_york(day, at))
        simulator = Simulator(chosen, clock, feed=feed or MARKET)
        url = await simulator.start(0)
        bench = Bench(simulator, clock, url, aiohttp.ClientSession(url))
        running.append(bench)
        await bench.log_in(chosen.user, chosen.key)
        return bench

    yield make
    for bench in running:
        await bench.http.close()
        await bench.simulator.stop()


@pytest.fixture
async def bench(bench_at: Make) -> Bench:
    """A quiet Wednesday, ten in the morning New York."""
    made: Bench = await bench_at()
    return made
