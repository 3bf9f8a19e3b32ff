"""How long each table keeps its rows, and the statements that let old ones go.

Every table of both files has a line here, with the reason; a test holds the list against the schema. Rows go
in small bites through the one writing connection, between the commits that matter, so that no order ever
waits for a clean-up. A clock outside the calendar's coverage proves nothing about age: then nothing goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.calendar import trade_date
from app.errors import Refused
from app.store.rows import Statement

DAY_NS = 86_400_000_000_000
BITE_ROWS = 1_000  # rows of a table that go at once: some 10 ms of a slow flash, and SWEEP_NS apart
SWEEP_NS = 600_000_000_000  # between sweeps: 144,000 rows a day, ten times what a busy day writes

FOR_EVER = None
STATE_DAYS: Mapping[str, int | None] = {
    "orders": FOR_EVER,  # with the fills they are the books
    "order_events": FOR_EVER,
    "fills": FOR_EVER,
    "account_snapshots": FOR_EVER,  # the equity curve, some MB a year
    "end_of_days": FOR_EVER,  # the floor of the maximum loss is derived from them
    "reasons": FOR_EVER,  # the last row of each holds, however old
    "latch": FOR_EVER,
    "goals": FOR_EVER,
    "tag_counter": FOR_EVER,
    "strategy_states": FOR_EVER,  # with the fills, each under its strategy, they are a strategy's metrics
    "events": 730,  # the owner's list; two tax years
    "audit": FOR_EVER,  # who did what is never forgotten
    "native_differences": FOR_EVER,  # there should be none, and each is a case for a test
    "native_exceptions": FOR_EVER,  # the last row of each module holds, however old
}
MARKET_DAYS: Mapping[str, int | None] = {
    "bars": FOR_EVER,  # 12 MB a contract and year; what strategies are tested on
    "latencies": 90,  # of orders; a quarter shows every trend
    "venue_calls": 7,  # the API log: some 10,000 rows a day
}


def stale(days: Mapping[str, int | None], utc_ns: int) -> list[tuple[Statement, tuple[Any, ...]]]:
    """One bite of rows too old at `utc_ns`, a statement a table; none while the clock is not set."""
    try:
        trade_date(utc_ns)
    except Refused:
        return []
    return [
        (_BITES[table], (utc_ns - kept * DAY_NS, BITE_ROWS))
        for table, kept in days.items()
        if kept is not FOR_EVER
    ]


_BITES = {
    table: Statement(
        table,
        f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE utc_ns < ? ORDER BY id LIMIT ?)",
    )
    for days in (STATE_DAYS, MARKET_DAYS)
    for table, kept in days.items()
    if kept is not FOR_EVER
}
