# cython: boundscheck=False, wraparound=False, initializedcheck=False, nonecheck=False
"""The market of one symbol: merged quote, bars of several timeframes, their indicators. Also in batch.

Source of both twins: the build compiles this very file, typed by ``market_c.pxd``, to ``native.market_c``.
Prices are integer ticks, times UTC nanoseconds, a bar is stamped with its opening time. Windows count from
the start of the trading day, and the last one of a day ends with it; which day holds an instant is asked of
the caller, once a day, for time zones do not belong here. A window without a trade has no bar.

Indices are not checked in the compiled twin, which saves a quarter of the batches' time. Each is below a
count that was held against the room; the same tests pass on the pure twin, where Python checks them all. Nor
is None looked for inside, which the batches would pay at every bar: what comes from outside is an object
until a public function has read something of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from native.indicators_py import Indicator

# (start, end) in ns of the trading day that holds an instant, half-open.
DayOf: TypeAlias = Callable[[int], tuple[int, int]]
Column: TypeAlias = "array[int] | memoryview"  # or any other contiguous buffer of int64, as numpy's
Row: TypeAlias = tuple[int, int, int, int, int, int]  # start_ns, open, high, low, close, volume

MAX_FRAMES = 16  # timeframes of one symbol: the bits of a mask, and room set aside in every market
DAY_MINUTES = 1_440  # the longest bar: one trading day, of 23 or 25 hours when the clocks change
BID, ASK, LAST = 1, 2, 4  # what `Market.on_quote` says has changed

_MINUTE_NS = 60_000_000_000
_LONGEST_DAY_NS = 25 * 60 * _MINUTE_NS
_MAX = 9223372036854775807
_MIN = -_MAX - 1
# Prices beyond it are no whole numbers as float64, which is what indicators calculate with.
_MAX_PRICE = 9007199254740992
_FIRST_ROWS = 1_024  # room for rows that new bars begin with: 48 kB; doubled whenever it is full


def _int64(value: object) -> int:
    """Return an argument; TypeError for no integer (C would cut 1.5 to 1), OverflowError beyond int64."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"an integer is needed, not {type(value).__name__}")
    try:
        number = value
        if number > _MAX or number < _MIN:  # the compiled twin finds out one line earlier
            raise OverflowError
    except OverflowError:
        raise OverflowError("integer outside the signed 64-bit range") from None
    return number


def _refuse(volume: int) -> int:
    """Say why a volume cannot be added."""
    if volume < 0:
        raise ValueError(f"volume {volume} is negative")
    raise OverflowError("volume outside the signed 64-bit range")


def _length_ns(minutes: int) -> int:
    if not isinstance(minutes, int) or not 1 <= minutes <= DAY_MINUTES:
        raise ValueError(f"bars of {minutes!r} minutes: 1..{DAY_MINUTES} are possible")
    return minutes * _MINUTE_NS


