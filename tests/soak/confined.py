"""The kernel's memory limit for one process, as `MemoryMax=` sets it, where this machine lets us have one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ENTER = 'echo $$ >"$0"/cgroup.procs && exec "$@"'  # for sh: into the group first, then become the program
MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Group:
    """A control group with a limit; `folder` None: there is none to be had, and nothing is limited."""

    folder: Path | None
    peak: str  # the file with the most it ever took

    def command(self, *command: str) -> tuple[str, ...]:
        """What to start instead of `command` so that it runs in the group."""
        return command if self.folder is None else ("/bin/sh", "-c", ENTER, str(self.folder), *command)

    def peak_bytes(self) -> int:
        """The most that was charged, page cache included; -1 without a group."""
        return -1 if self.folder is None else int((self.folder / self.peak).read_text())


@contextmanager
def memory(limit: int) -> Iterator[Group]:
    """A group of at most `limit` bytes, by the old controller or the new one."""
    for parent, limit_file, peak in _controllers():
        folder = parent / f"plimsoll-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit_file).write_text(str(limit))
        except OSError:
            folder.rmdir()
            continue
        try:
            yield Group(folder, peak)
        finally:
            folder.rmdir()
        return
    yield Group(None, "")


def _controllers() -> Iterator[tuple[Path, str, str]]:
    for line in MOUNTS.read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        place = Path(before.split(" ")[4])
        if kind == "cgroup" and "memory" in options.split(","):
            yield place, "memory.limit_in_bytes", "memory.max_usage_in_bytes"
        elif kind == "cgroup2" and "memory" in (place / "cgroup.subtree_control").read_text().split():
            yield place, "memory.max", "memory.peak"
