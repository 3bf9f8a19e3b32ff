"""What is let go, what is kept for ever, and that nobody forgets to decide."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.engine.records import BarClosed, Happened, LatencyMeasured, TagsReserved, VenueCalled
from app.store import Store, open_journal, retention
from app.store.retention import BITE_ROWS, DAY_NS, FOR_EVER, MARKET_DAYS, STATE_DAYS, stale
from app.store.rows import MARKET_ROWS, STATE_ROWS
from app.store.schema import MARKET, STATE, Schema
from tests.store.program import BAR, EVERYTHING
from tests.store.program import NOW as WRITTEN_NS
from tests.store.records import changed, durable, fill

NOW = 1_795_000_000_000_000_000  # 2026-11-18
YEAR_1970, YEAR_2040 = 0, 2_209_000_000_000_000_000


@pytest.mark.parametrize(("schema", "days"), [(STATE, STATE_DAYS), (MARKET, MARKET_DAYS)])
def test_every_table_says_how_long_it_keeps_its_rows(schema: Schema, days: dict[str, int | None]) -> None:
    tables = {name for step in schema.steps for name in re.findall(r"CREATE TABLE (\w+)", step)}
    assert tables == days.keys()


def called(utc_ns: int) -> VenueCalled:
    return VenueCalled("Order/search", 200, 0, 5_000_000, 1, utc_ns)


def happened(utc_ns: int) -> Happened:
    return Happened("info", "x", "text", utc_ns=utc_ns)


def measured(utc_ns: int) -> LatencyMeasured:
    return LatencyMeasured("a", 1, 2, 3, 4, 5, 6, utc_ns)


def rows(folder: Path, file: str, table: str) -> int:
    with sqlite3.connect(folder / file) as other:
        (count,) = other.execute(f"SELECT count(*) FROM {table}").fetchone()
    other.close()
    return int(count)


async def settled(store: Store) -> None:
    """Both files have written what was put before."""
    assert await durable(store, happened(NOW), called(NOW)) is None


async def test_lets_old_rows_go_to_the_nanosecond_and_keeps_the_books_for_ever(
    store: Store, tmp_path: Path
) -> None:
    week, quarter, years = 7 * DAY_NS, 90 * DAY_NS, 730 * DAY_NS
    store.append([called(NOW - week - 1), called(NOW - week), measured(NOW - quarter - 1), measured(NOW)])
    store.append([happened(NOW - years - 1), happened(NOW - years), fill(1, utc_ns=1), changed("a", 1)])
    store.sweep(NOW)
    await settled(store)
    assert rows(tmp_path, "market.db", "venue_calls") == 1 + 1
    assert rows(tmp_path, "market.db", "latencies") == 1
    assert rows(tmp_path, "state.db", "events") == 1 + 1
    assert rows(tmp_path, "state.db", "fills") == rows(tmp_path, "state.db", "orders") == 1


async def test_one_sweep_is_a_bite_and_the_next_goes_on(store: Store, tmp_path: Path) -> None:
    store.append([called(1)] * (BITE_ROWS + 5))
    store.sweep(NOW)
    await settled(store)
    assert rows(tmp_path, "market.db", "venue_calls") == 5 + 1
    store.sweep(NOW)
    await settled(store)
    assert rows(tmp_path, "market.db", "venue_calls") == 2


@pytest.mark.parametrize("unset", [YEAR_1970, YEAR_2040])
def test_a_clock_that_is_not_set_lets_nothing_go(unset: int) -> None:
    assert stale(STATE_DAYS, unset) == [] == stale(MARKET_DAYS, unset)
    assert {table for table, kept in STATE_DAYS.items() if kept is not FOR_EVER} == {
        statement.table for statement, _ in stale(STATE_DAYS, NOW)
    }


LETS_GO = {"events", "latencies", "venue_calls"}


async def test_retention_on_everything_there_is_counts_what_is_left(tmp_path: Path) -> None:
    """Every table of both files, filled with rows that are far too old, swept again and again."""
    store = await open_journal(tmp_path, SystemClock())
    for record in EVERYTHING:
        assert await durable(store, record) is None
    before = counted(tmp_path)
    assert {file: set(tables) for file, tables in before.items()} == {
        STATE.file: set(STATE_DAYS), MARKET.file: set(MARKET_DAYS),
    }  # fmt: skip
    assert all(count for tables in before.values() for count in tables.values()), "each table holds rows"
    late = WRITTEN_NS + 4 * 365 * DAY_NS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "trade_date", lambda utc_ns: None)  # beyond the calendar nothing would go
        for _ in range(3):
            store.sweep(late)
            assert await durable(store, TagsReserved(64), BarClosed("C", 1, BAR)) is None
    left = counted(tmp_path)
    gone = {table for file in before for table in before[file] if left[file][table] < before[file][table]}
    assert gone == LETS_GO and all(left[file].get(table, 0) == 0 for file in left for table in LETS_GO)
    await store.close()


def counted(folder: Path) -> dict[str, dict[str, int]]:
    """Rows of each table of both files."""
    tables = {STATE.file: STATE_DAYS, MARKET.file: MARKET_DAYS}
    return {file: {table: rows(folder, file, table) for table in names} for file, names in tables.items()}


def test_keeps_for_ever_what_the_books_and_the_strategies_are_judged_by() -> None:
    kept = {table for days in (STATE_DAYS, MARKET_DAYS) for table, limit in days.items() if limit is FOR_EVER}
    trades = {"orders", "order_events", "fills"}
    assert kept >= {"bars", "account_snapshots", "strategy_states", "end_of_days", "audit"} | trades
    assert MARKET_DAYS["venue_calls"] == 7


def test_stores_no_quote() -> None:
    """A quote is worth its moment: 50 a second and symbol would be 500 MB a day."""
    assert not [kind.__name__ for kind in (*STATE_ROWS, *MARKET_ROWS) if "quote" in kind.__name__.lower()]
    columns = " ".join((*STATE.steps, *MARKET.steps)).lower()
    assert not re.search(r"\b(quotes?|bid|ask)(_ticks)?\b", columns)
