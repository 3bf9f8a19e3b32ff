"""The virtual board as a process: greets over its pty, obeys its control socket, ends tripped or unharmed."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from board.build import NoCompilerError, build, firmware_hash
from native import wire_py as wire
from tests.guards import PATIENCE

U32 = 0xFFFFFFFF
WATCHDOG_S = 0.25
HELLO, BEAT, ACK, ARM, STOP, LIGHTS = 1, 2, 3, 4, 5, 6
WELCOME, BOARD_BEAT, TRIP = 0x41, 0x42, 0x43


def built() -> str:
    """The program's path; skips where there is no compiler."""
    try:
        return str(build("virtual-board"))
    except NoCompilerError as error:
        pytest.skip(str(error))


class Port:
    """A host at the tty, driven by what arrives: every BEAT is answered, every TRIP acknowledged."""

    def __init__(self, path: str, session: int) -> None:
        self.tty = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.session = session
        self.seq = 0
        self.decoder = wire.Decoder()
        self.frames: list[Any] = []
        self.faults: list[int] = []
        self.honest = True

    def say(self, kind: int, *payload: int) -> None:
        self.seq += 1
        with contextlib.suppress(OSError):  # unplugged: nobody hears
            os.write(self.tty, wire.encode(kind, 1, self.session, self.seq, 0, 0, payload))

    def hear(self) -> None:
        select.select([self.tty], [], [], 0.05)
        try:
            data = os.read(self.tty, 4096)
        except (BlockingIOError, OSError):
            return
        for found in self.decoder.feed(data):
            if isinstance(found, int):
                self.faults.append(found)
            else:
                self.frames.append(found)
                self.react(found)

    def react(self, frame: Any) -> None:
        if self.honest and frame.session == self.session and frame.version == 1:
            if frame.type == BOARD_BEAT:
                self.say(BEAT, self.seq, frame.payload[0] ^ U32)
            elif frame.type == TRIP:
                self.say(ACK, frame.payload[0])


