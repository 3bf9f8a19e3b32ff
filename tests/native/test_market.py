"""Both twins of native.market against plain models: bars, quote and indicators of a symbol; batches."""

from __future__ import annotations

import importlib
from array import array
from collections.abc import Callable
from datetime import datetime
from types import ModuleType
from typing import Any

import numpy
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.bars import DAY_MINUTES, Windows
from app.domain.calendar import CHICAGO
from native import indicators_py, market_py

market_c = importlib.import_module("native.market_c")
indicators_c = importlib.import_module("native.indicators_c")

NS = 1_000_000_000
MINUTE_NS = 60 * NS
MAX = 2**63 - 1
TWINS = ((market_py, indicators_py), (market_c, indicators_c))


def at(text: str) -> int:
    """UTC ns of a Chicago wall clock time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=CHICAGO).timestamp()) * NS


def day_of(utc_ns: int) -> tuple[int, int]:
    return Windows(DAY_MINUTES).of(utc_ns)


OPEN = at("2026-11-19T17:00")
# A day of 23 hours, one of 25, one of 24 and the change of the year: trades begin an hour before.
STARTS = tuple(at(f"{date}T16:00") for date in ("2026-03-07", "2026-10-31", "2026-11-19", "2026-12-31"))

frames = st.lists(
    st.sampled_from([1, 2, 5, 7, 15, 60, 240, 1_000, 1_440]), min_size=1, max_size=5, unique=True
)
# Mostly small steps forward; some over hours and days, some backwards.
steps = st.integers(0, 90 * NS) | st.integers(0, 30 * 3_600 * NS) | st.integers(-150 * NS, 0)
trades = st.tuples(
    st.sampled_from(STARTS), st.lists(st.tuples(steps, st.integers(-60, 60), st.integers(0, 9)), max_size=60)
)


@pytest.fixture(params=TWINS, ids=["pure", "compiled"])
def twins(request: pytest.FixtureRequest) -> tuple[ModuleType, ModuleType]:
    return request.param


@pytest.fixture
def twin(twins: tuple[ModuleType, ModuleType]) -> ModuleType:
    return twins[0]


def verdict(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call gave, or its error's type and words."""
    try:
        return call(*arguments)
    except Exception as error:
        return type(error), str(error)


def listed(case: tuple[int, list[tuple[int, int, int]]]) -> list[tuple[int, int, int]]:
    """(price, size, utc_ns) of every trade."""
    now, rows = case
    result = []
    for step, price, size in rows:
        now += step
        result.append((price, size, now))
    return result


class Model:
    """Bars of one timeframe, the plain way."""

    def __init__(self, minutes: int) -> None:
        self._windows = Windows(minutes)
        self.growing: list[int] | None = None
        self.end = self.late = 0
        self.told: list[tuple[int, ...]] = []

    def on_trade(self, price: int, size: int, now: int) -> bool:
        if now < (self.growing[0] if self.growing else self.end):
            self.late += 1
            return False
        closed = self.close_until(now)
        if self.growing is None:
            start, self.end = self._windows.of(now)
            self.growing = [start, price, price, price, price, 0]
        bar = self.growing
        bar[2], bar[3], bar[4] = max(bar[2], price), min(bar[3], price), price
        bar[5] += size
        return closed

    def close_until(self, now: int) -> bool:
        if self.growing is None or now < self.end:
            return False
        self.told.append(tuple(self.growing))
        self.growing = None
        return True


# -- trades


def mask(bits: list[bool]) -> int:
    return sum(bit << i for i, bit in enumerate(bits))


