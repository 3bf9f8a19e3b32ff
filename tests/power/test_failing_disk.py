"""The disk of the real service fails while it holds a position: no trading, reachable, said, and the way out
is open. strace makes every write or flush of the running process fail from one moment on.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.bench.appliance import (
    Child,
    ask,
    service,
    simulator,
    status,
    synced,
    until_async,
    write_settings,
)
from tests.soak.auditor import Books, Venue, differences, read_journal, read_venue
from tests.soak.test_kill9 import ACCOUNT, RISK

pytestmark = pytest.mark.long

TRADER = (sys.executable, "-m", "tests.soak.trader", "--pace", "100")
PATIENCE_S = 60.0
ATTACHED = "attached"  # strace's first line
ADDRESS = re.compile(r"ready: (http://[^/,]+)")


@asynccontextmanager
async def failing(pid: int, calls: str, error: str, data: Path, log: Path) -> AsyncIterator[None]:
    """Every one of the process's `calls` on its folder `data` fails with `error` meanwhile: a disk is not the
    pipe by which a signal wakes the loop.
    """
    inject = f"inject={calls}:error={error}"
    paths = [word for path in (data, *data.iterdir()) for word in ("-P", str(path))]
    process = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-o", str(log), *paths, "-e", f"trace={calls}", "-e", inject, "-p", str(pid)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            line = await process.stderr.readline()
            assert ATTACHED in line.decode(), line
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


class World:
    """The service, its venue and what both say."""

    def __init__(self, home: Path, url: str, child: Child) -> None:
        self.home, self.data, self.url, self.child = home, home / "data", url, child

    async def venue(self) -> Venue:
        return await read_venue(self.url, ACCOUNT)

    async def position(self) -> bool:
        return bool((await self.venue()).positions)

    async def flat(self) -> bool:
        return not await self.position()

    async def agrees(self) -> bool:
        snapshot = await status(self.data)
        if not snapshot.get("synced"):
            return False
        return not differences(await self.venue(), Books(snapshot, *read_journal(self.data / "state.db")))

    async def page(self) -> dict[str, Any]:
        """The picture, as a browser on this machine reads it."""
        address = ADDRESS.findall(self.child.log.read_text())[-1]
        async with aiohttp.ClientSession() as session, session.get(f"{address}/api/snapshot") as response:
            assert response.status == 200
            answer: dict[str, Any] = await response.json()
        return answer


@pytest.mark.parametrize(("calls", "error"), [("fdatasync,fsync", "EIO"), ("pwrite64,write", "ENOSPC")])
async def test_stops_trading_says_so_and_still_lets_out(tmp_path: Path, calls: str, error: str) -> None:
    if os.getuid() != 0 or shutil.which("strace") is None:
        pytest.skip("strace is not installed, or may not look at another process")
    async with simulator(tmp_path, "--quotes-per-second", "50") as url:
        file = write_settings(tmp_path, url, ("MES",), risk=RISK, strategy=False)
        async with service(file, script=TRADER) as child:
            world = World(tmp_path, url, child)
            await synced(child, world.data)
            await _holds_a_position(world)
            async with failing(child.pid, calls, error, world.data, tmp_path / "strace.log"):
                os.kill(child.pid, signal.SIGUSR1)  # its wishes go on: none may be granted
                await _halts(world)
                await _lets_out(world)
            assert child.alive, child.said()
        async with service(file, script=TRADER) as child:  # on a disk that works again
            world.child = child
            snapshot = await synced(child, world.data)
            assert snapshot["state"] == "halted" and not snapshot["armed"]
            await until_async(world.agrees, "agreement", PATIENCE_S)


async def _holds_a_position(world: World) -> None:
    """Trade until a position is open and rest with it."""

    async def active() -> bool:
        return (await status(world.data)).get("state") == "active"

    await until_async(active, "trading is open", PATIENCE_S)
    os.kill(world.child.pid, signal.SIGUSR1)
    await until_async(world.position, "a position", PATIENCE_S)
    os.kill(world.child.pid, signal.SIGUSR1)


async def _halts(world: World) -> None:
    async def halted() -> bool:
        snapshot = await status(world.data)
        return snapshot.get("state") == "halted" and bool(snapshot["journal"])

    await until_async(halted, "halted for its journal", PATIENCE_S)
    snapshot = await world.page()
    assert "journal" in [reason["code"] for reason in snapshot["reasons"]], snapshot["reasons"]
    with pytest.raises(RuntimeError, match="journal"):
        await ask(world.data, "rearm", "the disk is still bad")


async def _lets_out(world: World) -> None:
    """No entry of an order that the journal does not know; then everything is closed on a word."""
    known = {order["tag"] for order in read_journal(world.data / "state.db")[0]}
    venue = await world.venue()
    sent = {order["customTag"] for order in venue.orders.values() if order["customTag"]}
    assert [tag for tag in sent - known if not tag.endswith(("-SL", "-TP"))] == []
    await ask(world.data, "flatten", "the disk is bad")
    await until_async(world.flat, "flat", PATIENCE_S)
