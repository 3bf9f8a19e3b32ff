"""Moving averages, RSI, ATR, Bollinger, VWAP, rolling high and low in float64, streaming and in batch.

Source of both twins: the build compiles this very file, typed by ``indicators_c.pxd``, to
``native.indicators_c``. A batch is the stream in a loop, so both agree to the last bit. Every update is O(1),
and nothing drifts: a sum over a window is begun afresh each time the ring wraps, and the fresh one takes over
at the next wrap. Until an indicator has seen enough its value is NaN, as TA-Lib has it. Nothing here knows
instruments, bars or time, and nothing leads back to money: results are for comparing and showing.
"""

from __future__ import annotations

import math
from array import array
from typing import Any, TypeAlias

Column: TypeAlias = "array[float] | memoryview"  # or any other contiguous buffer of float64, as numpy's

# Inputs lie within +-2**53: every whole number of ticks in there is exact, and no sum of squares overflows.
_MOST = 9007199254740992.0
# A ring of this many float64 is 800 kB; a year of minutes fits no window that anybody trades.
MAX_PERIOD = 100_000
# Of an average move, in units of price: below it there was none (TA-Lib's own threshold).
_FLAT = 1e-14
_NAN = float("nan")


def _number(value: object) -> float:
    """Return ``value`` as a float; ValueError for NaN, OverflowError beyond 2**53."""
    if not isinstance(value, float | int):
        raise TypeError(f"a number is needed, not {type(value).__name__}")
    return _bounded(float(value))


def _bounded(value: float) -> float:
    if -_MOST <= value <= _MOST:
        return value
    if value != value:
        raise ValueError("NaN is no price")
    raise OverflowError("number outside -2**53..2**53")


def _ordered(high: float, low: float) -> float:
    """Return the high of a bar whose numbers are in bounds and in order."""
    if _bounded(high) < _bounded(low):
        raise ValueError(f"high {high} below low {low}")
    return high


def _positive(volume: float) -> float:
    if _bounded(volume) < 0.0:
        raise ValueError(f"volume {volume} is negative")
    return volume


