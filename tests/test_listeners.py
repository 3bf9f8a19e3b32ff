"""Who comes while a server stops is not forgotten: simulator, page and command port end every connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from app import listeners
from app.clock import VirtualClock
from app.engine.commands import Commands
from app.simulator.main import Simulator, SimulatorOptions
from app.web.command_port import SOCKET_FILE, CommandPort
from app.web.front import Place
from app.web.login import PasswordFile
from app.web.server import Web
from tests.guards import PATIENCE
from tests.simulator.conftest import DEMO_DATE, MARKET, new_york
from tests.web.pictures import FakeEngine

COME = 3
Stop = Callable[[], Awaitable[None]]
Address = tuple[str, int] | str


async def simulator(_folder: Path) -> tuple[Address, Stop]:
    made = Simulator(SimulatorOptions(), VirtualClock(new_york(DEMO_DATE, "10:00")), feed=MARKET)
    return ("127.0.0.1", int((await made.start(0)).rpartition(":")[2])), made.stop


async def page(folder: Path) -> tuple[Address, Stop]:
    engine, place = FakeEngine(), Place("127.0.0.1", 0, ())
    made = Web(VirtualClock(0), Commands(engine), engine.snapshot, PasswordFile(folder / "password"), place)
    await made.start()
    return ("127.0.0.1", int(made.address.rstrip("/").rpartition(":")[2])), made.stop


async def command_port(folder: Path) -> tuple[Address, Stop]:
    made = CommandPort(folder, Commands(FakeEngine()))
    await made.start()
    return str(folder / SOCKET_FILE), made.stop


def hears_the_end(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("passes", range(6))
@pytest.mark.parametrize("start", [simulator, page, command_port])
async def test_stopping_ends_whoever_comes_at_that_moment(
    tmp_path: Path, start: Callable[[Path], Awaitable[tuple[Address, Stop]]], passes: int
) -> None:
    address, stop = await start(tmp_path)
    with ExitStack() as stack:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        came = [stack.enter_context(socket.socket(family)) for _ in range(COME)]
        for each in came:
            each.connect(address)
            each.settimeout(PATIENCE)
        for _ in range(passes):  # until they are accepted, have a transport, have a protocol
            await asyncio.sleep(0)
        await stop()
        await stop()
        assert [hears_the_end(each) for each in came] == [True] * COME


async def test_a_stop_that_is_cancelled_listens_no_more() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    closing = asyncio.ensure_future(listeners.close([server]))
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait((closing,))
    assert closing.cancelled() and not server.is_serving()
