"""Opening: pragmas, migrations all or nothing, and files that must be refused and kept."""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.errors import PlimsollError, Refused, Theirs
from app.store import Store, database, open_journal, read_only
from app.store.database import open_database, open_reader
from app.store.schema import CONTRACTS, MARKET, STATE, Schema, split, sql
from tests.store.records import durable, fill

NEXT = replace(
    STATE,
    steps=(
        *STATE.steps,
        f"{CONTRACTS} a test;\nCREATE TABLE a (x INTEGER) STRICT; DELETE FROM latch;\nDROP TABLE audit;",
    ),
)


def dump(path: Path) -> list[str]:
    with sqlite3.connect(path) as db:
        lines = [*db.iterdump(), str(db.execute("PRAGMA user_version").fetchone())]
    db.close()
    return lines


@pytest.mark.parametrize(("schema", "synchronous"), [(STATE, 2), (MARKET, 1)])
async def test_writes_with_the_durability_the_file_needs(
    tmp_path: Path, schema: Schema, synchronous: int
) -> None:
    opened = await open_database(tmp_path, schema)
    found = {}
    for pragma in (
        "journal_mode",
        "synchronous",
        "wal_autocheckpoint",
        "mmap_size",
        "trusted_schema",
        "foreign_keys",
    ):
        rows = await opened._connection.execute_fetchall(f"PRAGMA {pragma}")
        found[pragma] = next(iter(rows))[0]
    await opened.close()
    await opened.close()
    assert found == {
        "journal_mode": "wal",
        "synchronous": synchronous,
        "wal_autocheckpoint": 1000,
        "mmap_size": 0,
        "trusted_schema": 0,
        "foreign_keys": 1,
    }


