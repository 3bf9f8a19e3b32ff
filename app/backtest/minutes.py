"""The bars of one trading day in columns. No decision about a bar is made here."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from app.domain.bars import DAY_MINUTES, Windows
from app.domain.market import MINUTE_NS, Bar
from native import minutes

COLUMNS = ("starts", "opens", "highs", "lows", "closes", "volumes")


class Minutes:
    """One-minute bars, oldest first: `starts` in UTC ns, `opens`, `highs`, `lows`, `closes` in ticks,
    `volumes`. A `Bar` is made when asked for: most are never looked at one by one.
    """

    __slots__ = COLUMNS

    def __init__(self) -> None:
        self.starts, self.opens, self.highs = array("q"), array("q"), array("q")
        self.lows, self.closes, self.volumes = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self.starts)

    def bar(self, at: int) -> Bar:
        prices = self.opens[at], self.highs[at], self.lows[at], self.closes[at]
        return Bar(self.starts[at], *prices, self.volumes[at])

    def ended_before(self, utc_ns: int, begin: int) -> int:
        """The index after the last bar from `begin` on that ends before `utc_ns`."""
        return bisect_left(self.starts, utc_ns - MINUTE_NS, begin)

    def extend(self, block: minutes.Block, begin: int, end: int) -> None:
        """Append the bars `begin` to `end` of a block that was read."""
        for name in COLUMNS:
            getattr(self, name).extend(getattr(block, name)[begin:end])


def by_day(blocks: Iterable[minutes.Block]) -> Iterator[Minutes]:
    """The bars of `blocks` cut at 17:00 Chicago; a block may be used again for the next."""
    windows, until, day = Windows(DAY_MINUTES), 0, Minutes()
    for block in blocks:
        begin = 0
        while begin < block.count:
            if block.starts[begin] >= until:
                if day:
                    yield day
                until, day = windows.of(block.starts[begin])[1], Minutes()
            end = bisect_left(block.starts, until, begin, block.count)
            day.extend(block, begin, end)
            begin = end
    if day:
        yield day
