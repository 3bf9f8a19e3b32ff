"""What is let go, what is kept for ever, and that nobody forgets to decide."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from app.engine.records import Happened, LatencyMeasured, VenueCalled
from app.store import Store
from app.store.retention import BITE_ROWS, DAY_NS, FOR_EVER, MARKET_DAYS, STATE_DAYS, stale
from app.store.schema import MARKET, STATE, Schema
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
