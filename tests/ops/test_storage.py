"""What the disk says of itself, what is made of it, and that nobody waits for a disk that hangs."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import VirtualClock
from app.engine.snapshot import StorageView
from app.ops import storage
from app.ops.backups import LATE_NS
from app.ops.storage import (
    DAY_NS,
    ENTRIES_MAX,
    FREE_LEAST,
    HOLD_NS,
    LIFE_MOST,
    LOOK_NS,
    PATIENCE_NS,
    SAMPLE_NS,
    SECTOR,
    SPARE_MOST,
    USED_MOST,
    WRITTEN_MOST,
    Day,
    Judge,
    Reading,
    Source,
    watch,
)
from tests.guards import PATIENCE

WELL = Reading(free=FREE_LEAST, used=USED_MOST, written=0, device_written=0, life=1, spare=1)


class Machine:
    """A /sys and /proc with an eMMC under the data folder; `partition` as on the board."""

    def __init__(self, home: Path, *, partition: bool = True) -> None:
        self.data = home / "data"
        self.data.mkdir()
        number = self.data.stat().st_dev
        self.disk = home / "sys/devices/mmcblk0"
        holder = self.disk / "mmcblk0p3" if partition else self.disk
        (self.disk / "device").mkdir(parents=True)
        holder.mkdir(exist_ok=True)
        if partition:
            (holder / "partition").write_text("3\n")
        links = home / "sys/dev/block"
        links.mkdir(parents=True)
        (links / f"{os.major(number)}:{os.minor(number)}").symlink_to(holder)
        (home / "proc").mkdir()
        self.io = home / "proc/io"
        self.source = Source(self.data, home / "sys", home / "proc")
        self.says(life="0x01 0x02\n", eol="0x01\n", sectors=8, written=4096)

    def says(self, *, life: str, eol: str, sectors: int, written: int) -> None:
        (self.disk / "device/life_time").write_text(life)
        (self.disk / "device/pre_eol_info").write_text(eol)
        (self.disk / "stat").write_text(f"  1  2  3  4  5  6  {sectors}  8  9 10 11\n")
        self.io.write_text(f"rchar: 1\nwrite_bytes: {written}\ncancelled_write_bytes: 3\n")


@pytest.mark.parametrize("partition", [True, False])
def test_reads_wear_writes_and_space(tmp_path: Path, partition: bool) -> None:
    machine = Machine(tmp_path, partition=partition)
    (machine.data / "backups").mkdir()
    (machine.data / "backups/state.db").write_bytes(b"x" * 8192)
    found = machine.source.read()
    assert (found.life, found.spare, found.written, found.device_written) == (2, 1, 4096, 8 * SECTOR)
    assert found.free > 0 and found.used >= 8192 and found.broken == ""


@pytest.mark.parametrize(
    ("life", "eol", "read"),
    [
        ("0x0b 0x01\n", "0x03\n", (11, 3)),
        ("0x09\n", "0x02\n", (9, 2)),
        ("0x00 0x00", "0x00", (0, 0)),
        ("", "", (-1, -1)),
        ("what?", "0xzz", (-1, -1)),
        ("0x01 " * 10_000, "9" * 10_000, (1, int("9" * 64))),
    ],
)
def test_reads_what_an_emmc_says_however_it_says_it(
    tmp_path: Path, life: str, eol: str, read: tuple[int, int]
) -> None:
    machine = Machine(tmp_path)
    machine.says(life=life, eol=eol, sectors=0, written=0)
    found = machine.source.read()
    assert (found.life, found.spare) == read


def test_knows_less_on_a_machine_without_emmc_and_says_so_of_a_folder_that_is_gone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    source = Source(data, tmp_path / "no sys", tmp_path / "no proc")
    found = source.read()
    assert found == Reading(free=found.free, used=0)
    data.rmdir()
    assert source.read() == Reading(broken="No such file or directory")


def test_tells_of_the_backups_for_as_long_as_they_are_amiss_and_no_longer(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    now = int((tmp_path / "backups").stat().st_mtime) * 1_000_000_000
    late, judge = Source(tmp_path, wall_ns=lambda: now + 2 * LATE_NS), Judge()
    assert list(judge.view(late.read(), 0).troubles) == ["backup_late"]
    assert not judge.view(Source(tmp_path, wall_ns=lambda: now).read(), 1).troubles


def test_really_reads_this_machine(tmp_path: Path) -> None:
    before = Source(tmp_path).read()
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x" * 1_000_000)
        file.flush()
        os.fsync(file.fileno())
    after = Source(tmp_path).read()
    assert after.used - before.used >= 1_000_000
    assert after.written >= before.written >= 0


def test_counts_a_folder_of_endless_files_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "ENTRIES_MAX", 5)
    for number in range(9):
        (tmp_path / str(number)).write_bytes(b"x" * 4096)
    assert storage._size(tmp_path) == 5 * 4096
    assert ENTRIES_MAX == 10_000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"life": LIFE_MOST}, "storage_wear"),
        ({"life": 11}, "storage_wear"),
        ({"spare": SPARE_MOST}, "storage_wear"),
        ({"spare": 3}, "storage_wear"),
        ({"free": FREE_LEAST - 1}, "storage_free"),
        ({"free": 0}, "storage_free"),
        ({"used": USED_MOST + 1}, "storage_quota"),
        ({"broken": "Input/output error"}, "storage_broken"),
    ],
)
def test_finds_trouble_from_the_limit_on(change: dict[str, object], code: str) -> None:
    assert Judge().view(WELL, 0).troubles == {}
    assert list(Judge().view(replace(WELL, **change), 0).troubles) == [code]  # type: ignore[arg-type]


def test_just_inside_each_limit_all_is_well() -> None:
    inside = replace(WELL, life=LIFE_MOST - 1, spare=SPARE_MOST - 1)
    assert Judge().view(inside, 0).troubles == {}
    assert Judge().view(Reading(), 0).troubles == {}, "what is not known is no trouble"


def test_finds_too_many_bytes_within_a_day() -> None:
    judge = Judge()
    assert judge.view(replace(WELL, written=10**12), 0).written_bytes == 0, "what came before is not of today"
    most = judge.view(replace(WELL, written=10**12 + WRITTEN_MOST), DAY_NS // 2)
    assert (most.written_bytes, dict(most.troubles)) == (WRITTEN_MOST, {})
    over = judge.view(replace(WELL, written=10**12 + WRITTEN_MOST + 1), DAY_NS - 1)
    assert list(over.troubles) == ["storage_written"]
    late = judge.view(replace(WELL, written=10**12 + WRITTEN_MOST + 1), 2 * DAY_NS)
    assert late.troubles == {} and late.written_bytes <= 1


def test_a_trouble_that_comes_and_goes_is_one_until_it_stayed_away_for_an_hour() -> None:
    judge, full = Judge(), replace(WELL, free=0)
    for minute in range(0, 300, 2):
        at_ns = minute * LOOK_NS
        assert list(judge.view(full, at_ns).troubles) == ["storage_free"]
        assert list(judge.view(WELL, at_ns + LOOK_NS).troubles) == ["storage_free"]
    last_ns = 298 * LOOK_NS
    assert list(judge.view(WELL, last_ns + HOLD_NS - 1).troubles) == ["storage_free"]
    assert judge.view(WELL, last_ns + HOLD_NS).troubles == {}


def test_wear_is_told_in_percent_and_unknown_wear_is_unknown() -> None:
    assert [Judge().view(replace(WELL, life=life), 0).worn_percent for life in (-1, 0, 1, 11)] == [
        -1,
        -1,
        10,
        110,
    ]


@given(st.lists(st.tuples(st.integers(0, 2 * SAMPLE_NS), st.integers(0, 10**9)), min_size=1, max_size=200))
def test_a_day_never_counts_less_than_the_last_day_nor_more_than_a_day_and_an_hour(
    steps: list[tuple[int, int]],
) -> None:
    day, now, total, history = Day(), 0, 0, list[tuple[int, int]]()
    for waited, written in steps:
        now, total = now + waited, total + written
        history.append((now, total))
        grown = day.grown(total, now)
        last_day = total - min((t for at, t in history if at >= now - DAY_NS), default=total)
        older = [t for at, t in history if at <= now - DAY_NS - 3 * SAMPLE_NS]
        assert last_day <= grown <= total - max(older, default=0)
        assert len(day._points) <= DAY_NS // SAMPLE_NS + 2


class Disk:
    """Readings that a test lets go, one by one."""

    def __init__(self) -> None:
        self.go, self.asked, self.found = threading.Semaphore(0), 0, WELL

    def read(self) -> Reading:
        self.asked += 1
        assert self.go.acquire(timeout=PATIENCE)
        return self.found


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def test_tells_every_minute_and_tells_of_a_disk_that_does_not_answer_without_asking_twice() -> None:
    clock, disk, told = VirtualClock(0), Disk(), list[StorageView]()
    watching = asyncio.create_task(watch(disk.read, told.append, clock))
    try:
        disk.go.release()
        await settled(lambda: len(told) == 1)
        assert told[0].troubles == {} and told[0].free_bytes == FREE_LEAST
        clock.advance(LOOK_NS)
        await settled(lambda: disk.asked == 2)
        await asyncio.sleep(0)
        clock.advance(PATIENCE_NS)
        await settled(lambda: len(told) == 2)
        assert list(told[1].troubles) == ["storage_slow"] and told[1].free_bytes == FREE_LEAST
        clock.advance(100 * LOOK_NS)
        await asyncio.sleep(0)
        assert (disk.asked, len(told)) == (2, 2)
        disk.found = replace(WELL, life=9)
        disk.go.release()
        await settled(lambda: len(told) == 3)
        assert list(told[2].troubles) == ["storage_wear"]
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_watch_that_ends_leaves_a_hanging_disk_alone() -> None:
    clock, disk = VirtualClock(0), Disk()
    watching = asyncio.create_task(watch(disk.read, lambda _view: None, clock))
    await settled(lambda: disk.asked == 1)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    threads = [thread for thread in threading.enumerate() if thread.name == "storage"]
    assert threads and all(thread.daemon for thread in threads)
    disk.go.release()
    for thread in threads:
        thread.join(PATIENCE)
    await asyncio.sleep(0)