@given(frames, trades, st.sets(st.integers(0, 59), max_size=5))
def test_bars_are_those_of_the_model_in_every_timeframe(
    minutes: list[int], case: tuple[int, list[tuple[int, int, int]]], looks: set[int]
) -> None:
    """After some trades the clock is looked at as well, a minute later."""
    for module in (market_py, market_c):
        market, models = module.Market(minutes, day_of), [Model(each) for each in minutes]
        for number, (price, size, now) in enumerate(listed(case)):
            closed = mask([model.on_trade(price, size, now) for model in models])
            assert market.on_trade(price, size, now) == closed
            if number in looks:
                closed |= (ended := mask([model.close_until(now + MINUTE_NS) for model in models]))
                assert market.close_until(now + MINUTE_NS) == ended
            for i, model in enumerate(models):
                if closed >> i & 1:
                    assert market.closed.row(i) == model.told[-1]
                assert market.growing(i) == (tuple(model.growing) if model.growing else None)
                assert market.ends_ns(i) == (model.end if model.growing else None)
                assert market.late(i) == model.late


@given(trades, st.sampled_from([1, 5, 240, 1_440]))
def test_indicators_take_trades_and_closed_bars(
    case: tuple[int, list[tuple[int, int, int]]], minutes: int
) -> None:
    values = []
    for module, indicators in TWINS:
        market, model = module.Market([minutes], day_of), Model(minutes)
        fed, mean = indicators.Ema(3), indicators.Ema(3)
        atr, wanted = indicators.Atr(2), indicators.Atr(2)
        market.attach(fed)
        market.attach(atr, minutes)
        for price, size, now in listed(case):
            late = model.late
            if market.on_trade(price, size, now):
                assert model.on_trade(price, size, now)
                wanted.update(*map(float, model.told[-1][2:5]))
            else:
                assert not model.on_trade(price, size, now)
            if model.late == late:
                mean.update(float(price))
        assert repr((fed.value, atr.value)) == repr((mean.value, wanted.value))
        values.append(repr((fed.value, atr.value)))
    assert values[0] == values[1]


def test_a_day_of_vwap_ends_at_17_00(twins: tuple[ModuleType, ModuleType]) -> None:
    market, trades, bars = twins[0].Market([1], day_of), twins[1].Vwap(), twins[1].Vwap()
    market.attach(trades)
    market.attach(bars, 1)
    market.on_trade(100, 1, OPEN - NS)
    market.on_trade(104, 3, OPEN - 1)
    assert trades.value == 103.0
    assert market.on_trade(50, 2, OPEN) == 1
    assert trades.value == 50.0
    assert not bars.ready  # its bar was the day before's
    market.close_until(OPEN + MINUTE_NS)
    assert bars.value == 50.0


@pytest.mark.parametrize(
    ("date", "hours"), [("2026-03-07", 23), ("2026-10-31", 25), ("2026-11-18", 24), ("2026-07-03", 24)]
)
def test_the_last_window_ends_with_the_day_when_clocks_change(
    twin: ModuleType, date: str, hours: int
) -> None:
    start = at(f"{date}T17:00")
    market = twin.Market([240, 1_440], day_of)
    market.on_trade(1, 1, start + hours * 3_600 * NS - 1)
    end = start + hours * 3_600 * NS
    assert (market.ends_ns(0), market.ends_ns(1)) == (end, end)
    assert market.growing(0)[0] == start + (hours - 1) // 4 * 4 * 3_600 * NS
    assert market.growing(1)[0] == start
    assert market.on_trade(1, 1, end) == 0b11


def test_asks_for_a_day_once(twin: ModuleType) -> None:
    asked = []

    def ask(utc_ns: int) -> tuple[int, int]:
        asked.append(utc_ns)
        return day_of(utc_ns)

    market = twin.Market([1, 5, 60], ask)
    for minute in range(0, 2_880, 10):
        market.on_trade(1, 1, OPEN + minute * MINUTE_NS)
    assert asked == [OPEN, OPEN + 1_440 * MINUTE_NS]


