"""Backups of both files while the service runs or not, and the way back.

A backup is a folder `YYYYMMDDTHHMMSSZ` with a compacted copy of each file. It gets its name only after both
copies were checked whole and flushed: a folder with such a name is good, whatever happened. Reading needs no
lock and writes nothing to the journal, so the rule of one writing connection holds. With a passphrase the
copies are sealed (`sealing`), for a backup that leaves the house.

A restored journal is older than the world. It therefore comes back halted by a person's reason and disarmed;
its tag counter jumps beyond every tag that could have been used since; fills that it lacks are read from the
venue by the start's complete read, like after any long absence.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app import durable
from app.clock import NS, Clock
from app.config import Secret
from app.errors import Refused, Theirs, Unable, clean
from app.store import sealing
from app.store.database import FILE_MODE, unusable
from app.store.latch import write_latch
from app.store.lock import InstanceLock
from app.store.mark import ArmedMark
from app.store.schema import MARKET, STATE, Schema

DAILY_KEPT = 7  # newest backup of each of the last days
WEEKLY_KEPT = 4  # newest backup of each of the last ISO weeks
TAG_JUMP = 10_000_000  # four weeks of the highest order rate there can be, 160 a minute, are 6,451,200
FREE_FACTOR = 2  # free space asked for, in sizes of the files: the copies, and as much left for the journal
SEALED_FACTOR = 3  # the same when they are sealed: the plain copies lie there for a moment too
FOLDER_MODE = 0o700
LOGS = ("wal", "shm", "journal")  # beside a file; played into another of its name they would ruin it
FAILURE = ".failure"  # in a folder of backups: why the last one failed, for those who look after it
FAILURE_LIMIT = 500  # characters of it
_NAME = "%Y%m%dT%H%M%SZ"
_NAMED = re.compile(r"\d{8}T\d{6}Z")
_FILES = (STATE, MARKET)


def back_up(data_dir: Path, folder: Path, clock: Clock, passphrase: Secret | None = None) -> Path:
    """Copy both files into a new folder below `folder`, let old ones go; returns the new one's path.

    With a passphrase what lies in `folder` is sealed, at every moment. Blocks for as long as reading and
    flushing take: not for the loop. Raises Refused (nothing to copy, no space, an I/O error, a short
    passphrase) and Theirs (a copy is damaged); then no backup was added and none was removed.
    """
    name = datetime.fromtimestamp(clock.wall_ns() // NS, UTC).strftime(_NAME)
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    _check_there(data_dir)
    with _alone(data_dir):
        _clear_begun(data_dir, folder)
        _check_space(data_dir, folder, sealed=passphrase is not None)
        made, begun = folder / name, folder / f".{name}.new"
        if made.exists():
            raise Refused("backup.exists", made, hint="there is one of this second already")
        try:
            _fill(data_dir, begun, passphrase)
            durable.flush(begun)
            begun.rename(made)
            durable.flush(folder)
        except (sqlite3.Error, OSError) as error:
            raise unusable(begun, error) from error
        finally:
            _clear_begun(data_dir, folder)
        # those of a clock that was ahead keep no place from those of today, and stay
        for old in expired(each for each in names(folder) if each <= made.name):
            shutil.rmtree(folder / old, ignore_errors=True)
    return made


def note_failure(folder: Path, words: str) -> None:
    """Leave in `folder` why a backup failed. A disk that does not take even that is told of by others."""
    with suppress(OSError):
        durable.write(folder / FAILURE, f"{clean(words, FAILURE_LIMIT)}\n".encode(), FILE_MODE)


def forget_failure(folder: Path) -> None:
    """The last one was made."""
    with suppress(OSError):
        (folder / FAILURE).unlink(missing_ok=True)


def _fill(data_dir: Path, begun: Path, passphrase: Secret | None) -> None:
    """The checked copies, in `begun`. Those to be sealed lie beside the journal meanwhile, which is no less
    plain, and never where the backup goes.
    """
    begun.mkdir(mode=FOLDER_MODE)
    plain = begun if passphrase is None else data_dir / f"{begun.stem}.plain"
    plain.mkdir(mode=FOLDER_MODE, exist_ok=True)
    for schema in _FILES:
        _copy(data_dir / schema.file, plain / schema.file)
        verify(plain / schema.file, schema)
    if passphrase is not None:
        salt = sealing.new_salt()
        for schema, key in zip(_FILES, sealing.keys(passphrase, salt, len(_FILES)), strict=True):
            sealed = begun / f"{schema.file}{sealing.SUFFIX}"
            sealing.seal(plain / schema.file, sealed, key, salt)
            sealing.check(sealed, key)


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """One backup of a journal at a time. Raises Unable."""
    handle = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unable("backup.running", data_dir, hint="another backup is being made") from None
        yield
    finally:
        os.close(handle)


def _clear_begun(data_dir: Path, folder: Path) -> None:
    """Remove what this backup, or one that was killed, has begun."""
    for place, ending in ((folder, ".new"), (data_dir, ".plain")):
        for left in place.glob(f".????????T??????Z{ending}"):
            shutil.rmtree(left, ignore_errors=True)


def names(folder: Path) -> list[str]:
    """The backups in `folder`, oldest first; unfinished ones and anything else are not among them."""
    return sorted(path.name for path in folder.iterdir() if _is_named(path.name) and path.is_dir())


def _is_named(name: str) -> bool:
    if not _NAMED.fullmatch(name):
        return False
    try:
        datetime.strptime(name, _NAME).replace(tzinfo=UTC)
    except ValueError:  # the owner's own folder, say with a thirteenth month
        return False
    return True


def expired(backups: Iterable[str]) -> list[str]:
    """Those to let go: all but the newest of each of the last days and of each of the last weeks."""
    days: dict[object, str] = {}
    weeks: dict[object, str] = {}
    ordered = sorted(backups)
    for name in ordered:
        when = datetime.strptime(name, _NAME).replace(tzinfo=UTC)
        days[when.date()] = weeks[when.date() - timedelta(days=when.weekday())] = name
    kept = {*list(days.values())[-DAILY_KEPT:], *list(weeks.values())[-WEEKLY_KEPT:]}
    return [name for name in ordered if name not in kept]


def verify(path: Path, schema: Schema) -> None:
    """Read all of a copy. Raises Theirs when it is damaged, not ours or too new for this program."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            found = [str(row[0]) for row in db.execute("PRAGMA integrity_check(3)")]
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (stamp,) = db.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise Theirs(str(path), f"is damaged: {error}") from None
    if found != ["ok"]:
        raise Theirs(str(path), f"is damaged: {'; '.join(found)}")
    if application != schema.application_id or not schema.admits(stamp):
        raise Theirs(str(path), f"is not a {schema.file} that this program knows")


