"""Durable rows a second with 64 waiting writers, and what one waiting writer waits for one commit.

Run alone: `python -m tests.bench.store_rows [FOLDER]` prints JSON; FOLDER must be on the disk to be measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from app.clock import SystemClock
from app.store import Store, open_journal
from tests.bench.figures import Row, least, measured, most
from tests.store.records import changed, fill

JOB = "store_rows"
WRITERS = 64
ROUNDS = 5
ROUND_S = 1.0  # seconds of one round; a commit takes milliseconds
SINGLES = 300  # commits of one writer; p99 then rests on three
GOAL_ROWS = 10_000  # a second
GOAL_MS = 5.0  # the share of the order path's p95 that the commit may take at most


def measure(folder: Path | None = None) -> list[Row]:
    """Measure in `folder` (None: where temporary files go)."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        return asyncio.run(_measure(Path(home)))


async def _measure(home: Path) -> list[Row]:
    store = await open_journal(home, SystemClock())
    try:
        single_ms = [await _single_ms(store, number) for number in range(SINGLES)]
        rounds = [await _round(store, number) for number in range(ROUNDS)]
    finally:
        await store.close()
    return [
        measured(JOB, "one order, one commit", "ms", single_ms, most(GOAL_MS, "p95")),
        measured(JOB, f"durable rows, {WRITERS} writers", "rows/s", [r for r, _ in rounds], least(GOAL_ROWS)),
        measured(JOB, f"rows a commit, {WRITERS} writers", "rows", [share for _, share in rounds]),
    ]


async def _durable(store: Store, record: object) -> None:
    answer: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    store.append([record], answer.set_result)  # type: ignore[list-item]
    error = await answer
    if error is not None:
        raise error


async def _single_ms(store: Store, number: int) -> float:
    record = changed(f"Plimsoll-v1.0-strategy-overnight_range-stop-{number}-1795000000")
    begun = time.perf_counter()
    await _durable(store, record)
    return (time.perf_counter() - begun) * 1e3


async def _round(store: Store, number: int) -> tuple[float, float]:
    """Rows a second and rows a commit while every writer waits for its own row before it writes the next."""
    rows, commits, begun = store.rows, store.commits, time.perf_counter()
    await asyncio.gather(*(_writer(store, number * WRITERS + writer, begun) for writer in range(WRITERS)))
    written = store.rows - rows
    return written / (time.perf_counter() - begun), written / (store.commits - commits)


async def _writer(store: Store, writer: int, begun: float) -> None:
    first, written = fill(writer * 1_000_000), 0
    while time.perf_counter() - begun < ROUND_S:
        written += 1
        await _durable(store, replace(first, fill=replace(first.fill, id=first.fill.id + written)))


if __name__ == "__main__":
    rows = measure(Path(sys.argv[1]) if sys.argv[1:] else None)
    print(json.dumps(rows, indent=2))
