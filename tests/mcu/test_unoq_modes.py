"""The UNO Q's two modes end to end: router, virtual board and link, as owner of the port and as guest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.config.settings import Board
from app.engine.settings import HEARTBEAT_NS
from app.mcu import boards, owner
from app.mcu.guest import FROM_BOARD, TO_BOARD
from app.mcu.link import Link
from app.mcu.opener import Opener
from app.mcu.port import Port, open_port
from app.mcu.router import Router
from app.mcu.virtual import VirtualBoard
from tests.mcu import virtual
from tests.mcu.rig import Listener
from tests.mcu.router import SmallRouter
from tests.mcu.test_link import HOLD, UP, board_is, until
from tests.web.pictures import ACTIVE

BAUD = 115_200
TRIP = ("trip", "the switch was opened")
board = virtual.board


@pytest.fixture
async def router(board: VirtualBoard, tmp_path: Path) -> AsyncIterator[SmallRouter]:
    made = SmallRouter(tmp_path / "router.sock", str(board.link))
    await made.start()
    yield made
    await made.stop()


class Bridge:
    """The sketch's side of the router, before the virtual board's tty."""

    def __init__(self) -> None:
        self._router = Router(self._down)
        self._port: Port | None = None

    async def start(self, board: VirtualBoard, router: SmallRouter) -> None:
        await self._router.open(router.path)
        await self._router.call("$/register", TO_BOARD)
        self._port = await open_port(board.link, BAUD, self._up, lambda _: None, Opener("sketch"))

    def _down(self, _: str, params: list[bytes]) -> None:
        if self._port is not None:
            self._port.write(params[0])

    def _up(self, data: bytes) -> None:
        for at in range(0, len(data), 200):
            self._router.notify(FROM_BOARD, data[at : at + 200])

    def stop(self) -> None:
        if self._port is not None:
            self._port.close()
        self._router.close()


@asynccontextmanager
async def linked(settings: Board) -> AsyncIterator[Listener]:
    """The panel that `settings` build, running, trading open."""
    engine, clock = Listener(), SystemClock()
    async with AsyncExitStack() as stack:
        link = boards.build(settings, clock, stack)
        assert isinstance(link, Link)

        beats = asyncio.create_task(_beat(link, clock))
        link.connect(engine)
        task = asyncio.create_task(link.run())
        try:
            yield engine
        finally:
            for job in (beats, task):
                job.cancel()
            await asyncio.gather(beats, task, return_exceptions=True)


async def _beat(link: Link, clock: SystemClock) -> None:
    """The engine's timer; the engine resumes, for a busy machine may be silent for 200 ms."""
    while True:
        link.show(ACTIVE)
        link.heartbeat(clock.mono_ns())
        await asyncio.sleep(HEARTBEAT_NS / 1e9)


async def test_trips_as_a_guest_of_the_router_and_holds_when_it_goes(
    board: VirtualBoard, router: SmallRouter
) -> None:
    bridge = Bridge()
    await bridge.start(board, router)
    async with linked(Board(mode="guest", router=router.path, leds=False)) as engine:
        await until(lambda: UP in engine.heard)
        await board_is(board, output=True)
        await board.ask("contact a open")
        await until(lambda: TRIP in engine.heard)
        assert (await board.ask("state"))["output"] is False
        engine.heard.clear()
        router.hang_up()
        await until(lambda: any(what[0] is False for what in engine.heard))
    bridge.stop()


async def test_owns_the_port_while_it_runs_and_gives_it_back(
    board: VirtualBoard, router: SmallRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    async def recorded(command: Sequence[str]) -> None:
        ran.append(command[-1])

    monkeypatch.setattr(owner, "run", recorded)
    settings = Board(mode="owner", device=board.link, router=router.path, leds=False)
    async with linked(settings) as engine:
        await until(lambda: UP in engine.heard)
        assert not router.serial_open and ran[:2] == ["37=0", "70=1"]
        await board_is(board, output=True)
        await board.ask("unplug")
        before = len(ran)
        await until(lambda: engine.heard[-1] == HOLD)
        await board.ask("plug")
        await until(lambda: engine.heard[-1] == UP)
        assert len(ran) >= before + 2, "the lines are set again before the port is opened again"
    assert router.serial_open
    assert (await board_is(board, output=False))["cause"] == "host"
