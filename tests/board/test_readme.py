"""``board/README.md`` says what the sources say: tables and diagrams are made from them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from board import tables
from tests.guards import ROOT

BOARD = ROOT / "board"
TEXT = tables.README.read_text()


def test_the_generated_parts_are_up_to_date() -> None:
    assert tables.rendered(TEXT) == TEXT, "run: python -m board.tables"


def test_every_part_is_in_it_once() -> None:
    assert sorted(re.findall(r"<!-- ([a-z ]+): generated -->", TEXT)) == sorted(tables.PARTS)


def test_a_changed_table_would_be_noticed() -> None:
    changed = TEXT.replace("| ARM | ARM with", "| AIM | ARM with")
    assert changed != TEXT
    assert tables.rendered(changed) == TEXT


def test_the_tables_hold_every_message_event_and_state() -> None:
    assert tables.messages().count("\n") == 1 + 11
    assert len(tables.board_events()) == 10
    assert list(tables.board_cells()) == list(tables.STATES)
    assert "RUN --> TRIPPED: OPEN, SILENT, STOP, SESSION, NOISE, PROTOCOL" in tables.board_machine()
    assert "LIVE --> LOST: SILENCE" in tables.host_machine()


def test_run_is_reached_by_arm_from_ready_alone() -> None:
    arrows = re.findall(r"(\w+) --> RUN: (.+)", tables.board_machine())
    assert arrows == [("READY", "ARM")]


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r'\{"(\w+)", \d', (BOARD / "linux/control.c").read_text())))
)
def test_every_control_command_is_explained(command: str) -> None:
    assert re.search(rf"`{command}\b", TEXT)


def test_what_it_names_is_there() -> None:
    for name in re.findall(r"^\| `([\w./]+)`", TEXT, re.MULTILINE):
        if "/" in name or "." in name:
            assert (BOARD / name).exists(), name
    for target in re.findall(r"\]\(([\w./]+)\)", TEXT):
        assert (BOARD / target).is_file(), target


def test_the_picture_is_well_formed_and_names_the_pins() -> None:
    picture = (BOARD / "wiring.svg").read_text()
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    for words in ("D2 = PB3, EXTI 3", "D8 = PB4, EXTI 4", "NC", "1 to 4.7 kΩ", "maintained", "not an e-stop"):
        assert words in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
