"""What a person may write without a service: the halt, and the end of a native module's exception. Each takes
the instance lock and writes its few rows durably, nothing else.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiosqlite

from app.clock import Clock
from app.engine.records import ArmedChanged, Audited, Happened, ReasonOpened, Record, TwinException
from app.risk.state import Code, Goal, Kind, Reason, TradingState
from app.store.database import open_database, unusable
from app.store.lock import InstanceLock
from app.store.mark import ArmedMark
from app.store.rows import STATE_ROWS, Rows
from app.store.schema import STATE
from app.store.writer import group


async def write_latch(data_dir: Path, *, by: str, why: str, clock: Clock) -> None:
    """Open a PERSON halt in the journal of `data_dir`, durably; creates the journal if there is none.

    Raises Refused when a service runs (ask that one) or the folder is unusable, Theirs when the file is
    damaged. A missing or damaged journal counts as halted by itself: nothing trades after a start without a
    deliberate re-arm.
    """
    lock = InstanceLock(data_dir)
    try:
        await asyncio.to_thread(ArmedMark(data_dir).remove_now)
        await _write(data_dir, _halt(by, why, clock.wall_ns()))
    finally:
        lock.release()


async def write_cleared(data_dir: Path, *, by: str, module: str, why: str, clock: Clock) -> None:
    """End the exception of a native module in the journal of `data_dir`, durably. Raises as `write_latch`."""
    now = clock.wall_ns()
    lock = InstanceLock(data_dir)
    try:
        records: list[Record] = [
            TwinException(module, False, by, why, now),
            Audited(by, "native-clear", f"{module} {why}", "written without a service", now),
        ]
        await _write(data_dir, records)
    finally:
        lock.release()


async def _write(data_dir: Path, records: list[Record]) -> None:
    database = await open_database(data_dir, STATE)
    try:
        await database.write(group([(_rows(records), None)]))
    except (aiosqlite.Error, OSError) as error:
        raise unusable(database.path, error) from error
    finally:
        await database.close()


def _rows(records: list[Record]) -> Rows:
    return tuple(row for record in records for row in STATE_ROWS[type(record)](record))


def _halt(by: str, why: str, utc_ns: int) -> list[Record]:
    reason = Reason(
        Code.HALT,
        Kind.PERSON,
        "*",
        utc_ns,
        detail=why,
        state=TradingState.HALTED,
        goal=Goal.NO_ENTRIES,
        by=by,
    )
    return [
        ReasonOpened(reason),
        ArmedChanged(False, by, why, utc_ns),
        Audited(by, "halt", why, "written to the latch without a service", utc_ns),
        Happened("alarm", Code.HALT, f"halted by {by} without a service: {why}", utc_ns),
    ]
