"""Complete reads: when to ask, since when, and what a read that disagrees means. One read runs at a time."""

from __future__ import annotations

from app.clock import Clock, Timer
from app.engine.book import Book
from app.engine.hours import Hours
from app.engine.ports import Venue
from app.engine.settings import (
    DIFFERENCE_READ_DELAY_NS,
    DIFFERENCE_READS,
    HISTORY_DAYS,
    RETRY_READ_NS,
    ROUTINE_READ_NS,
)

AGREED_MARGIN_NS = 60_000_000_000  # the venue's clock and ours differ by less
DAY_NS = 86_400_000_000_000


class Reads:
    """Begins complete reads and keeps the next one scheduled."""

    def __init__(
        self,
        clock: Clock,
        hours: Hours,
        venue: Venue,
        book: Book,
        routine_ns: int = ROUTINE_READ_NS,
    ) -> None:
        self._clock, self._hours, self._venue, self._book = clock, hours, venue, book
        self._routine_ns = routine_ns
        self._timer: Timer | None = None
        self._running = False
        self._again = False
        self._heard = 0
        self._disagreed = 0
        self._begun_utc_ns = 0
        self.history_from_ns = 0  # the first read goes back to here
        self.agreed_ns = 0  # market time of the last read that agreed: nothing before it is news

    def now(self) -> None:
        """Begin a read; one asked for while another runs starts after it, so that it is newer than the
        asking.
        """
        self._cancel()
        if self._running:
            self._again = True
            return
        since = self._since_ns()
        if since is None:
            self._next(RETRY_READ_NS)  # the clock is not set: a read "since 17:00" would mean nothing
            return
        self._running = True
        self._heard = self._book.heard
        self._begun_utc_ns = self._clock.utc_ns()
        self._venue.read(since)

    def on_snapshot(self, found: list[str]) -> bool:
        """A read ended and `found` these differences. True when they are proven, not a fill under way."""
        self._running = False
        quiet = self.quiet
        if not found:
            self._disagreed = 0
            self.agreed_ns = self._begun_utc_ns
            self._next(self._routine_ns)
            return False
        if quiet:
            self._disagreed += 1
        self._next(DIFFERENCE_READ_DELAY_NS if self._disagreed < DIFFERENCE_READS else RETRY_READ_NS)
        return self._disagreed >= DIFFERENCE_READS

    @property
    def quiet(self) -> bool:
        """Nothing was heard of the account since the read began: it can be held against the book."""
        return self._heard == self._book.heard

    def on_failed(self) -> None:
        self._running = False
        self._next(RETRY_READ_NS)

    def _next(self, delay_ns: int) -> None:
        if self._again:
            self._again = False
            self.now()
            return
        self._cancel()
        self._timer = self._clock.call_later(delay_ns, self.now)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _since_ns(self) -> int | None:
        """Since 17:00 Chicago, since the oldest live order, and at first since the last settled day."""
        now = self._clock.utc_ns()
        since = self._hours.day_start_ns()
        if since is None:
            return None
        if self.agreed_ns:
            since = min(since, self.agreed_ns - AGREED_MARGIN_NS)
        since = min([since, *(o.created_ns - 1 for o in self._book.live_orders() if o.created_ns)])
        if self.history_from_ns and not self._book.read_once:
            since = min(since, self.history_from_ns)
        return max(since, now - HISTORY_DAYS * DAY_NS)