class Bars:
    """Bars as parallel columns of int64, one array each; rows beyond ``len`` are room, not data."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        """Bars of ``rows``; ValueError for a row that has not six numbers."""
        self.count = 0
        self._resize(0)
        self.extend(rows)

    @staticmethod
    def wrap(
        start_ns: Column,
        open_ticks: Column,
        high_ticks: Column,
        low_ticks: Column,
        close_ticks: Column,
        volume: Column,
    ) -> Bars:
        """Bars over the caller's writable columns, not copied. ValueError for unequal lengths."""
        columns = [
            _column(each) for each in (start_ns, open_ticks, high_ticks, low_ticks, close_ticks, volume)
        ]
        for each in columns:
            _check_length(len(columns[0]), len(each))
            if each.readonly:
                raise TypeError("a column of bars is writable")
        bars = Bars()
        bars._adopt(tuple(columns))
        bars.count = len(columns[0])
        return bars

    def __len__(self) -> int:
        return self.count

    def clear(self) -> None:
        """Forget the rows, keep the room."""
        self.count = 0

    def extend(self, rows: Iterable[Row]) -> None:
        """Append ``rows`` up to the first that is none."""
        for start_ns, opened, high, low, close, volume in rows:
            self._add(
                _int64(start_ns), _int64(opened), _int64(high), _int64(low), _int64(close), _int64(volume)
            )

    def row(self, index: int) -> Row:
        """Return one bar; IndexError beyond the last."""
        if not 0 <= index < self.count:
            raise IndexError(f"bar {index} of {self.count}")
        return (
            self._start_ns[index],
            self._open[index],
            self._high[index],
            self._low[index],
            self._close[index],
            self._volume[index],
        )

    def rows(self) -> list[Row]:
        """Return all bars, oldest first."""
        return [self.row(index) for index in range(self.count)]

    def columns(self) -> tuple[memoryview, ...]:
        """Return the six columns without copying: start_ns, open, high, low, close, volume."""
        return tuple(memoryview(each)[: self.count] for each in self._columns)

    def state(self) -> tuple[Row, ...]:
        """The rows, for `restore` of either twin."""
        return tuple(self.rows())

    def restore(self, state: tuple[Row, ...]) -> None:
        self.count = 0
        self._resize(0)
        self.extend(state)

    def _add(self, start_ns: int, opened: int, high: int, low: int, close: int, volume: int) -> int:
        if self.count == self._room:
            self._resize(max(2 * self._room, _FIRST_ROWS))
        self._set(self.count, start_ns, opened, high, low, close, volume)
        self.count += 1
        return 0

    def _set(self, i: int, start_ns: int, opened: int, high: int, low: int, close: int, volume: int) -> int:
        """Write a row; the compiled twin writes unchecked, so the room is looked at here."""
        if not 0 <= i < self._room:
            raise IndexError(f"bar {i} in room for {self._room}")
        self._start_ns[i] = start_ns
        self._open[i] = opened
        self._high[i] = high
        self._low[i] = low
        self._close[i] = close
        self._volume[i] = volume
        return 0

    def _resize(self, room: int) -> int:
        """New columns of ``room`` rows, the old rows copied."""
        columns = [array("q", bytes(8 * room)) for _ in range(6)]
        if self.count:
            for old, new in zip(self.columns(), columns, strict=True):
                memoryview(new)[: self.count] = old
        return self._adopt(tuple(columns))

    def _adopt(self, columns: tuple[Column, ...]) -> int:
        self._columns, self._room = columns, len(columns[0])
        self._start_ns, self._open, self._high, self._low, self._close, self._volume = columns
        return 0


class _Day:
    """The trading day last asked about, and the window in it last looked for."""

    def __init__(self, day_of: DayOf) -> None:
        self._day_of = day_of
        self.start_ns = self.end_ns = 0
        self.begin = self.end = 0  # of the window

    def find(self, utc_ns: int) -> bool:
        """Move to the day of ``utc_ns``; False when it is this one. ValueError if told a wrong day."""
        if self.start_ns <= utc_ns < self.end_ns:
            return False
        first, last = self._day_of(utc_ns)
        start, end = _int64(first), _int64(last)
        # The second line also keeps every difference of times in a day within int64: no time is before 1970.
        if not start <= utc_ns < end or start < utc_ns - _LONGEST_DAY_NS or end - _LONGEST_DAY_NS > utc_ns:
            raise ValueError(f"the trading day {start}..{end} does not hold {utc_ns}")
        self.start_ns, self.end_ns = start, end
        return True

    def window(self, utc_ns: int, length_ns: int) -> int:
        """Set ``begin`` and ``end`` to the window of the day that holds ``utc_ns``; returns the end."""
        if length_ns == DAY_MINUTES * _MINUTE_NS:
            self.begin, self.end = self.start_ns, self.end_ns
            return self.end
        self.begin = utc_ns - (utc_ns - self.start_ns) % length_ns
        self.end = self.begin + length_ns if self.end_ns - self.begin > length_ns else self.end_ns
        return self.end