def _period(value: object) -> int:
    """Return ``value`` if a window can be that long."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a period is an integer, not {type(value).__name__}")
    if not 1 <= value <= MAX_PERIOD:
        raise ValueError(f"a period lies in 1..{MAX_PERIOD}, not {value}")
    return value


def _zeros(length: int) -> array[float]:
    return array("d", bytes(8 * length))


class Indicator:
    """What all share. ``value`` is the latest result, NaN until ``ready``. All that one remembers is its
    ``state()``, which ``restore`` of either twin takes.
    """

    def __init__(self) -> None:
        self.value = _NAN
        self.seen = 0  # inputs, counted until there are enough

    @property
    def ready(self) -> bool:
        """Whether enough was seen for ``value`` to be a number."""
        return self.value == self.value

    def _feed(self, high: float, low: float, close: float, volume: float) -> int:
        """Take one bar (a trade has ``high == low == close``) whose numbers are in bounds."""
        raise NotImplementedError

    def _begin_day(self) -> int:
        """A trading day begins; what is counted per day starts over."""
        return 0


class Sma(Indicator):
    """The plain mean of the last ``period`` closes. Exact for integers while their sum stays below 2**53."""

    def __init__(self, period: int) -> None:
        """Raises ValueError unless 1 <= period <= MAX_PERIOD."""
        super().__init__()
        self.period = _period(period)
        self._ring = _zeros(self.period)
        self._at = 0
        self._sum = self._fresh = 0.0

    def update(self, close: float) -> float:
        """Take a close, return the mean of the last ``period`` closes, NaN while there are fewer."""
        self._feed(0.0, 0.0, _number(close), 0.0)
        return self.value

    def peek(self, close: float) -> float:
        """Return what ``update`` would, to the last bit, and change nothing."""
        return self._after(_number(close))

    def _after(self, close: float) -> float:
        last = self._at + 1 == self.period
        if self.seen < self.period and not last:
            return _NAN
        total = self._fresh + close if last else self._sum + (close - self._ring[self._at])
        return total / self.period

    def state(self) -> tuple[Any, ...]:
        ring = array("d", self._ring)
        return self.period, self.value, self.seen, ring, self._at, self._sum, self._fresh

    def restore(self, state: tuple[Any, ...]) -> None:
        self.period, self.value, self.seen, ring, self._at, self._sum, self._fresh = state
        self._ring = array("d", ring)

    def _feed(self, high: float, low: float, close: float, volume: float) -> int:
        at = self._at
        self._sum += close - self._ring[at]
        self._fresh += close
        self._ring[at] = close
        at += 1
        if at == self.period:
            at = 0
            self.seen = self.period
            self._sum = self._fresh
            self._fresh = 0.0
        self._at = at
        if self.seen == self.period:
            self.value = self._sum / self.period
        return 0


class Ema(Indicator):
    """The exponential mean of weight ``2 / (period + 1)``, begun with the plain mean of ``period`` closes."""

    def __init__(self, period: int) -> None:
        """Raises ValueError unless 1 <= period <= MAX_PERIOD."""
        super().__init__()
        self.period = _period(period)
        self._share = 2.0 / (self.period + 1)
        self._sum = 0.0

    def update(self, close: float) -> float:
        """Take a close, return the mean, NaN while there are fewer than ``period``."""
        self._feed(0.0, 0.0, _number(close), 0.0)
        return self.value

    def state(self) -> tuple[Any, ...]:
        return self.period, self.value, self.seen, self._share, self._sum

    def restore(self, state: tuple[Any, ...]) -> None:
        self.period, self.value, self.seen, self._share, self._sum = state

    def _feed(self, high: float, low: float, close: float, volume: float) -> int:
        if self.seen == self.period:
            self.value += (close - self.value) * self._share
            return 0
        self._sum += close
        self.seen += 1
        if self.seen == self.period:
            self.value = self._sum / self.period
        return 0


class Rsi(Indicator):
    """Wilder's relative strength, 0..100; 50 when the price did not move (TA-Lib says 0 there)."""

    def __init__(self, period: int) -> None:
        """Raises ValueError unless 1 <= period <= MAX_PERIOD."""
        super().__init__()
        self.period = _period(period)
        self._last = self._gain = self._loss = 0.0

    def update(self, close: float) -> float:
        """Take a close, return the index, NaN until ``period`` changes were seen."""
        self._feed(0.0, 0.0, _number(close), 0.0)
        return self.value

    def state(self) -> tuple[Any, ...]:
        return self.period, self.value, self.seen, self._last, self._gain, self._loss

    def restore(self, state: tuple[Any, ...]) -> None:
        self.period, self.value, self.seen, self._last, self._gain, self._loss = state

    def _feed(self, high: float, low: float, close: float, volume: float) -> int:
        change = close - self._last
        self._last = close
        gain = change if change > 0.0 else 0.0
        loss = -change if change < 0.0 else 0.0
        if self.seen > self.period:
            self._gain = (self._gain * (self.period - 1) + gain) / self.period
            self._loss = (self._loss * (self.period - 1) + loss) / self.period
        elif not self._warm_up(gain, loss):
            return 0
        total = self._gain + self._loss
        self.value = 100.0 * (self._gain / total) if total > _FLAT else 50.0
        return 0

    def _warm_up(self, gain: float, loss: float) -> bool:
        """Sum the first ``period`` changes; True once the averages begin. The first close is no change."""
        if self.seen > 0:
            self._gain += gain
            self._loss += loss
        self.seen += 1
        if self.seen <= self.period:
            return False
        self._gain /= self.period
        self._loss /= self.period
        return True


class Atr(Indicator):
    """Wilder's average true range. The first bar only gives the close that the second one's range needs."""

    def __init__(self, period: int) -> None:
        """Raises ValueError unless 1 <= period <= MAX_PERIOD."""
        super().__init__()
        self.period = _period(period)
        self._last = self._mean = 0.0

    def update(self, high: float, low: float, close: float) -> float:
        """Take a bar, return the average, NaN until ``period`` ranges were seen. ValueError if high < low."""
        top, bottom = _number(high), _number(low)
        self._feed(_ordered(top, bottom), bottom, _number(close), 0.0)
        return self.value

    def state(self) -> tuple[Any, ...]:
        return self.period, self.value, self.seen, self._last, self._mean

    def restore(self, state: tuple[Any, ...]) -> None:
        self.period, self.value, self.seen, self._last, self._mean = state

    def _feed(self, high: float, low: float, close: float, volume: float) -> int:
        top = high if high > self._last else self._last
        bottom = low if low < self._last else self._last
        self._last = close
        if self.seen > self.period:
            self._mean = (self._mean * (self.period - 1) + (top - bottom)) / self.period
            self.value = self._mean
            return 0
        if self.seen > 0:
            self._mean += top - bottom
        self.seen += 1
        if self.seen > self.period:
            self._mean /= self.period
            self.value = self._mean
        return 0


