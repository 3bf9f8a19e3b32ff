"""The halt without a service: take the instance lock and write the latch durably, nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiosqlite

from app.clock import Clock
from app.engine.records import ArmedChanged, Audited, Happened, ReasonOpened, Record
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
        database = await open_database(data_dir, STATE)
        try:
            await database.write(group([(_rows(_halt(by, why, clock.wall_ns())), None)]))
        except (aiosqlite.Error, OSError) as error:
            raise unusable(database.path, error) from error
        finally:
            await database.close()
    finally:
        lock.release()


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
