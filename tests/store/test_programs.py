"""Expand, then contract: an update can go back, because the program before it works on the migrated file."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.errors import Theirs
from app.store import open_journal, read_only
from app.store.backup import verify
from app.store.database import open_database
from app.store.schema import CONTRACTS, MARKET, STATE, Schema, split, version_of
from tests.guards import ROOT
from tests.store.program import place, run, speak, written
from tests.store.records import durable, fill
from tests.store.test_database import NEXT, dump

PATIENCE_S = 60
EXPANDED = replace(
    STATE,
    steps=(
        *STATE.steps,
        "CREATE TABLE a (x INTEGER) STRICT;\nALTER TABLE fills ADD COLUMN a TEXT NOT NULL DEFAULT '';\n"
        "ALTER TABLE orders ADD COLUMN a INTEGER;\nCREATE INDEX a_by_x ON a (x);",
    ),
)


def at(schema: Schema, version: int) -> Schema:
    """The schema as the program of `version` had it."""
    return replace(schema, steps=schema.steps[:version])


async def opened(folder: Path, schema: Schema) -> Path:
    """Open and close the file in `folder` as a program with `schema` does."""
    folder.mkdir(exist_ok=True)
    await (await open_database(folder, schema)).close()
    return folder / schema.file


OLDER = [
    (schema, version)
    for schema in (STATE, MARKET, EXPANDED)
    for version in range(schema.oldest, schema.version)
]


@pytest.mark.parametrize(("schema", "version"), OLDER)
async def test_the_older_program_does_on_the_newer_file_what_it_did_before(
    tmp_path: Path, schema: Schema, version: int
) -> None:
    said = written(schema, version)
    kept, moved = [await opened(tmp_path / name, at(schema, version)) for name in ("kept", "moved")]
    for file in (kept, moved):
        run(file, said)
    await opened(tmp_path / "moved", schema)
    again = [part for part in said if not part.startswith("INSERT INTO fills")]
    assert run(moved, again) == run(kept, again)
    assert any(rows for rows in run(moved, again))


@pytest.mark.parametrize("schema", [STATE, MARKET])
def test_what_the_present_program_says_is_written_down(schema: Schema) -> None:
    said = asyncio.run(speak())[schema.file]
    file = place(schema, schema.version)
    assert said == written(schema, schema.version), f"python -m tests.store.program writes {file}"


async def test_the_older_program_opens_the_newer_file_and_leaves_its_version(tmp_path: Path) -> None:
    file = await opened(tmp_path, EXPANDED)
    newer = dump(file)[-1]
    store = await open_journal(tmp_path, SystemClock())
    assert await durable(store, fill(1)) is None
    assert [booked.fill.id for booked in (await store.recover(1)).fills] == [1]
    await store.close()
    async with read_only(tmp_path) as reader:
        assert [row["id"] for row in await reader.trades(9)] == [1]
    await asyncio.to_thread(verify, file, STATE)
    await opened(tmp_path, EXPANDED)
    assert dump(file)[-1] == newer == f"({EXPANDED.stamp},)"


async def test_refuses_a_file_from_which_something_it_needs_is_gone(tmp_path: Path) -> None:
    file = await opened(tmp_path, NEXT)
    with pytest.raises(Theirs, match="install the newer program"):
        await open_journal(tmp_path, SystemClock())
    with pytest.raises(Theirs, match=r"is not a state\.db that this program knows"):
        await asyncio.to_thread(verify, file, STATE)


@pytest.mark.parametrize(
    ("stamp", "admitted"),
    [
        (0, False),
        (-1, False),
        (STATE.version, True),  # of before stamps: just the version
        (STATE.version + 1, False),
        (STATE.stamp, True),
        (EXPANDED.stamp, True),
        (EXPANDED.stamp + 7, True),
        (NEXT.stamp, False),
        (1 << 16, False),
    ],
)
def test_a_stamp_says_who_may_open_the_file(stamp: int, admitted: bool) -> None:
    assert STATE.admits(stamp) is admitted


def test_a_stamp_holds_the_version_and_the_oldest_program() -> None:
    assert [version_of(each.stamp) for each in (STATE, NEXT)] == [STATE.version, NEXT.version]
    assert (EXPANDED.oldest, NEXT.oldest) == (STATE.oldest, NEXT.version)


# What only adds. Anything else takes away from an older program, or might.
_NEW = re.compile(r"CREATE (?:TABLE|VIEW) (\w+)\b")
_ADDS = (
    _NEW,
    re.compile(r"CREATE INDEX "),
    re.compile(r"ALTER TABLE \w+ ADD COLUMN \w+ \w+(?: NOT NULL)? DEFAULT [\w'-]+;$"),
    re.compile(r"ALTER TABLE \w+ ADD COLUMN \w+ \w+;$"),
    re.compile(r"PRAGMA application_id"),
)


def contracting(step: str) -> list[str]:
    """The statements of a migration that may break a program which does not know it."""
    plain = [re.sub(r"--.*", "", part).strip() for part in split(step)]
    new = {name for part in plain if (found := _NEW.match(part)) for name in found.groups()}
    own = re.compile(rf"(?:INSERT INTO|CREATE UNIQUE INDEX \w+ ON) (?:{'|'.join(new) or '$^'})\b")
    return [part for part in plain if not any(rule.match(part) for rule in (*_ADDS, own))]


@pytest.mark.parametrize("schema", [STATE, MARKET, EXPANDED, NEXT])
def test_a_step_that_takes_away_says_so(schema: Schema) -> None:
    for number, step in enumerate(schema.steps, 1):
        assert bool(contracting(step)) == step.startswith(CONTRACTS), f"step to version {number}"


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE audit",
        "DROP INDEX orders_by_state",
        "ALTER TABLE orders DROP COLUMN ref",
        "ALTER TABLE orders RENAME TO orders_old",
        "ALTER TABLE orders RENAME COLUMN ref TO reference",
        "ALTER TABLE orders ADD COLUMN a TEXT NOT NULL",
        "ALTER TABLE orders ADD COLUMN a TEXT CHECK (a <> '')",
        "ALTER TABLE orders ADD COLUMN a TEXT REFERENCES audit (id)",
        "CREATE UNIQUE INDEX one_tag ON fills (tag)",
        "CREATE TRIGGER no_fills BEFORE INSERT ON fills BEGIN SELECT raise(ABORT, 'no'); END",
        "DELETE FROM latch",
        "UPDATE orders SET state = 'gone'",
        "INSERT INTO latch VALUES (1, 1, 1, '', '')",
        "PRAGMA user_version = 1",
    ],
)
def test_knows_what_takes_away(statement: str) -> None:
    assert len(contracting(f"CREATE TABLE a (x INTEGER) STRICT;\n{statement};")) == 1


def test_knows_what_only_adds() -> None:
    own = "CREATE UNIQUE INDEX a_x ON a (x);\nINSERT INTO a VALUES (1);"
    assert contracting(f"-- a comment; with DROP\nCREATE TABLE a (x INTEGER) STRICT;\n{own}") == []


@pytest.mark.parametrize("number", range(len(NEXT.statements(STATE.version)) + 3))
async def test_kill_9_inside_a_migration_leaves_the_old_version_or_the_new(
    tmp_path: Path, number: int
) -> None:
    store = await open_journal(tmp_path, SystemClock())
    assert await durable(store, fill(1)) is None
    await store.close()
    file = tmp_path / STATE.file
    before = dump(file)
    command = (sys.executable, "-m", "tests.store.migrating_child", str(tmp_path), str(number))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=subprocess.DEVNULL)
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == -signal.SIGKILL
    committed = number > len(NEXT.statements(STATE.version))  # the commit is the last statement
    after = dump(file)
    assert (after == before) is not committed
    if committed:
        assert after[-1] == f"({NEXT.stamp},)" and not [line for line in after if "TABLE audit" in line]
        return
    store = await open_journal(tmp_path, SystemClock())  # going back, the old program works on
    assert [booked.fill.id for booked in (await store.recover(1)).fills] == [1]
    await store.close()
