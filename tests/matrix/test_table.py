"""The table in `board/README.md` is the one that the matrix holds the boards to; and the matrix is whole."""

from __future__ import annotations

import re

import pytest

from tests.guards import ROOT
from tests.matrix.faults import FAULTS, LINE, End
from tests.matrix.report import readme_part, shortened


def test_the_readme_tells_how_every_fault_ends() -> None:
    assert readme_part() == shortened()


def test_a_changed_end_would_be_noticed() -> None:
    assert readme_part().replace("| held, tripped |", "| unharmed |", 1) != shortened()


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_every_fault_of_the_line_comes_in_both_directions() -> None:
    names = {fault.name for fault in LINE}
    assert {re.sub("to the host$", "to the board", name) for name in names if name.endswith("host")} == {
        name for name in names if name.endswith("board")
    }


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_trips_names_its_causes(fault: object) -> None:
    assert bool(fault.causes) == (fault.end is not End.UNHARMED)


def test_every_command_of_the_virtual_board_is_used() -> None:
    known = set(re.findall(r'\{"(\w+)", \d', (ROOT / "board/linux/control.c").read_text()))
    steps = [step for fault in FAULTS for step in (*fault.steps, *fault.heal)]
    used = {step.split()[1] for step in steps if step.startswith("board ")}
    assert known - used == {"state", "entropy"}
