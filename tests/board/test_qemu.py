"""The firmware on a Cortex-M33 in QEMU: what it promises, by the guest's own timestamps."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.mcu import messages, session
from board.build import build
from native import wire
from tests.board.qemu import BOARD, QemuBoard, firmware
from tests.mcu.virtual import started

pytestmark = pytest.mark.long

KILL_LIMIT_US = 5_000  # contact open to output off and latched
SILENCE_US = 250_000
TRIPS = 100
MEGABIT = 125_000  # bytes
BURST = 600  # frames at once: fifty times what the rings hold


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    firmware()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[QemuBoard]:
    made = QemuBoard(tmp_path)
    yield made
    made.close()


def of_kind(board: QemuBoard, kind: int) -> list[tuple]:
    return [event for event in board.events if event[0] == kind]


def welcomed_since(board: QemuBoard, before: dict[str, Any]) -> bool:
    """Whether another boot than that of `before` was welcomed; a stalled host greets the same one twice."""
    return any(welcome[5] != before["boot_id"] for welcome in of_kind(board, session.EV_WELCOME))


def elapsed(later: int, earlier: int) -> int:
    """Microseconds of the guest's counter, which wraps."""
    return (later - earlier) % 2**32


def opened(board: QemuBoard, channel: str) -> dict[str, Any]:
    """Open a contact of a running board; what it says of itself then."""
    assert board.ask(f"contact {channel} open") == {"ok": True}
    seen = board.state()
    ends = {messages.TRIPPED: messages.CAUSE_SWITCH}
    if channel != "both":  # looked at after P_DISCREPANCY_MS, it is a fault too
        ends[messages.FAULT] = messages.CAUSE_FAULT
    assert ends[seen["state"]] == seen["cause"]
    assert not seen["output"] and not seen["awaits"]
    return seen


def trip(board: QemuBoard, channel: str = "both") -> int:
    """Open a contact of a running board; returns microseconds until output off and trip latched."""
    seen = opened(board, channel)
    return max(elapsed(seen[which], seen["opened_us"]) for which in ("off_us", "latched_us"))


def trips(board: QemuBoard, count: int) -> list[int]:
    taken = []
    for index in range(count):
        board.run()
        board.events.clear()
        taken.append(trip(board, ("a", "b", "both")[index % 3]))
        board.pump(lambda: of_kind(board, session.EV_TRIP))
    return sorted(taken)


def report(capsys: pytest.CaptureFixture[str], what: str, taken: list[int]) -> None:
    p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    with capsys.disabled():
        print(f"\nqemu: {what}: {len(taken)} trips, p50 {p50} us, p99 {p99} us, longest {taken[-1]} us")


def test_greets_with_its_target_and_hash(board: QemuBoard) -> None:
    board.pump(lambda: of_kind(board, session.EV_LIVE))
    _, _, firmware_hash, target, reset_cause, boot_id, interlock = of_kind(board, session.EV_WELCOME)[0]
    said = subprocess.run(
        [sys.executable, BOARD / "build.py", "hash", "qemu"], capture_output=True, text=True, check=True
    )
    assert firmware_hash.hex() == said.stdout.strip()
    assert (target, reset_cause, interlock) == (messages.TARGET_QEMU, 1, messages.TWO_CHANNELS)
    assert boot_id == board.state()["boot_id"]


