"""A journal of each earlier version is brought up to date with everything that it held."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.engine.records import Audited, TwinException, TwinsDiffered
from app.store import open_journal, read_only
from app.store.database import open_database
from app.store.schema import STATE
from tests.store.records import durable, fill


@pytest.mark.parametrize("version", range(1, STATE.version))
async def test_keeps_all_rows_of_an_old_version(tmp_path: Path, version: int) -> None:
    old = await open_database(tmp_path, replace(STATE, steps=STATE.steps[:version]))
    await old.close()
    with sqlite3.connect(tmp_path / STATE.file) as db:
        db.execute("INSERT INTO audit VALUES (1, 5, 'owner', 'halt', 'lunch', 'done')")
    db.close()
    store = await open_journal(tmp_path, SystemClock())
    assert await durable(store, fill(1), Audited("owner", "rearm", "", "done", 6)) is None
    assert await store.reader.twin_exceptions() == []
    await store.close()
    async with read_only(tmp_path) as reader:
        assert [row["id"] for row in await reader.trades(9)] == [1]
        assert [row["command"] for row in await reader.audit(9)] == ["rearm", "halt"]


async def test_the_last_word_on_an_exception_holds(tmp_path: Path) -> None:
    store = await open_journal(tmp_path, SystemClock())
    words = [
        ("market", True),
        ("wire", True),
        ("market", False),
        ("fixed", True),
        ("market", True),
        ("wire", False),
    ]
    for at, (module, standing) in enumerate(words):
        record = TwinException(module, standing, "owner", f"word {at}", at)
        assert await durable(store, record, TwinsDiffered(module, "f", "()", "1", "2", at)) is None
    await store.close()
    async with read_only(tmp_path) as reader:
        standing_now = await reader.twin_exceptions()
    assert standing_now == [
        TwinException("fixed", True, "owner", "word 3", 3),
        TwinException("market", True, "owner", "word 4", 4),
    ]
