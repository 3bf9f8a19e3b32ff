"""Bars from trades, coarser bars from finer ones, the mean true range. Integer ticks and exact fractions.

Bars are stamped with their opening time. Windows are counted from 17:00 Chicago, where the trading day
begins, and the last one of a day ends with it. A window without a trade has no bar: nothing is ever
synthesised. No indicator beyond the true range lives here, and no clock: `close_until` is told the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from operator import attrgetter

from app.domain.calendar import CHICAGO, OPEN_HOUR
from app.domain.market import MINUTE_NS, Bar, MarketTrade
from app.errors import Ours
from native import market

NS = 1_000_000_000
DAY_MINUTES = market.DAY_MINUTES  # the longest bar: one trading day

# A bar as `native.market` knows it.
_ROW = attrgetter("start_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


def _opening(local: datetime) -> int:
    """UTC ns of 17:00 Chicago on the date of `local`."""
    opens = datetime.combine(local.date(), time(OPEN_HOUR), CHICAGO)
    return (opens.astimezone(UTC) - _EPOCH) // timedelta(seconds=1) * NS


def _check_length(minutes: int) -> None:
    if not 1 <= minutes <= DAY_MINUTES:
        raise Ours(f"bars of {minutes} minutes: 1..{DAY_MINUTES} are possible")


class Windows:
    """The windows of `minutes` length. Remembers the trading day last asked about."""

    __slots__ = ("_day_end_ns", "_day_start_ns", "length_ns", "minutes")

    def __init__(self, minutes: int) -> None:
        _check_length(minutes)
        self.minutes, self.length_ns = minutes, minutes * MINUTE_NS
        self._day_start_ns = self._day_end_ns = 0

    def of(self, utc_ns: int) -> tuple[int, int]:
        """(start, end) of the window that holds `utc_ns`, half-open."""
        if not self._day_start_ns <= utc_ns < self._day_end_ns:
            self._find_day(utc_ns)
        if self.minutes == DAY_MINUTES:
            return self._day_start_ns, self._day_end_ns
        start = utc_ns - (utc_ns - self._day_start_ns) % self.length_ns
        return start, min(start + self.length_ns, self._day_end_ns)

    def _find_day(self, utc_ns: int) -> None:
        """From 17:00 to 17:00 of the wall clock: 23 or 25 hours when DST changes."""
        local = (_EPOCH + timedelta(seconds=utc_ns // NS)).astimezone(CHICAGO)
        opened = local if local.hour >= OPEN_HOUR else local - _DAY
        self._day_start_ns, self._day_end_ns = _opening(opened), _opening(opened + _DAY)


class BarBuilder:
    """Bars of one contract, trade by trade. A bar that was told is final; `late` counts what missed it."""

    def __init__(self, minutes: int) -> None:
        _check_length(minutes)
        self._market = market.Market((minutes,), Windows(DAY_MINUTES).of)
        self._contract = ""

    @property
    def late(self) -> int:
        """Trades that came after their bar had been told."""
        return self._market.late(0)

    def add(self, trade: MarketTrade) -> Bar | None:
        """Take a trade; returns the bar it ended, if any. Raises Ours for a trade of another contract, or
        with numbers that no trade has; nothing has changed then.
        """
        self._contract = self._contract or trade.contract
        if trade.contract != self._contract:
            raise Ours(f"a trade of {trade.contract} in the bars of {self._contract}")
        try:
            closed = self._market.on_trade(trade.price_ticks, trade.size, trade.utc_ns)
        except (ValueError, OverflowError) as error:
            raise Ours(f"a trade of {trade.contract}: {error}") from None
        return self._told() if closed else None

    def close_until(self, utc_ns: int) -> Bar | None:
        """The bar whose window has ended by `utc_ns`, if one is open; told once."""
        return self._told() if self._market.close_until(utc_ns) else None

    def ends_ns(self) -> int | None:
        """When the open window ends (call `close_until` then); None while no bar is open."""
        return self._market.ends_ns(0)

    def _told(self) -> Bar:
        return Bar(*self._market.closed.row(0))


def coarsen(bars: Iterable[Bar], minutes: int, partial: bool = False, until_ns: int = 0) -> list[Bar]:
    """Bars of `minutes` from one-minute `bars`, oldest first.

    The last window counts as completed when its last minute has a bar or `until_ns` (up to which `bars` are
    complete) is not before its end; otherwise it is left out, unless `partial`. Raises Ours for bars that
    are not in order or hold numbers that no bar has.
    """
    windows = Windows(minutes)
    try:
        fine = market.Bars(map(_ROW, bars))
        coarse = market.coarsen(fine, minutes, Windows(DAY_MINUTES).of).rows()
    except (ValueError, OverflowError) as error:
        raise Ours(str(error)) from None
    if coarse and not partial:
        complete_ns = max(fine.row(len(fine) - 1)[0] + MINUTE_NS, until_ns)
        if complete_ns < windows.of(coarse[-1][0])[1]:
            coarse.pop()
    return [Bar(*row) for row in coarse]


def true_range(bar: Bar, previous_close_ticks: int) -> int:
    """Ticks between the extremes of the bar and the close before it."""
    return max(bar.high_ticks, previous_close_ticks) - min(bar.low_ticks, previous_close_ticks)


def mean_true_range(bars: Sequence[Bar], n: int, previous_close_ticks: int | None = None) -> Fraction | None:
    """The plain mean of the true ranges of the last `n` bars, in ticks, exactly (no smoothing).

    Each range uses the close of the bar before; the first of the `n` therefore needs one more bar in
    `bars`, or `previous_close_ticks` when there are exactly `n`. None when that close is not known or bars
    are missing.
    """
    if n < 1:
        raise Ours(f"the mean of {n} bars")
    if len(bars) > n:
        close = bars[-n - 1].close_ticks
    elif len(bars) == n and previous_close_ticks is not None:
        close = previous_close_ticks
    else:
        return None
    total = 0
    for bar in bars[-n:]:
        total += true_range(bar, close)
        close = bar.close_ticks
    return Fraction(total, n)
