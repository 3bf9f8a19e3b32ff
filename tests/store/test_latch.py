"""The instance lock, and the halt that needs no service."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.clock import SystemClock, VirtualClock
from app.engine.records import ArmedChanged, Latch
from app.errors import Refused, Theirs
from app.risk.state import Code, Goal, Kind
from app.store import InstanceLock, Store, open_journal, read_only, write_latch
from tests.store.records import durable

CLOCK = VirtualClock(1_000)


async def test_refuses_a_second_instance_naming_the_first(store: Store, tmp_path: Path) -> None:
    for attempt in (
        open_journal(tmp_path, SystemClock()),
        write_latch(tmp_path, by="me", why="x", clock=CLOCK),
    ):
        with pytest.raises(Refused, match=f"is used by process {os.getpid()}; stop it first") as refused:
            await attempt
        assert refused.value.exit_code == 1
    assert await durable(store) is None


async def test_frees_the_folder_when_closed(tmp_path: Path) -> None:
    for _ in range(2):
        store = await open_journal(tmp_path, SystemClock())
        assert store.failed == ""
        await store.close()


def test_names_an_unknown_holder_when_the_file_holds_rubbish(tmp_path: Path) -> None:
    lock = InstanceLock(tmp_path)
    (tmp_path / "plimsoll.lock").write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match="process unknown"):
        InstanceLock(tmp_path)
    lock.release()
    lock.release()


async def test_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No such file or directory; create it, or set data_dir") as refused:
        await open_journal(tmp_path / "missing", SystemClock())
    assert refused.value.exit_code == 1


async def test_halts_durably_without_a_service(tmp_path: Path) -> None:
    store = await open_journal(tmp_path, SystemClock())
    assert await durable(store, ArmedChanged(True, "owner", "", 1)) is None
    await store.close()
    await write_latch(tmp_path, by="owner", why="going on holiday", clock=CLOCK)
    async with read_only(tmp_path) as reader:
        latch = (await reader.recover(2_000)).latch
        assert [row["text"] for row in await reader.events(5)] == [
            "halted by owner without a service: going on holiday"
        ]
        assert [row["command"] for row in await reader.audit(5)] == ["halt"]
    assert latch is not None and not latch.armed
    (reason,) = latch.reasons
    assert (reason.code, reason.kind, reason.scope, reason.goal) == (
        Code.HALT,
        Kind.PERSON,
        "*",
        Goal.NO_ENTRIES,
    )
    assert (reason.since_ns, reason.detail, reason.by) == (1_000, "going on holiday", "owner")


async def test_halts_in_a_folder_no_service_has_used(tmp_path: Path) -> None:
    await write_latch(tmp_path, by="owner", why="", clock=CLOCK)
    store = await open_journal(tmp_path, SystemClock())
    latch = (await store.recover(1)).latch
    await store.close()
    assert isinstance(latch, Latch) and not latch.armed


async def test_halts_when_the_other_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "market.db").write_bytes(b"x" * 5_000)
    await write_latch(tmp_path, by="owner", why="", clock=CLOCK)
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        assert database.execute("SELECT armed FROM latch").fetchall() == [(0,)]


async def test_says_when_the_latch_cannot_be_written_and_frees_the_folder(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"x" * 5_000)
    with pytest.raises(Theirs, match="is damaged"):
        await write_latch(tmp_path, by="owner", why="", clock=CLOCK)
    InstanceLock(tmp_path).release()
