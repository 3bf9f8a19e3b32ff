"""The portable modules' numbers are those of board/protocol.h, which is their source."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.mcu import frame, messages, runner, session
from board.micropython import board, kill, lights, settings, virtual
from tests.guards import ROOT

LINE = re.compile(r"#define P_(\w+) (0x[0-9A-Fa-f]+|\d+) /\* \S.* \*/")
LONGEST_TIMEOUT_MS = 500
ONLY_COUNTING = {"NOISE_WINDOW_MS", "COUNTERS_MS"}  # not time-outs: how long is counted, how often is told


def defined() -> dict[str, int]:
    """The definitions of the header, each of which must be of the one form."""
    lines = (ROOT / "board" / "protocol.h").read_text().splitlines()
    found = [LINE.fullmatch(line) for line in lines if line.startswith("#")]
    assert None not in found, "a definition is not a literal with its reason on one line"
    return {match[1]: int(match[2], 0) for match in found if match}


P = defined()
# What the portable modules call otherwise, or hold as the length of a table.
ELSEWHERE = {
    **{f"TYPE_{name}": kind for kind, (name, _) in messages.MESSAGES.items()},
    **{f"STATE_{name.upper()}": code for code, name in enumerate(messages.STATES)},
    **{f"STATUS_{name.upper()}": code for code, name in enumerate(messages.STATUSES)},
    **{f"TARGET_{name.upper()}": code for code, name in enumerate(messages.TARGETS) if name},
    **{f"CAUSE_{name.upper()}": code for code, name in enumerate(messages.CAUSES)},
    "INTERLOCK_TWO": messages.TWO_CHANNELS,
    "HEADER_SIZE": frame._HEADER_SIZE,
    "CRC_SIZE": frame._CRC_SIZE,
    "SESSIONS_PER_SECOND": 1000 // runner.SESSION_MS,
}
FOREIGN = {"MATRIX_ROWS", "MATRIX_COLUMNS", "MATRIX_BRIGHTEST"}  # of hardware that only the C firmware has


def ours(name: str) -> Any:
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    for module in (messages, frame, session, board, kill, virtual, settings):
        if hasattr(module, name):
            return getattr(module, name)
    return None


@pytest.mark.parametrize("name", sorted(P.keys() - FOREIGN))
def test_keeps_the_header_s_number(name: str) -> None:
    assert ours(name) == P[name]


def test_knows_nothing_that_the_header_does_not() -> None:
    assert ELSEWHERE.keys() <= P.keys()
    assert P.keys() >= FOREIGN


def test_names_what_it_numbers() -> None:
    for table, prefix in ((messages.CAUSES, "CAUSE_"), (messages.STATES, "STATE_")):
        assert [P[prefix + name.upper()] for name in table] == list(range(len(table)))
    assert [getattr(messages, f"CAUSE_{name.upper()}") for name in messages.CAUSES] == list(range(9))
    assert [getattr(messages, name.upper()) for name in messages.STATES] == list(range(4))


ROW = re.compile(r"\[(\w+)\] += \{([\w, ]+)\}")
PATTERN = re.compile(r"\[P_(STATE|STATUS)_(\w+)\] = \{LIGHT_(\w+), (\w+)\}")


def test_moves_the_board_as_the_firmware_in_c_does() -> None:
    source = (ROOT / "board" / "firmware" / "states.c").read_text()
    columns = re.findall(r"/\*\s+(CLEAR[\w ]+)\*/", source)[0].split()
    found = {}
    for state, row in ROW.findall(source):
        for event, after in zip(columns, row.replace(",", " ").split(), strict=True):
            if after != "STAY":
                found[P[f"STATE_{state}"], board.EVENTS.index(event)] = P[f"STATE_{after}"]
    assert len(columns) == len(board.EVENTS)
    assert found == board.TRANSITIONS
    causes = re.findall(r"\[EVENT_(\w+)\] = P_(CAUSE_\w+)", source)
    assert {board.EVENTS.index(event): P[cause] for event, cause in causes} == board.CAUSES


def test_shows_the_lights_of_the_firmware_in_c() -> None:
    source = (ROOT / "board" / "firmware" / "lights.c").read_text()
    half = {name: int(value) for name, value in re.findall(r"(SLOW|FAST)_MS = (\d+)", source)}
    tables = {"STATE": lights.BOARD, "STATUS": lights.HOST}
    found = PATTERN.findall(source)
    assert len(found) == len(lights.BOARD) + len(lights.HOST)
    for table, name, colour, blink in found:
        wanted = (lights.NAMES.index(colour.lower()), half.get(blink, 0))
        assert tables[table][P[f"{table}_{name}"]] == wanted


def test_keeps_every_time_out_below_the_limit() -> None:
    timeouts = {name for name in P if name.endswith("_MS")} - ONLY_COUNTING
    assert max(P[name] for name in timeouts) <= LONGEST_TIMEOUT_MS
    assert P["HOST_SILENCE_MS"] < P["BOARD_SILENCE_MS"]
