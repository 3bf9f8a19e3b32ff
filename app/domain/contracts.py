"""Contract ids of the venue, their order, their expiries, and which contract is in front.

Pure dates, no prices, no venue state. Live trading trusts the venue's `activeContract`; the roll rules
here serve the simulator, recorded data and the warning that a position nears its end.

Termination rules follow the exchange's contract specifications. Rolls: the venue was seen to move equity
products on the Monday of expiry week (MES H26 to M26 on 2026-03-16) and MCL from U to V on 2026-08-18, one
business day before it ended. No rolls of other products were recorded; theirs leave time before expiry or
first notice, and are approximations.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import total_ordering

from app.domain import instruments
from app.domain.holidays import (
    DAY,
    FRIDAY,
    MONDAY,
    WEDNESDAY,
    business_days,
    is_business_day,
    last_weekday,
    month_end,
    nth_weekday,
)
from app.errors import Refused

MONTH_CODES = instruments.MONTHLY  # January to December
CENTURY = 2000  # two-digit years mean 2000 to 2099, a window around all the calendar covers

_ID = re.compile(rf"CON\.F\.US\.([A-Z0-9]{{1,8}})\.([{MONTH_CODES}])([0-9]{{2}})")


@total_ordering
@dataclass(frozen=True, slots=True)
class ContractId:
    """One expiry of one product. Sorts by product, year and month; the text would put Z25 after H26."""

    product: str
    month: int
    year: int

    def __post_init__(self) -> None:
        if not (1 <= self.month <= 12 and CENTURY <= self.year < CENTURY + 100):
            expiry_month = f"{self.product} {self.month}/{self.year}"
            raise Refused("contract.malformed", expiry_month, "month 1-12, year 2000-2099")

    def __lt__(self, other: ContractId) -> bool:
        return (self.product, self.year, self.month) < (other.product, other.year, other.month)

    @classmethod
    def parse(cls, text: str) -> ContractId:
        """From "CON.F.US.EP.Z26". The product need not be known. Raises Refused."""
        match = _ID.fullmatch(text)
        if match is None:
            raise Refused("contract.malformed", text, "CON.F.US.<product>.<month letter><two-digit year>")
        return cls(match[1], MONTH_CODES.index(match[2]) + 1, CENTURY + int(match[3]))

    def __str__(self) -> str:
        return f"CON.F.US.{self.product}.{self.letter}{self.year % 100:02}"

    @property
    def letter(self) -> str:
        """The month's code, "Z" for December."""
        return MONTH_CODES[self.month - 1]

    @property
    def name(self) -> str:
        """The exchange's name, "ESZ6". Raises Refused for an unknown product."""
        return f"{instruments.by_product(self.product).symbol}{self.letter}{self.year % 10}"

    @property
    def symbol_id(self) -> str:
        """The product across expiries, "F.US.EP"."""
        return f"F.US.{self.product}"


def _on_or_before(day: date) -> date:
    return day if is_business_day(day) else business_days(day, -1)


def _nth_last_business_day(year: int, month: int, nth: int) -> date:
    return business_days(month_end(year, month) + DAY, -nth)


def _month_before(year: int, month: int) -> tuple[int, int]:
    return (year - 1, 12) if month == 1 else (year, month - 1)


# -- last trading days, by contract year and month --------------------------------------------------


def _third_friday(year: int, month: int) -> date:
    return _on_or_before(nth_weekday(year, month, FRIDAY, 3))


def _before_second_friday(year: int, month: int) -> date:
    return business_days(nth_weekday(year, month, FRIDAY, 2), -1)


def _before_third_wednesday(count: int) -> Callable[[int, int], date]:
    return lambda year, month: business_days(nth_weekday(year, month, WEDNESDAY, 3), -count)


def _last_business_day(year: int, month: int) -> date:
    return _nth_last_business_day(year, month, 1)


def _third_last_business_day(year: int, month: int) -> date:
    return _nth_last_business_day(year, month, 3)


def _third_last_of_month_before(year: int, month: int) -> date:
    return _third_last_business_day(*_month_before(year, month))


def _bond(year: int, month: int) -> date:
    """The seventh business day before the last one of the month."""
    return business_days(_last_business_day(year, month), -7)


def _crude(count: int) -> Callable[[int, int], date]:
    """`count` business days before the 25th of the month before delivery, counted from a business day."""

    def rule(year: int, month: int) -> date:
        return business_days(_on_or_before(date(*_month_before(year, month), 25)), -count)

    return rule


def _gas(count: int) -> Callable[[int, int], date]:
    return lambda year, month: business_days(date(year, month, 1), -count)


def _end_of_month_before(year: int, month: int) -> date:
    return _last_business_day(*_month_before(year, month))


