"""The owner's dated words on products: fees and caps that no API field carries. Text in, checked entries out.

    [[product]]
    symbol = "NG"
    from = 2026-11-01          # a TOML date; the newest entry on or before the day is in force
    fee = "4.10"               # USD for one contract in and out, everything included
    max_contracts = 3          # the venue's cap on this product, in contracts of it
    reason = "fee schedule of November 2026"

An entry states a fee, a cap or both; what it leaves out stays as an older entry or the built-in table says. A
cap only narrows: the limits of the settings hold as well. Anything unknown or impossible is a SettingsError
that names the entry. The caller reads the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.domain import entries
from app.domain.instruments import by_symbol, symbols_like
from app.domain.units import micro
from app.errors import Refused, SettingsError

MOST_FEE_MICRO = 100_000_000  # 100 USD a round turn; the dearest published is below 5
MOST_CONTRACTS = 1_000  # the largest account may hold 150 micros
REASON_LIMIT = 200  # characters

_KEYS = {"symbol", "from", "fee", "max_contracts", "reason"}


@dataclass(frozen=True, slots=True)
class ProductEntry:
    """One entry. None = not stated by it."""

    symbol: str
    since: date
    fee_round_turn_micro: int | None
    max_contracts: int | None


@dataclass(frozen=True, slots=True)
class Products:
    """Checked entries, oldest first."""

    entries: tuple[ProductEntry, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Products:
        """Entries of a TOML `text`. Raises SettingsError."""
        found: dict[tuple[str, date], ProductEntry] = {}
        for where, written in entries.read(text, "products", "product", _KEYS):
            entry = _entry(where, written)
            if (entry.symbol, entry.since) in found:
                raise SettingsError(where, f"{entry.symbol} from {entry.since} is listed twice")
            found[entry.symbol, entry.since] = entry
        return cls(tuple(sorted(found.values(), key=lambda entry: entry.since)))

    def fees_micro(self, day: date) -> Mapping[str, int]:
        """What one contract in and out costs on `day`, for the symbols that were stated."""
        return {
            entry.symbol: entry.fee_round_turn_micro
            for entry in self.entries
            if entry.since <= day and entry.fee_round_turn_micro is not None
        }

    def caps(self, day: date) -> Mapping[str, int]:
        """The most contracts of a symbol on `day`, for the symbols that were stated."""
        return {
            entry.symbol: entry.max_contracts
            for entry in self.entries
            if entry.since <= day and entry.max_contracts is not None
        }


def _entry(where: str, entry: Mapping[str, Any]) -> ProductEntry:
    reason = entry.get("reason", "")
    if not isinstance(reason, str) or len(reason) > REASON_LIMIT:
        raise SettingsError(f"{where}.reason", f"write up to {REASON_LIMIT} characters in quotes")
    fee, most = _fee(where, entry.get("fee")), _most(where, entry.get("max_contracts"))
    if fee is None and most is None:
        raise SettingsError(where, "states neither fee nor max_contracts")
    since = entries.day(f"{where}.from", entry.get("from"))
    return ProductEntry(_symbol(where, entry.get("symbol")), since, fee, most)


def _symbol(where: str, value: object) -> str:
    try:
        return by_symbol(value if isinstance(value, str) else "").symbol
    except Refused:
        shown = value if isinstance(value, str) else ""
        raise SettingsError(f"{where}.symbol", f"no product of the table; {symbols_like(shown)}") from None


def _fee(where: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        fee = micro(value) if isinstance(value, str) else -1
    except (ValueError, OverflowError, Refused):
        fee = -1
    if not 0 <= fee <= MOST_FEE_MICRO:
        most = MOST_FEE_MICRO // 1_000_000
        raise SettingsError(f"{where}.fee", f'write USD in quotes from "0" to "{most}", such as "4.10"')
    return fee


def _most(where: str, value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MOST_CONTRACTS:
        raise SettingsError(f"{where}.max_contracts", f"write a whole number from 0 to {MOST_CONTRACTS}")
    return value