def test_a_refused_trade_changes_nothing(twin: ModuleType) -> None:
    def broken(utc_ns: int) -> tuple[int, int]:
        if utc_ns >= OPEN + 1_440 * MINUTE_NS:
            raise LookupError("no calendar")
        return day_of(utc_ns)

    market = twin.Market([1, 5], broken)
    market.on_trade(7, 3, OPEN)
    before = [market.growing(i) for i in range(2)]
    for error, arguments in [
        (ValueError, (7, -1, OPEN + 5 * MINUTE_NS)),
        (OverflowError, (2**53 + 1, 1, OPEN + 5 * MINUTE_NS)),
        (OverflowError, (-(2**53) - 1, 1, OPEN + 5 * MINUTE_NS)),
        (OverflowError, (7, MAX - 2, OPEN + 1)),
        (OverflowError, (MAX + 1, 1, OPEN + 1)),
        (OverflowError, (7, 1, MAX + 1)),
        (TypeError, (7.0, 1, OPEN + 1)),
        (TypeError, ("7", 1, OPEN + 1)),
        (TypeError, (7, None, OPEN + 1)),
        (LookupError, (7, 1, OPEN + 1_440 * MINUTE_NS)),
    ]:
        with pytest.raises(error):
            market.on_trade(*arguments)
        assert [market.growing(i) for i in range(2)] == before
    market.on_trade(2**53, MAX - 3, OPEN + 1)
    assert market.growing(1) == (OPEN, 7, 2**53, 7, 2**53, MAX)


def test_rejects_a_day_that_does_not_hold_the_trade(twin: ModuleType) -> None:
    hours = 25 * 60 * MINUTE_NS
    twin.Market([240], lambda _: (OPEN - hours, OPEN + hours)).on_trade(1, 1, OPEN)
    wrong = [(OPEN + 1, OPEN + 2), (OPEN - 2, OPEN), (OPEN - hours - 1, OPEN + 1), (OPEN, OPEN + hours + 1)]
    for day in (*wrong, (-MAX - 1, MAX)):
        with pytest.raises(ValueError, match="does not hold"):
            twin.Market([1], lambda _, day=day: day).on_trade(1, 1, OPEN)


@pytest.mark.parametrize("minutes", [[], [0], [1_441], [-5], [1, 1], [2.5], list(range(1, 18))])
def test_rejects_timeframes_that_are_none(twin: ModuleType, minutes: list[Any]) -> None:
    with pytest.raises(ValueError):
        twin.Market(minutes, day_of)


def test_keeps_as_many_timeframes_as_there_is_room_for(twin: ModuleType) -> None:
    minutes = list(range(1, twin.MAX_FRAMES + 1))
    market = twin.Market(minutes, day_of)
    market.on_trade(5, 1, OPEN)
    assert market.on_trade(6, 1, OPEN + 1_440 * MINUTE_NS) == (1 << twin.MAX_FRAMES) - 1
    assert market.closed.rows() == [(OPEN, 5, 5, 5, 5, 1)] * twin.MAX_FRAMES


def test_rejects_what_cannot_be_attached(twins: tuple[ModuleType, ModuleType]) -> None:
    market = twins[0].Market([1, 5], day_of)
    other = indicators_py if twins[1] is indicators_c else indicators_c
    with pytest.raises(TypeError, match="an indicator is needed"):
        market.attach(other.Sma(2))
    with pytest.raises(ValueError, match="no bars of 3 minutes"):
        market.attach(twins[1].Sma(2), 3)
    for call in (market.growing, market.ends_ns, market.late):
        for frame in (-1, 2):
            with pytest.raises(IndexError):
                call(frame)


# -- quotes

sides = st.none() | st.integers(-5, 5) | st.sampled_from([2**63, 1.5, "1"])


@given(st.lists(st.tuples(sides, sides, sides, st.integers(0, 9)), max_size=12))
def test_quotes_merge_alike_and_bad_ones_change_nothing(rows: list[tuple[Any, ...]]) -> None:
    pure, compiled = market_py.Market([1], day_of), market_c.Market([1], day_of)
    merged: list[Any] = [None, None, None]
    for row in rows:
        said = verdict(pure.on_quote, *row)
        assert verdict(compiled.on_quote, *row) == said
        if isinstance(said, int):
            after = [old if new is None else new for old, new in zip(merged, row[:3], strict=True)]
            assert said == sum(1 << i for i in range(3) if after[i] != merged[i])
            merged = after
        for market in (pure, compiled):
            assert [market.bid_ticks, market.ask_ticks, market.last_ticks] == merged
        assert pure.quote_ns == compiled.quote_ns


