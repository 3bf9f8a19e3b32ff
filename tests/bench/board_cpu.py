"""The share of one core that the link takes: a process that does nothing else, its board running."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.appliance import cpu_ns, spawn, until_async
from tests.bench.figures import Row, measured, most

JOB = "board_cpu"
WINDOWS = 6  # the shares of so many windows, one after the other, are the samples
WINDOW_S = 5
GOAL_PERCENT = 1


def measure() -> list[Row]:
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    from tests.bench.switch import virtual_board

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with virtual_board(home) as board:
            child = await spawn(home / "host.log", sys.executable, "-m", "tests.mcu.host", board.link)

            async def runs() -> bool:
                return bool((await board.ask("state"))["output"])

            try:
                await until_async(runs, "the output is on")
                shares = [await _share(child.pid) for _ in range(WINDOWS)]
            finally:
                await child.stop()
    note = "20 beats a second each way, sealed, opened and answered"
    return [measured(JOB, "share of one core", "%", shares, most(GOAL_PERCENT), note=note)]


async def _share(pid: int) -> float:
    cpu, wall = cpu_ns(pid), time.perf_counter_ns()
    await asyncio.sleep(WINDOW_S)
    return 100 * (cpu_ns(pid) - cpu) / (time.perf_counter_ns() - wall)
