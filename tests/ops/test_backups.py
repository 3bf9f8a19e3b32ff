"""What the folder of the backups says about them, whatever became of the program that makes them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.clock import NS, SystemClock
from app.ops import backups
from app.ops.backups import FAILURE, FOLDER, LATE_NS, troubles
from app.store import backup

NOW = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * NS
NEWEST = NOW - 20 * 3_600 * NS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """With backups of two days."""
    for name in ("20261118T160000Z", "20261119T160000Z"):
        (tmp_path / FOLDER / name).mkdir(parents=True)
    return tmp_path


def failed(data: Path, words: str, at_ns: int) -> None:
    file = data / FOLDER / FAILURE
    file.write_text(words)
    os.utime(file, ns=(at_ns, at_ns))


def test_says_nothing_where_one_is_made_every_day(data: Path) -> None:
    assert dict(troubles(data, NOW)) == dict(troubles(data, NEWEST + LATE_NS)) == {}


def test_says_nothing_where_nobody_asked_for_backups(tmp_path: Path) -> None:
    assert dict(troubles(tmp_path, NOW)) == {}


def test_tells_one_that_is_late(data: Path) -> None:
    assert dict(troubles(data, NEWEST + LATE_NS + NS)) == {
        "backup_late": "the newest backup is 26 hours old, one is due every day:"
        " systemctl status plimsoll-backup"
    }


def test_tells_that_none_was_ever_made_a_day_after_the_installation(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "20261399T160000Z").mkdir()
    os.utime(folder, ns=(NOW, NOW))
    assert dict(troubles(tmp_path, NOW + LATE_NS)) == {}
    assert "no backup was ever made" in dict(troubles(tmp_path, NOW + LATE_NS + NS))["backup_late"]


def test_tells_one_that_was_killed(data: Path) -> None:
    """Beginning one touches the folder: where each is killed, none would ever be late by its time."""
    (data / FOLDER / ".20261120T100000Z.new").mkdir()
    assert dict(troubles(data, NOW - 3_600 * NS)) == {}  # it may still run
    told = dict(troubles(data, NOW))
    assert told == {
        "backup_late": "the backup begun on 2026-11-20 10:00 UTC was never finished, one is due every day:"
        " systemctl status plimsoll-backup"
    }
    (data / FOLDER / "20261120T110000Z").mkdir()
    assert dict(troubles(data, NOW)) == {}


def test_tells_that_the_first_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    (folder / ".20261120T100000Z.new").mkdir(parents=True)
    os.utime(folder, ns=(NOW, NOW))
    assert "was never finished" in dict(troubles(tmp_path, NOW))["backup_late"]


def test_one_of_a_clock_that_was_ahead_hides_no_gap(data: Path) -> None:
    (data / FOLDER / "20400101T000000Z").mkdir()
    assert "backup_late" in dict(troubles(data, NEWEST + 2 * LATE_NS))


def test_tells_why_the_last_one_failed_until_one_is_made(data: Path) -> None:
    failed(data, "backup.space: 5 bytes free\nfree some", NOW)
    assert dict(troubles(data, NOW + LATE_NS)) == {
        "backup_failed": "the backup of 2026-11-20 12:00 UTC failed: backup.space: 5 bytes free?free some"
    }
    (data / FOLDER / "20261120T130000Z").mkdir()
    assert dict(troubles(data, NOW + 2 * 3_600 * NS)) == {}


def test_says_so_where_the_folder_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / FOLDER).touch()
    with pytest.raises(OSError):
        dict(troubles(tmp_path, NOW))


def test_reads_what_the_backups_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(backup, "_fill", lambda _, made, __: begun.append(made.name) or made.mkdir())
    (tmp_path / "state.db").touch()
    monkeypatch.setattr(backup, "_check_there", lambda _: None)
    backup.back_up(tmp_path, tmp_path / FOLDER, SystemClock())
    assert backups.BEGUN.fullmatch(begun[0])
    assert (backups.FAILURE, backups.NAME) == (backup.FAILURE, backup._NAME)
