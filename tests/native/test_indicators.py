"""Both twins of native.indicators: equal to the last bit, batch equal to stream, exactly right."""

from __future__ import annotations

import importlib
import itertools
import math
import random
from array import array
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy
import pytest
import talib
from hypothesis import example, given
from hypothesis import strategies as st

from native import indicators_py

indicators_c = importlib.import_module("native.indicators_c")

MOST = 2.0**53
# Name of the class, how many numbers an update takes, the arguments between period and nothing.
CLOSES = ("Sma", "Ema", "Rsi", "Bollinger")
periods = st.integers(1, 8) | st.sampled_from([14, 20, 50])
# Quarters are exact in float64, cents are not, and the wild ones try every exponent that is let in.
quarters = st.integers(96_000, 104_000).map(lambda n: n / 4)
cents = st.integers(2_490_000, 2_510_000).map(lambda n: n / 100)
wild = st.floats(-MOST, MOST) | st.sampled_from([0.0, -0.0, 5e-324, MOST, -MOST])
prices = st.lists(quarters | cents, max_size=80) | st.lists(wild, max_size=40)


@pytest.fixture(params=[indicators_py, indicators_c], ids=["pure", "compiled"])
def twin(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def bits(values: Sequence[float]) -> bytes:
    """Equal for equal numbers only: NaN equals NaN, 0.0 is not -0.0."""
    return array("d", values).tobytes()


def verdict(call: Callable[..., Any], *arguments: Any) -> object:
    """Return what a call gave, as bits, or its error's type and words."""
    try:
        value = call(*arguments)
    except Exception as error:
        return type(error), str(error)
    return bits(value) if isinstance(value, array) else [bits(each) for each in value]


def random_walk(rng: random.Random, count: int, start: float = 25_000.0, step: float = 3.0) -> array:
    """Prices that are no multiples of a power of two."""
    walk = array("d")
    for _ in range(count):
        start += rng.gauss(0.0, step)
        walk.append(round(start, 2))
    return walk


def exactly(closes: Sequence[float], period: int) -> tuple[Fraction, Fraction]:
    """Mean and population variance of the last closes."""
    window = [Fraction(each) for each in closes[-period:]]
    mean = sum(window, Fraction(0)) / period
    return mean, sum(((each - mean) ** 2 for each in window), Fraction(0)) / period


# -- twins and batches


@given(prices, periods)
@example([25_000.0] * 30, 14)
@example([MOST, -MOST, MOST], 2)
def test_twins_and_batches_agree_to_the_last_bit_on_closes(closes: list[float], period: int) -> None:
    for name in CLOSES:
        streams = []
        for module in (indicators_py, indicators_c):
            each = getattr(module, name)(period)
            stream = [(each.update(close), getattr(each, "upper", 0.0)) for close in closes]
            streams.append(bits(list(itertools.chain.from_iterable(stream))))
            batch = getattr(module, name.lower())(array("d", closes), period)
            mean = batch[1] if name == "Bollinger" else batch
            assert bits([value for value, _ in stream]) == bits(mean)
            if name == "Bollinger":
                assert bits([upper for _, upper in stream]) == bits(batch[0])
        assert streams[0] == streams[1]


@given(st.lists(st.tuples(quarters | wild, quarters | wild, quarters | wild), max_size=60), periods)
def test_twins_and_batches_agree_to_the_last_bit_on_bars(bars: list[tuple[float, ...]], period: int) -> None:
    highs, lows = array("d", [max(bar) for bar in bars]), array("d", [min(bar) for bar in bars])
    closes, volumes = array("d", [bar[0] for bar in bars]), array("d", [abs(bar[1]) for bar in bars])
    results = []
    for module in (indicators_py, indicators_c):
        atr, channel, vwap = module.Atr(period), module.Donchian(period), module.Vwap()
        ranges = [atr.update(*bar) for bar in zip(highs, lows, closes, strict=True)]
        assert bits(ranges) == bits(module.atr(highs, lows, closes, period))
        means = [vwap.update(*trade) for trade in zip(closes, volumes, strict=True)]
        assert bits(means) == bits(module.vwap(closes, volumes))
        tops, bottoms = module.donchian(highs, lows, period)
        for i, bar in enumerate(zip(highs, lows, strict=True)):
            channel.update(*bar)
            assert bits([channel.high, channel.low]) == bits([tops[i], bottoms[i]])
        results.append([bits(ranges), bits(means), bits(tops), bits(bottoms)])
    assert results[0] == results[1]


@given(prices, periods)
def test_a_look_ahead_is_what_the_update_gives(closes: list[float], period: int) -> None:
    for module in (indicators_py, indicators_c):
        mean = module.Sma(period)
        for close in closes:
            before = mean.value
            ahead = mean.peek(close)
            assert bits([mean.value]) == bits([before])
            assert bits([ahead]) == bits([mean.update(close)])


# -- against exact arithmetic


@given(st.lists(cents, min_size=1, max_size=120), periods)
def test_mean_and_bands_are_those_of_the_window(closes: list[float], period: int) -> None:
    upper, mean, lower = indicators_c.bollinger(array("d", closes), period, 2.0)
    plain = indicators_c.sma(array("d", closes), period)
    for i in range(len(closes)):
        if i + 1 < period:
            assert math.isnan(plain[i]) and math.isnan(mean[i]) and math.isnan(upper[i])
            continue
        exact, variance = exactly(closes[: i + 1], period)
        assert plain[i] == pytest.approx(float(exact), rel=1e-14)
        assert mean[i] == pytest.approx(float(exact), rel=1e-14)
        seen = closes[max(0, i + 1 - 2 * period) : i + 1]  # what the sums have held since they were renewed
        rounding = 4 * period * 2.0**-52 * ((max(seen) - min(seen)) ** 2 + 25_000 * 2.0**-20)
        assert ((upper[i] - lower[i]) / 4) ** 2 == pytest.approx(float(variance), rel=1e-9, abs=rounding)


@given(st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=80), periods)
def test_the_mean_of_whole_numbers_is_exact_but_for_the_last_division(ticks: list[int], period: int) -> None:
    for module in (indicators_py, indicators_c):
        for i, mean in enumerate(module.sma(array("d", map(float, ticks)), period)):
            assert i + 1 < period or mean == sum(ticks[i + 1 - period : i + 1]) / period


