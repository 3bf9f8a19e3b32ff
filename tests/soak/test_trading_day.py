"""Two sessions at many times real speed: nothing grows, nothing leaks, the day ends and begins as it should.

The simulator's clock is set from here. What runs on real time (rate windows, time-outs, the watch of the
limits every second) stays real, so the close is crossed slowly enough for a second to be worth less than the
margins it guards.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import statistics
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from tests.bench.appliance import (
    SPECIAL,
    Child,
    rss_mb,
    service,
    simulator,
    status,
    synced,
    until,
    until_async,
    write_settings,
)
from tests.guards import PATIENCE
from tests.soak.auditor import Books, differences, read_journal, read_venue

pytestmark = pytest.mark.long

CHICAGO = ZoneInfo("America/Chicago")
ACCOUNT = 1001
# Simulated seconds a second: to trade, to cross a boundary, to get there, to be watched at the close.
FAST, SLOW, HASTE, CAREFUL = 120, 15, 900, 3
LOOKS, LOOK_S = 5, 0.5  # at the tasks: no read lasts as long
STALL_S = 3.0  # of this machine, and yet a time of day is not run past
TRADING_S = 60  # of real time at FAST: two simulated hours
WARM_S = 15  # of those before growth is measured: caches fill, the first pages of the log are written
GROWTH_MB = 6.0  # after the warm-up; a leak of one quote a quote would be ten times that
OBJECTS = 1.25  # the same for Python's objects, as a factor
PACE_MS = "1500"  # between two acts of the strategy: within the order rate, which stays on real time
LOUD = 12  # lines of WARNING and above in the whole log: one for each thing that happens, never one a second
RISK = "default_max_contracts = 5\norders_per_minute = 160\norders_per_day = 100000\n"
HOLDS = re.compile(r"holds (\{.*\})$", re.MULTILINE)
LOUD_LINE = re.compile(r"^\S+ \S+ (WARNING|ERROR|CRITICAL) .*$|^Traceback.*$", re.MULTILINE)


class Day:
    """The running service, the simulator's clock, and what both say."""

    def __init__(self, home: Path, url: str, child: Child) -> None:
        self.home, self.url, self.child = home, url, child
        self.data = home / "data"

    async def clock(self, **change: int) -> datetime:
        """Market time in Chicago, after setting rate or instant if asked to."""
        async with aiohttp.ClientSession() as session:
            asking = session.post if change else session.get
            keywords: dict[str, Any] = {"json": change} if change else {}
            async with asking(f"{self.url}/sim/clock", **keywords) as response:
                state = await response.json(content_type=None)
        assert response.status == 200, state
        return datetime.fromtimestamp(state["utc_ns"] / 1e9, UTC).astimezone(CHICAGO)

    async def reach(self, wall: str, rate: int, within_s: float = 240) -> None:
        """Run at `rate` until it is `wall` (HH:MM) in Chicago, ever slower on the way there."""
        now = await self.clock(rate=rate)
        hour, minute = map(int, wall.split(":"))
        goal, running = now.replace(hour=hour, minute=minute, second=0, microsecond=0), rate

        async def there() -> bool:
            nonlocal running
            await asyncio.sleep(0.02)
            left_s = (goal - await self.clock()).total_seconds()
            if running > SLOW and running * STALL_S > left_s:
                running = max(SLOW, int(left_s / STALL_S / 2))
                await self.clock(rate=running)
            return left_s <= 0

        await until_async(there, wall, within_s)

    async def holds(self) -> dict[str, Any]:
        """Objects, files and the tasks that last, as the process itself says: a read has some too."""
        told = await self._holds()
        lasting = Counter(told["tasks"])
        for _ in range(LOOKS):
            await asyncio.sleep(LOOK_S)
            lasting &= Counter((await self._holds())["tasks"])
        return told | {"tasks": sorted(lasting.elements())}

    async def _holds(self) -> dict[str, Any]:
        before = len(HOLDS.findall(self.child.log.read_text()))
        os.kill(self.child.pid, signal.SIGUSR2)
        await until(lambda: len(HOLDS.findall(self.child.log.read_text())) > before, "what it holds")
        told: dict[str, Any] = json.loads(HOLDS.findall(self.child.log.read_text())[-1])
        return told | {"files": len(os.listdir(f"/proc/{self.child.pid}/fd"))}

    async def becomes(self, **wanted: Any) -> dict[str, Any]:
        """The first snapshot with these members; `codes` and `kinds` are those of its reasons."""
        seen: dict[str, Any] = {}

        async def so() -> bool:
            seen.update(await status(self.data))
            for name in ("code", "kind"):
                seen[f"{name}s"] = [reason[name] for reason in seen.get("reasons", [])]
            return all(seen.get(name) == value for name, value in wanted.items())

        try:
            await until_async(so, str(wanted), 2 * PATIENCE)
        except TimeoutError:
            kept = {name: seen.get(name) for name in ("state", "reasons", "goal", "positions", "synced")}
            pytest.fail(f"never {wanted}: {json.dumps(kept, indent=1)}\n{self.child.said(10)}")
        return seen

    def toggle(self) -> None:
        os.kill(self.child.pid, signal.SIGUSR1)

    def entries(self) -> list[datetime]:
        """When each entry was decided, Chicago time."""
        orders, _ = read_journal(self.data / "state.db")
        stamps = sorted(o["created_ns"] for o in orders if o["role"] == "entry" and o["venue_id"])
        return [datetime.fromtimestamp(ns / 1e9, UTC).astimezone(CHICAGO) for ns in stamps]

    def executions(self) -> list[datetime]:
        _, fills = read_journal(self.data / "state.db")
        return [datetime.fromtimestamp(f["utc_ns"] / 1e9, UTC).astimezone(CHICAGO) for f in fills]


