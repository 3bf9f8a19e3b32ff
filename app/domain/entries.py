"""Tables of dated entries that an owner writes in TOML, up to the single entry: size, grammar, known keys.

What an entry means is its own module's: `overrides` for the calendar, `products` for fees and caps.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator
from datetime import date
from typing import Any

from app.errors import SettingsError

TEXT_LIMIT = 262_144  # characters of one file: thousands of entries, far from any real one
ENTRY_LIMIT = 2_000  # entries of one file: a hundred a year over the whole coverage of the calendar


def read(text: str, file: str, name: str, known: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each `[[name]]` entry of `text` with where it stands, "calendar.day[2]", for messages.

    Raises SettingsError for what is not TOML, too long, another table or a key that is not `known`.
    """
    for number, entry in enumerate(_entries(text, file, name), start=1):
        where = f"{file}.{name}[{number}]"
        if not isinstance(entry, dict):
            raise SettingsError(where, f"write it as a [[{name}]] entry")
        for key in sorted(entry):
            if key not in known:
                raise SettingsError(f"{where}.{key}", f"unknown; known are {', '.join(sorted(known))}")
        yield where, entry


def _entries(text: str, file: str, name: str) -> list[Any]:
    if len(text) > TEXT_LIMIT:
        raise SettingsError(file, f"longer than {TEXT_LIMIT} characters")
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(file, f"not TOML: {error}") from None
    if unknown := set(document) - {name}:
        raise SettingsError(f"{file}.{min(unknown)}", f"unknown; only [[{name}]] entries are known")
    entries = document.get(name, [])
    if not isinstance(entries, list) or len(entries) > ENTRY_LIMIT:
        raise SettingsError(f"{file}.{name}", f"write up to {ENTRY_LIMIT} [[{name}]] entries")
    return entries


def day(where: str, value: object) -> date:
    """A TOML date. Raises SettingsError for anything else."""
    if type(value) is not date:  # a TOML date-time is a subclass and would carry a time nobody reads
        raise SettingsError(where, "write a date without quotes, such as 2026-11-01")
    return value
