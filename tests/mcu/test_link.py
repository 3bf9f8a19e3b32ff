"""The link end to end: real time, a real pty, the firmware's own C as the virtual board, and its faults."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from app.mcu.virtual import VirtualBoard
from tests.guards import PATIENCE, ROOT
from tests.mcu import virtual
from tests.mcu.host import Host
from tests.mcu.rig import Listener
from tests.web.pictures import ACTIVE, HALTED

UP, HOLD, OPEN = (True, True), (False, True), (True, False)
SILENT = ("link", "session")  # the board's own deadman; or a host, which waits for less, greeted anew before
board = virtual.board


class Desk(Host):
    """A host in this process, with an engine that listens."""

    def __init__(self, device: Path) -> None:
        self.engine = Listener()
        super().__init__(device, self.engine)

    async def heard(self, what: tuple[object, ...]) -> None:
        await until(lambda: what in self.engine.heard)

    @property
    def tripped(self) -> bool:
        return any(what[0] == "trip" for what in self.engine.heard)

    def forget(self) -> None:
        self.engine.heard.clear()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def board_is(board: VirtualBoard, **wanted: object) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            told = await board.ask("state")
            if all(told[key] == value for key, value in wanted.items()):
                return told
            await asyncio.sleep(0.002)


async def runs(board: VirtualBoard, desk: Desk) -> None:
    """Until the output is on; as by an engine that resumes: a busy machine may be silent for 200 ms."""
    async with asyncio.timeout(PATIENCE):
        while not (await board.ask("state"))["output"]:
            desk.link.show(ACTIVE)
            await asyncio.sleep(0.002)


@asynccontextmanager
async def trading(board: VirtualBoard) -> AsyncIterator[Desk]:
    """A host whose board runs."""
    desk = Desk(board.link)
    task = asyncio.create_task(desk.run())
    try:
        await desk.heard(UP)
        await runs(board, desk)
        desk.forget()
        yield desk
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("channel", ["a", "b", "both"])
async def test_trips_when_a_contact_opens(board: VirtualBoard, channel: str) -> None:
    async with trading(board) as desk:
        await board.ask(f"contact {channel} open")
        await desk.heard(("trip", "the switch was opened"))
        await desk.heard(OPEN)
        assert (await board.ask("state"))["output"] is False
        desk.link.show(HALTED)
        desk.forget()
        await board.ask("contact both open")
        await board.ask("contact both closed")
        await desk.heard(UP)
        await board_is(board, state="ready", output=False)


async def test_holds_when_the_cable_is_pulled_and_runs_again_when_it_is_back(board: VirtualBoard) -> None:
    async with trading(board) as desk:
        await board.ask("unplug")
        await desk.heard(HOLD)
        await board_is(board, state="tripped", output=False)
        await board.ask("plug")
        await desk.heard(UP)
        await runs(board, desk)
        assert not desk.tripped


async def test_holds_within_a_quarter_second_when_the_firmware_freezes(board: VirtualBoard) -> None:
    async with trading(board) as desk:
        await board.ask("freeze on")
        await desk.heard(HOLD)
        await board.ask("freeze off")
        await desk.heard(UP)
        assert not desk.tripped


async def test_holds_when_the_board_reboots(board: VirtualBoard) -> None:
    async with trading(board) as desk:
        boot = desk.link.view().boot_id
        await board.ask("reboot")
        await desk.heard(HOLD)
        await desk.heard(UP)
        assert desk.link.view().boot_id != boot and not desk.tripped


async def test_hears_of_an_opening_that_happened_without_it(board: VirtualBoard) -> None:
    await board.ask("contact both open")
    await board.ask("contact both closed")
    desk = Desk(board.link)
    task = asyncio.create_task(desk.run())
    await desk.heard(UP)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert desk.engine.heard[0] == ("trip", "the switch was opened")


@pytest.mark.parametrize("fault", ["drop 2", "duplicate 5", "swap 2", "corrupt 2", "truncate 1", "replay"])
async def test_is_not_tripped_by_a_short_disturbance(board: VirtualBoard, fault: str) -> None:
    """That it is not even held is shown on a virtual clock: here a busy machine may be silent for 200 ms."""
    async with trading(board) as desk:
        before = (await board.ask("state"))["counters"]["good"]
        await board.ask(fault)
        async with asyncio.timeout(PATIENCE):
            while (await board.ask("state"))["counters"]["good"] < before + 6:
                await asyncio.sleep(0.01)
        await runs(board, desk)
        assert not desk.tripped


@pytest.mark.parametrize("fault", ["loop on", "noise 20000", "stuck 0 600", "stuck 255 600", "version 2"])
async def test_never_runs_on_through_a_long_disturbance(board: VirtualBoard, fault: str) -> None:
    async with trading(board) as desk:
        await board.ask(fault)
        await desk.heard(HOLD)
        await board_is(board, output=False)
        assert not desk.tripped


async def test_stops_the_board_in_an_orderly_end(board: VirtualBoard) -> None:
    async with trading(board):
        pass
    told = await board_is(board, output=False)
    assert told["cause"] == "host"


async def test_keeps_the_board_off_while_the_work_loop_stands_still(board: VirtualBoard) -> None:
    async with trading(board) as desk:
        desk.beating = False
        told = await board_is(board, output=False)
        assert told["cause"] in SILENT
        await desk.heard(HOLD)
        desk.beating = True
        await desk.heard(UP)
        assert not desk.tripped


class Child:
    """The host in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self, what: list[object]) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while json.loads(await self.process.stdout.readline()) != what:
                pass


@asynccontextmanager
async def child(board: VirtualBoard) -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.mcu.host", str(board.link)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Child(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_stopped_host_trips_the_board_and_holds_when_it_goes_on(board: VirtualBoard) -> None:
    async with child(board) as host:
        await board_is(board, output=True)
        os.kill(host.process.pid, signal.SIGSTOP)
        told = await board_is(board, output=False)
        assert told["cause"] in SILENT
        os.kill(host.process.pid, signal.SIGCONT)
        await host.says([False, True])
        await host.says([True, True])
        await board_is(board, output=True)


async def test_a_killed_host_trips_the_board_and_its_successor_starts_anew(board: VirtualBoard) -> None:
    async with child(board) as host:
        await board_is(board, output=True)
        host.process.kill()
        assert (await board_is(board, output=False))["cause"] in SILENT
    # A killed host leaves its exclusive mark on a pty, whose other end lives: the next one gets another pty.
    await board.ask("unplug")
    await board.ask("plug")
    async with child(board):
        await board_is(board, output=True)
