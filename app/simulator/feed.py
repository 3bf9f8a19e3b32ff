"""What a source of prices looks like to the simulator: ticks ahead of an instant, bars behind it.

A source is a pure function of its arguments: any instant may be asked for at any time, and bars are exactly
the trades of the ticks. No randomness, no files, no accounts here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from app.domain.calendar import Session
from app.domain.market import Bar

NS = 1_000_000_000


class Tick(NamedTuple):
    """One moment of a market. `size` 0 = the quote moved or was repeated, nothing traded. Prices are
    integer ticks.
    """

    utc_ns: int
    price: int  # of the last trade
    size: int
    bid: int
    ask: int
    side: int  # of the aggressor, +1 bought at the ask, -1 sold at the bid


class Feed(Protocol):
    """Prices of `symbols` (exchange tickers)."""

    @property
    def symbols(self) -> tuple[str, ...]: ...

    def ticks(self, symbol: str, after_ns: int) -> Iterator[Tick]:
        """Every tick strictly after `after_ns`, in order; it may end (a recording) or not (a generator)."""

    def last_tick(self, symbol: str, at_ns: int) -> Tick | None:
        """The last tick at or before `at_ns`; None when there was none."""

    def minutes(self, symbol: str, session: Session) -> Sequence[Bar]:
        """The whole session's one-minute bars, oldest first. Minutes without a trade have no bar."""

    def seconds(self, symbol: str, session: Session, start_ns: int, end_ns: int) -> Sequence[Bar]:
        """The session's one-second bars that open within [start_ns, end_ns), oldest first."""


def merge(bars: Iterable[Bar], start_ns: int) -> Bar | None:
    """One bar out of several in order, stamped `start_ns`; None for none."""
    rows = list(bars)
    if not rows:
        return None
    return Bar(
        start_ns,
        rows[0].open_ticks,
        max(bar.high_ticks for bar in rows),
        min(bar.low_ticks for bar in rows),
        rows[-1].close_ticks,
        sum(bar.volume for bar in rows),
    )
