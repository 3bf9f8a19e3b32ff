"""Bars: windows from 17:00 Chicago, nothing invented, and an exact mean true range."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.bars import BarBuilder, Windows, coarsen, mean_true_range, true_range
from app.domain.calendar import CHICAGO
from app.domain.instruments import by_symbol, price_to_ticks
from app.domain.market import MINUTE_NS, Bar, MarketTrade
from app.errors import Ours

ES = "CON.F.US.EP.Z26"
NS = 1_000_000_000


def at(text: str) -> int:
    """UTC ns of a Chicago wall clock time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=CHICAGO).timestamp()) * NS


OPEN = at("2026-11-19T17:00")


def trade(utc_ns: int, ticks: int, size: int = 1, contract: str = ES) -> MarketTrade:
    return MarketTrade(contract, ticks, size, utc_ns)


def bar(minute: int, high: int = 10, low: int = 5, close: int = 7, opened: int = 6, volume: int = 1) -> Bar:
    return Bar(OPEN + minute * MINUTE_NS, opened, high, low, close, volume)


# -- windows


@pytest.mark.parametrize(
    ("minutes", "when", "start", "end"),
    [
        (1, "2026-11-20T09:30:59", "2026-11-20T09:30", "2026-11-20T09:31"),
        (5, "2026-11-20T09:34:59", "2026-11-20T09:30", "2026-11-20T09:35"),
        (5, "2026-11-20T09:35:00", "2026-11-20T09:35", "2026-11-20T09:40"),
        (7, "2026-11-19T17:06:59", "2026-11-19T17:00", "2026-11-19T17:07"),
        (240, "2026-11-20T14:00:00", "2026-11-20T13:00", "2026-11-20T17:00"),
        (1_000, "2026-11-20T16:00:00", "2026-11-20T09:40", "2026-11-20T17:00"),  # the day ends the window
        (1_440, "2026-11-20T16:59:59", "2026-11-19T17:00", "2026-11-20T17:00"),
        (1_440, "2026-11-20T17:00:00", "2026-11-20T17:00", "2026-11-21T17:00"),
        (1_440, "2026-03-08T12:00:00", "2026-03-07T17:00", "2026-03-08T17:00"),  # 23 hours
        (1_440, "2026-11-01T12:00:00", "2026-10-31T17:00", "2026-11-01T17:00"),  # 25 hours
        (240, "2026-07-06T17:00:00", "2026-07-06T17:00", "2026-07-06T21:00"),
    ],
)
def test_windows_start_with_the_chicago_trading_day(minutes: int, when: str, start: str, end: str) -> None:
    assert Windows(minutes).of(at(when)) == (at(start), at(end))