class Market:
    """One symbol. ``minutes`` are its timeframes; bit ``i`` of every mask is ``minutes[i]``.

    A bar that was told is final: a trade that comes after it is ``late`` for that timeframe, and still counts
    in those whose bar is growing. ``closed`` keeps the last bar told of each: ``closed.row(i)``, or without
    making objects ``closed.columns()``, taken once.
    """

    def __init__(self, minutes: Sequence[int], day_of: DayOf) -> None:
        """Raises ValueError unless there are 1..MAX_FRAMES different timeframes within 1..DAY_MINUTES."""
        self.minutes = tuple(minutes)
        frames = len(self.minutes)
        if not 1 <= frames <= MAX_FRAMES or len(set(self.minutes)) != frames:
            raise ValueError(f"1..{MAX_FRAMES} different timeframes, not {frames}")
        # As long as MAX_FRAMES; in figures, for the compiled twin has them in place, as arrays of C.
        self._length = [0] * 16
        for i, each in enumerate(self.minutes):
            self._length[i] = _length_ns(each)
        self._frames = frames
        # A frame without a growing bar has start == end: where the last one ended.
        self._start = [0] * 16
        self._end = [0] * 16
        self._open = [0] * 16
        self._high = [0] * 16
        self._low = [0] * 16
        self._close = [0] * 16
        self._volume = [0] * 16
        self._late = [0] * 16
        self._day = _Day(day_of)
        self._room = _MAX  # left for the volume of all trades: no bar's can overflow
        self._of_trades: list[Indicator] = []
        self._of_bars: list[list[Indicator]] = [[] for _ in self.minutes]
        self._bid = self._ask = self._last = self._said = 0
        self.quote_ns = 0
        self.closed = Bars([(0, 0, 0, 0, 0, 0)] * frames)

    def attach(self, indicator: Indicator, minutes: int = 0) -> None:
        """Feed an indicator, in ticks, with every trade or with the bars of one timeframe as they close.

        Raises TypeError for what is no indicator of this twin, ValueError for a timeframe that is not built.
        """
        if not isinstance(indicator, Indicator):
            raise TypeError(f"an indicator is needed, not {type(indicator).__name__}")
        if minutes == 0:
            self._of_trades.append(indicator)
        elif minutes in self.minutes:
            self._of_bars[self.minutes.index(minutes)].append(indicator)
        else:
            raise ValueError(f"no bars of {minutes} minutes here")

    def state(self) -> tuple[Any, ...]:
        """All that is remembered, with the indicators it feeds, for `restore` of either twin."""
        day, frames = self._day, []
        for i in range(self._frames):
            prices = self._open[i], self._high[i], self._low[i], self._close[i]
            frames.append((self._start[i], self._end[i], *prices, self._volume[i], self._late[i]))
        window = day.start_ns, day.end_ns, day.begin, day.end
        quote = self._bid, self._ask, self._last, self._said, self.quote_ns
        fed = tuple(self._of_trades), tuple([tuple(each) for each in self._of_bars])
        return self.minutes, day._day_of, window, tuple(frames), self._room, quote, self.closed, fed

    def restore(self, state: tuple[Any, ...]) -> None:
        Market.__init__(self, state[0], state[1])
        day, quote, fed = self._day, state[5], state[7]
        day.start_ns, day.end_ns, day.begin, day.end = state[2]
        for i, each in enumerate(state[3]):
            self._start[i], self._end[i], self._open[i], self._high[i] = each[:4]
            self._low[i], self._close[i], self._volume[i], self._late[i] = each[4:]
        self._room, self.closed = state[4], state[6]
        self._bid, self._ask, self._last, self._said, self.quote_ns = quote
        self._of_trades, self._of_bars = list(fed[0]), [list(each) for each in fed[1]]

    # -- trades

    def on_trade(self, price_ticks: int, volume: int, utc_ns: int) -> int:
        """Take a trade; returns the mask of timeframes whose bar it closed (see ``closed``).

        Raises ValueError for a negative volume, OverflowError for a price beyond 2**53 or a total volume
        beyond int64, and what ``day_of`` raises; nothing has changed then.
        """
        price, size, when = _int64(price_ticks), _int64(volume), _int64(utc_ns)
        if price > _MAX_PRICE or price < -_MAX_PRICE:
            raise OverflowError("price outside -2**53..2**53")
        if size < 0 or size > self._room:
            _refuse(size)
        new_day = when >= self._day.end_ns and self._day.find(when)
        self._room -= size
        closed = late = 0
        for i in range(self._frames):
            if when >= self._end[i]:
                closed |= self._tell(i)
                self._begin_bar(i, price, when)
            elif when < self._start[i]:
                self._late[i] += 1
                late = 1
                continue
            if price > self._high[i]:
                self._high[i] = price
            if price < self._low[i]:
                self._low[i] = price
            self._close[i] = price
            self._volume[i] += size
        if new_day:
            self._begin_day()
        if not late:
            self._feed(self._of_trades, price, price, price, size)
        return closed

    def close_until(self, utc_ns: int) -> int:
        """Tell the bars whose window has ended by ``utc_ns``; returns their mask."""
        when, closed = _int64(utc_ns), 0
        for i in range(self._frames):
            if when >= self._end[i]:
                closed |= self._tell(i)
        return closed

    def growing(self, frame: int) -> Row | None:
        """Return the bar of timeframe number ``frame`` as it stands, None between bars."""
        i = self._index(frame)
        if self._start[i] == self._end[i]:
            return None
        return self._start[i], self._open[i], self._high[i], self._low[i], self._close[i], self._volume[i]

    def ends_ns(self, frame: int) -> int | None:
        """Return when the growing bar of timeframe number ``frame`` ends, None between bars."""
        i = self._index(frame)
        return None if self._start[i] == self._end[i] else self._end[i]

    def late(self, frame: int) -> int:
        """Return how many trades came after their bar of timeframe number ``frame`` had been told."""
        return self._late[self._index(frame)]

    def _index(self, frame: int) -> int:
        if not 0 <= frame < self._frames:
            raise IndexError(f"timeframe {frame} of {self._frames}")
        return frame

    def _tell(self, i: int) -> int:
        """Close the growing bar, if any, and feed it on; returns its bit."""
        if self._start[i] == self._end[i]:
            return 0
        high, low, close, volume = self._high[i], self._low[i], self._close[i], self._volume[i]
        self.closed._set(i, self._start[i], self._open[i], high, low, close, volume)
        self._start[i] = self._end[i]
        self._feed(self._of_bars[i], high, low, close, volume)
        return 1 << i

    def _begin_bar(self, i: int, price: int, utc_ns: int) -> int:
        self._end[i] = self._day.window(utc_ns, self._length[i])
        self._start[i] = self._day.begin
        self._open[i] = self._high[i] = self._low[i] = price
        self._volume[i] = 0
        return 0

    def _feed(self, indicators: list[Indicator], high: float, low: float, close: float, volume: float) -> int:
        high, low, close, volume = float(high), float(low), float(close), float(volume)
        for k in range(len(indicators)):
            each = indicators[k]
            each._feed(high, low, close, volume)
        return 0

    def _begin_day(self) -> int:
        for indicators in (self._of_trades, *self._of_bars):
            for each in indicators:
                each._begin_day()
        return 0

    # -- quotes

    def on_quote(
        self, bid_ticks: int | None, ask_ticks: int | None, last_ticks: int | None, utc_ns: int
    ) -> int:
        """Merge what the venue said, None being unsaid; returns which of BID, ASK, LAST are new or different.

        Raises OverflowError outside int64, TypeError for no integer; nothing has changed then.
        """
        before, said = self._said, self._said
        bid, ask, last, when = self._bid, self._ask, self._last, _int64(utc_ns)
        if bid_ticks is not None:
            bid, said = _int64(bid_ticks), said | BID
        if ask_ticks is not None:
            ask, said = _int64(ask_ticks), said | ASK
        if last_ticks is not None:
            last, said = _int64(last_ticks), said | LAST
        changed = before ^ said
        changed |= (BID if bid != self._bid else 0) | (ASK if ask != self._ask else 0)
        changed |= LAST if last != self._last else 0
        self._bid, self._ask, self._last = bid, ask, last
        self._said, self.quote_ns = said, when
        return changed

    def clear_quote(self) -> None:
        """Forget the quote: after a reconnect its old half says nothing about now."""
        self._bid = self._ask = self._last = self._said = 0
        self.quote_ns = 0

    @property
    def bid_ticks(self) -> int | None:
        return self._bid if self._said & BID else None

    @property
    def ask_ticks(self) -> int | None:
        return self._ask if self._said & ASK else None

    @property
    def last_ticks(self) -> int | None:
        return self._last if self._said & LAST else None


