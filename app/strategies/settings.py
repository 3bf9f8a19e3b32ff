"""Settings as a frozen dataclass whose fields carry unit, bounds and meaning, filled from text or TOML
values.

Only reading and checking live here. A dataclass declares its fields with `metadata=about(...)`; `parse`
fills it from a mapping (a TOML table, or the words of `--set key=value`) and refuses what it does not
know. `describe` gives the same facts to documentation and to the test that holds every key documented.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import time
from fractions import Fraction
from typing import Any, TypeVar

from app.errors import SettingsError

SettingsT = TypeVar("SettingsT")

_DECIMAL = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,9})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_SYMBOL = re.compile(r"[A-Z0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class Description:
    """One setting in words: `default` as it would be written, `low` and `high` "" where there is no bound."""

    key: str
    default: str
    unit: str
    low: str
    high: str
    meaning: str


def about(meaning: str, unit: str = "", low: Any = None, high: Any = None) -> dict[str, Any]:
    """The metadata of a field: its documentation and inclusive bounds."""
    return {"meaning": meaning, "unit": unit, "low": low, "high": high}


def parse(kind: type[SettingsT], prefix: str, values: Mapping[str, object]) -> SettingsT:
    """`kind` filled from `values`; a field not named keeps its default. Raises SettingsError
    (`prefix.key`).
    """
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        raise SettingsError(f"{prefix}.{unknown[0]}", f"unknown; known are {', '.join(known)}")
    return kind(**{key: _read(f"{prefix}.{key}", known[key], value) for key, value in values.items()})


def describe(kind: type) -> list[Description]:
    """Every setting of `kind`, in order."""
    return [_describe(f) for f in fields(kind)]


def written(value: object) -> str:
    """A setting's value as it would be typed: a fraction as a decimal, a time as HH:MM."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Fraction):
        return str(value.numerator) if value.denominator == 1 else f"{float(value):.9f}".rstrip("0")
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return "" if value is None else str(value)


def _describe(f: Field[Any]) -> Description:
    assert f.default is not MISSING, f"{f.name}: every setting has a default"
    meta = f.metadata
    bounds = (written(meta["low"]), written(meta["high"]))
    return Description(f.name, written(f.default), meta["unit"], *bounds, meta["meaning"])


def _read(key: str, f: Field[Any], value: object) -> object:
    result = _READERS[str(f.type)](key, value)
    low, high = f.metadata["low"], f.metadata["high"]
    if (low is not None and result < low) or (high is not None and result > high):
        raise SettingsError(key, f"{written(result)} is outside {written(low)} to {written(high)}")
    return result


def _integer(key: str, value: object) -> int:
    if type(value) is int or (isinstance(value, str) and _INTEGER.fullmatch(value)):
        return int(value)
    raise SettingsError(key, f"{value!r} is not a whole number")


def _fraction(key: str, value: object) -> Fraction:
    """Exactly what was written: a TOML float is taken by its shortest decimal text."""
    text = repr(value) if type(value) is float else value
    if type(text) is int or (isinstance(text, str) and _DECIMAL.fullmatch(text)):
        return Fraction(text)
    raise SettingsError(key, f"{value!r} is not a decimal number such as 1.25")


def _boolean(key: str, value: object) -> bool:
    if isinstance(value, bool) or value in ("true", "false"):
        return value in (True, "true")
    raise SettingsError(key, f"{value!r} is neither true nor false")


def _clock(key: str, value: object) -> time:
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise SettingsError(key, f'{value!r} is not a New York time such as "09:30"')
    return time(int(match[1]), int(match[2]))


def _symbol(key: str, value: object) -> str:
    if isinstance(value, str) and _SYMBOL.fullmatch(value):
        return value
    raise SettingsError(key, f"{value!r} is not a ticker such as ES")


# By the annotation's text: modules that declare settings use postponed annotations.
_READERS: dict[str, Callable[[str, object], Any]] = {
    "int": _integer,
    "Fraction": _fraction,
    "bool": _boolean,
    "time": _clock,
    "str": _symbol,
}