def ema_exactly(closes: Sequence[float], period: int) -> Decimal:
    mean = sum(map(Decimal, closes[:period]), Decimal(0)) / period
    for close in closes[period:]:
        mean += (Decimal(close) - mean) * 2 / (period + 1)
    return mean


def wilder_exactly(moves: Sequence[Decimal], period: int) -> Decimal:
    mean = sum(moves[:period], Decimal(0)) / period
    for move in moves[period:]:
        mean = (mean * (period - 1) + move) / period
    return mean


@pytest.mark.parametrize("period", [1, 2, 14, 50])
def test_recursive_means_are_those_of_50_digits(rng: random.Random, period: int) -> None:
    closes = random_walk(rng, 600)
    highs, lows = array("d", [c + 1.37 for c in closes]), array("d", [c - 2.11 for c in closes])
    with localcontext(prec=50):
        changes = [Decimal(b) - Decimal(a) for a, b in itertools.pairwise(closes)]
        gain = wilder_exactly([max(move, Decimal(0)) for move in changes], period)
        loss = wilder_exactly([max(-move, Decimal(0)) for move in changes], period)
        ranges = [
            max(Decimal(high), Decimal(close)) - min(Decimal(low), Decimal(close))
            for high, low, close in zip(highs[1:], lows[1:], closes[:-1], strict=True)
        ]
        wanted = ema_exactly(closes, period), 100 * gain / (gain + loss), wilder_exactly(ranges, period)
    assert indicators_c.ema(closes, period)[-1] == pytest.approx(float(wanted[0]), rel=1e-14)
    assert indicators_c.rsi(closes, period)[-1] == pytest.approx(float(wanted[1]), rel=1e-12)
    assert indicators_c.atr(highs, lows, closes, period)[-1] == pytest.approx(float(wanted[2]), rel=1e-12)


