"""What the overnight range is measured on: the instants of a trade date, and the bars of the night.

Pure measuring. No decision, no order and no setting's default lives here; `overnight_range` decides. New
York and Chicago change their clocks in the same night (Sunday 02:00 local), and a night that ends on
Monday begins on Sunday evening, after the change: no range ever contains the switch. The instants are
still computed by the time zone, never by adding hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.domain.bars import coarsen
from app.domain.calendar import CHICAGO, NEW_YORK, OPEN_HOUR, Session, TradingCalendar
from app.domain.market import MINUTE_NS, Bar

NS = 1_000_000_000
DAYS_WALKED = 70  # calendar days walked back for the sessions asked for: 41 of them with holidays
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(day: date, local: time, zone: ZoneInfo = NEW_YORK) -> int:
    """UTC ns of the wall-clock time `local` of `day` in `zone`."""
    moment = datetime.combine(day, local, zone)
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(seconds=1) * NS


@dataclass(frozen=True, slots=True)
class Day:
    """The instants of one trade date, UTC ns.

    `range_ns` to `entry_ns` is the night, until `grace_ns` a late start may place, `end_ns` ends the
    window and at `until_ns` the next date begins. `session` None = the instrument does not trade that date.
    """

    trade_date: date
    range_ns: int
    entry_ns: int
    grace_ns: int
    end_ns: int
    until_ns: int
    session: Session | None


def day_of(
    day: date, start: time, entry: time, grace_minutes: int, end: time, session: Session | None
) -> Day:
    """The window ends at `end` or, on an early-close day, when the account must be flat, whichever is
    first.
    """
    entry_ns, end_ns = instant(day, entry), instant(day, end)
    return Day(
        trade_date=day,
        range_ns=instant(day if start < entry else day - timedelta(days=1), start),
        entry_ns=entry_ns,
        grace_ns=entry_ns + grace_minutes * MINUTE_NS,
        end_ns=end_ns if session is None else min(end_ns, session.flat_ns),
        until_ns=instant(day, time(OPEN_HOUR), CHICAGO),
        session=session,
    )


@dataclass(frozen=True, slots=True)
class Range:
    """First, highest, lowest and last price of a stretch of time in ticks, and its number of one-minute
    bars.
    """

    open: int
    high: int
    low: int
    close: int
    bars: int


@dataclass(slots=True)
class SessionBar:
    """A whole session so far, built from its minutes in whatever order they arrive."""

    first_ns: int
    last_ns: int
    open: int
    high: int
    low: int
    close: int

    def add(self, bar: Bar) -> None:
        self.high, self.low = max(self.high, bar.high_ticks), min(self.low, bar.low_ticks)
        if bar.start_ns <= self.first_ns:
            self.first_ns, self.open = bar.start_ns, bar.open_ticks
        if bar.start_ns >= self.last_ns:
            self.last_ns, self.close = bar.start_ns, bar.close_ticks

    def bar(self) -> Bar:
        """As one bar; its volume is not counted."""
        return Bar(self.first_ns, self.open, self.high, self.low, self.close, 0)


class Night:
    """One-minute bars of this session and the one before; of older sessions only their daily bar."""

    def __init__(self, calendar: TradingCalendar, sessions_kept: int) -> None:
        self._calendar, self._kept = calendar, sessions_kept
        self._bars: dict[int, Bar] = {}
        self._sessions: dict[int, SessionBar] = {}
        self._from, self._until = 0, 0  # the session that the latest bar fell into
        self._range: tuple[int, int, Range | None] | None = None

    def add(self, bar: Bar) -> bool:
        """Take a bar; False when it was known. Of two bars of a minute the fuller wins (the other was cut
        short).
        """
        known = self._bars.get(bar.start_ns)
        if known is not None and known.volume >= bar.volume:
            return False
        if not self._from <= bar.start_ns < self._until and not self._enter(bar.start_ns):
            return False
        self._bars[bar.start_ns] = bar
        self._range = None
        session = self._sessions.get(self._from)
        if session is None:
            prices = bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks
            self._sessions[self._from] = SessionBar(bar.start_ns, bar.start_ns, *prices)
            self._forget()
        else:
            session.add(bar)
        return True

    def range(self, start_ns: int, end_ns: int) -> Range | None:
        """The range of [start, end); None without a bar. Remembered until the next bar."""
        if self._range is None or self._range[:2] != (start_ns, end_ns):
            bars = [self._bars[key] for key in sorted(self._bars) if start_ns <= key < end_ns]
            self._range = start_ns, end_ns, _range(bars)
        return self._range[2]

    def bars_of(self, minutes: int, count: int, end_ns: int) -> list[Bar]:
        """The last `count` completed bars of `minutes` before `end_ns`, oldest first; fewer if unknown."""
        reach = (
            count + 2
        ) * minutes  # a window holds at least one minute; the oldest may be cut, the newest unfinished
        recent = [self._bars[key] for key in sorted(self._bars) if key < end_ns][-reach:]
        return coarsen(recent, minutes, until_ns=end_ns)[-count:]

    def sessions(self, count: int, now_ns: int) -> list[Bar]:
        """The last `count` whole sessions before the running one as bars, oldest first; fewer if unknown."""
        return [session.bar() for session in self._before(now_ns)[-count:]]

    def _before(self, now_ns: int) -> list[SessionBar]:
        current = self._calendar.trading_day_start(now_ns)
        return [self._sessions[start] for start in sorted(self._sessions) if start < current]

    def _enter(self, utc_ns: int) -> bool:
        """Make the session around `utc_ns` the running one; a bar outside every session is not taken."""
        session = self._calendar.session_at(utc_ns) if self._calendar.covers(utc_ns) else None
        if session is None:
            return False
        self._from, self._until = session.open_ns, session.close_ns
        return True

    def _forget(self) -> None:
        starts = sorted(self._sessions)
        for old in starts[: -self._kept]:
            del self._sessions[old]
        oldest = starts[-2:][0]
        if min(self._bars) < oldest:
            self._bars = {key: bar for key, bar in self._bars.items() if key >= oldest}


def history_start(calendar: TradingCalendar, day: date, sessions: int) -> int:
    """When the session `sessions` before trade date `day` opened; the oldest known when there are fewer."""
    found = day
    opened = 0
    for _ in range(DAYS_WALKED):
        found -= timedelta(days=1)
        session = calendar.session(found)
        if session is not None:
            opened = session.open_ns
            sessions -= 1
            if sessions == 0:
                break
    return opened


def _range(bars: list[Bar]) -> Range | None:
    if not bars:
        return None
    high, low = max(bar.high_ticks for bar in bars), min(bar.low_ticks for bar in bars)
    return Range(bars[0].open_ticks, high, low, bars[-1].close_ticks, len(bars))
