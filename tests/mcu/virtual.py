"""A virtual board as a process, whichever firmware it runs, and its control socket."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 10  # a machine under full load; an answer takes milliseconds


class Virtual:
    """A running board: ``link`` is the path of its tty, ``do`` a command of its control socket."""

    def __init__(self, process: subprocess.Popen[str], link: Path, control: Path) -> None:
        self.process, self.link = process, link
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_SECONDS)
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
