"""The owner's dated calendar entries: text in, checked entries out. The caller reads the file.

    [[day]]
    date = 2027-01-18          # a TOML date, Monday to Friday, within the coverage of the rules
    close = "12:00"            # the exchange's close in Chicago; opens a day that the rules hold closed
    flat = "11:45"             # the venue's flatten time; without it 15 minutes before `close`
    reason = "Martin Luther King Jr. Day, list of 2027"

    [[day]]
    date = 2027-03-26
    closed = true
    group = "grains"           # only these products; without it all of them

An entry for a group wins over an entry for all. Anything unknown or impossible is a SettingsError that
names the entry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from app.domain import entries
from app.domain.holidays import FIRST_DATE, FRIDAY, GROUPS, LAST_DATE, VENUE_FLAT, minute, regular_close
from app.errors import SettingsError

_KEYS = {"date", "closed", "close", "flat", "group", "reason"}
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class DayOverride:
    """One entry. `close` and `flat` are minutes after midnight in Chicago; None = as the rules say."""

    date: date
    closed: bool = False
    close: int | None = None
    flat: int | None = None
    group: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Checked entries by date and group."""

    days: Mapping[tuple[date, str | None], DayOverride] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Overrides:
        """Entries of a TOML `text`. Raises SettingsError."""
        days: dict[tuple[date, str | None], DayOverride] = {}
        for where, entry in entries.read(text, "calendar", "day", _KEYS):
            day = _day(where, entry)
            if (day.date, day.group) in days:
                raise SettingsError(f"{where}.date", f"{day.date} is listed twice for the same products")
            days[day.date, day.group] = day
        return cls(days)

    def find(self, day: date, group: str) -> DayOverride | None:
        """The entry that rules `day` for `group`."""
        return self.days.get((day, group)) or self.days.get((day, None))


def _day(where: str, entry: dict[str, Any]) -> DayOverride:
    day = DayOverride(
        date=_date(where, entry.get("date")),
        closed=_typed(where, entry, "closed", bool, False),
        close=_clock(where, entry, "close"),
        flat=_clock(where, entry, "flat"),
        group=_typed(where, entry, "group", str, None),
        reason=_typed(where, entry, "reason", str, ""),
    )
    _check(where, day)
    return day


def _typed(where: str, entry: dict[str, Any], key: str, kind: type, default: Any) -> Any:
    value = entry.get(key, default)
    if value is not default and not isinstance(value, kind):
        raise SettingsError(f"{where}.{key}", f"must be a {kind.__name__}")
    return value


def _date(where: str, value: object) -> date:
    value = entries.day(f"{where}.date", value)
    if not FIRST_DATE <= value <= LAST_DATE:
        raise SettingsError(f"{where}.date", f"{value} is outside {FIRST_DATE} to {LAST_DATE}")
    if value.weekday() > FRIDAY:
        raise SettingsError(f"{where}.date", f"{value} is a weekend; sessions carry the dates of weekdays")
    return value


def _clock(where: str, entry: dict[str, Any], key: str) -> int | None:
    if key not in entry:
        return None
    match = _CLOCK.fullmatch(str(entry[key]))
    if match is None:
        raise SettingsError(f"{where}.{key}", 'write a Chicago time in quotes, such as "12:00"')
    return minute(int(match[1]), int(match[2]))


def _check(where: str, day: DayOverride) -> None:
    if day.group is not None and day.group not in GROUPS:
        raise SettingsError(f"{where}.group", f"known are {', '.join(GROUPS)}")
    if day.closed == (day.close is not None or day.flat is not None):
        raise SettingsError(where, "needs either closed = true, or close or flat (or both)")
    close = regular_close(day.date) if day.close is None else day.close
    if close > regular_close(day.date):
        raise SettingsError(f"{where}.close", "is after the regular close")
    if day.flat is not None and not day.flat <= min(close, VENUE_FLAT):
        raise SettingsError(f"{where}.flat", "must not be after the close nor after 15:10")
