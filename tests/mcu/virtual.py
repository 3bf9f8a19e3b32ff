"""A virtual board, a process, whichever firmware it runs, and its control socket; and the service's own."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.errors import Unreachable
from app.mcu import virtual
from app.mcu.virtual import VirtualBoard
from tests.guards import PATIENCE


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[VirtualBoard]:
    """The firmware in C, compiled for this machine; skips where it cannot be."""
    try:
        program = await virtual.build()
    except Unreachable as error:
        pytest.skip(str(error))
    made = await VirtualBoard.start(program, tmp_path, "--seed", "7")
    yield made
    await made.stop()


class Virtual:
    """A running board: ``link`` is the path of its tty, ``do`` a command of its control socket."""

    def __init__(self, process: subprocess.Popen[str], link: Path, control: Path) -> None:
        self.process, self.link = process, link
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(control))
        self._lines = self._socket.makefile("rw")

    def do(self, command: str) -> dict[str, Any]:
        self._lines.write(command + "\n")
        self._lines.flush()
        return json.loads(self._lines.readline())

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@contextmanager
def started(words: list[str], folder: Path) -> Iterator[Virtual]:
    """Run the board that ``words`` start, with its paths in ``folder``."""
    link, control = folder / "link", folder / "control"
    words = [*words, "--link", str(link), "--control", str(control)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["control"] == str(control)
            board = Virtual(process, link, control)
            yield board
            board.close()
        finally:
            process.kill()
