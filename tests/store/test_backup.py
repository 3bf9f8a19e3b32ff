"""Backups are whole or not there; a restored journal is halted, disarmed and uses no tag twice."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import SystemClock
from app.config import Secret
from app.engine.records import ArmedChanged, Record, Recovered, TagsReserved
from app.errors import Refused, Theirs, Unable
from app.risk.state import Code, Kind
from app.store import backup, open_journal, sealing
from app.store.backup import DAILY_KEPT, TAG_JUMP, back_up, expired, names, restore
from app.store.lock import InstanceLock
from app.store.mark import MARK_FILE
from tests.guards import PATIENCE, ROOT
from tests.store.records import changed, durable, fill

FIRST = datetime(2026, 1, 5, 3, tzinfo=UTC)


class At(SystemClock):
    """Wall time that a test sets."""

    def __init__(self, when: datetime) -> None:
        super().__init__()
        self.when = when

    def wall_ns(self) -> int:
        return int(self.when.timestamp()) * 1_000_000_000


def filled(folder: Path, *, armed: bool = False) -> None:
    """A journal with two fills, an order and 64 reserved tags, closed."""
    folder.mkdir()
    asyncio.run(append(folder, fill(1), fill(2), changed("a"), TagsReserved(64)))
    if armed:
        asyncio.run(append(folder, ArmedChanged(True, "test", "", 1)))


async def append(folder: Path, *records: Record) -> None:
    store = await open_journal(folder, SystemClock())
    assert await durable(store, *records) is None
    await store.close()


async def recovered(folder: Path) -> Recovered:
    store = await open_journal(folder, SystemClock())
    found = await store.recover(1_000)
    await store.close()
    return found


def fills(file: Path) -> int:
    with sqlite3.connect(file) as db:
        (count,) = db.execute("SELECT count(*) FROM fills").fetchone()
    db.close()
    return int(count)


async def test_copies_what_is_committed_while_the_service_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    store = await open_journal(data, SystemClock())
    assert await durable(store, fill(1), fill(2)) is None
    made = await asyncio.to_thread(back_up, data, tmp_path / "backups", At(FIRST))
    assert made.name == "20260105T030000Z"
    assert await durable(store, fill(3)) is None, "the writer goes on"
    await store.close()
    counts = [await asyncio.to_thread(fills, folder / "state.db") for folder in (made, data)]
    assert counts == [2, 3]
    assert [path.stat().st_mode & 0o077 for path in (made, *made.iterdir())] == [0, 0, 0]


def test_keeps_seven_days_and_four_weeks(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    for day in range(40):
        back_up(tmp_path / "data", tmp_path / "backups", At(FIRST + timedelta(days=day)))
    kept = names(tmp_path / "backups")
    days = [(FIRST + timedelta(days=day)).strftime("%Y%m%dT%H%M%SZ") for day in (20, 27, *range(33, 40))]
    assert kept == days, "Sundays of the two weeks before, and the last seven days"


@given(st.lists(st.integers(0, 100 * 24 * 3600), unique=True))
def test_letting_go_never_touches_the_newest_of_a_kept_day_and_is_settled_at_once(seconds: list[int]) -> None:
    made = [(FIRST + timedelta(seconds=second)).strftime("%Y%m%dT%H%M%SZ") for second in seconds]
    kept = sorted(set(made) - set(expired(made)))
    assert expired(kept) == []
    assert kept[-1:] == sorted(made)[-1:]
    assert len(kept) <= backup.DAILY_KEPT + backup.WEEKLY_KEPT


def test_a_clock_that_was_wrong_costs_no_backup(tmp_path: Path) -> None:
    """One at 1970 is not let go as it is made, those of 2040 take no place from those of today."""
    data, folder = tmp_path / "data", tmp_path / "backups"
    filled(data)
    for year in (2040, 2026):
        for day in range(8):
            back_up(data, folder, At(datetime(year, 3, 2 + day, tzinfo=UTC)))
    made = back_up(data, folder, At(datetime(1970, 1, 1, tzinfo=UTC)))
    assert made.exists()
    assert len([name for name in names(folder) if name.startswith("2026")]) >= DAILY_KEPT


def test_a_damaged_journal_adds_no_backup_and_removes_none(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", tmp_path / "backups"
    filled(data)
    good = back_up(data, folder, At(FIRST))
    raw = bytearray((data / "state.db").read_bytes())
    raw[4096:8192] = b"\xff" * 4096
    (data / "state.db").write_bytes(raw)
    with pytest.raises((Theirs, Refused)):
        back_up(data, folder, At(FIRST + timedelta(days=300)))
    assert [path.name for path in folder.iterdir()] == [good.name]


def test_a_folder_that_only_looks_like_a_time_is_no_backup(tmp_path: Path) -> None:
    """It stays, and costs nobody the next backup."""
    odd = tmp_path / "backups" / "00000000T999999Z"
    odd.mkdir(parents=True)
    filled(tmp_path / "data")
    made = back_up(tmp_path / "data", tmp_path / "backups", At(FIRST))
    assert names(tmp_path / "backups") == [made.name] and odd.exists()


def test_what_killed_ones_left_takes_no_space_from_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each would leave its copies, until there is no room for any."""
    data, folder = tmp_path / "data", tmp_path / "backups"
    filled(data)
    left = folder / ".20260104T030000Z.new"
    left.mkdir(parents=True)

    def usage(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=1 if left.exists() else 1 << 30)

    monkeypatch.setattr(backup.shutil, "disk_usage", usage)
    back_up(data, folder, At(FIRST))
    assert names(folder) == ["20260105T030000Z"] and not left.exists()


