"""What a program says to its two files, as SQL: everything it writes and reads, once, with values.

`python -m tests.store.program` writes it down for the present versions, in `programs/<file>_<version>.sql`.
Those are never edited after a release: from them tests know what an older program needs of a newer file.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path

from app.clock import SystemClock
from app.domain.events import AccountReport
from app.domain.market import Bar
from app.domain.orders import Bracket, OrderState
from app.engine.records import (
    AccountSeen,
    ArmedChanged,
    Audited,
    BarClosed,
    EndOfDay,
    FillVoided,
    GoalChanged,
    Happened,
    LatencyMeasured,
    ReasonClosed,
    ReasonOpened,
    Record,
    StrategyState,
    TagsReserved,
    TwinException,
    TwinsDiffered,
    VenueCalled,
)
from app.risk.state import Code, Goal, Kind, Reason, TradingState
from app.store import open_journal
from app.store.schema import MARKET, STATE, Schema
from tests.store.records import changed, durable, fill

PROGRAMS = Path(__file__).with_name("programs")
WORK = ("INSERT", "UPDATE", "DELETE", "SELECT")  # transactions and pragmas are no part of what is asked
NOW = 1_795_000_000_000_000_000
HALT = Reason(Code.HALT, Kind.PERSON, "*", 1, state=TradingState.HALTED, goal=Goal.FLAT, by="owner")
BAR = Bar(1, 2, 3, 4, 5, 6)
EVERYTHING: tuple[Record, ...] = (
    changed("a", bracket=Bracket(8, 12)),
    changed("a", NOW, state=OrderState.WORKING, venue_id=9),
    fill(1, utc_ns=NOW),
    fill(2, utc_ns=NOW),
    FillVoided(7, 2, NOW),
    AccountSeen(AccountReport(7, "SIM", 50_000_000_000, True, False), NOW),
    EndOfDay(7, date(2026, 11, 20), 1, 2),
    ReasonOpened(HALT),
    ReasonClosed(HALT, "owner", NOW),
    ArmedChanged(True, "owner", "why", NOW),
    GoalChanged(7, Goal.FLAT, False, "pending", NOW),
    TagsReserved(64),
    StrategyState("overnight_range", 7, "{}", NOW),
    Happened("info", "code", "text", NOW, 7, "overnight_range"),
    Audited("owner", "halt", "why", "done", NOW),
    TwinsDiffered("market", "f", "()", "1", "2", NOW),
    TwinException("market", True, "owner", "why", NOW),
    LatencyMeasured("a", 1, 2, 3, 4, 5, 6, NOW),
    VenueCalled("Order/place", 200, 0, 5, 1, NOW),
    BarClosed("C", 1, BAR),
)


async def speak() -> dict[str, list[str]]:
    """By file, each statement of the present program once, in the order in which it is first said."""
    said: dict[str, dict[str, None]] = {STATE.file: {}, MARKET.file: {}}

    def hear(file: str, statement: str) -> None:
        if statement.startswith(WORK):
            said[file][statement] = None

    with tempfile.TemporaryDirectory() as folder:
        store = await open_journal(Path(folder), SystemClock())
        reader = store.reader
        for file, connection in (
            (STATE.file, store._state._database._connection),
            (STATE.file, reader._connection),
            (MARKET.file, store._market._database._connection),
        ):
            await connection.set_trace_callback(partial(hear, file))
        for record in EVERYTHING:
            assert await durable(store, record) is None
        store.sweep(NOW)
        assert await durable(store, EVERYTHING[-1]) is None
        await store.recover(NOW)
        await reader.twin_exceptions()
        for read in (reader.trades, reader.events, reader.orders, reader.audit):
            await read(9)
        await store.close()
    return {file: list(statements) for file, statements in said.items()}


def place(schema: Schema, version: int) -> Path:
    return PROGRAMS / f"{Path(schema.file).stem}_{version}.sql"


def written(schema: Schema, version: int) -> list[str]:
    """The statements of the program of `version`, as they were written down."""
    text = place(schema, version).read_text(encoding="utf-8")
    return [part.strip() for part in text.split(";\n") if part.strip()]


def run(file: Path, statements: list[str]) -> list[list[tuple[object, ...]]]:
    """What each of `statements` answers on `file`. Raises what sqlite3 raises."""
    with closing(sqlite3.connect(file)) as db, db:
        return [[tuple(row) for row in db.execute(statement).fetchall()] for statement in statements]


def main(say: Callable[[str], None]) -> None:
    said = asyncio.run(speak())
    for schema in (STATE, MARKET):
        file = place(schema, schema.version)
        file.write_text("".join(f"{one};\n" for one in said[schema.file]), encoding="utf-8")
        say(f"{file} written")


if __name__ == "__main__":
    main(print)