# -- batches


def coarsen(bars: Bars, minutes: int, day_of: DayOf, out: Bars | None = None) -> Bars:
    """Bars of ``minutes`` from finer ones, oldest first; the last may be a partial one. ``out`` is reused.

    Raises ValueError for bars out of order or from before 1970, a negative volume, a length that is not
    possible, or ``out`` being ``bars``; OverflowError for a volume beyond int64.
    """
    if out is bars:
        raise ValueError("bars cannot be coarsened into themselves")
    length, result = _length_ns(minutes), _emptied(out)
    _coarsen(bars, bars.count, length, _Day(day_of), result)
    return result


def _coarsen(bars: Bars, count: int, length: int, day: _Day, out: Bars) -> int:
    starts, opens, highs = bars._start_ns, bars._open, bars._high
    lows, closes, volumes = bars._low, bars._close, bars._volume
    first, high, low, room = 0, 0, 0, 0
    end, last = _MIN, -1
    for i in range(count):
        when = starts[i]
        if when <= last:
            raise ValueError(f"bar {when} after bar {last}")
        last = when
        if when >= end:
            if i > 0:
                out._add(day.begin, opens[first], high, low, closes[i - 1], _MAX - room)
            end = _next_window(day, when, length)
            first, high, low, room = i, highs[i], lows[i], _MAX
        if highs[i] > high:
            high = highs[i]
        if lows[i] < low:
            low = lows[i]
        if volumes[i] < 0 or volumes[i] > room:
            _refuse(volumes[i])
        room -= volumes[i]
    if count > 0:
        out._add(day.begin, opens[first], high, low, closes[count - 1], _MAX - room)
    return 0


