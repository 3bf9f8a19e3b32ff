"""The venue's bars: built from the same tape that trades live, newest first, silently cut to the limit.
Pure.

Windows are aligned to the session's opening (17:00 Chicago); a day is a session and is stamped with its
opening on the evening before; weeks and months are stamped with that of their first session. Every expiry
of a product shows the product's one price path, up to its own last day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from itertools import groupby, islice
from typing import NamedTuple

from app.domain.calendar import Session, TradingCalendar
from app.domain.instruments import Instrument
from app.domain.market import MINUTE_NS, Bar
from app.simulator.feed import NS, Feed, merge
from app.simulator.listing import last_day
from app.simulator.rows import Row, price
from app.simulator.stamps import bar_stamp

LIMIT_MAX = 20_000  # bars of one reply
INTRADAY_DAYS = 63  # calendar days of second and minute bars kept, as observed
HOURLY_DAYS = 366  # calendar days of hourly and longer bars kept


NEVER_NS = 2**63 - 1


class Unit(IntEnum):
    SECOND = 1
    MINUTE = 2
    HOUR = 3
    DAY = 4
    WEEK = 5
    MONTH = 6


SECONDS = {Unit.SECOND: 1, Unit.MINUTE: 60, Unit.HOUR: 3_600}


@dataclass(frozen=True, slots=True)
class Query:
    """A checked request. `now_ns` is the simulated present: nothing after it exists."""

    contract: str
    instrument: Instrument
    start_ns: int
    end_ns: int
    unit: Unit
    number: int
    limit: int
    partial: bool
    now_ns: int


class Window(NamedTuple):
    """One bar and the instant at which its window ends."""

    bar: Bar
    end_ns: int


def sessions(query: Query, calendar: TradingCalendar) -> Iterator[Session]:
    """The sessions that the query may touch, newest first."""
    kept = INTRADAY_DAYS if query.unit in (Unit.SECOND, Unit.MINUTE) else HOURLY_DAYS
    today = calendar.trade_date(query.now_ns)
    newest = min(today, last_day(query.contract))
    span = newest - today + timedelta(days=kept)
    for back in range(max(0, span.days) + 1):
        session = calendar.session(newest - timedelta(days=back), query.instrument.hours)
        if session is not None and session.open_ns <= min(query.end_ns, query.now_ns):
            if session.close_ns <= query.start_ns and query.unit < Unit.WEEK:
                return
            yield session


def windows(query: Query, feed: Feed, session: Session) -> list[Window]:
    """The session's bars within the query, newest first; for a day or longer the one bar of the session."""
    if query.unit >= Unit.DAY:
        bar = merge(_known(query, feed, session), session.open_ns)
        return [] if bar is None else [Window(bar, session.close_ns)]
    size = SECONDS[query.unit] * query.number * NS
    groups = groupby(_known(query, feed, session), key=lambda bar: (bar.start_ns - session.open_ns) // size)
    merged = [(merge(bars, session.open_ns + index * size), index) for index, bars in groups]
    found = [Window(bar, session.open_ns + (index + 1) * size) for bar, index in merged if bar is not None]
    return [window for window in reversed(found) if query.start_ns <= window.bar.start_ns <= query.end_ns]


def enough(query: Query) -> int:
    """So many windows fill the limit, the running one included."""
    parts = {Unit.DAY: query.number, Unit.WEEK: 5 * query.number, Unit.MONTH: 23 * query.number}
    return (query.limit + 1) * parts.get(query.unit, 1)


def _known(query: Query, feed: Feed, session: Session) -> Iterable[Bar]:
    """The session's finest needed bars, nothing of the future in them."""
    symbol, now = query.instrument.symbol, query.now_ns
    whole_second = now - now % NS
    if query.unit is Unit.SECOND:
        return feed.seconds(symbol, session, query.start_ns, min(query.end_ns + 1, whole_second))
    bars = feed.minutes(symbol, session)
    if session.close_ns <= now:
        return bars
    minute = now - now % MINUTE_NS
    running = merge(feed.seconds(symbol, session, minute, whole_second), minute)
    past = [bar for bar in bars if bar.start_ns < minute]
    return past if running is None else [*past, running]


def select(query: Query, found: Iterable[Window]) -> list[Row]:
    """Rows of what the query asked for, out of windows newest first."""
    within = (window for window in _grouped(query, found) if window.bar.start_ns >= query.start_ns)
    shown = (window for window in within if query.partial or window.end_ns <= query.now_ns)
    return [_row(query.instrument, window.bar) for window in islice(shown, query.limit)]


def _grouped(query: Query, found: Iterable[Window]) -> Iterator[Window]:
    """Sessions gathered into several days, weeks or months; shorter windows pass."""
    if query.unit < Unit.DAY or (query.unit is Unit.DAY and query.number == 1):
        yield from found
        return
    running = _period(query, query.now_ns)
    for period, group in groupby(found, key=lambda window: _period(query, window.end_ns)):
        parts = list(group)[::-1]
        bar = merge((part.bar for part in parts), parts[0].bar.start_ns)
        if bar is not None:
            yield Window(bar, NEVER_NS if period == running else parts[-1].end_ns)


def _period(query: Query, utc_ns: int) -> int:
    """The number of the period that holds an instant; a session's close lies on its trade date."""
    day = date(1970, 1, 1) + timedelta(seconds=utc_ns // NS)
    if query.unit is Unit.MONTH:
        return (day.year * 12 + day.month - 1) // query.number
    weeks = (day.toordinal() - 1) // 7
    return weeks // query.number if query.unit is Unit.WEEK else day.toordinal() // query.number


def _row(instrument: Instrument, bar: Bar) -> Row:
    return {
        "t": bar_stamp(bar.start_ns),
        "o": price(instrument, bar.open_ticks),
        "h": price(instrument, bar.high_ticks),
        "l": price(instrument, bar.low_ticks),
        "c": price(instrument, bar.close_ticks),
        "v": bar.volume,
    }
