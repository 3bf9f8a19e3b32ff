"""What holds for every instant of the coverage, whatever was asked before."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calendar import (
    COVERAGE_END_NS,
    COVERAGE_START_NS,
    DAY_NS,
    Overrides,
    Session,
    TradingCalendar,
    trade_date,
)
from app.domain.holidays import FIRST_DATE, GROUPS, LAST_DATE
from app.errors import SettingsError

WARM = TradingCalendar()  # shared by all examples on purpose: a stale cache would give itself away
LAST_OPEN_NS = COVERAGE_END_NS - 2 * DAY_NS

instants = st.integers(COVERAGE_START_NS, LAST_OPEN_NS)
groups = st.sampled_from(GROUPS)
dates = st.dates(FIRST_DATE, LAST_DATE)


def around(day: date, hours: str) -> list[Session]:
    """The sessions of a fortnight around `day`, found without asking by instant."""
    first, last = max(FIRST_DATE, day - timedelta(7)), min(LAST_DATE, day + timedelta(7))
    return list(TradingCalendar().sessions(first, last, hours))


@given(instants, instants)
def test_trade_date_never_goes_back(a: int, b: int) -> None:
    assert (a <= b) <= (trade_date(a) <= trade_date(b))


@given(instants, groups)
def test_every_instant_lies_in_one_session_or_in_none(at: int, hours: str) -> None:
    holding = [s for s in around(trade_date(at), hours) if s.open_ns <= at < s.close_ns]
    assert [s for s in (WARM.session_at(at, hours),) if s] == holding


@given(instants, groups)
def test_open_instants_lie_in_a_window_before_the_venue_closes(at: int, hours: str) -> None:
    windows = [
        s
        for s in around(trade_date(at), hours)
        for start, end in s.windows
        if start <= at < min(end, s.venue_close_ns)
    ]
    assert WARM.is_open(at, hours) == (len(windows) == 1)


@given(instants)
def test_a_session_books_under_its_own_date(at: int) -> None:
    session = WARM.session_at(at)
    assert session is None or session.trade_date == trade_date(at)


@given(instants, groups)
def test_the_next_open_is_the_first_one_later(at: int, hours: str) -> None:
    opening = WARM.next_open(at, hours)
    starts = [start for s in around(trade_date(at), hours) for start, _ in s.windows if start > at]
    assert opening == min(starts)
    session = WARM.session_at(at, hours)
    if session is not None and session.close_ns < LAST_OPEN_NS:
        cold = TradingCalendar().next_open(session.close_ns, hours)
        assert WARM.next_open(session.close_ns, hours) == cold  # asked as the engine does, from inside


@given(instants)
def test_the_trading_day_began_with_the_last_open(at: int) -> None:
    start = WARM.trading_day_start(at)
    before = [s.open_ns for s in around(trade_date(at), "globex") if s.open_ns <= at]
    assert start <= at and (not before or start == max(before))


@given(dates, groups)
def test_the_deadlines_of_a_session_are_in_order(day: date, hours: str) -> None:
    s = WARM.session(day, hours)
    if s is not None:
        assert s.open_ns < s.entries_until_ns < s.flat_ns < s.flat_by_ns <= s.venue_close_ns <= s.close_ns
        edges = [edge for window in s.windows for edge in window]
        assert edges == sorted(set(edges)) and (edges[0], edges[-1]) == (s.open_ns, s.close_ns)
        assert s.trade_date == day and day.weekday() < 5


@pytest.mark.parametrize("hours", GROUPS)
def test_sessions_follow_each_other_without_overlap(hours: str) -> None:
    sessions = list(WARM.sessions(FIRST_DATE, LAST_DATE, hours))
    assert all(a.close_ns < b.open_ns for a, b in pairwise(sessions))
    assert len(sessions) > 17 * 250


@given(st.lists(instants, max_size=20))
def test_answers_do_not_depend_on_earlier_questions(asked: list[int]) -> None:
    cold = [TradingCalendar().session_at(at) for at in asked]
    assert [WARM.session_at(at) for at in asked] == cold


clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))


@given(
    st.text(max_size=60)
    | st.builds('[[day]]\ndate = {}\nclose = "{}"\nflat = "{}"'.format, dates, clocks, clocks)
)
def test_an_override_is_refused_or_gives_ordered_deadlines(text: str) -> None:
    try:
        overrides = Overrides.parse(text)
    except SettingsError:
        return
    calendar = TradingCalendar(overrides)
    for day, _ in overrides.days:
        for hours in GROUPS:
            s = calendar.session(day, hours)
            assert (
                s is None or s.open_ns < s.entries_until_ns < s.flat_by_ns <= s.venue_close_ns <= s.close_ns
            )
