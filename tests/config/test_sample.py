"""The sample settings document every key with its true default, and load as they are."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

from app.config import AccountFile, Settings, load, load_file, parse_accounts
from app.config.faults import allowed

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
SAMPLE = (SYSTEMD / "plimsoll.toml").read_text()
ACCOUNTS = (SYSTEMD / "account.toml").read_text()


def keys(shape: type[msgspec.Struct], prefix: str = "") -> dict[str, Any]:
    """Every key below `shape` by its dotted name, with its type."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(shape, include_extras=True).items():
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            found |= keys(hint, f"{prefix}{name}.")
        else:
            found[prefix + name] = hint
    return found


def values(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict) and prefix + name not in keys(Settings):
            found |= values(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def comments(text: str) -> dict[str, str]:
    """The comment above each key; keys without a blank line between them share it."""
    found, section, comment = {}, "", ""
    for line in text.splitlines():
        if line.startswith("#"):
            comment += line
        elif line.startswith("["):
            section, comment = line.strip("[]") + ".", ""
        elif not line:
            comment = ""
        else:
            found[section + line.split(" =")[0]] = comment
    return found


def test_loads_and_equals_the_defaults() -> None:
    assert load_file(SYSTEMD / "plimsoll.toml") == Settings() == load("", Path("/"))


def test_states_every_key_with_its_true_default() -> None:
    document = values(tomllib.loads(SAMPLE, parse_float=Decimal))
    assert set(document) == set(keys(Settings))
    for name, value in document.items():
        found: Any = Settings()
        for part in name.split("."):
            found = getattr(found, part)
        expected = (
            str(found) if isinstance(found, Path) else list(found) if isinstance(found, tuple) else found
        )
        assert value == expected, name


@pytest.mark.parametrize("name", sorted(keys(Settings)))
def test_documents_the_bounds_of_each_key(name: str) -> None:
    text = comments(SAMPLE)[name]
    assert text, f"{name} has no comment"
    kind = msgspec.inspect.type_info(keys(Settings)[name])
    words = allowed(kind)
    if words == "true or false":
        assert "true or false" in text
    for low, high in re.findall(r"from (\S+) to (\S+)", words):
        assert re.search(rf"\b{re.escape(low)} to {re.escape(high)}\b", text), f"{name}: {low} to {high}"
    if isinstance(kind, msgspec.inspect.LiteralType):
        assert all(f'"{value}"' in text for value in kind.values)


def test_states_every_key_of_an_account() -> None:
    (statement,) = tomllib.loads(ACCOUNTS)["account"].values()
    assert set(statement) == set(keys(next(iter(parse_accounts(ACCOUNTS).account.values())).__class__))
    assert set(keys(AccountFile)) == {"account"}
