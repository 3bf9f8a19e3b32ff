"""The disk under the journal: how worn, how full, how much is written to it, and what of that is too much;
and whether the journal's daily copies are made.

Measured, not guarded: what is found here is told and closes nothing; a journal that cannot be written does
that by itself. Reading may block as long as a sick disk likes, so it has a thread of its own, one reading at
a time, and a reading that does not come back is a finding too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from app.aside import aside
from app.clock import NS, Clock, SystemClock, pause
from app.engine.snapshot import StorageView
from app.ops import backups

LOOK_NS = 60 * NS  # between two readings: nothing here moves faster
PATIENCE_NS = 10 * NS  # for one reading; a flash card that tidies up pauses for one second
HOLD_NS = 3_600 * NS  # a trouble stands so long after it was last seen: what comes and goes is one
DAY_NS = 86_400 * NS
SAMPLE_NS = 3_600 * NS  # between two points of the day that is looked back on: 25 of them are kept

# What is told. Bytes, unless said otherwise.
WRITTEN_MOST = 150_000_000  # a day by the service: 55 GB a year, a thousandth of what a 16 GB eMMC takes
USED_MOST = 4_000_000_000  # in the data folder: a quarter of the smallest board's disk, some ten years
FREE_LEAST = 500_000_000  # an update needs 250 MB while it switches, a backup twice the journal
LIFE_MOST = (
    0x09  # JEDEC's life_time: from here on more than 80 % of the writes the device is made for are spent
)
SPARE_MOST = 2  # JEDEC's pre_eol_info: 2 = 80 % of the spare blocks are used, 3 = the end is near

TEXT_LIMIT = 64  # bytes of a file in /sys
IO_LIMIT = 1_024  # bytes of /proc/self/io: seven short lines
ENTRIES_MAX = 10_000  # of the data folder: some dozens are normal, and counting must end
SECTOR = 512  # bytes, in the block layer's statistics whatever the device has
WRITES_FIELD = 6  # of a device's stat file, from 0: sectors written


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found. -1 = not known on this machine. Counters only ever grow."""

    free: int = -1
    used: int = -1
    written: int = -1  # by this process since it began
    device_written: int = -1  # by the whole machine since it began
    life: int = -1  # JEDEC's steps of 10 %, the worse of the two kinds of memory; 0 = not told
    spare: int = -1
    broken: str = ""  # why the folder could not be looked at
    backups: tuple[tuple[str, str], ...] = ()  # what is wrong with them: code and words


@dataclass(frozen=True, slots=True)
class Source:
    """The folder that is measured, and where the kernel tells of it."""

    data_dir: Path
    sys: Path = Path("/sys")
    proc: Path = Path("/proc/self")
    wall_ns: Callable[[], int] = SystemClock().wall_ns  # the machine's own, as backups are named by it

    def read(self) -> Reading:
        """Everything, blocking. What is missing is -1; a folder that gives an error says so in `broken`."""
        disk = self._disk()
        life, spare = _wear(disk)
        written, machine = _written(self.proc / "io"), _sectors(disk)
        try:
            free, used = shutil.disk_usage(self.data_dir).free, _size(self.data_dir)
            missed = tuple(backups.troubles(self.data_dir, self.wall_ns()))
        except OSError as error:
            return Reading(-1, -1, written, machine, life, spare, error.strerror or "an I/O error")
        return Reading(free, used, written, machine, life, spare, backups=missed)

    def _disk(self) -> Path | None:
        """The folder in /sys of the disk that holds the data folder; None where no block device does."""
        try:
            number = os.stat(self.data_dir).st_dev
            block = (self.sys / "dev/block" / f"{os.major(number)}:{os.minor(number)}").resolve(strict=True)
        except OSError:
            return None
        return block.parent if (block / "partition").exists() else block


def _wear(disk: Path | None) -> tuple[int, int]:
    """life_time, the worse of both numbers, and pre_eol_info; -1 where the device is no eMMC."""
    if disk is None:
        return -1, -1
    lives = [_number(word) for word in _text(disk / "device/life_time").split()]
    return max(lives, default=-1), _number(_text(disk / "device/pre_eol_info"))


def _written(io: Path) -> int:
    """Bytes that this process made the kernel write; -1 unknown."""
    for line in _text(io, IO_LIMIT).splitlines():
        name, _, value = line.partition(":")
        if name == "write_bytes":
            return _number(value)
    return -1