def is_sealed(backup: Path) -> bool:
    """Whether it needs its passphrase."""
    return any((backup / f"{schema.file}{sealing.SUFFIX}").exists() for schema in _FILES)


def restore(backup: Path, data_dir: Path, clock: Clock, by: str, passphrase: Secret | None = None) -> Path:
    """Put a backup in the place of the journal in `data_dir`; returns where the replaced files are now.

    Raises Refused while a service runs, Theirs when the backup is not whole or the passphrase is another;
    then nothing was changed. What is interrupted later leaves a journal that is missing or disarmed: both
    start halted.
    """
    data_dir.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    lock = InstanceLock(data_dir)
    try:
        with _opened(backup, data_dir, passphrase) as whole:
            for schema in _FILES:
                verify(whole / schema.file, schema)
            ArmedMark(data_dir).remove_now()
            for schema in _FILES:
                _begin(whole / schema.file, data_dir / f"{schema.file}.restored")
        _jump_tags(data_dir / f"{STATE.file}.restored")  # before it can be taken for the journal
        aside = _set_aside(data_dir, clock)
        for schema in _FILES:
            (data_dir / f"{schema.file}.restored").rename(data_dir / schema.file)
        durable.flush(data_dir)
    except (sqlite3.Error, OSError) as error:
        raise unusable(data_dir, error) from error
    finally:
        lock.release()
    asyncio.run(write_latch(data_dir, by=by, why=f"restored from backup {backup.name}", clock=clock))
    return aside


@contextmanager
def _opened(backup: Path, data_dir: Path, passphrase: Secret | None) -> Iterator[Path]:
    """A folder with the plain files of `backup`: itself, or one in `data_dir` that goes away again.

    Raises Unable without a passphrase for a sealed one, Theirs when it does not open, OSError.
    """
    if not is_sealed(backup):
        yield backup
        return
    if passphrase is None:
        raise Unable("backup.sealed", backup, hint="it needs its passphrase: --passphrase-file FILE")
    files = [backup / f"{schema.file}{sealing.SUFFIX}" for schema in _FILES]
    salts = {_present(file, sealing.salt_of) for file in files}
    if len(salts) > 1:
        raise Theirs(str(backup), "holds files of different backups")
    folder = data_dir / ".opened"
    shutil.rmtree(folder, ignore_errors=True)  # of a restore that was killed
    try:
        folder.mkdir(mode=FOLDER_MODE)
        for file, key in zip(files, sealing.keys(passphrase, salts.pop(), len(files)), strict=True):
            sealing.unseal(file, folder / file.stem, key)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _present(file: Path, read: Callable[[Path], bytes]) -> bytes:
    try:
        return read(file)
    except FileNotFoundError:
        raise Theirs(str(file), "is missing") from None


def _set_aside(data_dir: Path, clock: Clock) -> Path:
    """Move the present files, logs included, into a folder of their own: they are evidence."""
    name = datetime.fromtimestamp(clock.wall_ns() // NS, UTC).strftime(_NAME)
    others = len(list(data_dir.glob(f"replaced-{name}*")))  # of the same second: a restore that was cut short
    aside = data_dir / (f"replaced-{name}-{others}" if others else f"replaced-{name}")
    aside.mkdir(mode=FOLDER_MODE)
    for schema in _FILES:
        for name in (schema.file, *(f"{schema.file}-{log}" for log in LOGS)):
            if (data_dir / name).exists():
                (data_dir / name).rename(aside / name)
    return aside


def _begin(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)  # of a restore that was interrupted
    _copy(source, target)


def _jump_tags(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "INSERT INTO tag_counter (id, up_to) VALUES (1, ?) "
            "ON CONFLICT (id) DO UPDATE SET up_to = up_to + excluded.up_to",
            (TAG_JUMP,),
        )
    durable.flush(path)


def _copy(source: Path, target: Path) -> None:
    """A compacted copy as of now, flushed. The source is opened read-only and never checkpointed."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as db:
        db.execute("VACUUM INTO ?", (str(target),))
    durable.flush(target)


def _check_there(data_dir: Path) -> None:
    for schema in _FILES:
        source = data_dir / schema.file
        if not source.exists():
            raise Unable("store.missing", source, hint="no service has run with this data_dir yet")


def _check_space(data_dir: Path, folder: Path, *, sealed: bool) -> None:
    size = sum(path.stat().st_size for schema in _FILES for path in data_dir.glob(f"{schema.file}*"))
    needed = size * (SEALED_FACTOR if sealed else FREE_FACTOR)
    for place in (folder, data_dir) if sealed else (folder,):
        free = shutil.disk_usage(place).free
        if free < needed:
            raise Unable("backup.space", f"{free} bytes free in {place}", f"{needed} bytes")
