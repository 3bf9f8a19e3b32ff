"""Changing single values in a commented TOML file, so that every comment and every other line stays.

What comes out is parsed and compared before anybody writes it: a file laid out in a way that this does not
understand is refused, never damaged.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

from app.errors import SettingsError, clean

Value: TypeAlias = str | bool | int | date | Decimal | tuple[str, ...] | tuple[int, ...]
HEADER = re.compile(r"\[([^\[\]]+)\]\s*(#.*)?\Z")


def with_values(text: str, section: str, values: Mapping[str, Value]) -> str:
    """`text` with each of `values` in [section] ("" = the top). Raises SettingsError when that cannot be done
    without changing anything else.
    """
    lines = text.splitlines()
    for key, value in values.items():
        lines = _set(lines, section, key, f"{key} = {literal(value)}")
    made = "\n".join(lines) + "\n"
    _compare(text, made, section, values)
    return made


def literal(value: Value) -> str:
    """`value` as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, str):
        return '"' + "".join(map(_escaped, value)) + '"'
    return str(value)


def keys(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every key below `document` by its dotted name; an empty table counts as one."""
    for name, value in document.items():
        if isinstance(value, dict) and value:
            yield from keys(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _set(lines: list[str], section: str, key: str, line: str) -> list[str]:
    """The line of `key` replaced; a key, or a section, that is not there is added."""
    here, after = "", 0 if section == "" else -1
    for place, found in enumerate(lines):
        header = HEADER.match(found.strip())
        if header:
            here = header[1].strip()
            after = place + 1 if here == section else after
        elif here == section and re.match(rf"\s*{re.escape(key)}\s*=", found):
            return [*lines[:place], line, *lines[place + 1 :]]
    if after < 0:
        return [*lines, "", f"[{section}]", line]
    return [*lines[:after], line, *lines[after:]]


def _compare(before: str, made: str, section: str, values: Mapping[str, Value]) -> None:
    """The new text must say what the old one said but for `values`."""
    problem = "is laid out in a way that only you can edit; change it by hand"
    try:
        wanted = tomllib.loads(before, parse_float=Decimal)
        found = tomllib.loads(made, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise SettingsError(section or "file", f"{problem} ({clean(error)})") from None
    table = wanted
    for name in filter(None, section.split(".")):
        table = table.setdefault(name, {})
    table.update({key: list(value) if isinstance(value, tuple) else value for key, value in values.items()})
    if found != wanted:
        raise SettingsError(section or "file", problem)
