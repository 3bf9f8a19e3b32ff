"""Every trade date from 2010 to 2027 against an independent calendar: exchange-calendars' CMES.

Its close of an ordinary day is 17:00, the end of the trade date, where ours is the end of trading; the two
are compared as "ordinary". Everything else must agree, apart from the differences listed here with their
reasons.
"""

from __future__ import annotations

import warnings
from datetime import date, datetime
from functools import cache
from typing import Any

import exchange_calendars

from app.domain.calendar import CHICAGO, NS, TradingCalendar

FIRST, LAST = date(2010, 1, 4), date(2027, 12, 31)
ORDINARY = "ordinary"
CLOSED = "closed"

Verdict = str  # "closed", "ordinary" or the early close as "HH:MM"


def days(*texts: str) -> set[date]:
    return {date.fromisoformat(text) for text in texts}


# (what CMES says, what we say): the days, and why ours is right.
DIFFERENCES: dict[tuple[Verdict, Verdict], set[date]] = {
    # Good Friday with the employment report: equity index futures trade until 08:15 (exchange notices of
    # each year; the venue's list of 2026 wants accounts flat by 08:00). CMES closes every Good Friday.
    (CLOSED, "08:15"): days(
        "2010-04-02", "2012-04-06", "2015-04-03", "2021-04-02", "2023-04-07", "2026-04-03"
    ),
    # National days of mourning: equity index futures closed at 08:30. CMES copies the stock exchange and
    # closes.
    (CLOSED, "08:30"): days("2018-12-05", "2025-01-09"),
    # Hurricane Sandy: equity index futures closed at 08:15 on both days. CMES does not know them.
    (ORDINARY, "08:15"): days("2012-10-29", "2012-10-30"),
    # Juneteenth, kept since 2022; on the venue's list of 2026. CMES does not know it.
    (ORDINARY, "12:00"): days(
        "2022-06-20", "2023-06-19", "2024-06-19", "2025-06-19", "2026-06-19", "2027-06-18"
    ),
    # The day before Independence Day: equity closes at 12:15 like the stock exchange. CMES does not know it.
    (ORDINARY, "12:15"): days(
        *("2012-07-03", "2013-07-03", "2014-07-03", "2017-07-03", "2018-07-03", "2019-07-03"),
        *("2023-07-03", "2024-07-03", "2025-07-03"),
    ),
    # Bank holidays until early 2014: equity stopped at 10:30, not at noon.
    ("12:00", "10:30"): days(
        *("2010-01-18", "2010-02-15", "2010-05-31", "2010-07-05", "2010-09-06", "2010-11-25"),
        *("2011-01-17", "2011-02-21", "2011-05-30", "2011-07-04", "2011-09-05", "2011-11-24"),
        *("2012-01-16", "2012-02-20", "2012-05-28", "2012-07-04", "2012-09-03", "2012-11-22"),
        *("2013-01-21", "2013-02-18", "2013-05-27", "2013-07-04", "2013-09-02", "2013-11-28"),
        *("2014-01-20", "2014-02-17"),
    ),
    # The day after Thanksgiving and Christmas Eve: the exchange closes at 12:15, CMES rounds to noon. The
    # venue's list of 2026 counts these days as noon closes too and flattens at 11:45; so do we, in every
    # year (test_calendar).
    ("12:00", "12:15"): days(
        *("2010-11-26", "2011-11-25", "2012-11-23", "2013-11-29", "2014-11-28", "2015-11-27"),
        *("2016-11-25", "2017-11-24", "2018-11-23", "2019-11-29", "2020-11-27", "2021-11-26"),
        *("2022-11-25", "2023-11-24", "2024-11-29", "2025-11-28", "2026-11-27", "2027-11-26"),
        *("2012-12-24", "2013-12-24", "2014-12-24", "2015-12-24", "2018-12-24", "2019-12-24"),
        *("2020-12-24", "2024-12-24", "2025-12-24", "2026-12-24"),
    ),
}


@cache
def ours() -> dict[date, Verdict]:
    return {
        session.trade_date: verdict(datetime.fromtimestamp(session.close_ns // NS, CHICAGO))
        for session in TradingCalendar().sessions(FIRST, LAST)
    }


@cache
def oracle() -> Any:
    with warnings.catch_warnings():  # the library trips over deprecations of its own pandas
        warnings.simplefilter("ignore")
        return exchange_calendars.get_calendar("CMES", start=str(FIRST), end=str(LAST))


@cache
def theirs() -> dict[date, Verdict]:
    closes = oracle().closes.items()
    return {day.date(): verdict(close.tz_convert(CHICAGO).to_pydatetime()) for day, close in closes}


def verdict(close: datetime) -> Verdict:
    return ORDINARY if close.hour >= 16 else close.strftime("%H:%M")


def test_differs_from_the_oracle_only_where_the_table_says() -> None:
    found: dict[tuple[Verdict, Verdict], set[date]] = {}
    for day in ours().keys() | theirs().keys():
        pair = theirs().get(day, CLOSED), ours().get(day, CLOSED)
        if pair[0] != pair[1]:
            found.setdefault(pair, set()).add(day)
    assert found == DIFFERENCES


def test_covers_the_oracles_whole_range() -> None:
    assert min(theirs()) == min(ours()) == FIRST
    assert max(theirs()) == max(ours()) == LAST
    assert len(theirs()) > 4_600


def test_opens_each_session_when_the_oracle_does() -> None:
    expected = {day.date(): int(opened.timestamp()) * NS for day, opened in oracle().opens.items()}
    opens = {session.trade_date: session.open_ns for session in TradingCalendar().sessions(FIRST, LAST)}
    common = opens.keys() & expected.keys()
    assert {day: opens[day] for day in common} == {day: expected[day] for day in common}
    assert len(common) == len(expected)