def ticks_to_bars(
    times: Column, prices: Column, sizes: Column, minutes: int, day_of: DayOf, out: Bars | None = None
) -> Bars:
    """Bars of trades, oldest first (equal times keep their order); the last may be a partial one.

    Raises ValueError for trades out of order or from before 1970, columns of unequal length, a length that
    is not possible or a negative size; OverflowError for a volume beyond int64.
    """
    when, price, size = _column(times), _column(prices), _column(sizes)
    _check_length(len(when), len(price))
    _check_length(len(when), len(size))
    length, result = _length_ns(minutes), _emptied(out)
    _ticks_to_bars(when, price, size, length, _Day(day_of), result)
    return result


def _ticks_to_bars(
    times: memoryview, prices: memoryview, sizes: memoryview, length: int, day: _Day, out: Bars
) -> int:
    first, high, low, room = 0, 0, 0, 0
    end, last, count = _MIN, 0, len(times)
    for i in range(count):
        when, price = times[i], prices[i]
        if when < last:
            raise ValueError(f"trade {when} after trade {last}")
        last = when
        if when >= end:
            if i > 0:
                out._add(day.begin, prices[first], high, low, prices[i - 1], _MAX - room)
            end = _next_window(day, when, length)
            first, high, low, room = i, price, price, _MAX
        if price > high:
            high = price
        if price < low:
            low = price
        if sizes[i] < 0 or sizes[i] > room:
            _refuse(sizes[i])
        room -= sizes[i]
    if count > 0:
        out._add(day.begin, prices[first], high, low, prices[count - 1], _MAX - room)
    return 0


def _next_window(day: _Day, utc_ns: int, length: int) -> int:
    """Move to the window of ``utc_ns``; mostly it follows the one before, which saves a division."""
    if day.end <= utc_ns < day.end_ns and utc_ns - day.end < length and day.begin < day.end:
        day.begin = day.end
        day.end = day.begin + length if day.end_ns - day.begin > length else day.end_ns
        return day.end
    day.find(utc_ns)
    return day.window(utc_ns, length)


def _emptied(out: Bars | None) -> Bars:
    result = Bars() if out is None else out
    result.clear()
    return result


def _column(values: Column) -> memoryview:
    """Return a view of a column; TypeError unless it is one-dimensional, contiguous and of int64."""
    view = memoryview(values)
    if view.format not in ("q", "l") or view.itemsize != 8 or view.ndim != 1 or not view.c_contiguous:
        raise TypeError("a column is a contiguous one-dimensional buffer of int64")
    return view.cast("B").cast("q")


def _check_length(first: int, second: int) -> None:
    if first != second:
        raise ValueError(f"columns of unequal length: {first} and {second}")
