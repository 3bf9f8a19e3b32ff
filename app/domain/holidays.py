"""Which days the CME closes or closes early, and when: rules that hold for every year, plus a few dated days.

Only dates and wall-clock minutes of Chicago live here: no time zones, no instants, no settings. `calendar`
turns them into sessions; a dated entry of the owner's override file wins over everything in this module.

The "globex" column follows the equity index products, whose days are never longer than those of FX, rates,
energy or metals: on a holiday where those trade on for an hour, we are already flat. Sources: CME holiday
schedules as published from 2010 to 2026, and the venue's own list of 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)

FIRST_DATE = date(2010, 1, 1)
LAST_DATE = date(2027, 12, 31)  # the rules were checked against an independent calendar up to here

GROUPS = ("globex", "grains", "livestock")  # products that share hours

YEARS_KEPT = 32  # tables of one year each; coverage is 18 years and a walk may touch one more at either end
DAY = timedelta(days=1)


def minute(hour: int, minutes: int = 0) -> int:
    """Wall-clock minutes after midnight in Chicago."""
    return hour * 60 + minutes


@dataclass(frozen=True, slots=True)
class Holiday:
    """One special day. Times are minutes after midnight in Chicago; None = the market does not open at all.

    `close` is the last minute of the globex products, `flat` the time by which the venue flattens
    accounts, `farm_close` the last minute of grains and livestock. `business` tells whether the day counts
    as a business day in expiry rules.
    """

    name: str
    close: int | None
    flat: int | None
    farm_close: int | None
    business: bool = False


# Equity index products stopped at 10:30 on bank holidays until Presidents' Day 2014 and at noon from
# Memorial Day 2014 on.
NOON_SINCE = date(2014, 5, 1)

VENUE_FLAT = minute(15, 10)  # the venue flattens every account at 15:10
EARLY_FLAT_MARGIN = 15  # minutes between the venue's flatten time and an early close

# The venue's list of 2026 flattens at 11:45 on every half day, also on those where the exchange itself
# closes at 12:15. No list exists for other years, so the earlier time holds for all of them.
HALF_DAY_FLAT = minute(11, 45)


def closed(name: str) -> Holiday:
    """The exchange does not open."""
    return Holiday(name, None, None, None)


def bank_holiday(name: str, day: date) -> Holiday:
    """Globex halts at noon and reopens at 17:00; grains and livestock stay closed."""
    if day < NOON_SINCE:
        return Holiday(name, minute(10, 30), minute(10, 15), None)
    return Holiday(name, minute(12), HALF_DAY_FLAT, None)


def half_day(name: str) -> Holiday:
    """A business day beside a holiday: equity closes at 12:15, grains and livestock at 12:05."""
    return Holiday(name, minute(12, 15), HALF_DAY_FLAT, minute(12, 5), business=True)


def jobs_friday(name: str) -> Holiday:
    """Good Friday on the day of the employment report: equity trades until 08:15."""
    return Holiday(name, minute(8, 15), minute(8), None)


def mourning(name: str) -> Holiday:
    """National day of mourning: equity closes at 08:30, grains and livestock at 12:15."""
    return Holiday(name, minute(8, 30), minute(8, 15), minute(12, 15), business=True)


def storm(name: str) -> Holiday:
    """The stock exchanges stayed shut: equity index futures closed at 08:15, everything else traded on."""
    return Holiday(name, minute(8, 15), minute(8), minute(16), business=True)


DATED = {
    date(2012, 10, 29): storm("Hurricane Sandy"),
    date(2012, 10, 30): storm("Hurricane Sandy"),
    date(2018, 12, 5): mourning("Mourning for George H. W. Bush"),
    date(2025, 1, 9): mourning("Mourning for Jimmy Carter"),
}

# End of the equity trading day by its first date, newest first. From 19 November 2012 to 18 September 2015
# it was 16:15 (the recorded week of 2013 prints until then); before that trading after 15:30 already
# belonged to the next date.
REGULAR_CLOSES = (
    (date(2015, 9, 21), minute(16)),
    (date(2012, 11, 19), minute(16, 15)),
    (date.min, minute(16)),
)


def regular_close(day: date) -> int:
    """The exchange's close on an ordinary `day`, in minutes."""
    return next(close for since, close in REGULAR_CLOSES if day >= since)


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """The `nth` (1 = first) `weekday` of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def last_weekday(year: int, month: int, weekday: int) -> date:
    """The last `weekday` of a month."""
    last = month_end(year, month)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def month_end(year: int, month: int) -> date:
    """The last calendar day of a month."""
    return (date(year, month, 28) + timedelta(days=4)).replace(day=1) - DAY


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876, as given by Meeus)."""
    century, in_century = divmod(year, 100)
    leaps, leap_rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * (year % 19) + century - leaps - correction + 15) % 30
    fours, four_rest = divmod(in_century, 4)
    to_sunday = (32 + 2 * leap_rest + 2 * fours - epact - four_rest) % 7
    late = (year % 19 + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def nearest_weekday(day: date) -> date:
    """Saturday is observed on Friday, Sunday on Monday."""
    return day + timedelta(days={SATURDAY: -1, SUNDAY: 1}.get(day.weekday(), 0))


def _bank_holidays(year: int) -> dict[str, date]:
    days = {
        "Martin Luther King Jr. Day": nth_weekday(year, 1, MONDAY, 3),
        "Presidents' Day": nth_weekday(year, 2, MONDAY, 3),
        "Memorial Day": last_weekday(year, 5, MONDAY),
        "Independence Day": nearest_weekday(date(year, 7, 4)),
        "Labor Day": nth_weekday(year, 9, MONDAY, 1),
        "Thanksgiving": nth_weekday(year, 11, THURSDAY, 4),
    }
    if year >= 2022:  # a law since June 2021; the exchange first kept it in 2022
        days["Juneteenth"] = nearest_weekday(date(year, 6, 19))
    return days


def _half_days(year: int) -> dict[date, Holiday]:
    """A Monday to Thursday before a fixed holiday is a half day; a Friday before one is an ordinary day."""
    days = {nth_weekday(year, 11, THURSDAY, 4) + DAY: half_day("Day after Thanksgiving")}
    for name, eve in (("Eve of Independence Day", date(year, 7, 3)), ("Christmas Eve", date(year, 12, 24))):
        if eve.weekday() < FRIDAY:
            days[eve] = half_day(name)
    return days


def _closures(year: int) -> dict[date, Holiday]:
    """New Year's Day on a Saturday is not made up for; Christmas is."""
    good_friday = easter(year) - 2 * DAY
    with_report = good_friday.day <= 7  # the employment report comes out on the first Friday of a month
    new_year = date(year, 1, 1)
    days = {
        good_friday: jobs_friday("Good Friday") if with_report else closed("Good Friday"),
        nearest_weekday(date(year, 12, 25)): closed("Christmas"),
    }
    if new_year.weekday() != SATURDAY:
        days[nearest_weekday(new_year)] = closed("New Year's Day")
    return days


@lru_cache(maxsize=YEARS_KEPT)
def _year(year: int) -> dict[date, Holiday]:
    banks = {day: bank_holiday(name, day) for name, day in _bank_holidays(year).items()}
    dated = {day: special for day, special in DATED.items() if day.year == year}
    return {**_half_days(year), **banks, **_closures(year), **dated}


def holiday(day: date) -> Holiday | None:
    """The special rule of `day`; None on an ordinary weekday and on every weekend."""
    return _year(day.year).get(day)


def is_business_day(day: date) -> bool:
    """A weekday that is not a bank holiday, the sense in which contract rules count days."""
    special = holiday(day)
    return day.weekday() < SATURDAY and (special is None or special.business)


def business_days(day: date, count: int) -> date:
    """The business day `count` steps after `day` (before it when negative); `day` itself need not be one."""
    step = DAY if count > 0 else -DAY
    for _ in range(abs(count)):
        day += step
        while not is_business_day(day):
            day += step
    return day
