"""From the start of the process `plimsoll run` until it listens, and until its books agree with the venue."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.appliance import Notified, service, simulator, spawn, synced, write_settings
from tests.bench.figures import Row, measured, most

JOB = "service_ready"
ROUNDS = 9
GOAL_MS = 600
FLOOR = "import aiohttp, aiosqlite"  # what any service on these libraries pays before its first line


def measure() -> list[Row]:
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    floor, ready, agreed = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with simulator(home) as url:
            for _ in range(ROUNDS):
                floor.append(await _floor_ms(home))
                listening_ms, synced_ms = await _start_ms(home, url)
                ready.append(listening_ms)
                agreed.append(synced_ms)
    ratio = sorted(agreed)[ROUNDS // 2] / sorted(floor)[ROUNDS // 2]
    return [
        measured(JOB, FLOOR, "ms", floor),
        measured(JOB, "READY=1", "ms", ready, most(GOAL_MS)),
        measured(JOB, "books agree with the venue", "ms", agreed, most(GOAL_MS), floor_ratio=ratio),
    ]


async def _floor_ms(home: Path) -> float:
    begun = time.perf_counter_ns()
    await (await spawn(home / "floor.log", sys.executable, "-c", FLOOR)).stop_by_itself()
    return (time.perf_counter_ns() - begun) / 1e6


async def _start_ms(home: Path, url: str) -> tuple[float, float]:
    """One start on a fresh folder, as after the installation."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        own = Path(folder)
        file, notified = write_settings(own, url), Notified(own / "notify")
        begun = time.perf_counter_ns()
        try:
            async with service(file, NOTIFY_SOCKET=str(notified.path)) as child:
                await notified.ready()
                listening = time.perf_counter_ns()
                await synced(child, own / "data")
                return (listening - begun) / 1e6, (time.perf_counter_ns() - begun) / 1e6
        finally:
            notified.close()