def test_refuses_without_space_before_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / "data")
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(9, 8, 1))  # type: ignore[attr-defined]
    with pytest.raises(Refused, match=r"backup\.space"):
        back_up(tmp_path / "data", tmp_path / "backups", At(FIRST))
    assert names(tmp_path / "backups") == []


def test_refuses_where_there_is_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"store\.missing"):
        back_up(tmp_path / "nowhere", tmp_path / "backups", At(FIRST))
    assert list((tmp_path / "backups").iterdir()) == []


def test_an_interrupted_backup_is_none_and_does_not_stop_the_next(tmp_path: Path) -> None:
    begun = tmp_path / ".20260105T030000Z.new"
    begun.mkdir()
    (begun / "state.db").write_bytes(b"half")
    assert names(tmp_path) == []


def test_a_restored_journal_is_halted_disarmed_and_jumps_its_tags(tmp_path: Path) -> None:
    data = tmp_path / "data"
    filled(data, armed=True)
    made = back_up(data, tmp_path / "backups", At(FIRST))
    asyncio.run(append(data, fill(3), TagsReserved(640)))

    aside = restore(made, data, At(FIRST + timedelta(days=1)), "test")

    assert fills(aside / "state.db") == 3, "what was replaced is kept"
    assert not (data / MARK_FILE).exists()
    found = asyncio.run(recovered(data))
    assert [booked.fill.id for booked in found.fills] == [1, 2]
    assert found.latch is not None and not found.latch.armed
    reasons = [(reason.code, reason.kind, reason.detail) for reason in found.latch.reasons]
    assert reasons == [(Code.HALT, Kind.PERSON, "restored from backup 20260105T030000Z")]
    assert found.tags_reserved == 64 + TAG_JUMP > 640


def test_two_restores_in_one_second_keep_what_each_replaced(tmp_path: Path) -> None:
    data = tmp_path / "data"
    filled(data)
    made = back_up(data, tmp_path / "backups", At(FIRST))
    asides = {restore(made, data, At(FIRST), "test") for _ in range(3)}
    assert len(asides) == 3 and all((aside / "state.db").exists() for aside in asides)


