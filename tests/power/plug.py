"""A whole machine's plug: `python -m tests.power.plug FOLDER IMAGE SYSTEM CUTS SEED` prints a line a cut.

The machine in the file IMAGE trades on a simulator outside of it, as restlessly as the soak tests do; SYSTEM
is `uml.kernel()`. Each time its disk, as its next boot finds it, must know every order that the venue has and
every fill that it had when the machine had just compared its books; then it boots and must trade again, which
it does only when its books agree. Runs in `uml.APART`.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.appliance import SPECIAL, simulator
from tests.power.checking import damage
from tests.power.intents import unjournalled
from tests.power.uml import GUEST, HOST, Plugged
from tests.soak.auditor import Venue, read_venue

ACCOUNT = 1001
DATA = "var/lib/plimsoll"
VENUE_PORT, PAGE_PORT = 8090, 8080
LATE_MS = "20"
ACTIVE_S = 300.0  # from power on until it trades: 10 on an idle machine, 30 more when an order is in doubt
TRADES_S = (0.0, 8.0)  # from there to the cut
LOOK_S = 0.2
MEETINGS = 65_536  # bytes moved at a time


@asynccontextmanager
async def door(url: str) -> AsyncIterator[None]:
    """The simulator, which listens on loopback alone, as the machine's network reaches it."""
    port = int(url.rsplit(":", 1)[1])

    async def move(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(MEETINGS):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(move(reader, outer), move(inner, writer))

    server = await asyncio.start_server(meet, HOST, VENUE_PORT)
    try:
        yield
    finally:
        server.close()


async def _active(machine: Plugged) -> None:
    """Until it trades, by its page. Raises RuntimeError with what is known when it does not."""
    seen: dict[str, Any] = {}
    url = f"http://{GUEST}:{PAGE_PORT}/api/snapshot"
    patience = aiohttp.ClientTimeout(total=5)
    try:
        async with asyncio.timeout(ACTIVE_S), aiohttp.ClientSession(timeout=patience) as session:
            while seen.get("state") != "active":
                assert machine.runs, f"the machine ended by itself:\n{machine.console()}"
                await asyncio.sleep(LOOK_S)
                try:
                    async with session.get(url) as response:
                        seen = await response.json(content_type=None)
                except (aiohttp.ClientError, TimeoutError, ValueError):
                    continue
    except TimeoutError:
        kept = {name: seen.get(name) for name in ("error", "state", "reasons", "synced")}
        told = f"{kept}\n{machine.console()}"
        raise RuntimeError(f"it does not trade: {told}\n{_events(machine)}") from None


def _events(machine: Plugged) -> str:
    """What its journal tells of the last minutes; its plug is pulled for that."""
    machine.pull()
    with machine.disk() as root, closing(sqlite3.connect(root / DATA / "state.db")) as journal:
        told = journal.execute("SELECT utc_ns, level, code, text FROM events ORDER BY id DESC LIMIT 60")
        return "\n".join(" ".join(map(str, row)) for row in reversed(told.fetchall()))


async def main(folder: Path, image: Path, system: Path, cuts: int, seed: str) -> None:
    rng = random.Random(seed)
    machine = Plugged(system, image, folder)
    try:
        async with (
            simulator(folder, "--late", LATE_MS, "--quotes-per-second", "50", script=SPECIAL) as url,
            door(url),
        ):
            for number in range(cuts):
                if not await _cut(machine, url, number, rng.uniform(*TRADES_S)):
                    return
            began = time.monotonic()
            machine.boot()
            await _active(machine)
            _say("the last boot", began, await read_venue(url, ACCOUNT), [])
    finally:
        machine.pull()


async def _cut(machine: Plugged, url: str, number: int, trades_s: float) -> bool:
    """Whether nothing was lost: what lost its journal is not asked to trade again."""
    began = time.monotonic()
    machine.boot()
    await _active(machine)
    ready = time.monotonic()
    compared = await read_venue(url, ACCOUNT)
    await asyncio.sleep(trades_s)
    machine.pull()
    venue = await read_venue(url, ACCOUNT)
    with machine.disk() as root:
        problems = _lost(root / DATA, venue, compared)
    _say(f"plug {number} after {trades_s:.1f} s", began, venue, problems, ready)
    return not problems


def _lost(data: Path, venue: Venue, compared: Venue) -> list[str]:
    """Read from a copy: the disk stays as the next boot shall find it."""
    with tempfile.TemporaryDirectory() as name:
        for file in data.glob("*.db*"):
            shutil.copy(file, name)
        copy = Path(name)
        return [*damage(copy), *unjournalled(copy / "state.db", venue, compared.trades)]


def _say(name: str, began: float, venue: Venue, problems: list[str], ready: float = 0.0) -> None:
    told = {"cut": name, "active_s": round((ready or time.monotonic()) - began, 1)}
    told |= {"acked": len(venue.orders) + len(venue.trades), "problems": problems}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    folder, image, system = map(Path, sys.argv[1:4])
    asyncio.run(main(folder, image, system, int(sys.argv[4]), sys.argv[5]))