@asynccontextmanager
async def _a_day(home: Path) -> AsyncIterator[Day]:
    script = (sys.executable, "-m", "tests.soak.trader", "--pace", PACE_MS)
    async with simulator(home, script=SPECIAL) as url:
        file = write_settings(home, url, ("MES", "ES"), risk=RISK)
        async with service(file, script=script) as child:
            day = Day(home, url, child)
            await synced(child, day.data)
            await day.becomes(state="active")
            yield day


async def test_two_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    async with _a_day(tmp_path) as day:
        await _trade(day)
        await _close(day)
        await _next_session(day)
        await _agree(day)
        loud = [match.group(0) for match in LOUD_LINE.finditer(day.child.log.read_text())]
        assert not [line for line in loud if "WARNING" not in line], loud
        assert len(loud) <= LOUD, "\n".join(loud)
    assert not LOUD_LINE.search(day.child.said(5)), day.child.said()


async def _trade(day: Day) -> None:
    """Two hours of trading: memory, tasks, files and objects stay where they were."""
    await day.clock(rate=FAST)
    day.toggle()
    await asyncio.sleep(WARM_S)
    before, begun = await day.holds(), rss_mb(day.child.pid)
    samples = []
    for _ in range(TRADING_S - WARM_S):
        await asyncio.sleep(1)
        samples.append(rss_mb(day.child.pid))
    grown = statistics.mean(samples[-5:]) - begun
    after = await day.holds()
    fills = len(day.executions())
    objects = f"{before['objects']} -> {after['objects']}"
    print(f"{fills} executions, RSS {begun:.1f} MB {grown:+.1f}, objects {objects}")
    assert fills > 10, "nothing was traded"
    assert grown < GROWTH_MB, samples
    assert after["objects"] < before["objects"] * OBJECTS
    assert after["tasks"] == before["tasks"]
    assert after["files"] <= before["files"] + 3


async def _close(day: Day) -> None:
    """No entries from 15:05 Chicago, flat by 15:08, and the venue finds nothing to flatten at 15:10."""
    await day.reach("15:00", HASTE)
    await day.clock(rate=SLOW)
    await day.becomes(state="halted", codes=["session_closed"])
    await day.reach("15:07", SLOW)
    await day.reach("15:09", CAREFUL)
    await day.reach("15:12", SLOW)
    await day.becomes(positions=[], state="halted", kinds=["time"])
    today = day.entries()[0].date()
    late = [at for at in day.entries() if at.date() == today and at.strftime("%H:%M:%S") >= "15:05:20"]
    assert not late, f"entries after 15:05: {late}"
    trades = [at for at in day.executions() if at.strftime("%H:%M:%S") >= "15:08:20"]
    assert not trades, f"not flat by 15:08: {trades}"


async def _next_session(day: Day) -> None:
    """At 17:00 Chicago a new trading day: its P&L starts at nothing, trading reopens by itself."""
    yesterday = (await day.becomes(state="halted"))["today"]["trade_date"]
    await day.reach("16:58", HASTE)
    await day.clock(rate=SLOW)
    opened = await day.becomes(state="active")
    assert opened["today"]["trade_date"] > yesterday
    assert (await day.clock()).strftime("%H:%M") >= "17:00"
    known = len(day.entries())
    await day.clock(rate=FAST)
    await until(lambda: len(day.entries()) > known, "an entry in the new session")


async def _agree(day: Day) -> None:
    """The strategy rests; what it left is protected and both sides say the same."""
    await day.clock(rate=1)
    day.toggle()
    found: list[str] = []

    async def agrees() -> bool:
        snapshot = await status(day.data)
        books = Books(snapshot, *read_journal(day.data / "state.db"))
        found[:] = differences(await read_venue(day.url, ACCOUNT), books, one_day=False)
        return not found

    try:
        await until_async(agrees, "agreement", PATIENCE)
    except TimeoutError:
        pytest.fail("\n  ".join(["books and venue differ:", *found]))
    connection = sqlite3.connect(f"{(day.data / 'state.db').absolute().as_uri()}?mode=ro", uri=True)
    alarms = connection.execute("SELECT code, text FROM events WHERE level = 'alarm'").fetchall()
    connection.close()
    assert not alarms
