"""The lights, tabulated whole: every state, fault, status and phase, against the words of board/README.md."""

from __future__ import annotations

import ctypes
import itertools
import re

import pytest

from tests.board.rig import DISCREPANCY, FAULT, READBACK, READY, RUN, STARVED, TRIPPED, WATCHDOG, library
from tests.guards import ROOT

OFF, BLUE, GREEN, RED, AMBER = 0, 1, 2, 4, 6
SLOW, FAST = 512, 128  # ms: half a period; 0: steady
ROWS, COLUMNS = 8, 13
BOARD = {TRIPPED: (RED, 0), READY: (AMBER, 0), RUN: (GREEN, 0), FAULT: (RED, FAST)}
HOST = (
    (BLUE, SLOW),  # starting
    (BLUE, 0),  # disarmed
    (GREEN, 0),  # armed and flat
    (GREEN, SLOW),  # in position
    (AMBER, FAST),  # near a limit
    (AMBER, SLOW),  # degraded feed
    (RED, SLOW),  # halted
    (RED, 0),  # tripped
    (BLUE, FAST),  # updating
    (RED, FAST),  # fault
)
SYMBOLS = {
    TRIPPED: "##....##\n###..###\n.######.\n..####..\n..####..\n.######.\n###..###\n##....##",
    READY: "\n".join([".##..##."] * 8),
    RUN: ".##.....\n.####...\n.######.\n.#######\n.#######\n.######.\n.####...\n.##.....",
    FAULT: "...##...\n" * 5 + "........\n...##...\n...##...",
}
PHASES = (0, 127, 128, 255, 256, 511, 512, 1023, 1024, 2**32 - 1)


def lights(
    state: int,
    faults: int = 0,
    contacts: int = 3,
    live: bool = True,
    status: int | None = 2,
    net: int = 0,
    pnl: int = 0,
    now: int = 0,
) -> tuple[int, int, list[list[int]]]:
    """The two LEDs and the matrix by rows; without a status the host asked for nothing."""
    out = (ctypes.c_uint8 * (2 + ROWS * COLUMNS))()
    asked = (live, status is not None)
    library().probe_lights(
        state, faults, contacts, *map(ctypes.c_bool, asked), status or 0, net, pnl, ctypes.c_uint32(now), out
    )
    pixels = list(out[2:])
    return out[0], out[1], [pixels[row * COLUMNS :][:COLUMNS] for row in range(ROWS)]


def lit(pattern: tuple[int, int], now: int) -> int:
    light, half = pattern
    return light if half == 0 or now // half % 2 == 0 else OFF


def truth(state: int, faults: int, live: bool) -> int:
    if state == FAULT or faults & (DISCREPANCY | READBACK):
        return FAULT
    return TRIPPED if state == RUN and not live else state


def test_shows_the_table_in_every_combination() -> None:
    statuses = (None, *range(len(HOST)))
    for state, faults, live, status, now in itertools.product(
        range(4), range(16), (False, True), statuses, PHASES
    ):
        shown = truth(state, faults, live)
        board, host, matrix = lights(state, faults, live=live, status=status, now=now)
        assert board == lit(BOARD[shown], now)
        wanted = OFF
        if live and status is not None:
            light, half = HOST[status]
            wanted = lit((AMBER if light == GREEN and shown != RUN else light, half), now)
        assert host == wanted
        symbol = "\n".join("".join(".#"[pixel > 0] for pixel in row[:8]) for row in matrix)
        assert symbol == SYMBOLS[shown]


def test_green_appears_in_run_with_a_live_host_and_never_else() -> None:
    for state, live, status, now in itertools.product(range(4), (False, True), range(10), PHASES):
        board, host, _ = lights(state, live=live, status=status, now=now)
        if not (state == RUN and live):
            assert GREEN not in (board, host)


def test_red_is_steady_while_tripped_before_any_host_was_heard() -> None:
    assert {lights(TRIPPED, live=False, status=None, now=now)[:2] for now in PHASES} == {(RED, OFF)}