async def test_makes_files_that_nobody_else_can_read(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        opened = await open_database(tmp_path, STATE)
    finally:
        os.umask(mask)
    assert {path.name for path in tmp_path.iterdir()} >= {STATE.file, f"{STATE.file}-wal"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    await opened.close()


async def test_reads_through_a_connection_that_cannot_write_or_checkpoint(
    store: Store, tmp_path: Path
) -> None:
    reader = await open_reader(tmp_path / "state.db")
    for statement in (
        "DELETE FROM fills",
        "PRAGMA user_version = 9",
        "PRAGMA query_only = OFF; DELETE FROM fills",
    ):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.executescript(statement)
    assert (await (await reader.execute("PRAGMA wal_autocheckpoint")).fetchone())[0] == 0  # type: ignore[index]
    await reader.close()


def test_declares_every_table_strict_and_no_column_a_float() -> None:
    for schema in (STATE, MARKET):
        db = sqlite3.connect(":memory:")
        for step in schema.steps:
            db.executescript(step)
        for name, strict in db.execute(
            "SELECT name, strict FROM pragma_table_list WHERE schema = 'main'"
        ).fetchall():
            if not name.startswith("sqlite_"):
                types = {row[2] for row in db.execute(f"PRAGMA table_info({name})")}
                assert strict and types <= {"INTEGER", "TEXT"}, name
        assert db.execute("PRAGMA application_id").fetchone() == (schema.application_id,)
        db.close()


def test_splits_a_script_into_its_statements() -> None:
    parts = split(sql("state_1"))
    assert len(parts) == sql("state_1").count(";\n")
    assert all(part.endswith(";") for part in parts)


@pytest.mark.parametrize("number", range(len(STATE.statements(0)) + 1))
async def test_leaves_nothing_behind_when_creation_breaks_at_a_statement(tmp_path: Path, number: int) -> None:
    await break_at(tmp_path, STATE, number)
    assert dump(tmp_path / "state.db") == ["BEGIN TRANSACTION;", "COMMIT;", "(0,)"]
    await (await open_database(tmp_path, STATE)).close()


@pytest.mark.parametrize("number", range(len(NEXT.statements(STATE.version)) + 1))
async def test_leaves_the_old_version_whole_when_a_migration_breaks(tmp_path: Path, number: int) -> None:
    store = await open_journal(tmp_path, SystemClock())
    assert await durable(store, fill(1)) is None
    await store.close()
    before = dump(tmp_path / "state.db")
    await break_at(tmp_path, NEXT, number)
    assert dump(tmp_path / "state.db") == before
    await (await open_database(tmp_path, NEXT)).close()
    assert dump(tmp_path / "state.db")[-1] == f"({NEXT.stamp},)"


async def break_at(folder: Path, schema: Schema, number: int) -> None:
    """Open `folder` with a schema whose statement `number` is broken."""
    statements = schema.statements

    class Broken(Schema):
        def statements(self, version: int) -> list[str]:
            parts = statements(version)
            return [*parts[:number], "INSERT INTO no_table VALUES (1)", *parts[number:]]

    with pytest.raises(Refused, match="no such table: no_table"):
        await open_database(
            folder, Broken(schema.file, schema.application_id, schema.synchronous, schema.steps)
        )


async def test_migrates_to_the_same_schema_that_a_new_file_gets(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    await (await open_database(old, STATE)).close()
    for folder in (old, new):
        await (await open_database(folder, NEXT)).close()
    assert dump(old / "state.db") == dump(new / "state.db")


async def refusal(folder: Path) -> PlimsollError:
    """The error of both doors; they must agree, and change no byte."""
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}
    with pytest.raises(PlimsollError) as service:
        await open_journal(folder, SystemClock())
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert service.value.exit_code == 1
    return service.value


async def test_refuses_a_file_newer_than_the_program(tmp_path: Path) -> None:
    await (await open_database(tmp_path, NEXT)).close()
    error = await refusal(tmp_path)
    assert isinstance(error, Theirs)
    known = f"has version {NEXT.version}, this program knows {STATE.version}"
    assert f"{known}; install the newer program" in str(error)
    with pytest.raises(Theirs, match=known):
        async with read_only(tmp_path):
            pass


async def test_refuses_a_database_of_another_program(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "market.db") as db:
        db.execute("CREATE TABLE songs (title)")
    db.close()
    assert "is not a database of Plimsoll" in str(await refusal(tmp_path))


async def test_refuses_a_file_that_is_no_database_and_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database, but evidence" * 100)
    error = await refusal(tmp_path)
    assert isinstance(error, Theirs)
    assert "is damaged and was left as it is; move it aside" in str(error)


@pytest.mark.parametrize(
    "page", [1, 4, 7, 19]
)  # reported by quick_check as an error (1, 7) or in its lines (4, 19)
async def test_refuses_a_damaged_file_and_keeps_it(tmp_path: Path, page: int) -> None:
    store = await open_journal(tmp_path, SystemClock())
    for number in range(300):
        store.append([fill(number)])
    await store.close()
    file = tmp_path / "state.db"
    data = bytearray(file.read_bytes())
    data[page * 4096 : (page + 1) * 4096] = b"\x5a" * 4096
    file.write_bytes(data)
    assert isinstance(await refusal(tmp_path), Theirs)


async def test_undoes_itself_when_the_second_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "market.db").write_bytes(b"x" * 5_000)
    await refusal(tmp_path)
    (tmp_path / "market.db").unlink()
    store = await open_journal(tmp_path, SystemClock())  # the lock is free again
    assert store.failed == ""
    await store.close()


async def test_takes_an_empty_file_as_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    store = await open_journal(tmp_path, SystemClock())
    assert await durable(store, fill(1)) is None
    await store.close()


async def test_refuses_a_file_system_without_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def value(_connection: object, statement: str) -> object:
        return "delete" if "journal_mode" in statement else 2

    monkeypatch.setattr(database, "_value", value)
    with pytest.raises(Refused, match="does not support WAL"):
        await open_database(tmp_path, STATE)


async def test_opens_what_a_power_cut_left_before_the_file_had_its_log(tmp_path: Path) -> None:
    """Of a file made a moment ago, or just restored: its last transaction is undone, the one before stays."""
    await (await open_database(tmp_path, STATE)).close()
    (tmp_path / "state.db").replace(tmp_path / "whole.db")
    begun = sqlite3.connect(tmp_path / "whole.db", isolation_level=None)
    begun.execute("PRAGMA journal_mode = DELETE")
    begun.execute("INSERT INTO tag_counter (id, up_to) VALUES (1, 64)")
    begun.execute("PRAGMA cache_size = 1")  # pages, so that the file is written to before the commit
    begun.execute("BEGIN")
    begun.execute("UPDATE tag_counter SET up_to = 128")
    begun.executemany("INSERT INTO audit VALUES (NULL, 1, 'a', 'b', ?, 'd')", [("x" * 2_000,)] * 100)
    for suffix in ("", "-journal"):
        (tmp_path / f"state.db{suffix}").write_bytes((tmp_path / f"whole.db{suffix}").read_bytes())
    begun.execute("ROLLBACK")
    begun.close()
    opened = await open_database(tmp_path, STATE)
    found = await opened._connection.execute_fetchall(
        "SELECT up_to, (SELECT count(*) FROM audit) FROM tag_counter"
    )
    await opened.close()
    assert [tuple(row) for row in found] == [(64, 0)]
