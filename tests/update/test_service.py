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
from app.update.versions import version_of
from tests.guards import PATIENCE
from tests.update.repositories import made
from tests.update.worlds import Board

SHORT_S = 0.3  # for an answer that does not come
STANDIN = """\
import json, os, signal, socket, sys
how, version, page, ready = {how!r}, {version!r}, int(sys.argv[1]), int(sys.argv[2])
if how == "crash loop":
    sys.exit(1)
listening = socket.socket(fileno=page)
os.write(ready, b"not yet" if how == "never ready" else b"READY=1")
if how == "hangs":
    signal.pause()
said = "9.9.9" if how == "wrong version" else version
body = json.dumps({{"version": said, "journal": "ok", "problems": [], "reasons": []}}).encode()
while True:
    other, _ = listening.accept()
    try:
        if other.recv(4096):
            other.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    except OSError:
        pass  # of who asked a release before and did not wait
    other.close()
"""


class Process:
    """What systemd does for a service, for one that lies in the linked release. `page` is its socket, which
    waits while nothing runs; a version that hangs is given SHORT_S to answer, any other as long as it needs.
    """

    def __init__(self, board: Board, page: socket.socket) -> None:
        self.board, self.page = board, page
        self.hangs: set[str] = set()
        self.process: subprocess.Popen[bytes] | None = None
        self.pipe, self.said, self.restarts = -1, b"", 0

    def start(self) -> None:
        if self.process is None:
            self.restarts = 0
            self._spawn()

    def _spawn(self) -> None:
        reading, writing = os.pipe()
        main = self.board.places.home / switch.CURRENT / "__main__.py"
        words = [sys.executable, "-ISE", str(main.resolve()), str(self.page.fileno()), str(writing)]
        self.process, self.said = subprocess.Popen(words, pass_fds=[self.page.fileno(), writing]), b""
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
        return probed(self.answer() if self.said else {}, b"READY" in self.said, self.restarts, False)

    def answer(self) -> dict[str, object]:
        """What the page says of itself."""
        hangs = version_of(switch.linked(self.board.places.home)) in self.hangs
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(machine, "PROBE_LIMIT_S", SHORT_S if hangs else PATIENCE)
            return healthz(Page(port=self.page.getsockname()[1]))

    def pause(self, duration_ns: int) -> None:
        """Time passes at once; the process gets as long as it needs to say something or to end."""
        self._listen(PATIENCE)
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
    monkeypatch.setattr("app.update.decide.HEALTH_LIMIT_NS", 3 * NS)
    board = Board(tmp_path, others=())
    board.install()
    with socket.create_server(("127.0.0.1", 0)) as page:
        world = Process(board, page)
        board.world = world  # type: ignore[assignment]
        yield board
        world.stop()


def update(board: Board, version: str, how: str) -> str:
    file = board.folder / version
    made(file, version, {"__main__.py": STANDIN.format(how=how, version=version).encode()})
    board.names[version] = file
    if how == "hangs":
        board.world.hangs.add(version)  # type: ignore[attr-defined]
    return board.apply(version)


def runs(board: Board) -> str:
    return str(board.world.answer().get("version", ""))  # type: ignore[attr-defined]


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
