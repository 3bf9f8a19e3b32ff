"""From TOML text to checked structs, and reading the file. What a mistake is called is `faults`' business.

Numbers with a point are read as exact decimals, never as floats. Relative paths are below the file's folder.
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from app.config.faults import reject_decimals, reject_unknown, reject_wrong
from app.config.settings import Settings
from app.errors import NOT_YOURS, SettingsError

FILE_LIMIT = 262_144  # bytes; the documented sample is a twentieth of it

T = TypeVar("T", bound=msgspec.Struct)


def load(text: str, base: Path) -> Settings:
    """Settings from TOML `text`; relative paths are below `base`. Raises SettingsError."""
    settings = decode(text, base, Settings)
    settings.check()
    return settings


def load_file(path: Path) -> Settings:
    """Settings from the file at `path`. Raises SettingsError, also when it cannot be read."""
    return load(read_text(path), path.resolve().parent)


def read_text(path: Path) -> str:
    """The UTF-8 text of a settings file of at most FILE_LIMIT bytes. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
        if len(data) > FILE_LIMIT:
            raise SettingsError(str(path), f"is longer than {FILE_LIMIT} bytes")
        return data.decode("utf-8")
    except PermissionError:
        raise SettingsError(str(path), NOT_YOURS) from None
    except OSError as error:
        raise SettingsError(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(str(path), "is not UTF-8 text") from None


def decode(text: str, base: Path, shape: type[T]) -> T:
    """`text` as `shape`: types, bounds and unknown keys, not the rules between keys. Raises SettingsError."""
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise SettingsError("file", f"is not TOML: {error}") from None
    reject_unknown(document, shape)

    def convert(value: Any, kind: Any) -> Any:
        return msgspec.convert(value, kind, dec_hook=path_below, str_keys=True)

    def path_below(kind: type, value: Any) -> Path:
        if kind is not Path or not isinstance(value, str) or not value or "\0" in value:
            raise ValueError("a path in quotes is needed")
        return base.resolve() / value

    try:
        result: T = convert(document, shape)
    except msgspec.ValidationError:
        reject_wrong(document, shape, convert)
        raise
    reject_decimals(result)
    return result