@given(
    st.integers(1, 1_440),
    st.lists(st.datetimes(datetime(2010, 1, 1), datetime(2027, 12, 31)), min_size=1, max_size=5),
)
def test_a_window_holds_its_instant_and_never_crosses_17_00(minutes: int, moments: list[datetime]) -> None:
    windows = Windows(minutes)
    for moment in moments:
        utc_ns = int(moment.replace(tzinfo=UTC).timestamp()) * NS
        start, end = windows.of(utc_ns)
        assert start <= utc_ns < end
        assert minutes == 1_440 or end <= start + minutes * MINUTE_NS
        assert windows.of(start) == windows.of(end - 1) == (start, end)
        day = Windows(1_440).of(utc_ns)
        assert day[0] <= start < end <= day[1]
        assert datetime.fromtimestamp(day[0] // NS, CHICAGO).hour == 17


@pytest.mark.parametrize("minutes", [0, -1, 1_441])
def test_rejects_a_length_that_is_no_bar(minutes: int) -> None:
    with pytest.raises(Ours, match="minutes"):
        BarBuilder(minutes)


# -- building


def test_tells_a_bar_when_the_next_window_opens() -> None:
    builder = BarBuilder(1)
    assert builder.add(trade(OPEN + 1, 100, 2)) is None
    assert builder.add(trade(OPEN + 2, 103)) is None
    assert builder.add(trade(OPEN + 3, 99)) is None
    assert builder.ends_ns() == OPEN + MINUTE_NS
    assert builder.add(trade(OPEN + 5 * MINUTE_NS, 101)) == Bar(OPEN, 100, 103, 99, 99, 4)
    assert builder.close_until(OPEN + 6 * MINUTE_NS - 1) is None
    assert builder.close_until(OPEN + 6 * MINUTE_NS) == Bar(OPEN + 5 * MINUTE_NS, 101, 101, 101, 101, 1)
    assert builder.close_until(OPEN + 60 * MINUTE_NS) is None  # no trade, no bar
    assert builder.ends_ns() is None


def test_a_told_bar_never_changes_and_late_trades_are_counted() -> None:
    builder = BarBuilder(1)
    builder.add(trade(OPEN + 1, 100))
    assert builder.close_until(OPEN + MINUTE_NS) is not None
    assert builder.add(trade(OPEN + 2, 500)) is None
    builder.add(trade(OPEN + 2 * MINUTE_NS, 101))
    assert builder.add(trade(OPEN + MINUTE_NS + 1, 500)) is None
    assert builder.late == 2
    assert builder.close_until(OPEN + 3 * MINUTE_NS) == Bar(OPEN + 2 * MINUTE_NS, 101, 101, 101, 101, 1)


def test_rejects_a_trade_of_another_contract() -> None:
    builder = BarBuilder(1)
    builder.add(trade(OPEN, 100))
    with pytest.raises(Ours):
        builder.add(trade(OPEN, 100, contract="CON.F.US.ENQ.Z26"))


@given(
    st.lists(st.tuples(st.integers(0, 3 * 60 * 60), st.integers(-50, 50), st.integers(1, 9)), max_size=60),
    st.sampled_from([1, 2, 5, 7, 15]),
)
def test_bars_of_trades_are_the_groups_of_their_windows(
    rows: list[tuple[int, int, int]], minutes: int
) -> None:
    rows.sort(key=lambda row: row[0])
    builder, told = BarBuilder(minutes), list[Bar]()
    for second, ticks, size in rows:
        done = builder.add(trade(OPEN + second * NS, ticks, size))
        told += [done] if done else []
    last = builder.close_until(OPEN + 10**15)
    told += [last] if last else []
    grouped: dict[int, list[tuple[int, int]]] = {}
    for second, ticks, size in rows:
        start = OPEN + second // (minutes * 60) * minutes * MINUTE_NS
        grouped.setdefault(start, []).append((ticks, size))
    assert told == [
        Bar(
            start,
            group[0][0],
            max(t for t, _ in group),
            min(t for t, _ in group),
            group[-1][0],
            sum(s for _, s in group),
        )
        for start, group in grouped.items()
    ]
    assert builder.late == 0


# -- coarser bars


def test_coarsens_only_completed_windows() -> None:
    bars = [bar(0, 12, 4), bar(2, 15, 6, close=14), bar(4, 9, 1, close=3), bar(5), bar(8)]
    first = Bar(OPEN, 6, 15, 1, 3, 3)
    assert coarsen(bars, 5) == [first]
    assert coarsen(bars, 5, partial=True) == [first, Bar(OPEN + 5 * MINUTE_NS, 6, 10, 5, 7, 2)]
    assert coarsen([*bars, bar(9)], 5) == [first, Bar(OPEN + 5 * MINUTE_NS, 6, 10, 5, 7, 3)]
    assert coarsen(bars, 5, until_ns=OPEN + 10 * MINUTE_NS - 1) == [first]
    assert len(coarsen(bars, 5, until_ns=OPEN + 10 * MINUTE_NS)) == 2
    assert coarsen([], 5) == []


def test_a_later_bar_completes_the_window_before_it() -> None:
    assert coarsen([bar(0), bar(7)], 5) == [Bar(OPEN, 6, 10, 5, 7, 1)]


@pytest.mark.parametrize("bars", [[bar(1), bar(0)], [bar(1), bar(1)]])
def test_rejects_bars_out_of_order(bars: list[Bar]) -> None:
    with pytest.raises(Ours):
        coarsen(bars, 5)


# -- true range


def test_true_range_reaches_to_the_close_before() -> None:
    assert true_range(bar(0, 10, 5), 7) == 5
    assert true_range(bar(0, 10, 5), 12) == 7
    assert true_range(bar(0, 10, 5), 2) == 8


def test_mean_true_range_needs_the_bar_before_the_first() -> None:
    bars = [bar(n) for n in range(14)]
    assert mean_true_range(bars, 14) is None
    assert mean_true_range(bars, 14, previous_close_ticks=7) == 5
    assert mean_true_range(bars, 14, previous_close_ticks=24) == 5 + Fraction(14, 14)
    assert mean_true_range([bar(-1, close=24), *bars], 14) == 5 + Fraction(14, 14)
    assert mean_true_range(bars[1:], 14, previous_close_ticks=7) is None
    assert mean_true_range([], 14) is None


def test_mean_true_range_is_exact() -> None:
    bars = [bar(0, close=7), bar(1, 10, 5, 7), bar(2, 10, 6, 7), bar(3, 10, 6, 7)]
    assert mean_true_range(bars, 3) == Fraction(13, 3)


def test_rejects_the_mean_of_nothing() -> None:
    with pytest.raises(Ours, match="0 bars"):
        mean_true_range([bar(0)], 0)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=30)
)
def test_mean_true_range_looks_at_the_last_bars_alone(rows: list[tuple[int, int, int]]) -> None:
    bars = [bar(n, max(row), min(row), row[0]) for n, row in enumerate(rows)]
    for n in range(1, len(bars)):
        ranges = []
        for before, each in zip(bars[-n - 1 : -1], bars[-n:], strict=True):
            spans = (
                each.high_ticks - each.low_ticks,
                abs(each.high_ticks - before.close_ticks),
                abs(each.low_ticks - before.close_ticks),
            )
            ranges.append(max(spans))
        assert mean_true_range(bars, n) == Fraction(sum(ranges), n)
        assert mean_true_range(bars[-n - 1 :], n) == mean_true_range(bars, n)
        assert mean_true_range(bars[-n:], n, bars[-n - 1].close_ticks) == mean_true_range(bars, n)


def test_recorded_week_coarsens_without_loss(shared_data: Path) -> None:
    """Real one-minute bars with gaps: five-minute volumes and extremes are those of the minutes."""
    es = by_symbol("ES")
    with gzip.open(shared_data / "esz13_1m_2013-10-06_2013-10-11.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    bars = []
    for row in rows[:3_000]:
        start = datetime.fromisoformat(row["start_utc"].replace("Z", "+00:00"))
        start = start if start.tzinfo else start.replace(tzinfo=UTC)
        opened, high, low, close = (price_to_ticks(es, row[k]) for k in ("open", "high", "low", "close"))
        since = (start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
        bars.append(Bar(since * NS, opened, high, low, close, int(row["volume"])))
    fives = coarsen(bars, 5, partial=True)
    assert sum(b.volume for b in fives) == sum(b.volume for b in bars)
    assert max(b.high_ticks for b in fives) == max(b.high_ticks for b in bars)
    assert all(b.start_ns % (5 * MINUTE_NS) == 0 for b in fives)
    assert len(fives) == len({b.start_ns // (5 * MINUTE_NS) for b in bars})
