"""Sessions, trade dates and margins of `app.domain.calendar`, example by example."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.calendar import (
    CHICAGO,
    COVERAGE_END_NS,
    COVERAGE_START_NS,
    DAY_NS,
    MINUTE_NS,
    NS,
    Session,
    TradingCalendar,
    trade_date,
)
from app.errors import Refused

WEEK = "esz13_1m_2013-10-06_2013-10-11.csv.gz"


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


def chicago(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=CHICAGO).timestamp()) * NS


def wall(utc_ns: int) -> str:
    return datetime.fromtimestamp(utc_ns // NS, CHICAGO).strftime("%a %H:%M")


def session(day: str, hours: str = "globex") -> Session:
    found = TradingCalendar().session(date.fromisoformat(day), hours)
    assert found is not None
    return found


def edges(day: str, hours: str = "globex") -> tuple[str, ...]:
    """open, entries until, flat, flat by, close: as Chicago reads them."""
    it = session(day, hours)
    return tuple(map(wall, (it.open_ns, it.entries_until_ns, it.flat_ns, it.flat_by_ns, it.close_ns)))


# -- trade dates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ("2026-11-20T21:59:00", "2026-11-20"),
        ("2026-11-22T23:00:00", "2026-11-23"),
        ("2026-11-23T22:59:59", "2026-11-23"),
        ("2026-11-23T23:00:00", "2026-11-24"),
        ("2026-07-06T21:59:59", "2026-07-06"),
        ("2026-07-06T22:00:00", "2026-07-07"),
        ("2026-03-08T22:00:00", "2026-03-09"),
        ("2026-11-01T23:00:00", "2026-11-02"),
    ],
)
def test_books_golden_fills_under_the_exchange_date(fill: str, expected: str) -> None:
    assert trade_date(utc(fill)) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-11-20T17:00", "2026-11-23"),  # Friday evening
        ("2026-11-21T12:00", "2026-11-23"),  # Saturday
        ("2025-04-17T17:00", "2025-04-21"),  # evening before a Good Friday without session
        ("2025-12-24T17:00", "2025-12-26"),  # evening before Christmas
        ("2025-12-25T18:00", "2025-12-26"),
        ("2026-09-06T17:00", "2026-09-07"),  # Labor Day is its own date
        ("2026-09-07T17:00", "2026-09-08"),
        ("2026-04-02T17:00", "2026-04-03"),  # Good Friday with a morning session
        ("2022-12-25T17:00", "2022-12-27"),  # Christmas kept on Monday
    ],
)
def test_rolls_trade_dates_over_weekends_and_closures(local: str, expected: str) -> None:
    assert trade_date(chicago(local)) == date.fromisoformat(expected)


# -- sessions ------------------------------------------------------------------------------------------------


def test_keeps_the_bots_margins_on_an_ordinary_day() -> None:
    assert edges("2026-11-24") == ("Mon 17:00", "Tue 15:05", "Tue 15:08", "Tue 15:10", "Tue 16:00")


@pytest.mark.parametrize(
    "day",
    [
        *("2026-01-19", "2026-02-16", "2026-05-25", "2026-06-19", "2026-07-03", "2026-09-07"),
        *("2026-11-26", "2026-11-27", "2026-12-24"),
    ],
)
def test_is_flat_at_1145_on_each_day_of_the_venues_list_of_2026(day: str) -> None:
    assert [edge[4:] for edge in edges(day)[1:4]] == ["11:40", "11:43", "11:45"]


def test_has_no_other_short_day_in_2026_than_the_venues_list() -> None:
    year = TradingCalendar().sessions(date(2026, 1, 1), date(2026, 12, 31))
    short = {s.trade_date for s in year if wall(s.flat_by_ns)[4:] != "15:10"}
    assert len(short) == 10 and date(2026, 4, 3) in short


def test_is_flat_at_0800_on_good_friday_with_the_jobs_report() -> None:
    assert edges("2026-04-03") == ("Thu 17:00", "Fri 07:55", "Fri 07:58", "Fri 08:00", "Fri 08:15")


@pytest.mark.parametrize(
    "day", ["2026-01-01", "2026-12-25", "2027-12-24", "2021-12-24", "2022-12-26", "2023-01-02", "2025-04-18"]
)
def test_has_no_session_when_the_exchange_is_closed(day: str) -> None:
    assert TradingCalendar().session(date.fromisoformat(day)) is None


@pytest.mark.parametrize("day", ["2026-11-21", "2026-11-22"])
def test_has_no_session_dated_on_a_weekend(day: str) -> None:
    assert TradingCalendar().session(date.fromisoformat(day)) is None


@pytest.mark.parametrize("day", ["2010-12-31", "2021-12-31"])
def test_trades_the_friday_before_a_new_year_on_saturday(day: str) -> None:
    assert edges(day)[-1] == "Fri 16:00"


@pytest.mark.parametrize(
    ("day", "close"),
    [
        ("2013-07-04", "Thu 10:30"),  # bank holidays until early 2014
        ("2014-05-26", "Mon 12:00"),
        ("2013-07-03", "Wed 12:15"),
        ("2012-10-29", "Mon 08:15"),  # Hurricane Sandy
        ("2012-10-30", "Tue 08:15"),
        ("2018-12-05", "Wed 08:30"),
        ("2025-01-09", "Thu 08:30"),
        ("2021-06-18", "Fri 16:00"),  # Juneteenth was law for a day; the exchange kept it from 2022
        ("2022-06-20", "Mon 12:00"),
        ("2027-06-18", "Fri 12:00"),
        ("2013-10-08", "Tue 16:15"),  # the equity day ended at 16:15 from November 2012 to September 2015
        ("2015-09-18", "Fri 16:15"),
        ("2015-09-21", "Mon 16:00"),
    ],
)
def test_closes_when_the_exchange_did(day: str, close: str) -> None:
    assert edges(day)[-1] == close


@pytest.mark.parametrize(
    ("day", "opened", "closed"),
    [
        ("2026-03-06", "2026-03-05T23:00", "2026-03-06T22:00"),  # winter
        ("2026-03-09", "2026-03-08T22:00", "2026-03-09T21:00"),  # clocks went forward that Sunday
        ("2026-10-30", "2026-10-29T22:00", "2026-10-30T21:00"),
        ("2026-11-02", "2026-11-01T23:00", "2026-11-02T22:00"),  # clocks went back that Sunday
    ],
)
def test_keeps_1700_chicago_across_clock_changes(day: str, opened: str, closed: str) -> None:
    assert (session(day).open_ns, session(day).close_ns) == (utc(opened), utc(closed))


# -- instants ------------------------------------------------------------------------------------------------


def test_is_open_from_1700_until_the_venue_flattens() -> None:
    calendar = TradingCalendar()
    opening, flattening = chicago("2026-11-23T17:00"), chicago("2026-11-24T15:10")
    assert not calendar.is_open(opening - 1) and calendar.is_open(opening)
    assert calendar.is_open(flattening - 1) and not calendar.is_open(flattening)


def test_holds_the_session_between_flatten_and_close() -> None:
    at = chicago("2026-11-24T15:30")
    found = TradingCalendar().session_at(at)
    assert found is not None and found.trade_date == date(2026, 11, 24)
    assert TradingCalendar().session_at(chicago("2026-11-24T16:00")) is None


@pytest.mark.parametrize(
    ("local", "start"),
    [
        ("2026-11-24T17:00", "2026-11-24T17:00"),
        ("2026-11-24T16:59:59", "2026-11-23T17:00"),
        ("2026-11-24T15:30", "2026-11-23T17:00"),
        ("2026-11-21T12:00", "2026-11-19T17:00"),  # Saturday: Friday's session
        ("2026-11-22T16:59:59", "2026-11-19T17:00"),
        ("2025-12-25T12:00", "2025-12-23T17:00"),  # Christmas: the session of Christmas Eve
        ("2026-09-07T13:00", "2026-09-06T17:00"),  # Labor Day after its early close
        ("2010-01-01T00:00", "2009-12-30T17:00"),
    ],
)
def test_starts_the_trading_day_at_the_last_open(local: str, start: str) -> None:
    assert TradingCalendar().trading_day_start(chicago(local)) == chicago(start)


@pytest.mark.parametrize(
    ("local", "opening"),
    [
        ("2026-11-24T12:00", "2026-11-24T17:00"),
        ("2026-11-24T17:00", "2026-11-25T17:00"),  # strictly after
        ("2026-11-24T16:30", "2026-11-24T17:00"),
        ("2026-11-20T15:30", "2026-11-22T17:00"),
        ("2025-12-24T13:00", "2025-12-25T17:00"),
        ("2026-04-03T09:00", "2026-04-05T17:00"),
    ],
)
def test_names_the_next_open(local: str, opening: str) -> None:
    assert TradingCalendar().next_open(chicago(local)) == chicago(opening)


# -- products with hours of their own ----------------------------------------------------------------------


def test_flattens_grains_before_their_own_close() -> None:
    assert edges("2026-11-24", "grains") == ("Mon 19:00", "Tue 13:00", "Tue 13:03", "Tue 13:05", "Tue 13:20")


def test_flattens_livestock_before_their_own_close() -> None:
    assert edges("2026-11-24", "livestock")[-2:] == ("Tue 12:50", "Tue 13:05")


def test_closes_grains_in_the_morning_pause_but_keeps_their_session() -> None:
    calendar, pause = TradingCalendar(), chicago("2026-11-24T08:00")
    assert not calendar.is_open(pause, "grains")
    assert calendar.session_at(pause, "grains") is not None
    assert calendar.next_open(pause, "grains") == chicago("2026-11-24T08:30")


@pytest.mark.parametrize("hours", ["grains", "livestock"])
def test_keeps_farm_products_closed_on_bank_holidays(hours: str) -> None:
    assert TradingCalendar().session(date(2026, 9, 7), hours) is None


def test_opens_grains_on_the_evening_of_a_monday_holiday_only() -> None:
    assert edges("2026-09-08", "grains")[0] == "Mon 19:00"
    assert edges("2026-11-27", "grains")[0] == "Fri 08:30"  # after Thanksgiving
    assert edges("2025-12-26", "grains")[0] == "Fri 08:30"


def test_shortens_grains_on_a_half_day() -> None:
    assert edges("2026-11-27", "grains")[-2:] == ("Fri 11:45", "Fri 12:05")


def test_has_no_livestock_session_when_the_venue_is_flat_before_it_opens() -> None:
    assert TradingCalendar().session(date(2025, 1, 9), "livestock") is None


def test_rejects_an_unknown_group_of_hours() -> None:
    with pytest.raises(Refused, match=r"calendar\.hours"):
        TradingCalendar().is_open(utc("2026-11-20T12:00"), "rates")


# -- coverage ------------------------------------------------------------------------------------------------


def test_rejects_instants_outside_coverage_also_from_a_warm_cache() -> None:
    calendar = TradingCalendar()
    for inside, outside in (
        (COVERAGE_START_NS, COVERAGE_START_NS - 1),
        (COVERAGE_END_NS - 1, COVERAGE_END_NS),
    ):
        assert calendar.covers(inside) and not calendar.covers(outside)
        assert calendar.session_at(inside) is None
        for ask in (calendar.is_open, calendar.session_at, calendar.trading_day_start, calendar.trade_date):
            with pytest.raises(Refused, match=r"calendar\.coverage"):
                ask(outside)


@pytest.mark.parametrize("day", [date(2009, 12, 31), date(2028, 1, 3)])
def test_rejects_dates_outside_coverage(day: date) -> None:
    with pytest.raises(Refused, match=r"calendar\.coverage"):
        TradingCalendar().session(day)


def test_rejects_the_next_open_beyond_coverage() -> None:
    for local in ("2027-12-31T12:00", "2027-12-31T16:30"):
        with pytest.raises(Refused, match=r"calendar\.coverage"):
            TradingCalendar().next_open(chicago(local))


def test_warns_sixty_days_before_the_end() -> None:
    assert COVERAGE_END_NS - TradingCalendar().warn_from_ns == 60 * DAY_NS


# -- recorded prices -----------------------------------------------------------------------------------------


def test_places_every_bar_of_the_recorded_week_in_a_session(shared_data: Path) -> None:
    calendar, dates = TradingCalendar(), set()
    with gzip.open(shared_data / WEEK, "rt") as lines:
        for row in csv.DictReader(lines):
            start = utc(row["start_utc"].removesuffix("Z"))
            found = calendar.session_at(start)
            assert found is not None and start + MINUTE_NS <= found.close_ns
            assert found.trade_date == trade_date(start)
            dates.add(found.trade_date)
    assert sorted(dates) == [date(2013, 10, 7) + timedelta(days=n) for n in range(5)]
