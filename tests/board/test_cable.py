"""The QEMU board's control port: whose answer it is when a board was slow or a reset cut a line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from board.qemu import cable
from tests.guards import PATIENCE

SHORT_S = 0.01  # nothing is late for it: what it waits for waits for a second asking


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks again at once, and as long as a test may take."""
    monkeypatch.setattr(cable, "ANSWER_S", SHORT_S)
    monkeypatch.setattr(cable, "TRIES", int(PATIENCE / SHORT_S))


@contextmanager
def board(path: Path, serve: Callable[[socket.socket], None]) -> Iterator[cable.Guest]:
    """A control port at which `serve` is the board."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        guest = cable.Guest(path)
        far, _ = listener.accept()
        far.settimeout(PATIENCE)
        served = threading.Thread(target=serve, args=(far,))
        served.start()
        yield guest
        served.join(PATIENCE)
        far.close()
        guest._port.close()


def until(far: socket.socket, wanted: bytes, times: int = 1) -> None:
    """Take commands until that one came so often."""
    data = b""
    while data.count(wanted) < times:
        data += far.recv(100)


def test_an_answer_that_comes_twice_is_not_the_next_commands(tmp_path: Path) -> None:
    def slow(far: socket.socket) -> None:
        until(far, b"1 contact both open\n", times=2)
        far.sendall(b'1 {"ok":true}\n')
        until(far, b"2 state\n")
        far.sendall(b'1 {"ok":true}\n2 {"state":3}\n')

    with board(tmp_path / "control", slow) as guest:
        assert guest.ask("contact both open") == {"ok": True}
        assert guest.ask("state") == {"state": 3}


def test_what_a_reset_cut_is_no_answer(tmp_path: Path) -> None:
    """The end of an answer, or the beginning of a command."""

    def reset(far: socket.socket) -> None:
        until(far, b"1 state\n")
        far.sendall(b'1 {"state":0,"cau')
        until(far, b"1 state\n")
        far.sendall(b'1 {"state":0}\ntate {"error":"no such command"}\n1 {"state":0}\n')

    with board(tmp_path / "control", reset) as guest:
        assert guest.ask("state") == {"state": 0}
