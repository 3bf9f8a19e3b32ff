"""Market time follows a simulator on this machine and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from app.clock import NS, FollowingClock
from app.errors import SettingsError, Theirs, Unreachable
from app.venues.topstepx import simclock
from app.venues.topstepx.simclock import SimulatorClock, require_loopback
from tests.guards import PATIENCE
from tests.venues.topstepx.scripted import served

START = 1_795_000_000 * NS


class ClockServer:
    """Serves one state and pushes what it is told."""

    def __init__(self) -> None:
        self.state: Any = {"utc_ns": START, "rate": 1, "epoch": 1}
        self.streams: list[web.StreamResponse] = []
        self.opened = asyncio.Event()
        self.over = asyncio.Event()

    async def read(self, _: web.Request) -> web.Response:
        return web.json_response(self.state)

    async def events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.streams.append(response)
        await self.push(**self.state)
        self.opened.set()
        await self.over.wait()
        return response

    async def push(self, **state: Any) -> None:
        await self.streams[-1].write(b"data: " + json.dumps(state).encode() + b"\n\n")

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/sim/clock", self.read)
        app.router.add_get("/sim/clock/events", self.events)
        async with served(app) as url:
            try:
                yield f"{url}/"
            finally:
                self.over.set()


@contextlib.asynccontextmanager
async def following(server: ClockServer) -> AsyncIterator[FollowingClock]:
    async with server.serving() as url:
        source = SimulatorClock(url)
        clock = await source.open()
        task = asyncio.create_task(source.run())
        try:
            yield clock
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await source.close()
            await source.close()


async def until_rate(clock: FollowingClock, rate: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while clock.rate != rate:
            await asyncio.sleep(0)


async def test_starts_at_the_simulators_time_and_follows_its_changes() -> None:
    server = ClockServer()
    async with following(server) as clock:
        assert START <= clock.utc_ns() < START + PATIENCE * NS
        await asyncio.wait_for(server.opened.wait(), PATIENCE)
        await server.push(utc_ns=START + 3600 * NS, rate=60, epoch=2)
        await until_rate(clock, 60)
        assert START + 3600 * NS <= clock.utc_ns() < START + 3600 * NS + 60 * PATIENCE * NS


async def test_a_bad_push_is_not_followed_and_the_stream_is_opened_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger=simclock.__name__)
    server = ClockServer()
    async with following(server) as clock:
        await asyncio.wait_for(server.opened.wait(), PATIENCE)
        server.state = {"utc_ns": START, "rate": 7, "epoch": 3}
        await server.push(utc_ns=START, rate=10**9, epoch=2)
        await until_rate(clock, 7)
        assert len(server.streams) == 2 and "simulator clock lost" in caplog.text


@pytest.mark.parametrize(
    "state", [{}, {"utc_ns": 0, "rate": 1}, {"utc_ns": START, "rate": 0}, {"utc_ns": "now", "rate": 1}, []]
)
async def test_refuses_a_clock_that_is_none(state: Any) -> None:
    server = ClockServer()
    server.state = state
    async with server.serving() as url:
        with pytest.raises(Theirs):
            await SimulatorClock(url).open()


async def test_no_simulator_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await SimulatorClock("http://127.0.0.1:1").open()


@pytest.mark.parametrize(
    "url",
    [
        "https://api.topstepx.com",
        "http://10.0.0.1:80",
        "http://[2001:db8::1]/",
        "http://127.0.0.1.evil.example",
    ],
)
def test_only_this_machine_may_set_the_time(url: str) -> None:
    with pytest.raises(SettingsError, match="clock"):
        require_loopback(["http://127.0.0.1:8090", url])
    with pytest.raises(SettingsError):
        SimulatorClock(url)
