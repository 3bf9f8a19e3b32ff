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

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.domain.instruments import by_symbol, symbols_like
from app.domain.units import micro
from app.errors import Refused, SettingsError

TEXT_LIMIT = 262_144  # characters: thousands of entries, far from any real file
ENTRY_LIMIT = 1_000  # entries: every product re-stated twenty times
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
        found = [_entry(f"products.product[{n}]", each) for n, each in enumerate(_entries(text), start=1)]
        seen: set[tuple[str, date]] = set()
        for number, entry in enumerate(found, start=1):
            if (entry.symbol, entry.since) in seen:
                raise SettingsError(
                    f"products.product[{number}]", f"{entry.symbol} from {entry.since} is listed twice"
                )
            seen.add((entry.symbol, entry.since))
        return cls(tuple(sorted(found, key=lambda entry: entry.since)))

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


def _entries(text: str) -> list[Any]:
    if len(text) > TEXT_LIMIT:
        raise SettingsError("products", f"longer than {TEXT_LIMIT} characters")
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError("products", f"not TOML: {error}") from None
    if unknown := set(document) - {"product"}:
        raise SettingsError(f"products.{min(unknown)}", "unknown; only [[product]] entries are known")
    entries = document.get("product", [])
    if not isinstance(entries, list) or len(entries) > ENTRY_LIMIT:
        raise SettingsError("products.product", f"write up to {ENTRY_LIMIT} [[product]] entries")
    return entries


def _entry(where: str, entry: object) -> ProductEntry:
    if not isinstance(entry, dict):
        raise SettingsError(where, "write it as a [[product]] entry")
    if unknown := set(entry) - _KEYS:
        raise SettingsError(f"{where}.{min(unknown)}", f"unknown; known are {', '.join(sorted(_KEYS))}")
    since = entry.get("from")
    if type(since) is not date:  # a TOML date-time is a subclass and would carry a time nobody reads
        raise SettingsError(f"{where}.from", "write a date without quotes, such as 2026-11-01")
    reason = entry.get("reason", "")
    if not isinstance(reason, str) or len(reason) > REASON_LIMIT:
        raise SettingsError(f"{where}.reason", f"write up to {REASON_LIMIT} characters in quotes")
    fee, most = _fee(where, entry.get("fee")), _most(where, entry.get("max_contracts"))
    if fee is None and most is None:
        raise SettingsError(where, "states neither fee nor max_contracts")
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
