"""One database file: opening it safely, its pragmas, and its one writing connection.

The only module that touches `sqlite3` connections. It knows nothing of records or tables. Two rules shape it:

- Debian's SQLite has a WAL-reset bug that needs two connections which write or checkpoint; so there is
  exactly one (`Database`), and every other connection is opened read-only, which can do neither.
- A damaged file is evidence. It is inspected read-only first, so that refusing it changes no byte of it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import aiosqlite

from app.errors import PlimsollError, Theirs, Unable
from app.store.schema import Schema, version_of

Row: TypeAlias = tuple[Any, ...]
Batch: TypeAlias = Sequence[tuple[str, Sequence[Row]]]

BUSY_S = 5.0  # seconds to wait for a lock that only a foreign tool can hold; longer would hide it
CHECKPOINT_PAGES = 1_000  # of 4 KiB: the log is folded into the file every 4 MB, some thousand orders
LOG_LIMIT = 8 * 1024 * 1024  # bytes the log file keeps after a checkpoint; flash is small
FILE_MODE = 0o600  # orders and balances are nobody else's business
QUICK_CHECK_LINES = 3  # of the damage report, enough for an owner to send on

WRITER_PRAGMAS = f"""
PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
PRAGMA journal_size_limit = {LOG_LIMIT};
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA secure_delete = OFF;
PRAGMA temp_store = MEMORY;
PRAGMA mmap_size = 0;
"""
READER_PRAGMAS = """
PRAGMA query_only = ON;
PRAGMA wal_autocheckpoint = 0;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA temp_store = MEMORY;
PRAGMA mmap_size = 0;
"""


class _BatchConnection(sqlite3.Connection):
    """A connection whose `commit` writes the batch that waits in `inbox` as one transaction, all or nothing.

    aiosqlite runs `commit` on the connection's own thread, so a group of any size costs one thread hop, not
    one for each statement.
    """

    def __init__(self, inbox: deque[Batch], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._inbox = inbox

    def commit(self) -> None:
        batch = self._inbox.popleft()
        self.execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in batch:
                if rows:
                    self.executemany(statement, rows)
                else:
                    self.execute(statement)
            self.execute("COMMIT")
        except BaseException:
            if self.in_transaction:
                with suppress(sqlite3.Error):
                    self.execute("ROLLBACK")
            raise


class Database:
    """The one writing and checkpointing connection of a file."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, inbox: deque[Batch]) -> None:
        self.path, self._connection, self._inbox = path, connection, inbox
        self._closed = False

    async def write(self, batch: Batch) -> None:
        """Write (statement, rows) pairs as one transaction; no rows = a statement without parameters.

        Returns once the commit is on disk. Raises what sqlite3 raises; then nothing of the batch is in the
        file. Never called twice at a time.
        """
        self._inbox.append(batch)
        await self._connection.commit()

    async def ping(self) -> None:
        """Return once this connection's own thread has answered: behind a write that hangs, this hangs too.

        An error is an answer. It writes nothing: a flash card has so many writes, and a disk that hangs is
        found by the next real one, which this then waits behind.
        """
        with suppress(sqlite3.Error, ValueError):  # ValueError: the connection is closed
            await self._connection.execute_fetchall("SELECT count(*) FROM sqlite_schema")

    async def close(self) -> None:
        """Fold the log into the file and close; a disk that cannot is no reason to stay open. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            with suppress(sqlite3.Error):
                await self._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            await self._connection.close()


def _named(name: str, factory: Any) -> Any:
    """A connection factory that also names the thread it runs on, for whoever looks at a stuck process."""

    def make(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        threading.current_thread().name = name
        connection: sqlite3.Connection = factory(*args, **kwargs)
        return connection

    return make


def _connect(file: Path | str, name: str, factory: Any) -> aiosqlite.Connection:
    """A connection to await, in autocommit, whose thread never keeps a dying process alive.

    A thread is a daemon when the one that made it is, and aiosqlite offers no other way to ask for that.
    Dying in the middle of a write is what the log is for.
    """
    made: list[aiosqlite.Connection] = []

    def make() -> None:
        connector = _named(name, factory)
        made.append(
            aiosqlite.connect(
                file, uri=isinstance(file, str), timeout=BUSY_S, isolation_level=None, factory=connector
            )
        )

    maker = threading.Thread(target=make, name=f"{name} maker", daemon=True)
    maker.start()
    maker.join()
    return made[0]


async def open_database(folder: Path, schema: Schema) -> Database:
    """Open the file of `schema` in `folder` for writing, create or migrate it. Undoes itself when it raises.

    Raises Theirs (damaged, not ours, too new for this program) and Refused (cannot be written); both say
    what to do.
    """
    path = folder / schema.file
    try:
        version = 0 if _made(path) else await _inspect_ours(path, schema)
        return await _open(path, schema, version)
    except (sqlite3.Error, OSError) as error:
        raise unusable(path, error) from error


def _read_only_uri(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


def _made(path: Path) -> bool:
    """Make the file, for our own user alone; False when it is there. SQLite gives its log the same mode."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        return True
    except FileExistsError:
        return False


