"""The checker finds each planted loss, and none where there is none."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.power import ledger
from tests.power.checking import LOST, Line, parsed, problems

Plant = Callable[[Path, list[Line]], None]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Line]]:
    """The journal of a short ledger, and what it said."""
    said: list[bytes] = []
    monkeypatch.setattr(ledger, "say", lambda what: said.append(ledger.json.dumps(what).encode()))
    asyncio.run(ledger.main(tmp_path, 4))
    return tmp_path, parsed(b"\n".join([*said, b'{"ack": {"or']))


def change(statement: str) -> Plant:
    def plant(folder: Path, _lines: list[Line]) -> None:
        with closing(sqlite3.connect(folder / "state.db")) as db, db:
            db.execute(statement)

    return plant


def arm(folder: Path, lines: list[Line]) -> None:
    change("INSERT INTO latch VALUES (NULL, 1, 1, 'x', '')")(folder, lines)
    (folder / "armed").touch()


def damage(folder: Path, _lines: list[Line]) -> None:
    with (folder / "state.db").open("r+b") as file:
        file.seek(3 * 4096)
        file.write(os.urandom(4096))


def test_finds_nothing_where_nothing_is_lost(kept: tuple[Path, list[Line]]) -> None:
    assert problems(*kept) == []


def said(line: Line) -> Plant:
    return lambda _folder, lines: lines.append(line)


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (said({"ack": {"order": 99}}), f"{LOST}order 99"),
        (said({"ack": {"fill": 99}}), f"{LOST}fill 99"),
        (said({"ack": {"tags": 99}}), f"{LOST}tags up to 99"),
        (said({"ack": {"armed": True}}), f"{LOST}the latch is False"),
        (change("DELETE FROM fills WHERE id = 3"), f"{LOST}fill 3"),
        (change("UPDATE fills SET side = -side WHERE id = 3"), "position "),
        (change("UPDATE fills SET size = size + 1 WHERE id = 3"), "torn: tag-3"),
        (change("DELETE FROM orders WHERE tag = 'tag-3'"), "torn: a fill of tag-3"),
        (change("UPDATE tag_counter SET up_to = 2"), "torn: tag-3 is beyond"),
        (arm, f"{LOST}the latch is True"),
        (damage, "does not open"),
    ],
)
def test_names_each_planted_loss(kept: tuple[Path, list[Line]], plant: Plant, words: str) -> None:
    folder, lines = kept
    plant(folder, lines)
    assert [line for line in problems(folder, lines) if line.startswith(words)]
