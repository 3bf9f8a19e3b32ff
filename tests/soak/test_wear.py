"""A whole simulated trading day with five open pages: how much memory it takes and how much it writes.

The service is the product's own, the market runs fast, the strategy acts all day at the pace of its order
rate. What is written by market time (bars, orders, fills, end of day) is all there; what is written by real
time (reads that compare books, events) is measured at the market's own pace and counted for a whole day.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.bench.appliance import SPECIAL, Child, service, simulator, status, synced, write_settings
from tests.soak.confined import memory
from tests.soak.test_trading_day import RISK, Day

pytestmark = pytest.mark.long

PAGES = 5
RATE = 720  # simulated seconds a second: the day takes two minutes
RESTS, REST_S = 3, 15  # looks at the market's own pace, for what real time alone writes
DAY_S = 86_400
PACE_MS = "1500"
LIMIT = 256 * 2**20  # MemoryMax= of the unit
RSS_MOST_MB = 80.0  # with five pages, a day's orders and events; 60 is the goal at rest
WRITTEN_MOST_MB = 150.0
READY = re.compile(r"ready: (http\S+/),")


def written(pid: int) -> int:
    """Bytes that the process has made the kernel write to a disk so far."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))


def peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


async def follow(page: str, received: list[int], number: int) -> None:
    """One open page: reads its stream until the end, counting bytes."""
    endless = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=endless) as session,
        session.get(f"{page}api/live") as response,
    ):
        assert response.status == 200
        async for chunk in response.content.iter_any():
            received[number] += len(chunk)


async def test_a_trading_day_with_five_pages_fits_the_board(tmp_path: Path) -> None:
    received = [0] * PAGES
    async with AsyncExitStack() as stack:
        group = stack.enter_context(memory(LIMIT))
        url = await stack.enter_async_context(simulator(tmp_path, script=SPECIAL))
        file = write_settings(tmp_path, url, ("MES", "ES", "NQ"), risk=RISK)
        script = group.command(sys.executable, "-m", "tests.soak.trader", "--pace", PACE_MS)
        child = await stack.enter_async_context(service(file, script=script))
        day = Day(tmp_path, url, child)
        await synced(child, day.data)
        await day.becomes(state="active")
        page = READY.search(child.log.read_text())
        assert page is not None
        pages = [asyncio.create_task(follow(page.group(1), received, number)) for number in range(PAGES)]
        try:
            by_real_time = await _rest(child, day)
            begun, fills = written(child.pid), len(day.executions())
            day.toggle()
            await _play(day)
            day.toggle()
            by_market_time = written(child.pid) - begun
            still_there = [task for task in pages if not task.done()]
            peak, charged = peak_mb(child.pid), group.peak_bytes() / 2**20
            fills = len(day.executions()) - fills
            disk = (await status(day.data))["storage"]
        finally:
            for task in pages:
                task.cancel()
            await asyncio.gather(*pages, return_exceptions=True)
        megabytes = (by_market_time + by_real_time * DAY_S / REST_S) / 1e6
        print(
            f"a day with {fills} executions: {megabytes:.1f} MB written, {by_market_time / 1e6:.1f} of it by "
            f"market time; peak {peak:.1f} MB, charged {charged:.1f} of {LIMIT // 2**20}; pages {received}"
        )
        assert disk["written_bytes"] > 0 and disk["troubles"] == {}, disk
        assert child.alive and len(still_there) == PAGES and min(received) > 100_000
        assert fills > 40, "nothing was traded"
        assert peak < RSS_MOST_MB
        assert megabytes < WRITTEN_MOST_MB


async def _rest(child: Child, day: Day) -> float:
    """Bytes usually written in REST_S at the market's own pace while no bar ends and nothing is traded."""
    await day.clock(rate=1)
    found = []
    for _ in range(RESTS):
        while (await day.clock()).second > 55 - REST_S:
            await asyncio.sleep(0.5)
        begun = written(child.pid)
        await asyncio.sleep(REST_S)
        found.append(written(child.pid) - begun)
    return statistics.median(found)


async def _play(day: Day) -> None:
    """Until the same time of the next day."""
    begun = await day.clock(rate=RATE)
    while (await day.clock() - begun).total_seconds() < DAY_S:
        assert day.child.alive, day.child.said()
        await asyncio.sleep(0.5)
