"""Root in the service's folder: what it makes there is the service's, and a planted link leads nowhere."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # Python loads it late, and its folder may be closed to the other user
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import main, rights
from app.clock import SystemClock
from app.errors import Unable
from app.store import open_journal
from app.store.lock import LOCK_FILE, InstanceLock

assert concurrent.futures.thread
OTHER = 65_534  # a user that is not ours


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder of the service's user where root runs the tests; else our own."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place, "data")
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, OTHER, OTHER)
        yield folder


def owners(folder: Path) -> set[tuple[int, int]]:
    found = (path.lstat() for path in (folder, *folder.rglob("*")))
    return {(each.st_uid, each.st_gid) for each in found}


def test_what_a_command_makes_belongs_to_the_service(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data-dir", str(data)]
    assert main(["halt", "first", *where]) == 0
    assert main(["status", *where]) == 0
    assert len(owners(data)) == 1
    assert os.geteuid() == os.getuid() and os.getegid() == os.getgid()
    assert "HALTED" in capsys.readouterr().out


def test_what_root_restores_belongs_to_the_service(data: Path) -> None:
    asyncio.run(kept_journal(data))
    where, stick = ["--data-dir", str(data)], data.parent / "stick"
    assert main(["backup", "--to", str(stick), *where]) == 0  # root's own, closed to the service
    (backup,) = stick.iterdir()
    assert main(["restore", str(backup), *where]) == 0
    assert len(owners(data)) == 1
    assert {path.name for path in data.parent.iterdir()} == {"data", "stick"}


async def kept_journal(data: Path) -> None:
    with rights.of(data):
        store = await open_journal(data, SystemClock())
        await store.close()


def test_a_planted_lock_does_not_empty_what_it_leads_to(data: Path) -> None:
    kept = data.parent / "kept"
    kept.write_text("secret")
    (data / LOCK_FILE).symlink_to(kept)
    assert main(["halt", "first", "--data-dir", str(data)]) == 1
    with pytest.raises(Unable):
        InstanceLock(data)
    assert kept.read_text() == "secret"


def test_rights_come_back_after_a_failure(data: Path) -> None:
    before = os.geteuid(), os.getegid(), os.getgroups()
    with pytest.raises(ValueError, match="x"), rights.of(data):
        raise ValueError("x")
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


def test_keeps_its_rights_where_they_cannot_be_given_up(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_groups: list[int]) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setgroups", refuse)
    before = os.geteuid()
    with rights.of(data):
        assert os.geteuid() == before


def test_a_folder_that_is_missing_changes_nothing(tmp_path: Path) -> None:
    before = os.geteuid()
    with rights.of(tmp_path / "none"):
        assert os.geteuid() == before
