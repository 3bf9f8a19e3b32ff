"""Whether the daily backups are made: what the last one failed of, and how old the newest is. Read only.

Judged from what lies in their folder, so that a timer that is off, a backup that was killed and a unit that
does not start are found as well. Without that folder, which the installer makes, nobody asked for backups.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from app import durable
from app.clock import NS
from app.errors import clean

FOLDER = "backups"  # below the data folder
# In it: why the last one failed, as `app.store.backup` writes it (a test holds them equal).
FAILURE = ".failure"
# One is due every 24 hours; 25 on the day the clocks go back, and an hour to make it.
LATE_NS = 26 * 3_600 * NS
RUN_NS = 3_600 * NS  # one that was begun longer ago was killed; its unit gives it ten minutes
ADVICE = "one is due every day: systemctl status plimsoll-backup"
ENTRIES_MAX = 1_000  # of the folder: eleven backups are kept
FILE_LIMIT = 4_096  # bytes of a failure: it is a line
WORDS_LIMIT = 200  # characters of a failure that are told
NAMED = re.compile(r"\d{8}T\d{6}Z")
BEGUN = re.compile(r"\.(\d{8}T\d{6}Z)\.new")  # one that is being made, until the next clears it away
NAME = "%Y%m%dT%H%M%SZ"


def troubles(data_dir: Path, wall_ns: int) -> Iterator[tuple[str, str]]:
    """A stable code and words for what is wrong at `wall_ns`. Raises OSError."""
    folder = data_dir / FOLDER
    try:
        with os.scandir(folder) as found:
            names = [entry.name for entry in islice(found, ENTRIES_MAX)]
        begun_s = folder.stat().st_mtime
    except FileNotFoundError:
        return
    made = _newest_s(names, wall_ns / NS)
    left = _newest_s([each[1] for each in map(BEGUN.fullmatch, names) if each], wall_ns / NS)
    if failed := _failure(folder, made):
        yield "backup_failed", failed
    elif left > made and wall_ns - left * NS > RUN_NS:
        when = datetime.fromtimestamp(left, UTC)
        yield "backup_late", f"the backup begun on {when:%Y-%m-%d %H:%M} UTC was never finished, {ADVICE}"
    elif wall_ns - (made or begun_s) * NS > LATE_NS:
        hours = int(wall_ns / NS - made) // 3_600
        words = f"the newest backup is {hours} hours old" if made else "no backup was ever made"
        yield "backup_late", f"{words}, {ADVICE}"


def _failure(folder: Path, made_s: float) -> str:
    """Why the last backup in `folder` failed, "" = it did not, or a later one, of `made_s`, is there."""
    file = folder / FAILURE
    try:
        when_s = file.lstat().st_mtime
        words = durable.read(file, FILE_LIMIT).decode(errors="replace").strip()
    except FileNotFoundError:
        return ""
    if when_s < made_s:
        return ""
    when = datetime.fromtimestamp(when_s, UTC)
    return f"the backup of {when:%Y-%m-%d %H:%M} UTC failed: {clean(words, WORDS_LIMIT)}"


def _newest_s(names: Iterable[str], now_s: float) -> float:
    """When the newest of `names` up to now was made; 0 = there is none."""
    return max((made for name in names if (made := _made_s(name)) <= now_s), default=0.0)


def _made_s(name: str) -> float:
    """When the backup of that name was made, in seconds; 0 = it is none."""
    try:
        return datetime.strptime(name, NAME).replace(tzinfo=UTC).timestamp() if NAMED.fullmatch(name) else 0.0
    except ValueError:  # the owner's own folder, say with a thirteenth month
        return 0.0