def _sectors(disk: Path | None) -> int:
    fields = _text(disk / "stat", IO_LIMIT).split() if disk else []
    sectors = _number(fields[WRITES_FIELD]) if len(fields) > WRITES_FIELD else -1
    return sectors * SECTOR if sectors >= 0 else -1


def _text(file: Path, limit: int = TEXT_LIMIT) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(limit).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _number(text: str) -> int:
    try:
        return int(text.strip(), 0)
    except ValueError:
        return -1


def _size(folder: Path) -> int:
    """Bytes that the files below `folder` take on the disk. What vanishes meanwhile takes none."""
    total, left, folders = 0, ENTRIES_MAX, [str(folder)]
    while folders and left:
        for entry in _entries(folders.pop(), left):
            left -= 1
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * SECTOR
    return total


def _entries(folder: str, most: int) -> list[os.DirEntry[str]]:
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        return list(islice(found, most))
    return []


@dataclass(slots=True)
class Day:
    """Growth of a counter within the last day, to the hour."""

    _points: deque[tuple[int, int]] = field(default_factory=deque)

    def grown(self, total: int, mono_ns: int) -> int:
        """Since a day ago, or since the first call; -1 for a counter nobody knows."""
        if total < 0:
            return -1
        if not self._points or mono_ns - self._points[-1][0] >= SAMPLE_NS:
            self._points.append((mono_ns, total))
        while len(self._points) > 1 and mono_ns - self._points[1][0] >= DAY_NS:
            self._points.popleft()
        return max(0, total - self._points[0][1])


@dataclass(slots=True)
class Judge:
    """Readings in, what people and alarms see out. Pure."""

    _written: Day = field(default_factory=Day)
    _device: Day = field(default_factory=Day)
    _seen: dict[str, tuple[str, int]] = field(default_factory=dict)  # by code: words, and when last

    def view(self, found: Reading, mono_ns: int) -> StorageView:
        """The picture after `found`, with every trouble it shows and those of the last hour."""
        written = self._written.grown(found.written, mono_ns)
        self._seen = {code: seen for code, seen in self._seen.items() if mono_ns - seen[1] < HOLD_NS}
        self._seen.update({code: (words, mono_ns) for code, words in _troubles(found, written)})
        return StorageView(
            free_bytes=found.free,
            used_bytes=found.used,
            written_bytes=written,
            device_written_bytes=self._device.grown(found.device_written, mono_ns),
            worn_percent=found.life * 10 if found.life > 0 else -1,
            spare=found.spare,
            troubles={**{code: words for code, (words, _) in self._seen.items()}, **dict(found.backups)},
        )


def _troubles(found: Reading, written: int) -> Iterator[tuple[str, str]]:
    """A stable code and words for each."""
    if found.broken:
        yield "storage_broken", f"the data folder cannot be read: {found.broken}"
    if found.life >= LIFE_MOST:
        yield "storage_wear", f"about {min(found.life * 10, 100)} % of the disk's life is spent; plan another"
    elif found.spare >= SPARE_MOST:
        yield "storage_wear", "most of the disk's spare blocks are used; plan another"
    if 0 <= found.free < FREE_LEAST:
        yield "storage_free", f"{megabytes(found.free)} are free, {megabytes(FREE_LEAST)} are wanted"
    if found.used > USED_MOST:
        yield "storage_quota", f"the data folder holds {megabytes(found.used)}, over {megabytes(USED_MOST)}"
    if written > WRITTEN_MOST:
        words = f"{megabytes(written)} were written within a day, over {megabytes(WRITTEN_MOST)}"
        yield "storage_written", f"{words}; the disk wears out early"


def megabytes(count: int) -> str:
    """ "12 MB"."""
    return f"{count // 1_000_000} MB"


async def watch(read: Callable[[], Reading], tell: Callable[[StorageView], None], clock: Clock) -> None:
    """Read every minute and tell the picture, until cancelled. A reading that hangs is told as well."""
    judge, last = Judge(), Reading()
    while True:
        asking = aside("storage", read)
        patience = asyncio.ensure_future(pause(clock, PATIENCE_NS))
        try:
            await asyncio.wait((asking, patience), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                view = judge.view(last, clock.mono_ns())
                slow = f"has not answered for {PATIENCE_NS // NS} s"
                tell(view.troubled("storage_slow", f"the disk {slow}"))
            last = await asking
        finally:
            patience.cancel()
        tell(judge.view(last, clock.mono_ns()))
        await pause(clock, LOOK_NS)
