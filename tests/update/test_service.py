"""Updates of a real small service: a process that is started, killed, probed over HTTP and restarted."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.clock import NS
from app.update import machine, switch
from app.update.decide import Exposure, Probe
from app.update.machine import Page, healthz, probed
from app.update.run import COMMITTED, WENT_BACK
from tests.update.repositories import made
from tests.update.worlds import Board

STANDIN = """\
import json, os, signal, socket, sys
how, version, port, ready = {how!r}, {version!r}, int(sys.argv[1]), int(sys.argv[2])
if how == "crash loop":
    sys.exit(1)
listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(("127.0.0.1", port))
listening.listen(16)
os.write(ready, b"not yet" if how == "never ready" else b"READY=1")
if how == "hangs":
    signal.pause()
said = "9.9.9" if how == "wrong version" else version
body = json.dumps({{"version": said, "journal": "ok", "problems": [], "reasons": []}}).encode()
while True:
    other, _ = listening.accept()
    other.recv(4096)
    other.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    other.close()
"""


class Process:
    """What systemd does for a service, for one that lies in the linked release."""

    def __init__(self, board: Board, port: int) -> None:
        self.board, self.port = board, port
        self.process: subprocess.Popen[bytes] | None = None
        self.pipe, self.said, self.restarts = -1, b"", 0

    def start(self) -> None:
        if self.process is None:
            self.restarts = 0
            self._spawn()

    def _spawn(self) -> None:
        reading, writing = os.pipe()
        main = self.board.places.home / switch.CURRENT / "__main__.py"
        words = [sys.executable, "-ISE", str(main.resolve()), str(self.port), str(writing)]
        self.process, self.said = subprocess.Popen(words, pass_fds=[writing]), b""
        os.close(writing)
        self.pipe = reading

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            os.close(self.pipe)
            self.process = None

    def probe(self) -> Probe:
        if self.process is None:
            return Probe(failed=True)
        if self.process.poll() is not None:
            self.stop()
            self.restarts += 1
            self._spawn()
        self._listen(0)
        return probed(healthz(Page(port=self.port)), b"READY" in self.said, self.restarts, False)

    def pause(self, duration_ns: int) -> None:
        """Time passes at once; the process gets as long as it needs to say something or to end."""
        self._listen(2)
        self.board.clock.advance(duration_ns if self.said or self.process is None else 10 * NS)

    def _listen(self, seconds: float) -> None:
        if not self.said and self.process is not None and select.select([self.pipe], [], [], seconds)[0]:
            self.said = os.read(self.pipe, 100)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[Exposure]:
        yield Exposure.CLEAR

    def back_up(self) -> None:
        """It has no journal."""

    def uptime(self) -> tuple[str, int]:
        return "boot", 100


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    monkeypatch.setattr(machine, "PROBE_LIMIT_S", 0.3)
    monkeypatch.setattr("app.update.decide.HEALTH_LIMIT_NS", 3 * NS)
    board = Board(tmp_path, others=())
    board.install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = Process(board, port)
    board.world = world  # type: ignore[assignment]
    yield board
    world.stop()


def update(board: Board, version: str, how: str) -> str:
    file = board.folder / version
    made(file, version, {"__main__.py": STANDIN.format(how=how, version=version).encode()})
    board.names[version] = file
    return board.apply(version)


def runs(board: Board) -> str:
    with contextlib.suppress(AttributeError):
        board.world.pause(0)
    return str(healthz(Page(port=board.world.port)).get("version", ""))


def test_promise_8_a_good_release_answers_for_itself(board: Board) -> None:
    assert update(board, "0.2.0", "well") == COMMITTED
    assert runs(board) == "0.2.0" and board.linked == board.name("0.2.0")


@pytest.mark.parametrize("how", ["crash loop", "never ready", "hangs", "wrong version"])
def test_promise_8_the_good_one_answers_again_after_a_bad_one(board: Board, how: str) -> None:
    assert update(board, "0.2.0", "well") == COMMITTED
    assert update(board, "0.3.0", how) == WENT_BACK
    assert board.linked == board.name("0.2.0") and runs(board) == "0.2.0"
    assert board.ota.bad == (board.name("0.3.0"),)


def test_promise_10_a_release_that_ends_later_is_taken_back(board: Board) -> None:
    assert update(board, "0.2.0", "well") == COMMITTED
    assert update(board, "0.3.0", "well") == COMMITTED
    board.world.stop()  # its supervisor gave it up
    assert board.driver().failed_late() == WENT_BACK
    assert runs(board) == "0.2.0" and board.linked == board.name("0.2.0")