def test_a_forgotten_quote_is_unsaid(twin: ModuleType) -> None:
    market = twin.Market([1], day_of)
    assert market.on_quote(10, None, 0, 5) == twin.BID | twin.LAST
    assert (market.bid_ticks, market.ask_ticks, market.last_ticks, market.quote_ns) == (10, None, 0, 5)
    market.clear_quote()
    assert (market.bid_ticks, market.ask_ticks, market.last_ticks, market.quote_ns) == (None, None, None, 0)
    assert market.on_quote(10, None, None, 6) == twin.BID


# -- batches


def grouped(rows: list[tuple[int, int, int, int, int]], minutes: int) -> list[tuple[int, ...]]:
    """Bars of (utc_ns, open, high, low, close, volume), the plain way."""
    windows, groups = Windows(minutes), dict[int, list[Any]]()
    for row in rows:
        groups.setdefault(windows.of(row[0])[0], []).append(row)
    return [
        (
            start,
            group[0][1],
            max(row[2] for row in group),
            min(row[3] for row in group),
            group[-1][4],
            sum(row[5] for row in group),
        )
        for start, group in groups.items()
    ]


minutes_of = st.sampled_from([1, 2, 5, 7, 60, 240, 1_000, 1_440])
gaps = st.integers(1, 4) | st.integers(1, 3_000)
bar_rows = st.tuples(
    st.sampled_from(STARTS),
    st.lists(
        st.tuples(gaps, st.lists(st.integers(-99, 99), min_size=4, max_size=4), st.integers(0, 9)),
        max_size=80,
    ),
)


@given(bar_rows, minutes_of)
def test_coarser_bars_are_the_groups_of_their_windows(case: tuple[int, list[Any]], minutes: int) -> None:
    now, rows = case[0], []
    for gap, prices, volume in case[1]:
        now += gap * MINUTE_NS
        rows.append((now, prices[0], max(prices), min(prices), prices[3], volume))
    for module in (market_py, market_c):
        fine, reused = module.Bars(rows), module.Bars([(1, 2, 3, 4, 5, 6)] * 7)
        assert fine.rows() == rows
        wanted = grouped(rows, minutes)
        assert module.coarsen(fine, minutes, day_of).rows() == wanted
        assert module.coarsen(fine, minutes, day_of, reused) is reused
        assert reused.rows() == wanted
        assert [list(column) for column in reused.columns()] == [
            list(c) for c in zip(*wanted, strict=True)
        ] or [[]] * 6


@given(trades, minutes_of)
def test_bars_of_a_batch_are_those_of_the_stream(case: tuple[int, list[Any]], minutes: int) -> None:
    rows = sorted(listed(case), key=lambda trade: trade[2])
    columns = [array("q", [row[i] for row in rows]) for i in (2, 0, 1)]
    for module in (market_py, market_c):
        model = Model(minutes)
        for row in rows:
            model.on_trade(*row)
        wanted = [*model.told, *([tuple(model.growing)] if model.growing else [])]
        assert module.ticks_to_bars(*columns, minutes, day_of).rows() == wanted
        read_only = [memoryview(column.tobytes()).cast("q") for column in columns]
        assert module.ticks_to_bars(*read_only, minutes, day_of).rows() == wanted