def _last_friday(year: int, month: int) -> date:
    return _on_or_before(last_weekday(year, month, FRIDAY))


def _before_the_15th(year: int, month: int) -> date:
    return business_days(date(year, month, 15), -1)


def _tenth_business_day(year: int, month: int) -> date:
    return business_days(date(year, month, 1) - DAY, 10)


# -- rolls: the first day on which the next contract is in front ------------------------------------


def _monday_of_expiry_week(year: int, month: int, last: date) -> date:
    return last - timedelta(days=last.weekday() - MONDAY)


def _days_before_expiry(count: int) -> Callable[[int, int, date], date]:
    return lambda year, month, last: business_days(last, -count)


def _before_first_notice(year: int, month: int, last: date) -> date:
    """Two business days before the last one of the month before delivery, when notices begin."""
    return _nth_last_business_day(*_month_before(year, month), 3)


@dataclass(frozen=True, slots=True)
class _Rules:
    """Last trading day from (year, month); roll from (year, month, last trading day)."""

    expiry: Callable[[int, int], date]
    roll: Callable[[int, int, date], date]


_EQUITY = _Rules(_third_friday, _monday_of_expiry_week)
_FX = _Rules(_before_third_wednesday(2), _days_before_expiry(3))
_DELIVERED_MONTH_END = _Rules(_last_business_day, _before_first_notice)
_BOND = _Rules(_bond, _before_first_notice)
_METAL = _Rules(_third_last_business_day, _before_first_notice)
_GRAIN = _Rules(_before_the_15th, _before_first_notice)

_RULES: dict[str, _Rules] = {
    **dict.fromkeys(("ES", "NQ", "MES", "MNQ", "YM", "MYM", "RTY", "M2K"), _EQUITY),
    "NKD": _Rules(_before_second_friday, _monday_of_expiry_week),
    **dict.fromkeys(("6E", "E7", "6B", "6A", "6N", "6S", "6J", "6M", "M6E", "M6A", "M6B"), _FX),
    "6C": _Rules(_before_third_wednesday(1), _days_before_expiry(4)),  # rolls with the other currencies
    **dict.fromkeys(("ZT", "ZF"), _DELIVERED_MONTH_END),
    **dict.fromkeys(("ZN", "TN", "ZB", "UB"), _BOND),
    "CL": _Rules(_crude(3), _days_before_expiry(2)),
    **dict.fromkeys(("MCL", "QM"), _Rules(_crude(4), _days_before_expiry(1))),
    "NG": _Rules(_gas(3), _days_before_expiry(2)),
    **dict.fromkeys(("MNG", "QG"), _Rules(_gas(4), _days_before_expiry(1))),
    **dict.fromkeys(("RB", "HO"), _Rules(_end_of_month_before, _days_before_expiry(2))),
    **dict.fromkeys(("GC", "MGC", "SI", "SIL", "HG", "PL"), _METAL),
    "MHG": _Rules(_third_last_of_month_before, _days_before_expiry(1)),
    **dict.fromkeys(("MBT", "MET"), _Rules(_last_friday, _days_before_expiry(1))),
    **dict.fromkeys(("ZC", "ZW", "ZS", "ZL", "ZM"), _GRAIN),
    "LE": _Rules(_last_business_day, _before_first_notice),
    "HE": _Rules(_tenth_business_day, _days_before_expiry(5)),
}


def _rules(contract: ContractId) -> _Rules:
    return _RULES[instruments.by_product(contract.product).symbol]


def expiry(contract: ContractId) -> date:
    """The last trading day by the exchange's rule. Raises Refused for an unknown product."""
    return _rules(contract).expiry(contract.year, contract.month)


def roll_date(contract: ContractId) -> date:
    """The first day on which the next contract of the cycle is in front."""
    return _rules(contract).roll(contract.year, contract.month, expiry(contract))


def next_contract(contract: ContractId) -> ContractId:
    """The following contract of the product's cycle."""
    months = _cycle(contract.product)
    later = [month for month in months if month > contract.month]
    if later:
        return ContractId(contract.product, later[0], contract.year)
    return ContractId(contract.product, months[0], contract.year + 1)


def front_month(product: str, on: date) -> ContractId:
    """The contract in front on the trade date `on`: the first of the cycle that has not rolled by then."""
    contract = ContractId(product, _cycle(product)[0], on.year)
    while roll_date(contract) <= on:
        contract = next_contract(contract)
    return contract


def _cycle(product: str) -> list[int]:
    """Month numbers of the product's cycle, ascending."""
    return [MONTH_CODES.index(letter) + 1 for letter in instruments.by_product(product).months]
