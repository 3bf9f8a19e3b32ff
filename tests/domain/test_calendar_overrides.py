"""The owner's dated entries: what they change, and how a wrong one is named."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from app.domain.calendar import CHICAGO, NS, Overrides, TradingCalendar, trade_date
from app.domain.entries import ENTRY_LIMIT, TEXT_LIMIT
from app.errors import Refused, SettingsError

TUESDAY = date(2026, 11, 24)


def calendar(*entries: str) -> TradingCalendar:
    return TradingCalendar(Overrides.parse("".join(f"[[day]]\n{entry}\n" for entry in entries)))


def wall(utc_ns: int) -> str:
    return datetime.fromtimestamp(utc_ns // NS, CHICAGO).strftime("%H:%M")


def edges(calendar: TradingCalendar, day: date, hours: str = "globex") -> tuple[str, ...]:
    session = calendar.session(day, hours)
    assert session is not None
    return tuple(map(wall, (session.entries_until_ns, session.flat_ns, session.flat_by_ns, session.close_ns)))


def test_closes_a_day_and_rolls_its_trade_date() -> None:
    changed = calendar('date = 2026-11-24\nclosed = true\nreason = "storm"')
    evening = int(datetime(2026, 11, 23, 23, tzinfo=UTC).timestamp()) * NS
    assert changed.session(TUESDAY) is None and not changed.is_open(evening)
    assert changed.trade_date(evening) == date(2026, 11, 25)
    assert trade_date(evening) == TUESDAY  # the rules alone


def test_flattens_fifteen_minutes_before_a_stated_close() -> None:
    assert edges(calendar('date = 2026-11-24\nclose = "12:00"'), TUESDAY) == (
        "11:40",
        "11:43",
        "11:45",
        "12:00",
    )


def test_takes_a_stated_flatten_time() -> None:
    changed = calendar('date = 2026-11-24\nclose = "12:00"\nflat = "11:30"')
    assert edges(changed, TUESDAY)[2:] == ("11:30", "12:00")
    assert edges(calendar('date = 2026-11-24\nflat = "14:00"'), TUESDAY)[2:] == ("14:00", "16:00")


def test_opens_a_day_that_the_rules_hold_closed() -> None:
    good_friday = date(2027, 3, 26)
    assert TradingCalendar().session(good_friday) is None
    assert edges(calendar('date = 2027-03-26\nclose = "08:15"'), good_friday)[2:] == ("08:00", "08:15")


def test_changes_one_group_and_leaves_the_others() -> None:
    changed = calendar('date = 2026-11-24\nclosed = true\ngroup = "grains"')
    assert changed.session(TUESDAY, "grains") is None
    assert changed.session(TUESDAY) == TradingCalendar().session(TUESDAY)


def test_prefers_the_entry_of_a_group_to_the_entry_of_all() -> None:
    changed = calendar(
        "date = 2026-11-24\nclosed = true", 'date = 2026-11-24\nclose = "12:00"\ngroup = "globex"'
    )
    assert edges(changed, TUESDAY)[-1] == "12:00"
    assert changed.session(TUESDAY, "livestock") is None


def test_has_no_session_when_the_stated_close_is_before_the_open() -> None:
    assert calendar('date = 2026-11-24\nclose = "08:00"').session(TUESDAY, "livestock") is None


def test_refuses_hours_that_overrides_have_emptied_for_weeks() -> None:
    days = [date(2026, 11, 2 + n) for n in range(28)]
    emptied = calendar(*(f"date = {day}\nclosed = true" for day in days if day.weekday() < 5))
    noon = int(datetime(2026, 11, 9, 18, tzinfo=UTC).timestamp()) * NS
    for ask in (emptied.is_open, emptied.next_open, emptied.trade_date, emptied.trading_day_start):
        with pytest.raises(Refused, match=r"calendar\.gap"):
            ask(noon)


def test_takes_an_empty_file() -> None:
    assert Overrides.parse("") == Overrides()


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("date = 2026-11-24\nclosed = true\nnote = 1", "day[1].note"),
        ("closed = true", "day[1].date"),
        ('date = "2026-11-24"\nclosed = true', "day[1].date"),
        ("date = 2026-11-24T12:00:00\nclosed = true", "day[1].date"),
        ("date = 2026-02-30\nclosed = true", "calendar"),
        ("date = 2009-12-31\nclosed = true", "day[1].date"),
        ("date = 2028-01-03\nclosed = true", "day[1].date"),
        ("date = 2026-11-21\nclosed = true", "day[1].date"),
        ("date = 2026-11-24", "day[1]"),
        ('date = 2026-11-24\nclosed = true\nclose = "12:00"', "day[1]"),
        ("date = 2026-11-24\nclosed = 1", "day[1].closed"),
        ('date = 2026-11-24\nclosed = true\ngroup = "rates"', "day[1].group"),
        ("date = 2026-11-24\nclosed = true\ngroup = 3", "day[1].group"),
        ("date = 2026-11-24\nclosed = true\nreason = 3", "day[1].reason"),
        ('date = 2026-11-24\nclose = "24:00"', "day[1].close"),
        ('date = 2026-11-24\nclose = "9:00"', "day[1].close"),
        ("date = 2026-11-24\nclose = 12:00:00", "day[1].close"),
        ('date = 2026-11-24\nclose = "16:01"', "day[1].close"),
        ('date = 2026-11-24\nflat = "15:11"', "day[1].flat"),
        ('date = 2026-11-24\nclose = "12:00"\nflat = "12:01"', "day[1].flat"),
    ],
)
def test_rejects_a_wrong_entry_by_name(entry: str, key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        calendar(entry)
    assert caught.value.key.endswith(key)


@pytest.mark.parametrize(
    "text",
    [
        "day = 3",
        "day = [3]",
        "[days]",
        "[[day]",
        "#" * (TEXT_LIMIT + 1),
        "day = " + "[" * 5_000,
        "[[day]]\n" * (ENTRY_LIMIT + 1),
    ],
)
def test_rejects_a_text_that_is_no_list_of_days(text: str) -> None:
    with pytest.raises(SettingsError):
        Overrides.parse(text)


def test_rejects_a_day_listed_twice() -> None:
    with pytest.raises(SettingsError, match="twice"):
        calendar("date = 2026-11-24\nclosed = true", 'date = 2026-11-24\nclose = "12:00"')
