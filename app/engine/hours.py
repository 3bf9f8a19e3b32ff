"""The calendar as the engine asks it: None instead of an error while the clock is outside what the calendar
knows.

The board has no battery-backed clock and may wake up in 1970. Nothing may crash then; everything that needs
the time of day does not know, and what is not known is refused (hold CLOCK).
"""

from __future__ import annotations

from datetime import date, timedelta

from app.clock import Clock
from app.domain.calendar import TradingCalendar
from app.errors import Refused

SESSIONLESS_DAYS = 10  # more days in a row without a session do not exist


class Hours:
    """Answers about *now*."""

    def __init__(self, clock: Clock, calendar: TradingCalendar) -> None:
        self._clock, self._calendar = clock, calendar

    def trade_date(self, utc_ns: int | None = None) -> date | None:
        """Of now, or of an instant."""
        try:
            return self._calendar.trade_date(self._clock.utc_ns() if utc_ns is None else utc_ns)
        except Refused:
            return None

    def last_close_ns(self, day: date) -> int | None:
        """The close of the last session on or before `day`."""
        for back in range(SESSIONLESS_DAYS):
            try:
                session = self._calendar.session(day - timedelta(days=back))
            except Refused:
                return None
            if session is not None:
                return session.close_ns
        return None

    def day_start_ns(self) -> int | None:
        """17:00 Chicago that began the running trading day."""
        try:
            return self._calendar.trading_day_start(self._clock.utc_ns())
        except Refused:
            return None

    def next_day_ns(self) -> int | None:
        """17:00 Chicago that begins the next trading day."""
        now = self._clock.utc_ns()
        try:
            session = self._calendar.session_at(now)
            return self._calendar.next_open(session.close_ns if session is not None else now)
        except Refused:
            return None