@given(st.lists(st.tuples(cents, st.integers(0, 500)), min_size=1, max_size=80))
def test_vwap_is_the_exact_mean_of_what_was_traded(trades: list[tuple[float, int]]) -> None:
    means = indicators_c.vwap(array("d", [p for p, _ in trades]), array("d", [float(v) for _, v in trades]))
    value = volume = Fraction(0)
    for (price, size), mean in zip(trades, means, strict=True):
        value, volume = value + Fraction(price) * size, volume + size
        assert math.isnan(mean) if volume == 0 else mean == pytest.approx(float(value / volume), rel=1e-15)


@given(st.lists(st.tuples(quarters, quarters), min_size=1, max_size=100), periods)
def test_rolling_extremes_are_those_of_the_window(rows: list[tuple[float, float]], period: int) -> None:
    highs, lows = array("d", [max(row) for row in rows]), array("d", [min(row) for row in rows])
    tops, bottoms = indicators_c.donchian(highs, lows, period)
    for i in range(len(rows)):
        if i + 1 < period:
            assert math.isnan(tops[i]) and math.isnan(bottoms[i])
        else:
            assert tops[i] == max(highs[i + 1 - period : i + 1])
            assert bottoms[i] == min(lows[i + 1 - period : i + 1])


def test_vwap_starts_over_with_the_day(twin: ModuleType) -> None:
    vwap = twin.Vwap()
    assert vwap.update(100.0, 3.0) == 100.0
    vwap.reset()
    assert not vwap.ready and vwap.volume == 0.0
    assert math.isnan(vwap.update(50.0, 0.0))
    assert vwap.update(60.0, 1.0) == 60.0


# -- against TA-Lib


@pytest.mark.parametrize("period", [2, 5, 14, 20, 200])
def test_equals_ta_lib_within_a_billionth(rng: random.Random, period: int) -> None:
    closes = random_walk(rng, 5_000)
    highs = array("d", [close + rng.random() * 5 for close in closes])
    lows = array("d", [close - rng.random() * 5 for close in closes])
    c, h, low = (numpy.frombuffer(each) for each in (closes, highs, lows))
    ours, theirs = indicators_c, talib
    pairs = [
        (ours.sma(closes, period), theirs.SMA(c, period)),
        (ours.ema(closes, period), theirs.EMA(c, period)),
        (ours.rsi(closes, period), theirs.RSI(c, period)),
        (ours.atr(highs, lows, closes, period), theirs.ATR(h, low, c, period)),
        *zip(ours.bollinger(closes, period, 2.0), theirs.BBANDS(c, period, 2.0, 2.0), strict=True),
        *zip(
            ours.donchian(highs, lows, period), (theirs.MAX(h, period), theirs.MIN(low, period)), strict=True
        ),
    ]
    for mine, other in pairs:
        numpy.testing.assert_allclose(numpy.frombuffer(mine), other, rtol=1e-9, equal_nan=True)


# -- long runs and flat prices


def run_long(twin: ModuleType, tile: array, rounds: int) -> dict[str, Any]:
    """Every indicator after ``rounds`` times the closes of ``tile``."""
    kept = {"sma": twin.Sma(20), "ema": twin.Ema(20), "rsi": twin.Rsi(14), "band": twin.Bollinger(20)}
    atr, vwap, channel = twin.Atr(14), twin.Vwap(), twin.Donchian(20)
    updates = [each.update for each in kept.values()]
    for _ in range(rounds):
        for close in tile:
            for update in updates:
                update(close)
            atr.update(close + 1.1, close - 0.7, close)
            vwap.update(close, 3.0)
            channel.update(close, close)
    return kept | {"atr": atr, "vwap": vwap, "channel": channel}


