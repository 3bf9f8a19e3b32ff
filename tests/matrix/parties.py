"""The two parties of the fault matrix as processes: a board with its control socket, and its host, the desk.

They are started, asked and ended here; what is asked of them is the matrix's.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from board.build import NoCompilerError, build
from tests import micropython
from tests.board import qemu
from tests.guards import PATIENCE, ROOT
from tests.mcu.virtual import Virtual, started

PAUSE_S = 0.005  # between two looks at a board that others are busy with
HOLDS = 2  # rows that held, on one engine: the next one may add a hold by a stall


def _virtual() -> list[str]:
    try:
        return [str(build("virtual-board")), "--seed", "7"]
    except NoCompilerError as error:
        pytest.skip(str(error))


def _qemu() -> list[str]:
    qemu.firmware()
    return [sys.executable, str(ROOT / "board" / "qemu" / "run.py"), "--seed", "7"]


def _micropython() -> list[str]:
    return [*micropython.board(), "--seed", "7"]


COMMANDS: dict[str, Callable[[], list[str]]] = {
    "virtual": _virtual,
    "qemu": _qemu,
    "micropython": _micropython,
}


class DeskProcess:
    """The host: `tests.matrix.desk` in a process of its own."""

    def __init__(self, device: Path, log: Path, *options: str) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.matrix.desk", str(device), *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
        )
        self._said = b""
        self._answer()

    def ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        out = self._process.stdout
        assert out is not None
        while b"\n" not in self._said:
            ready = select.select([out], [], [], PATIENCE)[0]
            assert ready, f"the desk did not answer within {PATIENCE} s"
            more = os.read(out.fileno(), 65_536)
            assert more, f"the desk ended: {Path(self._log.name).read_text()[-2000:]}"
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; idempotent."""
        self._process.kill()
        self._process.wait(PATIENCE)
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                stream.close()


class Parties:
    """A board and its host, in `folder`; `renew` begins anew with both."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self._folder = name, folder
        self._command = COMMANDS[name]()
        self.holds = 0  # that the desk's engine remembers
        self._starts = 0
        self._stack = ExitStack()
        self.renew()

    def renew(self) -> None:
        self.close()
        self.holds = 0
        self._starts += 1
        place = self._folder / str(self._starts)
        place.mkdir()
        self.board: Virtual = self._stack.enter_context(started(self._command, place))
        self.desk = self._host(place)

    def rest(self) -> None:
        """Before a row: an engine that was held more than three times within an hour would want a person."""
        fresh = self.holds >= HOLDS
        self.desk.ask("new" if fresh else "forget")
        self.holds = 0 if fresh else self.holds

    def pause(self) -> None:
        """Let a moment pass for the others."""
        select.select([], [], [], PAUSE_S)

    def succeed(self) -> None:
        """The host was killed: its successor finds the latch armed."""
        self.desk.kill()
        self.desk = self._host(self.board.link.parent, "--armed")

    def _host(self, place: Path, *options: str) -> DeskProcess:
        made = DeskProcess(self.board.link, place / "desk.log", *options)
        self._stack.callback(made.kill)
        return made

    def close(self) -> None:
        """Idempotent."""
        self._stack.close()
