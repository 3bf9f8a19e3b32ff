"""Single values changed in a commented file: every other line stays, or nothing is written."""

from __future__ import annotations

import tomllib
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SettingsError
from app.install.edit import keys, literal, with_values
from tests.guards import ROOT

SAMPLE = (ROOT / "systemd" / "plimsoll.toml").read_text()
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
VALUES = st.one_of(TEXTS, st.booleans(), st.integers(-(2**60), 2**60), st.dates(), st.lists(TEXTS).map(tuple))


@given(VALUES)
def test_writes_any_value_so_that_it_reads_back(value: object) -> None:
    read = tomllib.loads(f"x = {literal(value)}")["x"]
    assert read == (list(value) if isinstance(value, tuple) else value)


@given(st.sampled_from(["", "topstepx", "board", "board.on_trip", "native"]), TEXTS)
def test_changes_one_line_of_the_sample_and_no_other(section: str, text: str) -> None:
    name = next(key for key in table(section) if not isinstance(table(section)[key], dict))
    made = with_values(SAMPLE, section, {name: text})
    before, after = SAMPLE.splitlines(), made.splitlines()
    assert len(before) == len(after)
    assert sum(old != new for old, new in zip(before, after, strict=True)) <= 1
    assert table(section, made)[name] == text


def table(section: str, text: str = SAMPLE) -> dict[str, object]:
    found = tomllib.loads(text)
    for name in filter(None, section.split(".")):
        found = found[name]
    return found


@pytest.mark.parametrize(
    ("text", "section", "made"),
    [
        ("", "", "x = 1\n"),
        ("[a]\ny = 2\n", "", "x = 1\n[a]\ny = 2\n"),
        ("[a]\ny = 2\n", "a", "[a]\nx = 1\ny = 2\n"),
        ("[a] # mine\nx = 2 # two\n", "a", "[a] # mine\nx = 1\n"),
        ("y = 2\n", "a.b", "y = 2\n\n[a.b]\nx = 1\n"),
        ("[b]\nx = 2\n[a]\n x=3\n", "a", "[b]\nx = 2\n[a]\nx = 1\n"),
        ("# x = 2\n", "", "x = 1\n# x = 2\n"),
    ],
)
def test_adds_or_replaces_where_it_belongs(text: str, section: str, made: str) -> None:
    assert with_values(text, section, {"x": 1}) == made


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("x = [\n 1,\n]\n", ""),
        ('x = """\na\n"""\n', ""),
        ("a = { x = 2 }\n", "a"),
        ("a.x = 2\n", "a"),
        ('y = """\nx = 2\n"""\n', ""),
        ("[[a]]\nx = 2\n", "a"),
        ("not toml", ""),
    ],
)
def test_refuses_a_layout_it_does_not_understand(text: str, section: str) -> None:
    with pytest.raises(SettingsError, match="only you can edit"):
        with_values(text, section, {"x": 1})


def test_writes_numbers_and_dates_as_they_are() -> None:
    assert [literal(value) for value in (Decimal("1.50"), date(2026, 11, 20), (1, 2))] == [
        "1.50",
        "2026-11-20",
        "[1, 2]",
    ]


def test_names_every_key() -> None:
    assert list(keys({"a": 1, "b": {"c": {"d": 2}, "e": {}}})) == ["a", "b.c.d", "b.e"]