class Bollinger(Indicator):
    """The plain mean (``value``) and ``upper`` and ``lower``, ``width`` population deviations from it.

    Distances are summed from an anchor near the price, for the squares of 25,000 would drown them. Exact for
    integers and quarters up to the root; of other numbers the variance may be off by some ``period * 2**-52``
    of the squared spread of the last two windows.
    """

    def __init__(self, period: int, width: float = 2.0) -> None:
        """Raises ValueError unless 1 <= period <= MAX_PERIOD and width >= 0."""
        super().__init__()
        self.period, self.width = _period(period), _number(width)
        if self.width < 0.0:
            raise ValueError(f"a band {self.width} deviations wide")
        self.upper = self.lower = self.deviation = _NAN
        self._ring = _zeros(self.period)
        self._at = 0
        self._anchor = self._sum = self._squares = 0.0
        self._fresh_anchor = self._fresh_sum = self._fresh_squares = 0.0

    def update(self, close: float) -> float:
        """Take a close, return the mean of the last ``period``, NaN while there are fewer."""
        self._feed(0.0, 0.0, _number(close), 0.0)
        return self.value

    def state(self) -> tuple[Any, ...]:
        shown = self.value, self.upper, self.lower, self.deviation
        sums = self._anchor, self._sum, self._squares
        fresh = self._fresh_anchor, self._fresh_sum, self._fresh_squares
        return self.period, self.width, self.seen, shown, array("d", self._ring), self._at, sums, fresh

    def restore(self, state: tuple[Any, ...]) -> None:
        self.period, self.width, self.seen, shown, ring, self._at, sums, fresh = state
        self.value, self.upper, self.lower, self.deviation = shown
        self._ring = array("d", ring)
        self._anchor, self._sum, self._squares = sums
        self._fresh_anchor, self._fresh_sum, self._fresh_squares = fresh

    def _feed(self, high: float, low: float, close: float, volume: float) -> int:
        at = self._at
        if self.seen == self.period:
            oldest = self._ring[at] - self._anchor
            self._sum -= oldest
            self._squares -= oldest * oldest
        elif self.seen == 0:
            self._anchor = self._fresh_anchor = close
        if self.seen < self.period:
            self.seen += 1
        self._add(close)
        self._ring[at] = close
        at += 1
        if at == self.period:
            at = 0
            self._renew(close)
        self._at = at
        if self.seen == self.period:
            self._measure()
        return 0

    def _add(self, close: float) -> int:
        """Add a close to the running sums and to the ones that will replace them."""
        distance = close - self._anchor
        self._sum += distance
        self._squares += distance * distance
        distance = close - self._fresh_anchor
        self._fresh_sum += distance
        self._fresh_squares += distance * distance
        return 0

    def _renew(self, close: float) -> int:
        """The fresh sums cover the whole ring now; new ones begin about the latest close."""
        self._anchor, self._fresh_anchor = self._fresh_anchor, close
        self._sum, self._squares = self._fresh_sum, self._fresh_squares
        self._fresh_sum = self._fresh_squares = 0.0
        return 0

    def _measure(self) -> int:
        n = self.period
        variance = (self._squares * n - self._sum * self._sum) / (n * n)
        self.deviation = math.sqrt(variance) if variance > 0.0 else 0.0
        self.value = self._anchor + self._sum / n
        self.upper = self.value + self.width * self.deviation
        self.lower = self.value - self.width * self.deviation
        return 0


