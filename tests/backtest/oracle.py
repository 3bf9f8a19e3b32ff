"""The night, ATR and entries of each day straight from the file: csv, Decimal, zoneinfo, nothing of ours.

Written from the rule's words, as simply as possible; slow and obvious.
"""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
CHICAGO = ZoneInfo("America/Chicago")
TICK = Decimal("0.25")

Row = tuple[datetime, Decimal, Decimal, Decimal, Decimal]  # start, open, high, low, close


def rows(path: Path) -> list[Row]:
    with gzip.open(path, "rt") as file:
        return [
            (
                datetime.strptime(line["start_utc"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
                Decimal(line["open"]),
                Decimal(line["high"]),
                Decimal(line["low"]),
                Decimal(line["close"]),
            )
            for line in csv.DictReader(file)
        ]


def trade_dates(bars: Iterable[Row]) -> list[date]:
    dates = set()
    for start, *_ in bars:
        local = start.astimezone(CHICAGO)
        dates.add(local.date() + timedelta(days=1) if local.hour >= 17 else local.date())
    return sorted(dates)


def night(bars: list[Row], day: date) -> list[Row]:
    begin = datetime.combine(day - timedelta(days=1), time(18), NEW_YORK)
    end = datetime.combine(day, time(9, 30), NEW_YORK)
    return [bar for bar in bars if begin <= bar[0] < end]


def five_minutes(bars: list[Row]) -> list[tuple[Decimal, Decimal, Decimal]]:
    """(high, low, close) of each five-minute window that has a bar."""
    windows: dict[datetime, list[Row]] = {}
    for bar in bars:
        start = bar[0].replace(minute=bar[0].minute - bar[0].minute % 5)
        windows.setdefault(start, []).append(bar)
    return [
        (max(b[2] for b in window), min(b[3] for b in window), window[-1][4])
        for _, window in sorted(windows.items())
    ]


def atr(bars: list[Row]) -> Decimal:
    last = five_minutes(bars)[-15:]
    ranges = []
    for (_, _, close), (high, low, _) in itertools.pairwise(last):
        ranges.append(max(high - low, abs(high - close), abs(low - close)))
    assert len(ranges) == 14
    return sum(ranges, Decimal(0)) / 14


def up(distance: Decimal) -> Decimal:
    """Rounded up to whole ticks."""
    ticks = distance / TICK
    whole = int(ticks)
    return TICK * (whole if whole == ticks else whole + 1)


def days(path: Path) -> list[dict[str, Decimal | date]]:
    bars = rows(path)
    found: list[dict[str, Decimal | date]] = []
    for day in trade_dates(bars):
        before = night(bars, day)
        high, low, mean = max(b[2] for b in before), min(b[3] for b in before), atr(before)
        found.append(
            {
                "date": day,
                "high": high,
                "low": low,
                "atr": mean,
                "buy_stop": high + TICK,
                "sell_stop": low - TICK,
                "stop": max(up(mean * Decimal("1.25")), 4 * TICK),
                "target": up(mean * 2),
            }
        )
    return found
