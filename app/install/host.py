"""The machine's own commands and the owners of files, behind one small door. No decision is made here.

`Host` acts on this machine. `Image` is for a folder that will be one (`--root`): nothing is executed and
nobody is made owner; what would have been done is kept, for the image's maker and for tests.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from app.errors import Theirs, Unreachable, clean

COMMAND_S = 120.0  # a stop waits for the venue's last answers; everything else ends at once
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Door(Protocol):
    """How a machine is changed and asked."""

    live: bool  # whether it is this machine, with an init that runs

    def run(self, *command: str) -> str:
        """What `command` printed. Raises Theirs when it fails, Unreachable when it is missing or does not
        end.
        """

    def says(self, *command: str) -> bool:
        """Whether `command` ended with 0: a question, not a change."""

    def own(self, path: Path, owner: tuple[int, int], names: str, handle: int = -1) -> bool:
        """Give `path`, or what is open as `handle` there, to `owner` (user and group id), called `names`;
        whether that changed anything.
        """


class Host:
    """This machine."""

    live = True

    def run(self, *command: str) -> str:
        done = _execute(command)
        if done.returncode:
            said = clean((done.stderr or done.stdout).strip()) or f"ended with {done.returncode}"
            raise Theirs(" ".join(command[:2]), said)
        return done.stdout

    def says(self, *command: str) -> bool:
        try:
            return _execute(command).returncode == 0
        except Unreachable:
            return False

    def own(self, path: Path, owner: tuple[int, int], names: str, handle: int = -1) -> bool:
        found = path.lstat() if handle < 0 else os.fstat(handle)
        if (found.st_uid, found.st_gid) == owner:
            return False
        if handle < 0:
            os.chown(path, *owner, follow_symlinks=False)
        else:
            os.fchown(handle, *owner)
        return True


class Image:
    """A machine that does not run yet. `left` is what its maker, or its first start, still has to do."""

    live = False

    def __init__(self) -> None:
        self.left: list[str] = []

    def run(self, *command: str) -> str:
        self.left.append(" ".join(command))
        return ""

    def says(self, *command: str) -> bool:
        return False

    def own(self, path: Path, owner: tuple[int, int], names: str, handle: int = -1) -> bool:
        line = f"chown {names} {path}"
        if line not in self.left:
            self.left.append(line)
        return False


def _execute(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"}  # words of commands are read: not translated
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_S,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(command[0], f"did not end within {COMMAND_S:.0f} s") from None
    except OSError as error:
        raise Unreachable(command[0], error.strerror or error) from None