def check_long(tile: array, rounds: int) -> None:
    """The state after a long run is that of its end alone, and for VWAP the exact mean of all."""
    done = run_long(indicators_c, tile, rounds)
    mean, variance = exactly(tile, 20)
    assert done["sma"].value == pytest.approx(float(mean), rel=1e-14)
    assert done["band"].value == pytest.approx(float(mean), rel=1e-14)
    assert done["band"].deviation == pytest.approx(math.sqrt(variance), rel=1e-11)
    fresh = run_long(indicators_c, tile, 1)  # long enough to have forgotten how it began
    for name in ("ema", "rsi", "atr"):
        assert done[name].value == pytest.approx(fresh[name].value, rel=1e-12)
    exact = sum(map(Fraction, tile), Fraction(0)) / len(tile)
    assert done["vwap"].value == pytest.approx(float(exact), rel=1e-14)
    assert (done["channel"].high, done["channel"].low) == (max(tile[-20:]), min(tile[-20:]))


def test_nothing_drifts_in_a_hundred_thousand_updates(rng: random.Random) -> None:
    check_long(random_walk(rng, 10_000), 10)


@pytest.mark.long
def test_nothing_drifts_in_ten_million_updates(rng: random.Random) -> None:
    check_long(random_walk(rng, 100_000), 100)


def test_bands_recover_from_a_jump(twin: ModuleType) -> None:
    """The deviation of prices that lie close together after a far jump is theirs alone."""
    band, closes = twin.Bollinger(20), [1.0] * 30 + [25_000.0 + 0.01 * (i % 3) for i in range(60)]
    for close in closes:
        band.update(close)
    assert band.deviation == pytest.approx(math.sqrt(exactly(closes, 20)[1]), rel=1e-9)


@pytest.mark.parametrize("price", [0.0, 1.0, 25_000.25, 25_000.1, -37.63])
def test_flat_prices_have_rsi_50_and_no_width(twin: ModuleType, price: float) -> None:
    rsi, band, atr = twin.Rsi(14), twin.Bollinger(20), twin.Atr(14)
    for _ in range(100):
        rsi.update(price), band.update(price), atr.update(price, price, price)
    assert rsi.value == 50.0
    assert (band.lower, band.value, band.upper) == (price, price, price)
    assert atr.value == 0.0


def test_a_price_that_stopped_moving_becomes_flat(twin: ModuleType) -> None:
    rsi = twin.Rsi(2)
    for close in (1.0, 2.0, 3.0):
        assert rsi.update(close) in (100.0,) or not rsi.ready
    for _ in range(60):
        rsi.update(3.0)
    assert rsi.value == 50.0


def test_is_ready_with_the_first_number(twin: ModuleType) -> None:
    for name, needed in {"Sma": 5, "Ema": 5, "Rsi": 6, "Bollinger": 5}.items():
        each = getattr(twin, name)(5)
        ready = [(each.update(float(i)), each.ready)[1] for i in range(8)]
        assert ready == [i + 1 >= needed for i in range(8)]


# -- bad input


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (math.nan, ValueError),
        (math.inf, OverflowError),
        (-math.inf, OverflowError),
        (MOST * 2, OverflowError),
        (10**400, OverflowError),
        ("1", TypeError),
        (None, TypeError),
        (Decimal(1), TypeError),
    ],
)
def test_refuses_what_is_no_price_and_keeps_its_state(twin: ModuleType, bad: Any, error: type) -> None:
    for name in CLOSES:
        each = getattr(twin, name)(2)
        each.update(3.0)
        with pytest.raises(error):
            each.update(bad)
        assert bits([each.update(5.0)]) == bits([_after(twin, name, [3.0, 5.0])])
    for each in (lambda: twin.Atr(2).update(bad, 1.0, 1.0), lambda: twin.Vwap().update(bad, 1.0)):
        with pytest.raises(error):
            each()


def _after(twin: ModuleType, name: str, closes: list[float]) -> float:
    each = getattr(twin, name)(2)
    return [each.update(close) for close in closes][-1]


