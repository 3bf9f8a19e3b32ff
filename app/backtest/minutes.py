"""The bars of one trade date, with the columns that are searched. No decision about a bar is made here."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from app.domain.bars import DAY_MINUTES, Windows
from app.domain.market import MINUTE_NS, Bar


class Minutes:
    """`bars` of one trading day, oldest first; `lows` and `highs` beside them in ticks."""

    __slots__ = ("bars", "highs", "lows", "starts")

    def __init__(self, bars: Sequence[Bar]) -> None:
        self.bars = bars
        self.starts = [bar.start_ns for bar in bars]
        self.lows = array("q", [bar.low_ticks for bar in bars])
        self.highs = array("q", [bar.high_ticks for bar in bars])

    def ended_before(self, utc_ns: int, begin: int) -> int:
        """The index after the last bar from `begin` on that ends before `utc_ns`."""
        return bisect_left(self.starts, utc_ns - MINUTE_NS, begin)


def by_day(bars: Iterable[Bar]) -> Iterator[Minutes]:
    """`bars` cut at 17:00 Chicago."""
    windows, until, day = Windows(DAY_MINUTES), 0, list[Bar]()
    for bar in bars:
        if bar.start_ns >= until:
            if day:
                yield Minutes(day)
            until, day = windows.of(bar.start_ns)[1], []
        day.append(bar)
    if day:
        yield Minutes(day)
