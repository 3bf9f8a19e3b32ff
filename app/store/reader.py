"""Read-only history for page and command line, from a connection that can neither write nor checkpoint.

Rows come as dicts of column name to value, newest first; units are in the names (`_micro`, `_ticks`, `_ns`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite

from app.engine.records import Recovered, TwinException
from app.errors import Theirs, Unable
from app.store.database import check_identity, open_reader, unusable
from app.store.recovery import exceptions, recover
from app.store.rows import FILL_COLUMNS, ORDER_COLUMNS
from app.store.schema import STATE

READ_LIMIT = 1_000  # rows of one answer: a page shows dozens, and a reader must not hold the log for long

_FILLS = ", ".join(f"f.{name}" for name in FILL_COLUMNS.split(", "))
_TRADES = f"""SELECT {_FILLS}, o.type AS order_type, o.role AS role, o.ref AS ref
FROM fills AS f LEFT JOIN orders AS o ON o.tag = f.tag
ORDER BY f.utc_ns DESC, f.account_id DESC, f.id DESC LIMIT ?"""
_ORDERS = f"SELECT {ORDER_COLUMNS} FROM orders ORDER BY changed_ns DESC, rowid DESC LIMIT ?"
_EVENTS = "SELECT utc_ns, level, code, text, account_id, strategy FROM events ORDER BY id DESC LIMIT ?"
_AUDIT = "SELECT utc_ns, actor, command, detail, outcome FROM audit ORDER BY id DESC LIMIT ?"


class StoreReader:
    """`ports.Reader` on one state file. `limit` is held to 1..READ_LIMIT."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection, self._path = connection, path

    async def trades(self, limit: int) -> list[dict[str, Any]]:
        """Our executions with the order's type, role and ref (None when the journal lacks the order)."""
        return await self._newest(_TRADES, limit)

    async def events(self, limit: int) -> list[dict[str, Any]]:
        return await self._newest(_EVENTS, limit)

    async def orders(self, limit: int) -> list[dict[str, Any]]:
        """Orders as they are now, last changed first."""
        return await self._newest(_ORDERS, limit)

    async def audit(self, limit: int) -> list[dict[str, Any]]:
        return await self._newest(_AUDIT, limit)

    async def recover(self, utc_ns: int) -> Recovered:
        """What a service starting at market time `utc_ns` would find. Raises Theirs for a damaged file."""
        try:
            return await recover(self._connection, utc_ns)
        except (aiosqlite.Error, ValueError) as error:
            raise Theirs(str(self._path), error) from error

    async def twin_exceptions(self) -> list[TwinException]:
        """Native modules that must run on their pure twin. Raises Theirs for a damaged file."""
        try:
            return await exceptions(self._connection)
        except aiosqlite.Error as error:
            raise Theirs(str(self._path), error) from error

    async def close(self) -> None:
        await self._connection.close()

    async def _newest(self, statement: str, limit: int) -> list[dict[str, Any]]:
        most = max(1, min(limit, READ_LIMIT))
        try:
            return [dict(row) for row in await self._connection.execute_fetchall(statement, (most,))]
        except aiosqlite.Error as error:
            raise Theirs(str(self._path), error) from error


@asynccontextmanager
async def read_only(data_dir: Path) -> AsyncIterator[StoreReader]:
    """The journal in `data_dir` for reading, whether a service runs or not.

    Raises Refused when there is none, Theirs when it is damaged, another program's, or too new for this
    program.
    """
    path = data_dir / STATE.file
    if not path.exists():
        raise Unable("store.missing", path, hint="no service has run with this data_dir yet")
    try:
        connection = await open_reader(path)
    except aiosqlite.Error as error:
        raise unusable(path, error) from error
    try:
        if await _version(connection, path) < STATE.version:
            raise Theirs(str(path), "is of an older version; start the service once, it brings it up to date")
        yield StoreReader(connection, path)
    finally:
        await connection.close()


async def _version(connection: aiosqlite.Connection, path: Path) -> int:
    try:
        return await check_identity(connection, path, STATE)
    except aiosqlite.Error as error:
        raise unusable(path, error) from error