class Virtual:
    """The process, its control socket and, after ``connect``, a host."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.link = str(folder / "link")
        control = str(folder / "control")
        command = [built(), "--link", self.link, "--control", control, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.greeting = json.loads(self.process.stdout.readline())
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(control)
        self.control = self.socket.makefile("rw")
        self.port: Port | None = None

    def ask(self, line: str) -> dict[str, Any]:
        self.control.write(line + "\n")
        self.control.flush()
        answer: dict[str, Any] = json.loads(self.control.readline())
        return answer

    def state(self) -> dict[str, Any]:
        return self.ask("state")

    def connect(self, session: int) -> Port:
        if self.port is not None:
            os.close(self.port.tty)
        self.port = Port(self.link, session)
        self.port.say(HELLO, 7)
        return self.port

    def until(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.port is not None:
                self.port.hear()
            state = self.state()
            if what(state):
                return state
        raise AssertionError(state)

    def until_state(self, name: str) -> dict[str, Any]:
        return self.until(lambda state: state["state"] == name)

    def run(self, session: int = 4711) -> Port:
        """Bring it to RUN, as often as a busy machine makes the deadman say no."""
        port = self.connect(session)
        deadline = time.monotonic() + PATIENCE
        while not (state := self.state())["output"] and time.monotonic() < deadline:
            port.hear()
            nonces = [frame.payload[5] for frame in port.frames if frame.type == BOARD_BEAT]
            if nonces and nonces[-1]:
                port.say(ARM, nonces[-1])
        assert state["output"]
        return port

    def close(self) -> None:
        self.control.close()
        self.socket.close()
        if self.port is not None:
            os.close(self.port.tty)
        self.process.terminate()
        self.process.wait(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Virtual]:
    virtual = Virtual(tmp_path, "--seed", "1")
    yield virtual
    virtual.close()


def test_says_where_it_is_and_greets(board: Virtual) -> None:
    assert board.greeting["pty"] == os.readlink(board.link)
    port = board.connect(99)
    board.until(lambda state: any(frame.type == WELCOME for frame in port.frames))
    (welcome,) = [frame for frame in port.frames if frame.type == WELCOME]
    assert welcome.session == 99
    assert welcome.payload[:3] == (7, firmware_hash("linux"), 3)


def shows_green_until_stopped(board: Virtual, session: int) -> bool:
    """Whether it went as it should; the deadman rightly ends it when the machine stands still for 250 ms."""
    port = board.run(session)
    port.say(LIGHTS, 2, 1, 500)
    state = board.until(lambda state: not state["output"] or state["lights"] == ["green", "green"])
    assert len(state["matrix"]) == 104
    port.say(STOP)
    ended = board.until(lambda state: not state["output"])
    return bool(state["output"]) and ended["cause"] == "host"


def test_arms_and_shows_the_lights_that_were_asked_for(board: Virtual) -> None:
    assert any(shows_green_until_stopped(board, session) for session in (1, 2, 3))


def test_an_opened_contact_turns_the_output_off_and_is_told(board: Virtual) -> None:
    port = board.run()
    assert board.ask("contact both open") == {"ok": True}  # one alone is a fault before long
    state = board.state()
    assert (state["state"], state["cause"], state["output"], state["contacts"]) == (
        "tripped",
        "switch",
        False,
        0,
    )
    board.until(lambda state: state["trip_acknowledged"])
    assert [frame.payload[1] for frame in port.frames if frame.type == TRIP][-1] == 2
    board.ask("contact both closed")
    board.until_state("ready")


def test_one_channel_that_stays_is_a_fault_until_both_opened(board: Virtual) -> None:
    board.run()
    board.ask("contact a open")
    assert board.until_state("fault")["faults"] == 1
    board.ask("contact b open")
    assert board.state()["faults"] == 0


def test_a_vanished_and_returned_tty_ends_tripped(board: Virtual) -> None:
    board.run()
    board.ask("unplug")
    assert not os.path.lexists(board.link)
    state = board.until_state("tripped")
    assert (state["cause"], state["plugged"]) == ("link", False)
    assert board.ask("plug")["pty"] == os.readlink(board.link)
    board.run(session=4712)


def test_a_frozen_firmware_is_reset_by_the_watchdog(board: Virtual) -> None:
    board.run()
    board.ask("freeze on")
    state = board.until(lambda state: state["resets"] > 0)
    assert not state["output"]
    board.ask("freeze off")
    state = board.state()
    assert (state["state"], state["cause"], state["session"], state["faults"]) == ("tripped", "boot", 0, 4)


def test_time_in_which_the_process_does_not_run_is_none_of_the_boards(board: Virtual) -> None:
    port = board.run()
    board.process.send_signal(signal.SIGSTOP)
    select.select([], [], [], 2 * WATCHDOG_S)
    board.process.send_signal(signal.SIGCONT)
    count = len(port.frames)
    state = board.until(lambda state: len(port.frames) > count + 8)
    assert (state["resets"], state["session"]) == (0, port.session)


def test_a_contact_that_opens_while_frozen_turns_the_output_off(board: Virtual) -> None:
    board.run()
    board.ask("freeze 200")
    board.ask("contact a open")
    assert not board.state()["output"]


def test_a_reboot_ends_tripped_with_another_boot_id(board: Virtual) -> None:
    board.run()
    before = board.state()["boot_id"]
    board.ask("reboot")
    state = board.state()
    assert (state["state"], state["cause"], state["output"]) == ("tripped", "boot", False)
    assert state["boot_id"] != before


@pytest.mark.parametrize(
    "order", ["corrupt 5", "truncate 3", "noise 20000", "stuck 85 200", "stuck 0x41 100"]
)
def test_damage_on_its_line_is_seen_as_faults(board: Virtual, order: str) -> None:
    port = board.run()
    assert board.ask(order) == {"ok": True}
    board.until(lambda state: bool(port.faults))
    port.faults.clear()
    count = len(port.frames)
    board.until(lambda state: len(port.frames) > count + 3)


@pytest.mark.parametrize("order", ["duplicate 4", "swap 2", "drop 2", "replay"])
def test_disorder_on_its_line_is_seen_in_the_sequence(board: Virtual, order: str) -> None:
    port = board.run()
    board.until(lambda state: len(port.frames) > 12)
    count = len(port.frames)
    assert board.ask(order)["ok"]
    board.until(lambda state: len(port.frames) > count + 8)
    seqs = [frame.seq for frame in port.frames if frame.session == port.session]
    assert seqs[:12] == list(range(1, 13))
    assert seqs != list(range(1, len(seqs) + 1))


def test_a_looped_line_brings_back_what_was_sent_and_trips(board: Virtual) -> None:
    port = board.run()
    board.ask("loop on")
    port.frames.clear()
    port.say(LIGHTS, 2, 0, 0)
    assert board.until_state("tripped")["cause"] == "link"
    board.until(lambda state: LIGHTS in {frame.type for frame in port.frames})
    board.ask("loop off")


def test_pretends_another_version(board: Virtual) -> None:
    port = board.run()
    board.ask("version 2")
    board.until(lambda state: port.frames[-1].version == 2)
    assert port.faults == []


def test_a_stuck_read_back_is_a_fault_that_only_a_reboot_ends(board: Virtual) -> None:
    board.ask("readback stuck")
    board.until_state("fault")
    board.ask("readback ok")
    assert board.state()["state"] == "fault"
    board.ask("reboot")
    assert board.state()["state"] == "tripped"


def test_stopping_the_process_of_the_host_trips(board: Virtual) -> None:
    port = board.run()
    port.honest = False
    assert board.until_state("tripped")["cause"] == "link"


@pytest.mark.parametrize(
    "line",
    [
        *("", "what", "contact", "contact c open", "contact a shut", "freeze", "freeze -1", "freeze 1 2 3 4"),
        *("corrupt", "corrupt x", "noise -5", "noise 1000001", "stuck 256 1", "stuck 1", "loop maybe"),
        *("readback", "version 256", "entropy xyz", "state now", "contact a open now please and more"),
    ],
)
def test_refuses_what_it_does_not_know(board: Virtual, line: str) -> None:
    assert list(board.ask(line)) == ["error"]


def test_drops_a_control_line_without_end(board: Virtual) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(PATIENCE)
        other.connect(board.greeting["control"])
        other.sendall(b"x" * 500)
        with contextlib.suppress(ConnectionResetError):
            assert other.recv(10) == b""
    assert board.state()["state"] == "tripped"


def test_serves_at_most_eight_at_a_time(board: Virtual) -> None:
    with contextlib.ExitStack() as open_ones:
        for _ in range(8):  # with the fixture's own connection one too many
            other = open_ones.enter_context(socket.socket(socket.AF_UNIX))
            other.settimeout(PATIENCE)
            other.connect(board.greeting["control"])
            board.state()  # it has been let in, or turned away
        assert other.recv(1) == b""
    assert board.state()["state"] == "tripped"


def test_one_channel_and_a_clock_about_to_wrap(tmp_path: Path) -> None:
    virtual = Virtual(tmp_path, "--one-channel", "--uptime", str(2**32 - 300), "--seed", "3")
    try:
        port = virtual.run()
        port.frames.clear()
        virtual.until(lambda state: bool(port.frames) and port.frames[-1].t_ms < 2**31)
        assert virtual.state()["contacts"] == 1
    finally:
        virtual.close()


def test_removes_its_paths_on_sigterm(tmp_path: Path, board: Virtual) -> None:
    board.process.send_signal(signal.SIGTERM)
    assert board.process.wait(PATIENCE) == 0
    assert list(tmp_path.iterdir()) == []


def test_ends_with_its_parent(tmp_path: Path) -> None:
    program = built()
    script = (
        "import subprocess, sys\n"
        "p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)\n"
        "p.stdout.readline()\n"
        "print(p.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    options = ["--link", str(tmp_path / "link"), "--control", str(tmp_path / "control")]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, program, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        ended = select.select([child], [], [], PATIENCE)[0]
        os.close(child)
    assert ended


@pytest.mark.parametrize(
    "options", [[], ["--link", "x"], ["--link", "x", "--control", "y", "--seed", "z"], ["--what"]]
)
def test_explains_its_usage(options: list[str]) -> None:
    program = built()
    done = subprocess.run([program, *options], capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage: virtual-board --link PATH" in done.stderr


def test_fails_with_words_where_it_cannot_make_its_paths(tmp_path: Path) -> None:
    program = built()
    gone = str(tmp_path / "gone" / "link")
    done = subprocess.run(
        [program, "--link", gone, "--control", str(tmp_path / "c")], capture_output=True, text=True
    )
    assert (done.returncode, gone in done.stderr) == (1, True)