@pytest.mark.parametrize("count", [0, 1, 1_023, 1_024, 1_025, 2_048, 2_049])
def test_bars_grow_at_the_edges_of_their_room(twin: ModuleType, count: int) -> None:
    rows = [(OPEN + i * MINUTE_NS, i, i + 2, i - 2, i + 1, 1) for i in range(count)]
    bars, out = twin.Bars(), twin.Bars()
    for part in (rows[: count // 2], rows[count // 2 :]):
        bars.extend(part)
    assert len(bars) == count and bars.rows() == rows
    assert twin.coarsen(bars, 1, day_of, out).rows() == rows
    times, ones = (array("q", [row[i] for row in rows]) for i in (0, 5))
    assert twin.ticks_to_bars(times, ones, ones, 1, day_of, out).rows() == [
        (start, 1, 1, 1, 1, 1) for start in times
    ]
    out.clear()
    assert len(out) == 0
    for index in (-1, count):
        with pytest.raises(IndexError):
            bars.row(index)


def test_wraps_columns_without_a_copy_until_it_grows(twin: ModuleType) -> None:
    columns = [numpy.arange(5, dtype=numpy.int64) + 10 * i for i in range(6)]
    bars = twin.Bars.wrap(*columns)
    columns[3][4] = -7
    assert bars.row(4) == (4, 14, 24, -7, 44, 54)
    bars.extend([(9, 9, 9, 9, 9, 9)])
    assert len(bars) == 6 and bars.row(4) == (4, 14, 24, -7, 44, 54)
    assert len(columns[0]) == 5


@pytest.mark.parametrize(
    ("column", "error"),
    [
        ([1, 2], TypeError),
        (array("d", [1.0, 2.0]), TypeError),
        (array("i", [1, 2]), TypeError),
        (memoryview(array("q", [1, 2, 3, 4]))[::2], TypeError),
        (array("q", [1]), ValueError),
    ],
)
def test_rejects_what_is_no_column(twin: ModuleType, column: Any, error: type) -> None:
    two = array("q", [1, 2])
    with pytest.raises(error):
        twin.Bars.wrap(two, two, two, column, two, two)
    with pytest.raises(error):
        twin.ticks_to_bars(two, two, column, 1, day_of)
    with pytest.raises(TypeError, match="writable"):
        twin.Bars.wrap(*[memoryview(bytes(16)).cast("q")] * 6)


@pytest.mark.parametrize("row", [(1, 2, 3, 4, 5), (1,) * 7, (1, 2, 3, 4, 5, 6.5), (1, 2, 3, 4, 5, 2**63), 5])
def test_rejects_a_row_that_is_no_bar(twin: ModuleType, row: Any) -> None:
    bars = twin.Bars([(1, 1, 1, 1, 1, 1)])
    with pytest.raises((ValueError, TypeError, OverflowError)):
        bars.extend([row])
    assert bars.rows() == [(1, 1, 1, 1, 1, 1)]


@given(
    st.lists(st.tuples(st.integers(-3, 9), st.integers(-9, 9), st.sampled_from([0, 1, -1, MAX])), max_size=8),
    st.sampled_from([1, 5, 0, 1_441, None, 2.0]),
)
@example([(0, 1, MAX), (0, 1, 1)], 1)
@example([(3, 1, 1), (2, 1, 1)], 1)
def test_twins_refuse_the_same_batches(rows: list[tuple[int, int, int]], minutes: Any) -> None:
    times, prices, sizes = (array("q", [row[i] for row in rows]) for i in range(3))
    results = []
    for module in (market_py, market_c):
        bars = module.Bars.wrap(times, prices, prices, prices, prices, sizes)
        ticks = verdict(module.ticks_to_bars, times, prices, sizes, minutes, day_of)
        coarse = verdict(module.coarsen, bars, minutes, day_of)
        results.append([each if isinstance(each, tuple) else each.rows() for each in (ticks, coarse)])
    assert results[0] == results[1]


def test_rejects_bars_out_of_order_and_into_themselves(twin: ModuleType) -> None:
    row = (OPEN, 1, 1, 1, 1, 1)
    with pytest.raises(ValueError, match=f"bar {OPEN} after bar {OPEN}"):
        twin.coarsen(twin.Bars([row, row]), 5, day_of)
    bars = twin.Bars([row])
    with pytest.raises(ValueError, match="into themselves"):
        twin.coarsen(bars, 5, day_of, bars)


def test_rejects_a_volume_beyond_64_bits(twin: ModuleType) -> None:
    rows = [(OPEN + i * MINUTE_NS, 1, 1, 1, 1, MAX - 5 + i * 3) for i in range(2)]
    with pytest.raises(OverflowError):
        twin.coarsen(twin.Bars(rows), 5, day_of)
    assert len(twin.coarsen(twin.Bars(rows), 1, day_of)) == 2
