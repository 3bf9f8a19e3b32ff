"""The CME trading calendar in integer UTC nanoseconds: trade dates, sessions, and when the venue lets us
trade.

The rules of days are in `holidays`, the owner's dated entries in `overrides`; here both become instants.
Nothing here reads a file, a clock or a setting. Coverage is 2010-01-01 to 2027-12-31 17:00 Chicago; an
instant or a date outside it raises `Refused("calendar.coverage")`, because unknown hours are refused hours.

Two notions of a day are kept apart:

- *Trade date* (`trade_date`): the date under which P&L is booked. 17:00 Chicago opens the next date;
  weekends and days without any session roll forward. A bank holiday with a morning session is its own date.
  (The exchange clears that morning with the next business day, and the venue does not say which date it
  uses; the daily check of the ledger against the balance does not depend on it.)
- *Trading day* (`TradingCalendar.trading_day_start`): the instant at which the running daily limits began.

The times of a session, for globex products on an ordinary Tuesday in Chicago:

    Monday  17:00   open_ns                     the exchange opens
    Tuesday 15:05   entries_until_ns            our last entry
            15:08   flat_ns                     we are flat
            15:10   flat_by_ns, venue_close_ns  the venue flattens whoever is not
            16:00   close_ns                    the exchange closes

Grains and livestock have today's hours in all years, although theirs have changed several times since 2010.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from app.domain.holidays import (
    DAY,
    EARLY_FLAT_MARGIN,
    FIRST_DATE,
    GROUPS,
    LAST_DATE,
    MONDAY,
    SATURDAY,
    VENUE_FLAT,
    holiday,
    minute,
    regular_close,
)
from app.domain.overrides import DayOverride, Overrides
from app.errors import Refused

__all__ = ["CHICAGO", "NEW_YORK", "DayOverride", "Overrides", "Session", "TradingCalendar", "trade_date"]

CHICAGO = ZoneInfo("America/Chicago")
NEW_YORK = ZoneInfo("America/New_York")

NS = 1_000_000_000
MINUTE_NS = 60 * NS
HOUR_NS = 3_600 * NS
DAY_NS = 86_400 * NS

OPEN_HOUR = 17  # Chicago hour at which the next trade date begins
ENTRIES_MARGIN = 5  # minutes: no entry in the last five before the venue flattens (15:05)
FLAT_MARGIN = 2  # minutes: flat by ourselves two minutes before (15:08)
WARN_DAYS = 60  # days of notice before the rules end

SESSIONS_KEPT = 1_024  # built sessions of one calendar: a year of all three groups, about 300 kB
CLOSED_DAYS_LIMIT = 14  # days a walk looks for the neighbouring session; closures by rule last four at most

# When each group trades, in minutes from midnight of the trade date (negative: the evening before).
HOURS: dict[str, tuple[tuple[int, int], ...]] = {
    "globex": ((minute(OPEN_HOUR - 24), minute(24)),),  # until the day's close
    "grains": ((minute(19 - 24), minute(7, 45)), (minute(8, 30), minute(13, 20))),
    "livestock": ((minute(8, 30), minute(13, 5)),),
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def _instant(day: date, minutes: int) -> int:
    """UTC ns of Chicago's wall clock, `minutes` from midnight of `day`; DST moves while all is closed."""
    local = datetime.combine(day, time(), CHICAGO) + timedelta(minutes=minutes)
    return (local.astimezone(UTC) - _EPOCH) // _SECOND * NS