@pytest.mark.parametrize("faults", [WATCHDOG, STARVED, WATCHDOG | STARVED])
def test_faults_that_only_tell_change_no_light(faults: int) -> None:
    assert lights(RUN, faults) == lights(RUN)


@pytest.mark.parametrize("state", [4, 5, 255])
def test_an_impossible_state_is_shown_as_a_fault(state: int) -> None:
    assert lights(state)[0] == RED


@pytest.mark.parametrize("status", [10, 255])
def test_an_impossible_status_is_dark(status: int) -> None:
    assert lights(RUN, status=status)[1] == OFF


@pytest.mark.parametrize("contacts", range(4))
def test_the_matrix_shows_each_channel(contacts: int) -> None:
    matrix = lights(TRIPPED, contacts=contacts)[2]
    assert (matrix[6][8], matrix[7][8]) == (7 * (contacts & 1), 7 * (contacts >> 1))


def test_the_corner_blinks_while_the_host_lives() -> None:
    assert [lights(RUN, now=now)[2][0][8] for now in (0, 511, 512, 1023, 1024)] == [7, 7, 0, 0, 7]
    assert {lights(TRIPPED, live=False, now=now)[2][0][8] for now in PHASES} == {0}


def rows(matrix: list[list[int]], column: int) -> list[int]:
    assert [row[column] for row in matrix] == [row[column + 1] for row in matrix]
    return [number for number, row in enumerate(matrix) if row[column]]


@pytest.mark.parametrize(
    ("net", "wanted"),
    [
        (0, []),
        (1, [3]),
        (3, [3]),
        (4, [2, 3]),
        (16, [1, 2, 3]),
        (64, [0, 1, 2, 3]),
        (32767, [0, 1, 2, 3]),
        (-1, [4]),
        (-15, [4, 5]),
        (-16, [4, 5, 6]),
        (-32768, [4, 5, 6, 7]),
    ],
)
def test_the_net_position_grows_up_or_down(net: int, wanted: list[int]) -> None:
    assert rows(lights(RUN, net=net)[2], 9) == wanted


@pytest.mark.parametrize(
    ("pnl", "wanted"),
    [
        (0, []),
        (99, [3]),
        (100, [2, 3]),
        (400, [1, 2, 3]),
        (1600, [0, 1, 2, 3]),
        (2**31 - 1, [0, 1, 2, 3]),
        (-99, [4]),
        (-1600, [4, 5, 6, 7]),
        (-(2**31), [4, 5, 6, 7]),
    ],
)
def test_profit_grows_up_and_loss_down(pnl: int, wanted: list[int]) -> None:
    assert rows(lights(RUN, pnl=pnl)[2], 11) == wanted


def test_shows_no_position_of_a_host_that_does_not_live() -> None:
    for matrix in (
        lights(TRIPPED, live=False, net=9, pnl=9)[2],
        lights(TRIPPED, status=None, net=9, pnl=9)[2],
    ):
        assert {pixel for row in matrix for pixel in row[9:]} == {0}


def test_no_pixel_is_brighter_than_three_bits() -> None:
    for state, live in itertools.product(range(4), (False, True)):
        matrix = lights(state, live=live, net=-99, pnl=5000)[2]
        assert max(pixel for row in matrix for pixel in row) == 7


def test_the_readme_has_the_same_table() -> None:
    colours = {BLUE: "blue", GREEN: "green", RED: "red", AMBER: "amber"}
    blinks = {0: "steady", SLOW: "slow", FAST: "fast"}
    text = (ROOT / "board" / "README.md").read_text()
    shown = dict(re.findall(r"^\| (\d) [a-z ]+ \| ([a-z]+, [a-z]+)", text, re.MULTILINE))
    assert shown == {
        str(status): f"{colours[light]}, {blinks[half]}" for status, (light, half) in enumerate(HOST)
    }
    for state, name in enumerate(("TRIPPED", "READY", "RUN", "FAULT")):
        light, half = BOARD[state]
        assert re.search(rf"^\| {name}\b.* \| {colours[light]}, {blinks[half]} \|$", text, re.MULTILINE), name