def test_an_undo_log_of_the_replaced_journal_is_set_aside_and_not_played_into_the_restored_one(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    filled(data)
    made = back_up(data, tmp_path / "backups", At(FIRST))
    undo = data / "state.db-journal"
    undo.write_bytes(undo_log(tmp_path / "other.db"))
    aside = restore(made, data, At(FIRST), "test")
    assert (aside / undo.name).exists()
    assert fills(data / "state.db") == 2


def undo_log(file: Path) -> bytes:
    """What SQLite plays back into the file beside which it lies, here of another one."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")
        db.execute("CREATE TABLE t (x)")
        db.executemany("INSERT INTO t VALUES (?)", [("x" * 3000,)] * 20)
        db.execute("BEGIN")
        db.execute("UPDATE t SET x = upper(x)")
        return file.with_name(f"{file.name}-journal").read_bytes()


def test_restores_into_an_empty_folder(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    made = back_up(tmp_path / "data", tmp_path / "backups", At(FIRST))
    restore(made, tmp_path / "fresh", At(FIRST), "test")
    assert fills(tmp_path / "fresh" / "state.db") == 2


def test_refuses_to_restore_under_a_running_service(tmp_path: Path) -> None:
    data = tmp_path / "data"
    filled(data)
    made = back_up(data, tmp_path / "backups", At(FIRST))
    lock = InstanceLock(data)
    try:
        with pytest.raises(Refused, match=r"store\.in_use"):
            restore(made, data, At(FIRST), "test")
    finally:
        lock.release()
    assert fills(data / "state.db") == 2


@pytest.mark.parametrize("damage", ["cut", "flip", "other", "gone"])
def test_refuses_a_backup_that_is_not_whole_and_changes_nothing(tmp_path: Path, damage: str) -> None:
    data = tmp_path / "data"
    filled(data)
    made = back_up(data, tmp_path / "backups", At(FIRST))
    copy = made / "state.db"
    raw = copy.read_bytes()
    if damage == "cut":
        copy.write_bytes(raw[: len(raw) // 2])
    elif damage == "flip":
        copy.write_bytes(raw[:4096] + b"\xff" * 4096 + raw[8192:])
    elif damage == "other":
        shutil.copyfile(made / "market.db", copy)
    else:
        copy.unlink()
    before = sorted(path.name for path in data.iterdir())
    with pytest.raises(Theirs):
        restore(made, data, At(FIRST), "test")
    assert sorted(path.name for path in data.iterdir()) == before and fills(data / "state.db") == 2


PASSPHRASE = Secret("correct horse battery staple")
OTHER = Secret("incorrect horse battery staple")
FAST = 2  # scrypt's cost in tests; sealing has a test of the real one


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "SCRYPT_N", FAST)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_sealed_backup_holds_no_plain_byte_anywhere_and_opens_with_its_passphrase(
    tmp_path: Path, cheap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, folder, seen = tmp_path / "data", tmp_path / "stick", set[str]()
    filled(data)
    seal = sealing.seal

    def sealed_while_watched(source: Path, target: Path, key: bytes, salt: bytes) -> None:
        seal(source, target, key, salt)
        seen.update(path.name for path in folder.rglob("*") if path.is_file())

    monkeypatch.setattr(sealing, "seal", sealed_while_watched)
    made = back_up(data, folder, At(FIRST), PASSPHRASE)
    assert seen == {"state.db.sealed", "market.db.sealed"} == {path.name for path in made.iterdir()}
    assert b"SQLite format" not in b"".join(path.read_bytes() for path in made.iterdir())
    assert backup.is_sealed(made) and not [name for name in files(data) if "2026" in name]
    restore(made, tmp_path / "fresh", At(FIRST), "test", PASSPHRASE)
    assert fills(tmp_path / "fresh" / "state.db") == 2
    assert ".opened" not in files(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("another passphrase", "does not open"),
        ("no passphrase", "needs its passphrase"),
        ("a flipped byte", "does not open"),
        ("cut", "does not open"),
        ("cut to nothing", "no sealed file"),
        ("one file missing", "is missing"),
        ("files of two backups", "different backups"),
        ("files swapped", "does not open"),
    ],
)
def test_refuses_a_sealed_backup_that_does_not_open_and_changes_nothing(
    tmp_path: Path, cheap: None, damage: str, words: str
) -> None:
    data, folder = tmp_path / "data", tmp_path / "backups"
    filled(data, armed=True)
    made = back_up(data, folder, At(FIRST), PASSPHRASE)
    copy, market = made / "state.db.sealed", made / "market.db.sealed"
    raw, passphrase = copy.read_bytes(), PASSPHRASE
    if damage == "a flipped byte":
        copy.write_bytes(raw[:5_000] + bytes([raw[5_000] ^ 4]) + raw[5_001:])
    elif damage == "cut":
        copy.write_bytes(raw[: len(raw) // 2])
    elif damage == "cut to nothing":
        copy.write_bytes(b"")
    elif damage == "one file missing":
        market.unlink()
    elif damage == "files of two backups":
        later = back_up(data, folder, At(FIRST + timedelta(days=1)), PASSPHRASE)
        shutil.copyfile(later / market.name, market)
    elif damage == "files swapped":
        copy.write_bytes(market.read_bytes())
        market.write_bytes(raw)
    before = files(data)
    given = {"another passphrase": OTHER, "no passphrase": None}.get(damage, passphrase)
    with pytest.raises((Theirs, Unable), match=words):
        restore(made, data, At(FIRST), "test", given)
    assert files(data) == before and (data / MARK_FILE).exists() and fills(data / "state.db") == 2


def test_what_a_killed_backup_left_is_cleared_and_a_short_passphrase_leaves_nothing(
    tmp_path: Path, cheap: None
) -> None:
    data, folder = tmp_path / "data", tmp_path / "backups"
    filled(data)
    for left in (data / ".20260104T030000Z.plain", folder / ".20260104T030000Z.new"):
        left.mkdir(parents=True)
        (left / "state.db").write_bytes(b"half")
    with pytest.raises(Refused, match=r"backup\.passphrase"):
        back_up(data, folder, At(FIRST), Secret("short"))
    assert files(folder) == [] and not list(data.glob("*.plain"))
    made = back_up(data, folder, At(FIRST), PASSPHRASE)
    assert files(folder) == [made.name]


def test_one_backup_at_a_time(tmp_path: Path) -> None:
    data = tmp_path / "data"
    filled(data)
    with backup._alone(data), pytest.raises(Refused, match=r"backup\.running"):
        back_up(data, tmp_path / "backups", At(FIRST))
    assert back_up(data, tmp_path / "backups", At(FIRST)).exists()


def restoring(made: Path, data: Path, step: int) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "tests.store.restoring_child", str(made), str(data), str(step))
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.long
def test_kill_9_at_any_step_of_a_restore_leaves_a_journal_that_is_not_armed(
    tmp_path: Path, cheap: None
) -> None:
    old, damaged = tmp_path / "old", list[str]()
    filled(old, armed=True)
    made = back_up(old, tmp_path / "backups", At(FIRST), PASSPHRASE)
    asyncio.run(append(old, fill(3), TagsReserved(640)))
    done = restoring(made, Path(shutil.copytree(old, tmp_path / "whole")), 0)
    assert done.returncode == 0, done.stderr
    outcomes = set()
    for step in range(1, int(done.stdout) + 1):
        data = Path(shutil.copytree(old, tmp_path / f"cut-{step}"))
        assert restoring(made, data, step).returncode == -signal.SIGKILL
        untouched = (data / MARK_FILE).exists()
        found = asyncio.run(recovered(data))
        latch = found.latch is not None and found.latch.armed
        booked = len(found.fills)
        outcomes.add((booked, latch))
        if latch and not (untouched and booked == 3):
            damaged.append(f"step {step}: armed with {booked} fills")
        again = restoring(made, data, 0)
        assert again.returncode == 0, f"after step {step}: {again.stderr}"
        shutil.rmtree(data)
    assert not damaged
    assert {(3, True), (3, False), (2, False)} <= outcomes <= {(3, True), (3, False), (2, False), (0, False)}
