"""The calendar as the engine asks it: the last hour's answer serves no other, None where nothing is known."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.clock import NS, VirtualClock
from app.domain.calendar import HOUR_NS, TradingCalendar
from app.engine.hours import Hours

CALENDAR = TradingCalendar()
FIRST = int(datetime(2010, 1, 2, tzinfo=UTC).timestamp()) * NS
LAST = int(datetime(2027, 12, 30, tzinfo=UTC).timestamp()) * NS


@given(st.integers(FIRST // HOUR_NS, LAST // HOUR_NS), st.sampled_from([-1, 0, 1, HOUR_NS - 1]))
def test_gives_the_calendars_own_date_at_every_edge_of_an_hour(hour: int, offset: int) -> None:
    now = hour * HOUR_NS + offset
    hours = Hours(VirtualClock(now - HOUR_NS), CALENDAR)
    hours.trade_date()
    assert hours.trade_date(now) == TradingCalendar().trade_date(now)


def test_knows_nothing_outside_the_calendar() -> None:
    hours = Hours(VirtualClock(5 * NS), CALENDAR)
    assert hours.trade_date() is None and hours.day_start_ns() is None and hours.next_day_ns() is None
