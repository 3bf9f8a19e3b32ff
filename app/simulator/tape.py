"""One session of one product, second by second, and the trades and quotes inside each second.

Pure arithmetic on two arrays. The tape is the only truth: bars are built from exactly the prints that
`ticks` yields.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from app.domain.calendar import Session
from app.domain.market import Bar
from app.simulator.feed import NS, Tick

WALK_LIMIT = (
    4  # ticks a second may walk through one by one; a larger move is a gap, nothing trades in between
)
WIDE_ONE_IN = 64  # one quote in so many shows a spread of two ticks


class Tape:
    """`prices` at the end of each second (rewritten to stand still where nothing trades), `volumes` traded
    within it.
    """

    def __init__(self, session: Session, prices: array[int], volumes: array[int]) -> None:
        held = prices[0]
        for index, volume in enumerate(volumes):
            held = prices[index] if volume else held
            prices[index] = held
        self.session, self.prices, self.volumes = session, prices, volumes

    def ticks(self, after_ns: int, slots: int) -> Iterator[Tick]:
        """Ticks strictly after `after_ns`, `slots` moments a second, only while the market's windows are
        open.
        """
        first = max(0, (after_ns - self.session.open_ns) // NS)
        for index in range(first, len(self.prices)):
            if self._trades(index):
                for tick in self.second(index, slots):
                    if tick.utc_ns > after_ns:
                        yield tick

    def last_tick(self, at_ns: int, slots: int) -> Tick | None:
        """The last tick at or before `at_ns`."""
        index = min((at_ns - self.session.open_ns) // NS, len(self.prices) - 1)
        while index >= 0:
            ticks = (
                [tick for tick in self.second(index, slots) if tick.utc_ns <= at_ns]
                if self._trades(index)
                else []
            )
            if ticks:
                return ticks[-1]
            index -= 1
        return None

    def second(self, index: int, slots: int) -> list[Tick]:
        """The ticks of one second: its trades spread over the slots, quotes alone where no trade falls."""
        start = self.session.open_ns + index * NS
        prints = self.prints(index)
        volume = self.volumes[index]
        count = max(len(prints), min(volume, slots)) if volume else 0
        price, ticks, done = self.prices[max(0, index - 1)], [], 0
        for slot in range(slots):
            stamp, before = start + slot * NS // slots, done
            while done < count and done * slots // count == slot:
                move = prints[done * len(prints) // count] - price
                price += move
                size = volume // count + (done < volume % count)
                ticks.append(_tick(stamp, price, size, move, index * slots + done))
                done += 1
            if before == done:
                ticks.append(_tick(stamp, price, 0, 0, index * slots + slot))
        return ticks

    def prints(self, index: int) -> list[int]:
        """The prices traded within a second, in order, ending at its price: a short walk, or a gap in one
        go.
        """
        volume, price = self.volumes[index], self.prices[index]
        if not volume:
            return []
        before = self.prices[index - 1] if index else price
        move = price - before
        if not 1 < abs(move) <= WALK_LIMIT:
            return [price]
        count = min(abs(move), volume)
        return [before + int(move * (step + 1) / count) for step in range(count)]

    def bars(self, seconds: int, first: int = 0, last: int | None = None) -> list[Bar]:
        """Bars of `seconds` (a divisor of 60) between the seconds `first` and `last`, oldest first, without
        the empty ones.
        """
        end = len(self.prices) if last is None else min(last, len(self.prices))
        found = (self._bar(index, seconds) for index in range(first, end, seconds))
        return [bar for bar in found if bar is not None]

    def _bar(self, index: int, seconds: int) -> Bar | None:
        volumes = self.volumes[index : index + seconds]
        volume = sum(volumes)
        if not volume:
            return None
        first = next(offset for offset, traded in enumerate(volumes) if traded)
        opening = self.prints(index + first)[0]
        prices = self.prices[index + first : index + seconds]
        high, low = max(opening, max(prices)), min(opening, min(prices))
        return Bar(self.session.open_ns + index * NS, opening, high, low, prices[-1], volume)

    def _trades(self, index: int) -> bool:
        start = self.session.open_ns + index * NS
        return any(begin <= start < end for begin, end in self.session.windows)


def _tick(stamp: int, price: int, size: int, move: int, noise: int) -> Tick:
    """A tick whose price lies on the side of the book that the aggressor hit."""
    mixed = noise * 2_654_435_761 >> 7
    side = (1 if move > 0 else -1) if move else (1 if mixed & 1 else -1)
    spread = 2 if (mixed >> 1) % WIDE_ONE_IN == 0 else 1
    bid, ask = (price - spread, price) if side > 0 else (price, price + spread)
    return Tick(stamp, price, size, bid, ask, side)
