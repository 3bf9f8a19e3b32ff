"""Death and full disks: what was acknowledged is there, what failed is not, and nobody is left waiting.

`kill -9` proves that an acknowledgement follows the commit. It says nothing of power: the page cache stays.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.errors import Refused
from app.store import Store, open_journal, read_only
from tests.store.records import durable, fill

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120  # for all that a test starts, five processes at most; they take two seconds


async def spawn(folder: Path, limit: int = 0) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-m", "tests.store.child", str(folder), str(limit)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def lines_until_killed(child: asyncio.subprocess.Process, count: int) -> list[str]:
    """The child's lines: kill it after `count`, then read what it had said by then."""
    assert child.stdout is not None and child.stderr is not None
    lines = [await child.stdout.readline() for _ in range(count)]
    child.kill()
    lines += (await child.stdout.read()).splitlines()
    await child.stderr.read()
    await child.wait()
    return [line.decode().strip() for line in lines]


def acknowledged(lines: list[str]) -> set[int]:
    return {int(line.split()[1]) for line in lines if line.startswith("ACK ") and line.split()[1:]}


async def test_keeps_every_acknowledged_row_through_kill_9(tmp_path: Path, rng: random.Random) -> None:
    acked: set[int] = set()
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(4):
            lines = await lines_until_killed(await spawn(tmp_path), rng.randint(1, 400))
            acked |= acknowledged(lines)
            async with read_only(tmp_path) as reader:  # before a service has recovered it
                assert await reader.trades(1)
        store = await open_journal(tmp_path, SystemClock())
        found = {booked.fill.id for booked in (await store.recover(1)).fills}
        await store.close()
    assert acked and acked <= found


async def test_ends_writing_and_loses_nothing_when_the_file_cannot_grow(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S):
        child = await spawn(tmp_path, limit=300_000)
        out, err = await child.communicate()
        lines = out.decode().splitlines()
        acked = acknowledged(lines)
        assert err == b""
        assert child.returncode == 0
        assert sum(line.startswith("FAILED journal.failed: state.db: ") for line in lines) == 8
        assert lines[-1].startswith("STATE state.db: ")
        store = await open_journal(tmp_path, SystemClock())  # the disk has room again
        found = {booked.fill.id for booked in (await store.recover(1)).fills}
        assert await durable(store, fill(10**9)) is None
        await store.close()
    assert acked and acked == found


async def test_refuses_to_start_without_room_for_the_files(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S):
        out, err = await (await spawn(tmp_path, limit=8_192)).communicate()
    assert err == b""
    assert out.decode().startswith("REFUSED 1 store.unusable: ")
    assert "check free space and permissions" in out.decode()


async def test_tells_every_waiting_writer_when_the_disk_is_full(store: Store, tmp_path: Path) -> None:
    await store._state._database._connection.execute("PRAGMA max_page_count = 60")
    answers = [durable(store, *(fill(writer * 10_000 + n) for n in range(200))) for writer in range(20)]
    told = await asyncio.gather(*answers)
    assert told[0] is not None  # all twenty shared one transaction
    assert all(isinstance(error, Refused) and "full" in str(error) for error in told)
    assert store.failed == "state.db: database or disk is full"
    async with read_only(tmp_path) as reader:
        assert await reader.trades(1) == []


async def test_gives_up_on_a_file_another_tool_has_locked(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store._state._database._connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "database is locked" in str(await durable(store, fill(1)))
    other.execute("ROLLBACK")
    other.close()
    assert store.failed == "state.db: database is locked"


async def test_lets_a_process_die_that_never_closed_the_journal(tmp_path: Path) -> None:
    """A thread of a connection must not keep a crashed service from being restarted."""
    code = (
        "import asyncio, pathlib, sys\n"
        "from app.clock import SystemClock\n"
        "from app.store import open_journal\n"
        "async def main():\n"
        "    global store\n"
        "    store = await open_journal(pathlib.Path(sys.argv[1]), SystemClock())\n"
        "    raise SystemExit(7)\n"
        "asyncio.run(main())\n"
    )
    async with asyncio.timeout(PATIENCE_S):
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(tmp_path), cwd=ROOT)
        try:
            assert await child.wait() == 7
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