@given(
    st.lists(wild | st.sampled_from([math.nan, math.inf, MOST * 2]), max_size=6),
    st.sampled_from([0, -1, 1, 3, 100_001, 2.0, "3", None, True]),
)
def test_twins_refuse_the_same_batches_in_the_same_words(values: list[float], period: Any) -> None:
    column = array("d", values)
    for name, arguments in {
        "sma": (column, period),
        "ema": (column, period),
        "rsi": (column, period),
        "bollinger": (column, period),
        "atr": (column, column, column, period),
        "vwap": (column, column),
        "donchian": (column, column, period),
    }.items():
        pure = verdict(getattr(indicators_py, name), *arguments)
        assert verdict(getattr(indicators_c, name), *arguments) == pure


@pytest.mark.parametrize(
    ("column", "error"),
    [
        ([1.0], TypeError),
        (array("f", [1.0]), TypeError),
        (array("q", [1]), TypeError),
        (memoryview(array("d", [1.0, 2.0, 3.0]))[::2], TypeError),
        (memoryview(bytes(16)).cast("d", (2, 1)), TypeError),
        (array("d", [1.0]), ValueError),
    ],
)
def test_refuses_what_is_no_column(twin: ModuleType, column: Any, error: type) -> None:
    two = array("d", [1.0, 2.0])
    with pytest.raises(error):
        twin.atr(two, two, column, 2)
    pure = verdict(indicators_py.vwap, two, column)
    assert verdict(indicators_c.vwap, two, column) == pure


def test_reads_columns_that_cannot_be_written(twin: ModuleType) -> None:
    column = memoryview(array("d", [1.0, 2.0, 4.0]).tobytes()).cast("d")
    assert list(twin.sma(column, 2))[1:] == [1.5, 3.0]


@pytest.mark.parametrize(
    "call", [lambda t: t.Atr(3).update, lambda t: lambda h, lo, _: t.Donchian(3).update(h, lo)]
)
def test_rejects_a_bar_upside_down(twin: ModuleType, call: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"high 1\.0 below low 2\.0"):
        call(twin)(1.0, 2.0, 1.5)


def test_rejects_a_negative_volume_and_width(twin: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"volume -1\.0 is negative"):
        twin.Vwap().update(5.0, -1.0)
    with pytest.raises(ValueError, match="deviations wide"):
        twin.Bollinger(20, -0.1)


@given(
    st.integers(1, 6),
    st.integers(1, 12),
    st.lists(st.integers(-9, 9), max_size=80),
    st.data(),
)
def test_uncrossed_feeds_up_to_the_cross_and_no_further(
    quick: int, calm: int, closes: list[int], data: st.DataObject
) -> None:
    twin = data.draw(st.sampled_from([indicators_py, indicators_c]))
    begin = data.draw(st.integers(0, len(closes)))
    end = data.draw(st.integers(begin, len(closes)))
    fast, slow, side = twin.Sma(quick), twin.Sma(calm), 0
    plain_fast, plain_slow, known, index = twin.Sma(quick), twin.Sma(calm), 0, begin
    while index < end:
        ahead = plain_fast.peek(closes[index]), plain_slow.peek(closes[index])
        after = (ahead[0] > ahead[1]) - (ahead[0] < ahead[1]) or known
        if known and after != known:
            break
        plain_fast.update(closes[index])
        plain_slow.update(closes[index])
        known, index = after, index + 1
    assert twin.uncrossed(fast, slow, side, array("q", closes), begin, end) == (index, known)
    assert repr((fast.value, slow.value)) == repr((plain_fast.value, plain_slow.value))
    assert repr((fast.peek(3), slow.peek(3))) == repr((plain_fast.peek(3), plain_slow.peek(3)))


def test_uncrossed_rejects_a_range_outside_and_a_close_beyond_bounds(twin: ModuleType) -> None:
    closes = array("q", [1, 2, 2**54])
    for begin, end in ((-1, 2), (0, 4)):
        with pytest.raises(IndexError):
            twin.uncrossed(twin.Sma(1), twin.Sma(2), 0, closes, begin, end)
    with pytest.raises(OverflowError):
        twin.uncrossed(twin.Sma(1), twin.Sma(2), 0, closes, 2, 3)
    assert twin.uncrossed(twin.Sma(1), twin.Sma(2), -1, closes, 2, 1) == (2, -1)