def _chicago(utc_ns: int) -> datetime:
    return (_EPOCH + _SECOND * (utc_ns // NS)).astimezone(CHICAGO)


COVERAGE_START_NS = _instant(FIRST_DATE, 0)
COVERAGE_END_NS = _instant(LAST_DATE, minute(OPEN_HOUR))


def _covered(utc_ns: int) -> bool:
    return COVERAGE_START_NS <= utc_ns < COVERAGE_END_NS


def _refuse(value: object) -> Refused:
    return Refused("calendar.coverage", value, f"{FIRST_DATE} to {LAST_DATE}", "its hours are not known")


def _require(utc_ns: int) -> None:
    if not _covered(utc_ns):
        raise _refuse(f"{utc_ns} ns")


def _next_date(utc_ns: int) -> date:
    """The calendar date a Chicago instant counts for, before weekends and holidays roll."""
    local = _chicago(utc_ns)
    return local.date() + DAY if local.hour >= OPEN_HOUR else local.date()


def trade_date(utc_ns: int) -> date:
    """The date P&L of `utc_ns` is booked under, by the rules alone. Raises Refused outside coverage."""
    return _RULES.trade_date(utc_ns)


@dataclass(frozen=True, slots=True)
class Session:
    """The hours of one trade date for one group of products; all times are UTC ns, half-open [from, until).

    `windows` are the exchange's open intervals in order, `open_ns` and `close_ns` their outer edges.
    `venue_close_ns` is the end of trading at the venue. `flat_by_ns` is its flatten time, or 15 minutes
    before the group's own last close where that is earlier.
    """

    trade_date: date
    open_ns: int
    close_ns: int
    venue_close_ns: int
    flat_by_ns: int
    flat_ns: int
    entries_until_ns: int
    windows: tuple[tuple[int, int], ...]

    def is_open(self, utc_ns: int) -> bool:
        """Exchange and venue both trade at `utc_ns`."""
        return utc_ns < self.venue_close_ns and any(start <= utc_ns < end for start, end in self.windows)


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of time with one answer: inside `session`, or (None) the gap between two sessions."""

    start_ns: int
    end_ns: int
    session: Session | None
    last_open_ns: int


_NONE_KNOWN: tuple[_Span | None, Session | None] = (None, None)


class TradingCalendar:
    """Sessions by rule with the owner's overrides on top.

    Every answer depends on the arguments alone; the caches (built sessions, the span and the hour that the
    last question fell into, the session after it) only make it cheap to ask on every quote.
    """

    def __init__(self, overrides: Overrides | None = None) -> None:
        self._overrides = overrides or Overrides()
        self._session = lru_cache(maxsize=SESSIONS_KEPT)(self._build)
        self._spans: dict[str, _Span] = {}
        self._next: dict[str, tuple[_Span | None, Session | None]] = {}  # of a span: the session after it
        self._dated = (-1, FIRST_DATE)  # trade dates change on whole hours of UTC: an hour and its date

    # -- by date ------------------------------------------------------------------------------------

    def session(self, day: date, hours: str = "globex") -> Session | None:
        """The session with trade date `day`; None when there is none. Raises Refused outside coverage."""
        if not FIRST_DATE <= day <= LAST_DATE:
            raise _refuse(day)
        return self._session(day, hours)

    def sessions(self, first: date, last: date, hours: str = "globex") -> Iterator[Session]:
        """The sessions of the trade dates `first` to `last`, both included, in order."""
        for offset in range((last - first).days + 1):
            if (session := self.session(first + timedelta(days=offset), hours)) is not None:
                yield session

    # -- by instant ---------------------------------------------------------------------------------

    @staticmethod
    def covers(utc_ns: int) -> bool:
        """The rules know this instant."""
        return _covered(utc_ns)

    @property
    def warn_from_ns(self) -> int:
        """From here on the end of coverage deserves an alarm."""
        return COVERAGE_END_NS - WARN_DAYS * DAY_NS

    def trade_date(self, utc_ns: int) -> date:
        """As the module's `trade_date`, with the overrides: a day they close rolls forward too."""
        hour, day = self._dated
        if hour != utc_ns // HOUR_NS:
            _require(utc_ns)  # what is covered begins and ends on whole hours
            day = next(self._walk(_next_date(utc_ns), DAY, "globex")).trade_date
            if day > LAST_DATE:
                raise _refuse(day)
            self._dated = utc_ns // HOUR_NS, day
        return day

    def session_at(self, utc_ns: int, hours: str = "globex") -> Session | None:
        """The session whose [open, close) holds `utc_ns`, pauses included; None between sessions."""
        return self._span(utc_ns, hours).session

    def is_open(self, utc_ns: int, hours: str = "globex") -> bool:
        """Exchange and venue trade: globex from 17:00 to 15:10 or an early-close day's flatten time."""
        session = self._span(utc_ns, hours).session
        return session is not None and session.is_open(utc_ns)

    def next_open(self, utc_ns: int, hours: str = "globex") -> int:
        """The first opening of a window strictly after `utc_ns`. Raises Refused beyond coverage."""
        span = self._spans.get(hours)
        if span is None or span.session is None or utc_ns != span.end_ns:
            span = self._span(utc_ns, hours)  # asked at its close, the running session answers
        if span.session is not None:
            for start, _ in span.session.windows:
                if start > utc_ns:
                    return start
        known, following = self._next.get(hours, _NONE_KNOWN)
        if known is not span or following is None:
            following = self._after(utc_ns if span.session is None else span.end_ns, hours)
            self._next[hours] = span, following
        if following.trade_date > LAST_DATE:
            raise _refuse(following.trade_date)
        return following.open_ns

    def trading_day_start(self, utc_ns: int) -> int:
        """The latest session open (17:00 Chicago) at or before `utc_ns`.

        In the afternoon pause that is the day's own start, on a weekend or holiday the start of the last
        session.
        """
        return self._span(utc_ns, "globex").last_open_ns

    # -- building -----------------------------------------------------------------------------------

    def _span(self, utc_ns: int, hours: str) -> _Span:
        span = self._spans.get(hours)
        if span is None or not span.start_ns <= utc_ns < span.end_ns:
            _require(utc_ns)
            span = self._spans[hours] = self._find_span(utc_ns, hours)
        return span

    def _find_span(self, utc_ns: int, hours: str) -> _Span:
        following = self._after(utc_ns, hours)
        if following.open_ns <= utc_ns:
            return _Span(following.open_ns, following.close_ns, following, following.open_ns)
        before = self._before(utc_ns, hours)
        # Clipped, so that a cached gap never answers for an instant beyond coverage.
        start, end = max(before.close_ns, COVERAGE_START_NS), min(following.open_ns, COVERAGE_END_NS)
        return _Span(start, end, None, before.open_ns)

    def _after(self, utc_ns: int, hours: str) -> Session:
        """The first session that ends after `utc_ns`."""
        return next(s for s in self._walk(_chicago(utc_ns).date(), DAY, hours) if s.close_ns > utc_ns)

    def _before(self, utc_ns: int, hours: str) -> Session:
        """The last session that ended at or before `utc_ns`."""
        return next(s for s in self._walk(_next_date(utc_ns), -DAY, hours) if s.close_ns <= utc_ns)

    def _walk(self, day: date, step: timedelta, hours: str) -> Iterator[Session]:
        """The sessions from `day` on, `step` by `step`. Raises Refused when there are none for weeks."""
        for offset in range(CLOSED_DAYS_LIMIT):
            if (session := self._session(day + offset * step, hours)) is not None:
                yield session
        raise Refused("calendar.gap", f"{day} {hours}", f"{CLOSED_DAYS_LIMIT} days without a session")

    def _build(self, day: date, hours: str) -> Session | None:
        """Unchecked by coverage: the walks look one session past either edge."""
        closing = self._closing(day, hours)
        if day.weekday() >= SATURDAY or closing is None:
            return None
        close, flat = closing
        windows = [(start, min(end, close)) for start, end in self._hours(day, hours) if start < close]
        last_close = windows[-1][1] if windows else close
        flat_by = min(flat, last_close - EARLY_FLAT_MARGIN)
        if not windows or flat_by - ENTRIES_MARGIN <= windows[0][0]:
            return None  # the day ends before these products open
        return Session(
            trade_date=day,
            open_ns=_instant(day, windows[0][0]),
            close_ns=_instant(day, last_close),
            venue_close_ns=_instant(day, min(flat, last_close)),
            flat_by_ns=_instant(day, flat_by),
            flat_ns=_instant(day, flat_by - FLAT_MARGIN),
            entries_until_ns=_instant(day, flat_by - ENTRIES_MARGIN),
            windows=tuple((_instant(day, start), _instant(day, end)) for start, end in windows),
        )

    def _closing(self, day: date, hours: str) -> tuple[int, int] | None:
        """Minutes of the exchange's close and of the venue's flatten time; None = closed."""
        close, flat = _rule(day, hours)
        entry = self._overrides.find(day, hours)
        if entry is not None:
            if entry.closed:
                return None
            if entry.close is not None:
                close, flat = entry.close, min(VENUE_FLAT, entry.close - EARLY_FLAT_MARGIN)
            flat = flat if entry.flat is None else entry.flat
        return None if close is None else (close, flat)

    def _hours(self, day: date, hours: str) -> tuple[tuple[int, int], ...]:
        """The group's windows. After a closure in midweek grains reopen in the morning: no evening window."""
        windows = HOURS[hours]
        if hours == "grains" and not _reopens_in_the_evening(day - DAY):
            return windows[1:]
        return windows


def _rule(day: date, hours: str) -> tuple[int | None, int]:
    """Close (None = closed) and flatten time of `day` by rule."""
    if hours not in GROUPS:
        raise Refused("calendar.hours", hours, ", ".join(GROUPS))
    special = holiday(day)
    if special is None:
        return regular_close(day), VENUE_FLAT
    close = special.close if hours == "globex" else special.farm_close
    return close, VENUE_FLAT if special.flat is None else special.flat


def _reopens_in_the_evening(day: date) -> bool:
    """Grains trade in the evening of an ordinary `day` and of a Monday holiday on which globex opened."""
    special = holiday(day)
    if special is None or special.farm_close is not None:
        return True
    return special.close is not None and day.weekday() == MONDAY


_RULES = TradingCalendar()