async def _open(path: Path, schema: Schema, version: int) -> Database:
    inbox: deque[Batch] = deque()

    def make(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return _BatchConnection(inbox, *args, **kwargs)

    connection = await _connect(path, f"{schema.file} writer", make)
    database = Database(path, connection, inbox)
    try:
        await _configure(connection, schema)
        steps = schema.statements(version)
        if steps:
            await database.write([(step, ()) for step in steps])
    except BaseException:
        await connection.close()
        raise
    return database


async def _configure(connection: aiosqlite.Connection, schema: Schema) -> None:
    """Set the pragmas and read them back: without WAL and FULL an order is not durable."""
    await connection.executescript(WRITER_PRAGMAS)
    mode = await _value(connection, "PRAGMA journal_mode = WAL")
    await connection.executescript(f"PRAGMA synchronous = {schema.synchronous}")
    synchronous = await _value(connection, "PRAGMA synchronous")
    if (mode, synchronous) != ("wal", {"NORMAL": 1, "FULL": 2}[schema.synchronous]):
        found = f"journal_mode {mode}, synchronous {synchronous}"
        raise sqlite3.OperationalError(f"the file system does not support WAL ({found})")


async def open_reader(path: Path) -> aiosqlite.Connection:
    """A connection that can neither write nor checkpoint. Raises what sqlite3 raises."""
    connection = await _connect(_read_only_uri(path), f"{path.name} reader", sqlite3.Connection)
    try:
        await connection.executescript(READER_PRAGMAS)
    except BaseException:
        await connection.close()
        raise
    connection.row_factory = aiosqlite.Row
    return connection


async def _inspect_ours(path: Path, schema: Schema) -> int:
    """As `inspect`, for a file about to be written. A power cut before the file had its log (it was new, or
    just restored) left a transaction that SQLite must undo first, which a read-only connection may not.
    """
    try:
        return await inspect(path, schema)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
    connection = await _connect(path, f"{path.name} undo", sqlite3.Connection)
    try:
        await _value(connection, "SELECT count(*) FROM sqlite_schema")  # the first read undoes it
    finally:
        await connection.close()
    return await inspect(path, schema)


async def inspect(path: Path, schema: Schema) -> int:
    """The version of an existing file after a quick check, 0 = empty. Raises Theirs and changes no byte."""
    connection = await open_reader(path)
    try:
        version = await check_identity(connection, path, schema)
        rows = await connection.execute_fetchall("PRAGMA quick_check")
        problems = [str(row[0]) for row in rows if row[0] != "ok"][:QUICK_CHECK_LINES]
        if problems:
            raise unusable(path, sqlite3.DatabaseError("; ".join(problems)))
        return version
    finally:
        await connection.close()


async def check_identity(connection: aiosqlite.Connection, path: Path, schema: Schema) -> int:
    """The file's version. Raises Theirs when it is another program's, or too new for this program."""
    stamp = int(await _value(connection, "PRAGMA user_version"))
    application = int(await _value(connection, "PRAGMA application_id"))
    tables = int(await _value(connection, "SELECT count(*) FROM sqlite_schema"))
    if (application, stamp, tables) == (0, 0, 0):
        return 0
    version = version_of(stamp)
    if application != schema.application_id or version < 1:
        raise Theirs(str(path), "is not a database of Plimsoll; move it elsewhere")
    if not schema.admits(stamp):
        problem = f"has version {version}, this program knows {schema.version}; install the newer program"
        raise Theirs(str(path), problem)
    return version


async def _value(connection: aiosqlite.Connection, statement: str) -> Any:
    rows = list(await connection.execute_fetchall(statement))
    return rows[0][0] if rows else None


def unusable(path: Path, error: Exception) -> PlimsollError:
    """The error for an owner: what is wrong with the file and what to do about it."""
    if type(error) is sqlite3.DatabaseError:  # its subclasses mean the disk, the lock or the statement
        return Theirs(
            str(path), f"is damaged and was left as it is; move it aside to begin a new one ({error})"
        )
    return Unable("store.unusable", f"{path}: {error}", hint="check free space and permissions of its folder")
