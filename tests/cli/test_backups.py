"""`plimsoll backup` and `plimsoll restore` as the owner types them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from app.cli import main
from app.clock import SystemClock
from app.store import open_journal
from app.store.lock import InstanceLock
from tests.store.records import durable, fill


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()

    async def write() -> None:
        store = await open_journal(folder, SystemClock())
        assert await durable(store, fill(1)) is None
        await store.close()

    asyncio.run(write())
    return folder


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_backs_up_lists_and_restores(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data-dir", str(data)]
    assert main(["backup", "--list", *where]) == 0
    assert said(capsys).startswith("No backup in ")
    assert main(["backup", "--json", *where]) == 0
    made = json.loads(said(capsys))
    assert made["backups"] == [made["made"]]
    source = str(Path(made["folder"]) / made["made"])
    assert main(["backup", "--list", *where]) == 0
    assert said(capsys) == f"{source}\n"
    assert main(["restore", source, *where]) == 0
    assert "halted until you re-arm" in said(capsys)
    assert main(["status", "--json", *where]) == 0
    status = json.loads(said(capsys))
    assert not status["armed"] and [reason["code"] for reason in status["reasons"]] == ["halt"]


def test_fails_in_words(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data-dir", str(data)]
    assert main(["backup", "--data-dir", str(tmp_path)]) == 1
    assert main(["restore", str(tmp_path / "none"), *where]) == 1
    assert main(["backup", *where]) == 0
    (made,) = (data / "backups").iterdir()
    lock = InstanceLock(data)
    try:
        assert main(["restore", str(made), *where]) == 1
    finally:
        lock.release()
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].strip() for line in errors] == [
        "store.missing",
        "backup.missing",
        "store.in_use",
    ]