def test_is_off_and_latched_within_5_ms_of_an_opening(
    board: QemuBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = trips(board, TRIPS)
    report(capsys, "contact open to output off and latched", taken)
    assert taken[-1] <= KILL_LIMIT_US


def test_the_poll_alone_is_as_good_as_the_limit(board: QemuBoard, capsys: pytest.CaptureFixture[str]) -> None:
    board.ask("edge off")
    taken = trips(board, TRIPS // 5)
    report(capsys, "the same without the contact's interrupt", taken)
    assert taken[-1] <= KILL_LIMIT_US


def test_a_flood_on_the_link_delays_no_trip(board: QemuBoard, capsys: pytest.CaptureFixture[str]) -> None:
    taken = []
    for _ in range(TRIPS // 10):
        board.run()
        board.send(good_frames(board, 60))
        taken.append(trip(board))
    taken.sort()
    report(capsys, "the same under a flood of good frames", taken)
    assert taken[-1] <= KILL_LIMIT_US


def good_frames(board: QemuBoard, count: int) -> bytes:
    """Lights requests of the session of `board`'s host, each a frame of its sequence."""
    return b"".join(
        board.host.peer.frame(
            messages.LIGHTS, (messages.STATUSES.index("halted"), number, -number), board.now_ms()
        )
        for number in range(count)
    )


def test_switches_off_although_the_loop_stands_still(board: QemuBoard) -> None:
    board.run()
    board.ask("freeze 100")
    seen = opened(board, "a")
    assert elapsed(seen["off_us"], seen["opened_us"]) <= KILL_LIMIT_US


def test_trips_when_the_host_was_silent_for_250_ms(board: QemuBoard) -> None:
    board.run()
    board.talking = False
    board.seen.clear()
    board.pump(
        lambda: messages.TRIP in board.seen
    )  # the control port is left alone: it would take the loop's time
    seen = board.state()
    assert (seen["state"], seen["cause"], seen["output"]) == (messages.TRIPPED, messages.CAUSE_LINK, 0)
    assert SILENCE_US - 1_000 <= elapsed(seen["dark_us"], seen["heard_us"]) <= SILENCE_US + 2_000


def test_a_closed_contact_alone_never_runs_it_again(board: QemuBoard) -> None:
    board.run()
    trip(board)
    board.ask("contact both closed")
    board.pump(lambda: board.host.state == session.LIVE and board.host.beat[2] == messages.READY)
    seen = board.state()
    assert (seen["state"] != messages.RUN, seen["output"]) == (True, 0)


def test_a_megabit_of_noise_trips_it_and_harms_nothing(board: QemuBoard) -> None:
    board.run()
    board.send(random.Random(7).randbytes(MEGABIT) + b"\0")
    board.pump(lambda: not board._unsent)
    seen = board.state()
    assert seen["state"] == messages.TRIPPED
    assert seen["output"] == 0
    assert seen["cause"] in (messages.CAUSE_NOISE, messages.CAUSE_LINK, messages.CAUSE_SESSION)
    assert seen["counters"]["bad"] > 20
    assert seen["counters"]["overrun"] == 0
    board.run()  # it still greets, arms and runs
    assert board.state()["boot_id"] == seen["boot_id"]


def test_loses_no_byte_of_a_burst(board: QemuBoard) -> None:
    board.pump(lambda: board.host.state == session.LIVE)
    before = board.state()["counters"]
    board.send(good_frames(board, BURST))
    board.pump(lambda: not board._unsent)
    board.pump(lambda: board.state()["counters"]["good"] >= before["good"] + BURST)
    after = board.state()["counters"]
    assert {
        name: after[name] - before[name] for name in ("bad", "duplicate", "wrong_session", "overrun")
    } == {
        "bad": 0,
        "duplicate": 0,
        "wrong_session": 0,
        "overrun": 0,
    }


def test_a_loop_that_hangs_is_reset_by_the_watchdog_and_comes_back_tripped(board: QemuBoard) -> None:
    board.run()
    before = board.state()
    board.ask("freeze on")
    board.pump(lambda: welcomed_since(board, before))
    seen = board.state()
    assert seen["boot_id"] != before["boot_id"]
    assert (seen["reset"], seen["faults"], seen["output"]) == (3, messages.FAULT_WATCHDOG, 0)
    assert seen["state"] != messages.RUN
    assert seen["now_us"] < before["now_us"]
    board.run()  # told, and no obstacle


def test_a_reboot_ends_the_session_and_is_no_return_to_run(board: QemuBoard) -> None:
    board.run()
    before = board.state()
    board.ask("reboot")
    board.pump(lambda: welcomed_since(board, before))
    seen = board.state()
    assert (seen["reset"], seen["output"]) == (4, 0)
    board.pump(lambda: of_kind(board, session.EV_TRIP)[-1][2] == messages.CAUSE_BOOT)


def test_an_output_that_does_not_follow_is_a_fault(board: QemuBoard) -> None:
    board.run()
    board.ask("readback stuck")
    board.ask("contact a open")
    board.pump(lambda: board.state()["state"] == messages.FAULT)
    seen = board.state()
    assert (seen["faults"] & messages.FAULT_READBACK, seen["output"]) == (messages.FAULT_READBACK, 0)


@pytest.mark.parametrize(
    "command", ["", "contact", "contact c open", "freeze", "freeze x", "entropy xyz", "x" * 500]
)
def test_a_command_that_makes_no_sense_is_refused(board: QemuBoard, command: str) -> None:
    assert "error" in board.ask(command)
    assert board.state()["contacts"] == messages.CONTACT_A | messages.CONTACT_B


def test_another_version_trips_it(board: QemuBoard) -> None:
    board.run()

    def tripped() -> bool:
        """Said until it tripped: a board that the deadman tripped before has nothing to trip."""
        if not board._unsent:
            board.send(wire.encode(messages.STOP, 2, board.host.peer.session, 1, 0, 0, ()))
        return messages.CAUSE_PROTOCOL in [event[2] for event in of_kind(board, session.EV_TRIP)]

    board.pump(tripped)
    assert board.state()["output"] == 0


def test_answers_in_the_words_of_the_virtual_board(board: QemuBoard, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with started([str(build("virtual-board"))], tmp_path / "other") as other:
        assert board.ask("state").keys() == {*other.do("state").keys(), "guest"}
        assert board.ask("state")["counters"].keys() == other.do("state")["counters"].keys()


@pytest.mark.parametrize(
    "fault", ["corrupt 5", "drop 5", "duplicate 5", "swap 3", "truncate 3", "noise 500", "replay"]
)
def test_faults_of_the_line_arm_nothing(board: QemuBoard, fault: str) -> None:
    board.pump(lambda: board.host.state == session.LIVE)
    assert board.ask(fault)["ok"]
    board.events.clear()
    board.pump(lambda: of_kind(board, session.EV_COUNTERS))
    assert board.state()["state"] != messages.RUN
    assert board.state()["output"] == 0
    board.run()


def test_a_cable_that_is_pulled_trips_it_and_one_that_is_plugged_in_never_runs_it(board: QemuBoard) -> None:
    board.run()
    board.talking = False
    board.unplug()
    board.pump(lambda: board.state()["state"] != messages.RUN)
    assert board.state()["cause"] == messages.CAUSE_LINK
    board.plug()
    board.talking = True
    board.new_session()
    board.pump(lambda: board.host.state == session.LIVE and board.host.beat[2] == messages.READY)
    assert board.state()["output"] == 0
