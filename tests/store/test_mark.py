"""The armed mark: durable before anybody trades; a halt removes it though the disk takes no row."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.clock import SystemClock
from app.engine.records import ArmedChanged
from app.store import open_journal, write_latch
from app.store.mark import MARK_FILE
from tests.guards import PATIENCE

ARM = ArmedChanged(True, "test", "go", 1)


async def arm(folder: Path) -> None:
    store = await open_journal(folder, SystemClock())
    done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    store.append([ARM], done.set_result)
    async with asyncio.timeout(PATIENCE):
        assert await done is None
    assert (folder / MARK_FILE).exists(), "the mark is there before arming is told"
    await store.close()


async def armed(folder: Path) -> bool:
    store = await open_journal(folder, SystemClock())
    found = await store.recover(1)
    await store.close()
    return found.latch is not None and found.latch.armed


async def test_counts_as_armed_only_with_row_and_mark(tmp_path: Path) -> None:
    await arm(tmp_path)
    assert await armed(tmp_path)
    (tmp_path / MARK_FILE).unlink()
    assert not await armed(tmp_path)


async def test_a_halt_removes_the_mark_though_no_row_was_written(tmp_path: Path) -> None:
    await arm(tmp_path)
    store = await open_journal(tmp_path, SystemClock())
    store.disarm()
    store.disarm()
    await store.close()
    assert not (tmp_path / MARK_FILE).exists() and not await armed(tmp_path)


async def test_a_halt_without_a_service_removes_the_mark(tmp_path: Path) -> None:
    await arm(tmp_path)
    await write_latch(tmp_path, by="test", why="off", clock=SystemClock())
    assert not (tmp_path / MARK_FILE).exists() and not await armed(tmp_path)


async def test_does_not_arm_where_the_mark_cannot_be_made(tmp_path: Path) -> None:
    store = await open_journal(tmp_path, SystemClock())
    (tmp_path / MARK_FILE).mkdir()
    done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    store.append([ARM], done.set_result)
    async with asyncio.timeout(PATIENCE):
        assert await done is not None
    await store.close()
