"""A driver that hangs: the loop goes on, one thread waits for it and no second, and nothing is left open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from app.config.settings import Board
from app.errors import Unreachable
from app.mcu import boards, port
from app.mcu.opener import Opener
from app.mcu.port import open_port
from tests.guards import PATIENCE
from tests.mcu.test_port import BAUD, Pty, pty

__all__ = ["pty"]
SHORT_S = 0.01  # nothing is late for it: what it waits for waits for us


class Driver:
    """Opens when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.let, self.asked = threading.Event(), 0
        self.opened: list[object] = []
        self._really = port.opened_line
        monkeypatch.setattr(port, "opened_line", self._open)

    def _open(self, device: Path, baud: int) -> object:
        self.asked += 1
        assert self.let.wait(PATIENCE)
        self.opened.append(self._really(device, baud))
        return self.opened[-1]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    made = Driver(monkeypatch)
    yield made
    made.let.set()


async def until_free(opener: Opener) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await opener.free()
            except Unreachable:
                await asyncio.sleep(0)


async def test_an_opening_that_hangs_stops_nothing_and_is_said(driver: Driver, pty: Pty) -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    opener, loop = Opener("board", SHORT_S), asyncio.create_task(work())
    with pytest.raises(Unreachable, match="board: hangs"):
        await open_port(pty.device, BAUD, pty.received, pty.ended.append, opener)
    assert turns > 1
    loop.cancel()
    with suppress(asyncio.CancelledError):
        await loop


async def test_nothing_is_begun_behind_what_hangs_and_what_came_late_is_closed(
    driver: Driver, pty: Pty
) -> None:
    opener = Opener("board", SHORT_S)
    for _ in range(3):
        with pytest.raises(Unreachable, match="hangs"):
            await open_port(pty.device, BAUD, pty.received, pty.ended.append, opener)
    assert driver.asked == 1
    driver.let.set()
    await until_free(opener)
    await until_free(opener)  # of the closing
    assert [line.is_open for line in driver.opened] == [False]
    patient = Opener("board", PATIENCE)
    opened = await open_port(pty.device, BAUD, pty.received, pty.ended.append, patient)
    opened.close()
    await patient.free()


async def test_the_end_of_the_service_waits_for_no_driver(driver: Driver, pty: Pty) -> None:
    opening = asyncio.create_task(
        open_port(pty.device, BAUD, pty.received, pty.ended.append, Opener("board", PATIENCE))
    )
    async with asyncio.timeout(PATIENCE):
        while not driver.asked:
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening


async def test_a_close_that_hangs_stops_nothing_and_holds_the_next_opening(
    pty: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener, let = Opener("board", SHORT_S), threading.Event()
    opened = await open_port(pty.device, BAUD, pty.received, pty.ended.append, Opener("board", PATIENCE))
    really = opened._serial.close
    opened._opener = opener
    monkeypatch.setattr(opened._serial, "close", lambda: let.wait(PATIENCE) and really())
    opened.close()
    assert not opened.open
    with pytest.raises(Unreachable, match="hangs"):
        await open_port(pty.device, BAUD, pty.received, pty.ended.append, opener)
    let.set()
    await until_free(opener)
    (await open_port(pty.device, BAUD, pty.received, pty.ended.append, Opener("board", PATIENCE))).close()


async def test_the_way_of_the_settings_goes_through_it(driver: Driver, pty: Pty) -> None:
    async with AsyncExitStack() as stack:
        dial = boards.dial(Board(mode="serial", device=pty.device), stack)
        opening = asyncio.create_task(dial(pty.received, pty.ended.append))  # type: ignore[arg-type]
        async with asyncio.timeout(PATIENCE):
            while not driver.asked:
                await asyncio.sleep(0)
            assert not opening.done()
            driver.let.set()
            (await opening).close()


async def test_a_failure_is_raised_where_it_is_waited_for() -> None:
    def fails() -> None:
        raise Unreachable("board", "no such device")

    opener = Opener("board", PATIENCE)
    for _ in range(2):
        with pytest.raises(Unreachable, match="no such device"):
            await opener.open(fails, print)


def test_what_is_made_after_the_loop_is_undone() -> None:
    let, undone = threading.Event(), threading.Event()

    async def begin() -> None:
        with pytest.raises(Unreachable):
            await Opener("board", SHORT_S).open(lambda: let.wait(PATIENCE), lambda made: undone.set())

    asyncio.run(begin())
    let.set()
    assert undone.wait(PATIENCE)
