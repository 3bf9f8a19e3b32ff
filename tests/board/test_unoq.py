"""The UNO Q's hardware file without a UNO Q: compiled on declarations of what it uses, run on recordings.

Its core cannot be had here, so this shows what the file does, not that a board does it. All of it holds
on both lines, for the port's owner and the router's guest; `test_unoq_guest.py` has what is the guest's own.
"""

from __future__ import annotations

import ctypes
import itertools
import re
from pathlib import Path

import pytest

from app.mcu import messages, session
from tests.board.recorded import (
    BOARD,
    CONTACT_A,
    CONTACT_B,
    GUEST,
    HERE,
    OUTPUT,
    OWNER,
    STRICT,
    Board,
    check_runs,
    compiled,
    compiler,
    put_together,
    told,
)

LED3, LED4 = (40, 41, 42), (43, 44, 45)  # red, green, blue
KR, PR, RLR, CSR = 0x40003000, 0x40003004, 0x40003008, 0x46020CF4
FEED = ("r", KR, 0xAAAA)
LINES_LIMIT = 150  # what nobody can run here is kept short


@pytest.fixture(scope="module", params=[OWNER, GUEST])
def line(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def sketch(line: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_together(line, tmp_path_factory.mktemp(line))


@pytest.fixture(scope="module")
def library(sketch: Path) -> Path:
    return compiled(sketch)


@pytest.fixture
def board(line: str, library: Path, tmp_path: Path) -> Board:
    return Board(line, library, tmp_path)


def test_compiles_against_the_declarations_alone(sketch: Path) -> None:
    for standard in ("gnu++17", "gnu++20"):
        check_runs(
            *(compiler("g++"), f"-std={standard}", "-fsyntax-only", *STRICT, "-I", sketch / "arduino"),
            sketch / "unoq/src/unoq/hw_unoq.cpp",
        )


def test_the_file_that_nobody_can_run_here_is_short() -> None:
    assert len((BOARD / "unoq" / "hw_unoq.cpp").read_text().splitlines()) < LINES_LIMIT


def test_uses_no_arduino_symbol_without_a_source() -> None:
    """Every declaration names where it comes from."""
    for line in (HERE / "arduino_declared.h").read_text().splitlines():
        if re.match(r"(void|int|unsigned|PinStatus|typedef|enum|class|extern|#define ARDUINO)\b", line):
            assert re.search(r"/\* \[(api|core|manual|matrix)\]", line) or line.startswith('extern "C"'), line


def test_arms_the_kill_input_before_anything_else(board: Board) -> None:
    board.c.sketch_setup()
    done = board.records()
    assert done[:4] == [
        ("m", CONTACT_A, 2),  # INPUT_PULLUP
        ("i", CONTACT_A, 4),  # RISING: open is high
        ("m", CONTACT_B, 2),
        ("i", CONTACT_B, 4),
    ]
    assert ("w", OUTPUT, 0) in done
    assert ("w", OUTPUT, 1) not in done
    assert done.index(("w", OUTPUT, 0)) < done.index(("m", OUTPUT, 1))


def test_starts_the_watchdog_with_a_quarter_of_a_second(board: Board) -> None:
    board.c.unoq_setup()
    written = [(where, value) for what, where, value in board.records() if what == "r" and where != CSR]
    assert written == [(KR, 0xCCCC), (KR, 0x5555), (PR, 0), (RLR, 1999)]
    assert (1999 + 1) * 4 / 32 == 250  # ms of an LSI at its nominal 32 kHz


def test_feeds_the_watchdog_in_each_turn(board: Board) -> None:
    board.c.unoq_setup()
    board.records()
    board.turn(30)
    assert board.records().count(FEED) == 30


def test_an_opening_switches_off_in_the_interrupt_without_the_loop(board: Board) -> None:
    board.to_run()
    board.c.unoq_interrupt(CONTACT_B)
    assert board.records() == [("w", OUTPUT, 0)]
    assert not board.output()
    board.turn()  # a contact that is closed again by now: the opening counts all the same
    assert ("w", OUTPUT, 1) not in board.records()
    board.talk(20)
    assert [event[2] for event in board.events if event[0] == session.EV_TRIP][-1] == messages.CAUSE_SWITCH


@pytest.mark.parametrize("pin", [CONTACT_A, CONTACT_B])
def test_the_poll_sees_an_opening_that_raised_no_interrupt(board: Board, pin: int) -> None:
    board.to_run()
    board.contact(pin, False)
    board.turn()
    assert not board.output()


def test_writes_the_output_with_interrupts_off(board: Board) -> None:
    board.to_run()
    board.turn()
    done = [one for one in board.records() if one[0] in "ew" and one[1] in (0, 1, OUTPUT)]
    assert done == [("e", 0, 0), ("w", OUTPUT, 1), ("e", 1, 0)]


def test_shows_red_at_boot_and_green_only_while_it_runs(board: Board) -> None:
    board.c.unoq_setup()
    assert board.lit(LED3) == "r"
    board.to_run()  # sets it up once more, as a reset does
    board.talk(60)
    assert board.lit(LED3) == "g"
    board.contact(CONTACT_A, False)
    board.talk(60)
    assert board.lit(LED3) == "r"


def test_leaves_the_matrix_to_the_loader_for_half_a_minute(board: Board) -> None:
    board.c.unoq_setup()
    board.records()
    board.now = 29_000
    board.turn(900)
    assert not [one for one in board.records() if one[0] in "bgd"]
    board.turn(200)
    done = [one for one in board.records() if one[0] in "bgd"]
    assert done[:3] == [("b", 0, 0), ("g", 0, 3), ("d", 0, 0)]
    assert done.count(("b", 0, 0)) == 1
    pixels = ctypes.create_string_buffer(104)
    board.c.unoq_pixels(pixels)
    assert set(pixels.raw) == {0, 7}


@pytest.mark.parametrize(
    ("flags", "cause"),
    [(1 << 29 | 1 << 26, 3), (1 << 28 | 1 << 26, 4), (1 << 27 | 1 << 26, 1), (1 << 26, 2), (0, 0)],
    ids=["watchdog", "software", "power", "pin", "unknown"],
)
def test_tells_why_it_was_reset(line: str, library: Path, tmp_path: Path, flags: int, cause: int) -> None:
    board = Board(line, library, tmp_path, flags)
    board.c.unoq_setup()
    assert ("r", CSR, flags | 1 << 23) in board.records()
    board.talk(150)
    assert welcome(board)[4] == cause


def welcome(board: Board) -> tuple:
    return next(event for event in board.events if event[0] == session.EV_WELCOME)


def test_greets_with_the_hash_that_the_flasher_expects(board: Board, sketch: Path) -> None:
    wanted = told(sketch)
    board.c.unoq_setup()
    assert ("s", 0, 115_200) in board.records()
    board.talk(150)
    _, _, firmware_hash, target, _, _, interlock = welcome(board)
    assert firmware_hash.hex() == wanted["firmware_hash"]
    assert wanted["protocol_version"] == messages.VERSION
    ours = messages.TARGET_UNOQ_GUEST if board.line == GUEST else messages.TARGET_UNOQ
    assert (target, interlock) == (ours, messages.TWO_CHANNELS)


def test_writes_no_more_than_the_uart_has_room_for(board: Board) -> None:
    board.c.unoq_setup()
    board.c.unoq_room(3)
    board.talk(400)
    sizes = {value for what, _, value in board.records() if what == "u"}
    assert sizes and max(sizes) == 3
    assert (session.EV_LIVE,) in board.events  # frames cut into threes arrive whole
    board.c.unoq_room(0)
    board.talk(100)
    assert not [one for one in board.records() if one[0] == "u"]


def test_two_boots_do_not_repeat_their_challenges(line: str, library: Path, tmp_path: Path) -> None:
    boards = []
    for name in "ab":
        (tmp_path / name).mkdir()
        boards.append(Board(line, library, tmp_path / name))
    for index, one in enumerate(boards):
        for _ in range(index):
            one.c.micros()  # the second was a microsecond later
        one.c.unoq_setup()
        one.talk(150)
    assert welcome(boards[0])[5] != welcome(boards[1])[5]


def test_the_sketch_holds_what_arduino_compiles(sketch: Path) -> None:
    names = {path.relative_to(sketch / "unoq").as_posix() for path in (sketch / "unoq").rglob("*.*")}
    assert {"unoq.ino", "src/protocol.h", "src/unoq/hw_unoq.cpp", "src/unoq/firmware_hash.h"} <= names
    assert len([name for name in names if name.startswith("src/unoq/line_")]) == 1
    inside = itertools.filterfalse(lambda name: name.startswith("src/") or name == "unoq.ino", names)
    assert not list(inside)
