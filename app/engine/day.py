"""Trading day: no entries from 15:05 Chicago, flat by 15:08, the roll at 17:00, the end-of-day balance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from app.clock import Clock
from app.domain.calendar import Session, TradingCalendar
from app.engine.book import Book
from app.engine.events import EventLog
from app.engine.money import Money
from app.engine.settings import CLOCK_JITTER_NS, FLATTEN_LEAD_NS, ORDERS_KEPT_NS
from app.engine.trading import Trading
from app.errors import Refused
from app.risk.state import Code, Goal, Kind, TradingState


class TradingDay:
    """Checked every second and at every start: opens and closes the session by the calendar."""

    def __init__(
        self,
        clock: Clock,
        calendar: TradingCalendar,
        book: Book,
        trading: Trading,
        money: Money,
        log: EventLog,
        read: Callable[[], None],
    ) -> None:
        self._clock, self._calendar, self._book = clock, calendar, book
        self._trading, self._money, self._log, self._read = trading, money, log, read
        self._day: date | None = None
        self._last_utc_ns = 0
        self._warned = False

    def check(self) -> None:
        """Compare now with the calendar; a clock that went backwards or left the calendar closes trading."""
        now = self._clock.utc_ns()
        try:
            self._clock_is_sane(now)
            self._roll(now)
            self._hours(now)
        except Refused as refusal:
            self._trading.hold(Code.CLOCK, str(refusal))
        self._trading.expire()

    def _clock_is_sane(self, now: int) -> None:
        if now < self._last_utc_ns - CLOCK_JITTER_NS:
            self._trading.hold(Code.CLOCK, "the clock went backwards")
        elif self._trading.reasons.get(Code.CLOCK) is not None and self._calendar.covers(now):
            self._trading.release(Code.CLOCK)
        self._last_utc_ns = max(self._last_utc_ns, now)
        if not self._warned and now >= self._calendar.warn_from_ns:
            self._warned = True
            self._log.add("alarm", "calendar", "the trading calendar ends within 60 days: update Plimsoll")

    def _roll(self, now: int) -> None:
        """At 17:00 Chicago the next clean read settles the day that ended."""
        today = self._calendar.trade_date(now)
        if self._day is None or today == self._day:
            self._day = today
            return
        if self._trading.reasons.get(Code.CLOCK) is not None:
            return  # a clock that lies rolls nothing
        self._money.ended, self._day = self._day, today
        self._book.forget_before(now - ORDERS_KEPT_NS)
        self._log.add("info", "new_day", f"trading day {today}")
        self._read()

    def _hours(self, now: int) -> None:
        session = self._calendar.session_at(now)
        if session is None or now >= session.venue_close_ns:
            self._close(session, Goal.FLAT, "market closed")
        elif now >= session.flat_ns - FLATTEN_LEAD_NS:
            self._close(
                session, Goal.FLAT, "end of the trading day, flat by 15:08 Chicago or before an early close"
            )
        elif now >= session.entries_until_ns:
            self._close(session, Goal.NO_ENTRIES, "end of the trading day, no entries from 15:05 Chicago")

    def _close(self, session: Session | None, goal: Goal, detail: str) -> None:
        now = self._clock.utc_ns()
        reopens = self._calendar.next_open(session.close_ns if session is not None else now)
        self._trading.restrict(
            Code.SESSION_CLOSED, Kind.TIME, detail, goal=goal, state=TradingState.HALTED, until_ns=reopens
        )
