"""A seeded market for the benchmarks of bars and trades: columns, the table of trading days, the peers' file.

Every contender is given the same table of days (where they begin, in UTC ns): what a time zone costs is not
measured here. The file is little-endian int64: rows, days + 1, the table, then column after column.
"""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from app.domain.bars import DAY_MINUTES, Windows
from app.domain.market import MINUTE_NS
from tests.bench.side_by_side import BUILT

Columns: TypeAlias = "Sequence[array[int]]"

OPEN_NS = Windows(DAY_MINUTES).of(1_794_000_000_000_000_000)[0]  # in November 2026
DAYS = 10  # of 24 hours
STARTS = [OPEN_NS + day * DAY_MINUTES * MINUTE_NS for day in range(DAYS + 1)]
PRICE_TICKS = 100_000  # 25,000 points in quarters
SESSION_MINUTES = 1_380  # 23 hours, then an hour of pause
GAP = 0.01  # the share of minutes without a trade


def day_of(utc_ns: int) -> tuple[int, int]:
    """The trading day of the table that holds `utc_ns`."""
    after = bisect_right(STARTS, utc_ns)
    return STARTS[after - 1], STARTS[after]


def minute_bars(count: int) -> Columns:
    """start_ns, open, high, low, close, volume of one-minute bars with pauses and gaps."""
    chance, columns = random.Random(20261120), [array("q") for _ in range(6)]
    minute, price = 0, PRICE_TICKS
    while len(columns[0]) < count:
        if minute % DAY_MINUTES < SESSION_MINUTES and chance.random() > GAP:
            path = [price := price + chance.randint(-6, 6) for _ in range(4)]
            row = (
                OPEN_NS + minute * MINUTE_NS,
                path[0],
                max(path),
                min(path),
                path[3],
                chance.randint(1, 900),
            )
            for column, value in zip(columns, row, strict=True):
                column.append(value)
        minute += 1
    return columns


def ticks(count: int, most_ns: int) -> Columns:
    """utc_ns, price, size of trades up to `most_ns` apart."""
    chance, columns = random.Random(20261121), [array("q") for _ in range(3)]
    now, price = OPEN_NS, PRICE_TICKS
    for _ in range(count):
        now += chance.randrange(most_ns)
        price += chance.randint(-1, 1)
        for column, value in zip(columns, (now, price, chance.randint(1, 9)), strict=True):
            column.append(value)
    return columns


def write(name: str, columns: Columns) -> Path:
    """The peers' input file."""
    BUILT.mkdir(parents=True, exist_ok=True)
    file = BUILT / name
    head = array("q", [len(columns[0]), len(STARTS), *STARTS])
    file.write_bytes(b"".join(map(bytes, (head, *columns))))
    return file


def rows_text(rows: Iterable[Sequence[int]]) -> str:
    """Rows of whole numbers as the peers print them."""
    return " ".join(str(int(value)) for row in rows for value in row)


def bars_text(bars: Any) -> str:
    """All of our bars."""
    return rows_text(bars.rows())
