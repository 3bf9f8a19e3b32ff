"""One-minute bars out of CSV text, into columns: the plain lines, which are all of an honest file but a few.

Source of both twins: the build compiles this very file, typed by ``minutes_c.pxd``, to ``native.minutes_c``.
A plain line is ``2013-10-06T22:00:00Z,1676.75,1677.25,1673.5,1675.25,1884`` with a line end: no sign, no
exponent, a price of at most 9 digits before and after the point. Anything else, and every line that is
wrong, is left where it is: ``app.backtest.bars_csv`` reads it by its own rules and has the words for what it
refuses.
"""

from __future__ import annotations

from array import array
from typing import Any

ROWS = 4096  # of one block: about three days, 200 kB
_DIGITS = 9  # before the point, and after it: nano-units of the largest price stay far below 2**63
_VOLUME_DIGITS = 12
_NANO = 1_000_000_000
_MINUTE_NS = 60 * _NANO
_DAY_MINUTES = 1440
_FIRST_YEAR, _LAST_YEAR = 1970, 2200  # nanoseconds of later years do not fit 64 bits
_PLACES = array("q", [10**place for place in range(_DIGITS + 1)])
_DAYS_BEFORE = array("q", [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365])


class Block:
    """``count`` bars in the columns ``starts`` (UTC ns), ``opens``, ``highs``, ``lows``, ``closes`` (ticks of
    ``tick_nano`` nano-units) and ``volumes``, each ``array('q')`` of ROWS places.

    A bar must begin after ``last_ns``, the bar before it, and within [``from_ns``, ``until_ns``) to be plain.
    """

    def __init__(self, tick_nano: int, from_ns: int, until_ns: int) -> None:
        """Raises ValueError for a tick that is not positive."""
        if tick_nano < 1:
            raise ValueError("a tick must be positive")
        self.tick_nano = tick_nano
        self.from_ns, self.until_ns, self.last_ns = from_ns, until_ns, -1
        self.count = 0
        self.starts, self.opens, self.highs = _column(), _column(), _column()
        self.lows, self.closes, self.volumes = _column(), _column(), _column()
        # the same columns as C sees them
        self._starts, self._opens, self._highs = self.starts, self.opens, self.highs
        self._lows, self._closes, self._volumes = self.lows, self.closes, self.volumes
        self._number = 0

    def clear(self) -> None:
        """Room for ROWS more; ``last_ns`` stays."""
        self.count = 0

    def put(self, start_ns: int, opened: int, high: int, low: int, close: int, volume: int) -> None:
        """Add a bar that was read elsewhere. Raises IndexError when the block is full."""
        at = self.count
        if at >= ROWS:
            raise IndexError("the block is full")
        self._starts[at], self._opens[at], self._highs[at] = start_ns, opened, high
        self._lows[at], self._closes[at], self._volumes[at] = low, close, volume
        self.last_ns, self.count = start_ns, at + 1

    def read(self, text: Any, begin: int) -> int:
        """Take whole plain lines of the bytes ``text`` from ``begin`` on; returns where the first that is not
        begins, or where the block was full. Raises IndexError for a ``begin`` outside.
        """
        if begin < 0 or begin > len(text):
            raise IndexError("outside the text")
        at = begin
        while self.count < ROWS:
            after = self._line(text, at)
            if after < 0:
                break
            at = after
        return at

    def _line(self, text: Any, at: int) -> int:
        """The position behind the line; -1 for one that is not plain."""
        start = self._start(text, at)
        if start <= self.last_ns or start < self.from_ns or start >= self.until_ns:
            return -1
        at = self._price(text, at + 21)
        opened = self._number
        at = self._price(text, at)
        high = self._number
        at = self._price(text, at)
        low = self._number
        at = self._price(text, at)
        close = self._number
        if at < 0 or low > opened or low > close or high < opened or high < close:
            return -1
        at = self._volume(text, at)
        if at < 0:
            return -1
        row = self.count
        self._starts[row], self._opens[row], self._highs[row] = start, opened, high
        self._lows[row], self._closes[row], self._volumes[row] = low, close, self._number
        self.last_ns, self.count = start, row + 1
        return at

    def _start(self, text: Any, at: int) -> int:
        """UTC ns of ``YYYY-MM-DDTHH:MM:00Z,``; -2 for anything else."""
        if at + 21 > len(text):
            return -2
        if text[at + 4] != 45 or text[at + 7] != 45 or text[at + 10] != 84 or text[at + 13] != 58:
            return -2
        if text[at + 16] != 58 or text[at + 17] != 48 or text[at + 18] != 48 or text[at + 19] != 90:
            return -2
        century, year = _pair(text, at), _pair(text, at + 2)
        month, day = _pair(text, at + 5), _pair(text, at + 8)
        hour, minute = _pair(text, at + 11), _pair(text, at + 14)
        if century < 0 or year < 0 or hour < 0 or hour > 23 or minute < 0 or minute > 59:
            return -2
        days = _days(century * 100 + year, month, day)
        if days < 0 or text[at + 20] != 44:
            return -2
        return (days * _DAY_MINUTES + hour * 60 + minute) * _MINUTE_NS

    def _price(self, text: Any, at: int) -> int:
        """Read ticks up to a comma into ``_number``; the position behind the comma, -1 for anything else."""
        if at < 0:
            return -1
        size, end, whole = len(text), at, 0
        while end < size and 48 <= text[end] <= 57 and end - at < _DIGITS:
            whole = whole * 10 + text[end] - 48
            end += 1
        if end == at or end >= size:
            return -1
        nano = whole * _NANO
        if text[end] == 46:
            point, part = end, 0
            end += 1
            while end < size and 48 <= text[end] <= 57 and end - point <= _DIGITS:
                part = part * 10 + text[end] - 48
                end += 1
            if end == point + 1:
                return -1
            nano += part * _PLACES[_DIGITS - (end - point - 1)]
        if end >= size or text[end] != 44 or nano % self.tick_nano:
            return -1
        self._number = nano // self.tick_nano
        return end + 1

    def _volume(self, text: Any, at: int) -> int:
        """Read a whole number up to the line's end into ``_number``; the position behind it, -1 otherwise."""
        size, end, number = len(text), at, 0
        while end < size and 48 <= text[end] <= 57 and end - at < _VOLUME_DIGITS:
            number = number * 10 + text[end] - 48
            end += 1
        if end == at:
            return -1
        if end < size and text[end] == 13:
            end += 1
        if end >= size or text[end] != 10:
            return -1
        self._number = number
        return end + 1


def _column() -> Any:
    return array("q", bytes(8 * ROWS))


def _pair(text: Any, at: int) -> int:
    """The number of two digits; -1 for anything else."""
    tens, ones = text[at] - 48, text[at + 1] - 48
    if tens < 0 or tens > 9 or ones < 0 or ones > 9:
        return -1
    return tens * 10 + ones


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 by the Gregorian rule; -1 for no such date."""
    if year < _FIRST_YEAR or year > _LAST_YEAR or month < 1 or month > 12 or day < 1:
        return -1
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    before, length = _DAYS_BEFORE[month - 1], _DAYS_BEFORE[month] - _DAYS_BEFORE[month - 1]
    if day > length + (1 if leap and month == 2 else 0):
        return -1
    past = year - 1
    whole = past * 365 + past // 4 - past // 100 + past // 400 - 719162
    return whole + before + (1 if leap and month > 2 else 0) + day - 1