class Vwap(Indicator):
    """The mean price of what was traded since the day began, each price counted by its volume.

    ``value`` is NaN before the first volume. Prices count from the day's first one, which keeps the sum small
    and a long day's rounding with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.volume = 0.0
        self._anchor = self._sum = 0.0

    def update(self, price: float, volume: float) -> float:
        """Take a trade, or a bar's typical price and volume; returns the mean. ValueError if volume < 0."""
        self._take(_number(price), _positive(_number(volume)))
        return self.value

    def reset(self) -> None:
        """Begin a new day."""
        self._begin_day()

    def state(self) -> tuple[Any, ...]:
        return self.value, self.seen, self.volume, self._anchor, self._sum

    def restore(self, state: tuple[Any, ...]) -> None:
        self.value, self.seen, self.volume, self._anchor, self._sum = state

    def _feed(self, high: float, low: float, close: float, volume: float) -> int:
        return self._take((high + low + close) / 3.0, volume)

    def _take(self, price: float, volume: float) -> int:
        if self.seen == 0:
            self.seen = 1
            self._anchor = price
        self._sum += (price - self._anchor) * volume
        self.volume += volume
        if self.volume > 0.0:
            self.value = self._anchor + self._sum / self.volume
        return 0

    def _begin_day(self) -> int:
        self.value = _NAN
        self.seen = 0
        self.volume = self._sum = 0.0
        return 0


class _Highest:
    """The highest of the last ``period`` numbers: a falling queue of those that may still become it."""

    def __init__(self, period: int) -> None:
        self._period = period
        self._values = _zeros(period)
        self._times = array("q", bytes(8 * period))
        self._head = self._length = self._now = 0

    def state(self) -> tuple[Any, ...]:
        queue = array("d", self._values), array("q", self._times)
        return self._period, queue, self._head, self._length, self._now

    def restore(self, state: tuple[Any, ...]) -> None:
        self._period, queue, self._head, self._length, self._now = state
        self._values, self._times = array("d", queue[0]), array("q", queue[1])

    def push(self, value: float) -> float:
        """Take a number, return the highest."""
        if self._length > 0 and self._times[self._head] <= self._now - self._period:
            self._head = self._head + 1 if self._head + 1 < self._period else 0
            self._length -= 1
        while self._length > 0 and self._values[self._slot(self._length - 1)] <= value:
            self._length -= 1
        last = self._slot(self._length)
        self._values[last] = value
        self._times[last] = self._now
        self._length += 1
        self._now += 1
        return self._values[self._head]

    def _slot(self, place: int) -> int:
        """The index of the queue's element ``place``."""
        slot = self._head + place
        return slot if slot < self._period else slot - self._period


class Donchian(Indicator):
    """The rolling ``high`` and ``low`` of the last ``period`` bars; ``value`` is their middle."""

    def __init__(self, period: int) -> None:
        """Raises ValueError unless 1 <= period <= MAX_PERIOD."""
        super().__init__()
        self.period = _period(period)
        self.high = self.low = _NAN
        self._highest, self._lowest = _Highest(self.period), _Highest(self.period)

    def update(self, high: float, low: float) -> float:
        """Take a bar, return the middle, NaN while there are too few. ValueError if high < low."""
        top, bottom = _number(high), _number(low)
        self._feed(_ordered(top, bottom), bottom, bottom, 0.0)
        return self.value

    def state(self) -> tuple[Any, ...]:
        return self.period, self.value, self.seen, self.high, self.low, self._highest, self._lowest

    def restore(self, state: tuple[Any, ...]) -> None:
        self.period, self.value, self.seen, self.high, self.low, self._highest, self._lowest = state

    def _feed(self, high: float, low: float, close: float, volume: float) -> int:
        top, bottom = self._highest.push(high), -self._lowest.push(-low)
        if self.seen < self.period:
            self.seen += 1
        if self.seen == self.period:
            self.high, self.low = top, bottom
            self.value = (top + bottom) / 2.0
        return 0


# -- batches: the stream in a loop; the results are new arrays


def sma(closes: Column, period: int) -> array[float]:
    """The plain mean after each close; errors as of `Sma`."""
    return _over(Sma(period), _column(closes))


def ema(closes: Column, period: int) -> array[float]:
    """The exponential mean after each close; errors as of `Ema`."""
    return _over(Ema(period), _column(closes))


def rsi(closes: Column, period: int) -> array[float]:
    """The relative strength after each close; errors as of `Rsi`."""
    return _over(Rsi(period), _column(closes))


def _over(each: Indicator, closes: memoryview) -> array[float]:
    result = _zeros(len(closes))
    _fill(each, closes, result)
    return result


def _fill(each: Indicator, closes: memoryview, out: array[float]) -> int:
    for i in range(len(closes)):
        each._feed(0.0, 0.0, _bounded(closes[i]), 0.0)
        out[i] = each.value
    return 0


