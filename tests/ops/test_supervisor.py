"""Side jobs are run again, ever later, until they recover."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import pairwise

import pytest

from app.clock import NS, VirtualClock
from app.ops.supervisor import CALM_NS, LONGEST_PAUSE_NS, keep_running


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_runs_a_failed_job_again_after_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    clock, began = VirtualClock(NS), list[int]()

    async def job() -> None:
        began.append(clock.mono_ns())
        raise ValueError("broken")

    task = asyncio.create_task(keep_running("job", job, clock))
    for _ in range(300):
        await _turns()
        clock.advance(NS)
    pauses = [(b - a) // NS for a, b in pairwise(began)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60] and LONGEST_PAUSE_NS == 60 * NS
    assert "job failed, again in 1 s" in caplog.text
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_forgets_old_failures_after_a_calm_time() -> None:
    clock, began = VirtualClock(NS), list[int]()

    async def job() -> None:
        began.append(clock.mono_ns())
        if len(began) == 4:
            clock.advance(CALM_NS)
        if len(began) == 6:
            return
        raise ValueError("broken")

    task = asyncio.create_task(keep_running("job", job, clock))
    for _ in range(30):
        await _turns()
        clock.advance(NS)
    await _turns()
    assert task.done() and (began[5] - began[4]) // NS == 2