def bollinger(
    closes: Column, period: int, width: float = 2.0
) -> tuple[array[float], array[float], array[float]]:
    """Upper band, mean, lower band after each close; errors as of `Bollinger`."""
    each, source = Bollinger(period, width), _column(closes)
    upper, mean, lower = _zeros(len(source)), _zeros(len(source)), _zeros(len(source))
    _fill_bollinger(each, source, upper, mean, lower)
    return upper, mean, lower


def _fill_bollinger(
    each: Bollinger, closes: memoryview, upper: array[float], mean: array[float], lower: array[float]
) -> int:
    for i in range(len(closes)):
        each._feed(0.0, 0.0, _bounded(closes[i]), 0.0)
        upper[i] = each.upper
        mean[i] = each.value
        lower[i] = each.lower
    return 0


def atr(highs: Column, lows: Column, closes: Column, period: int) -> array[float]:
    """The average true range after each bar; errors as of `Atr`, ValueError for columns of unequal length."""
    each, high, low, close = Atr(period), _column(highs), _column(lows), _column(closes)
    _check_length(len(high), len(low))
    _check_length(len(high), len(close))
    result = _zeros(len(high))
    _fill_atr(each, high, low, close, result)
    return result


def _fill_atr(each: Atr, highs: memoryview, lows: memoryview, closes: memoryview, out: array[float]) -> int:
    for i in range(len(highs)):
        each._feed(_ordered(highs[i], lows[i]), lows[i], _bounded(closes[i]), 0.0)
        out[i] = each.value
    return 0


def vwap(prices: Column, volumes: Column) -> array[float]:
    """The volume-weighted mean of one day after each trade; errors as of `Vwap` and for unequal lengths."""
    price, volume = _column(prices), _column(volumes)
    _check_length(len(price), len(volume))
    result = _zeros(len(price))
    _fill_vwap(Vwap(), price, volume, result)
    return result


def _fill_vwap(each: Vwap, prices: memoryview, volumes: memoryview, out: array[float]) -> int:
    for i in range(len(prices)):
        each._take(_bounded(prices[i]), _positive(volumes[i]))
        out[i] = each.value
    return 0


def donchian(highs: Column, lows: Column, period: int) -> tuple[array[float], array[float]]:
    """The highest high and lowest low after each bar; errors as of `Donchian` and for unequal lengths."""
    each, high, low = Donchian(period), _column(highs), _column(lows)
    _check_length(len(high), len(low))
    top, bottom = _zeros(len(high)), _zeros(len(high))
    _fill_donchian(each, high, low, top, bottom)
    return top, bottom


def _fill_donchian(
    each: Donchian, highs: memoryview, lows: memoryview, top: array[float], bottom: array[float]
) -> int:
    for i in range(len(highs)):
        each._feed(_ordered(highs[i], lows[i]), lows[i], lows[i], 0.0)
        top[i] = each.high
        bottom[i] = each.low
    return 0


def uncrossed(fast: Sma, slow: Sma, side: int, closes: Any, begin: int, end: int) -> tuple[int, int]:
    """Feed both means with ``closes`` from ``begin`` on, up to the first that would turn ``fast`` to the
    other side of ``slow``; return the index after those fed, and the side after them.

    ``side`` is that before them: 1 above, -1 below, 0 not known yet; means that are equal keep it. ``closes``
    is an ``array('q')``. Raises IndexError for a range outside it, OverflowError beyond 2**53.
    """
    if begin < 0 or end > len(closes):
        raise IndexError("a range outside the closes")
    index, last, known = begin, end, side
    while index < last:
        close = _bounded(float(closes[index]))
        quick, calm = fast._after(close), slow._after(close)
        after = 1 if quick > calm else -1 if quick < calm else known
        if known != 0 and after != known:
            break
        fast._feed(0.0, 0.0, close, 0.0)
        slow._feed(0.0, 0.0, close, 0.0)
        known = after
        index += 1
    return index, known


def _column(values: Column) -> memoryview:
    """Return a view of a column; TypeError unless it is one-dimensional, contiguous and of float64."""
    view = memoryview(values)
    if view.format != "d" or view.ndim != 1 or not view.c_contiguous:
        raise TypeError("a column is a contiguous one-dimensional buffer of float64")
    return view


def _check_length(first: int, second: int) -> None:
    if first != second:
        raise ValueError(f"columns of unequal length: {first} and {second}")
