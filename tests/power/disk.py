"""A disk whose power can be cut: ext4 in an image behind a loop device, in a mount namespace of its own.

What the kernel holds in memory is not in the image. A copy of the image is therefore the disk as a power cut
leaves it: what was flushed is there, and what happened to be written back; mounting it replays ext4's journal
as a boot does. Needs root, mke2fs and loop devices.
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

IMAGE_MB = 48  # sparse; ext4's own journal takes 4
TOOLS = ("mkfs.ext4", "strace", "unshare", "mount")
MOUNTED = "loop,noatime,commit=300"  # of the kernel's own flushes, every 5 s, none may help ours
MOST_COPIES = 200  # until two copies in a row are equal: the disk stood still between them


def missing() -> list[str]:
    """The tools that this machine lacks."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def alone(*command: str | Path) -> list[str]:
    """`command` in a mount namespace of its own: whatever it mounts is gone with it, however it ends."""
    return ["unshare", "--mount", "--propagation", "private", "--", sys.executable, *map(str, command)]


class Disk:
    """An ext4 file system in `folder`; use as a context. `root` is where it is mounted."""

    def __init__(self, folder: Path, megabytes: int = IMAGE_MB) -> None:
        self.image, self.root, self._copy = folder / "disk.img", folder / "disk", folder / "cut.img"
        self._cut = folder / "cut"
        self._megabytes = megabytes

    def __enter__(self) -> Disk:
        self.root.mkdir(parents=True)
        self._cut.mkdir()
        with self.image.open("wb") as file:
            file.truncate(self._megabytes * 2**20)
        _run("mkfs.ext4", "-q", "-F", "-J", "size=4", "-m", "0", self.image)
        _run("mount", "-o", MOUNTED, self.image, self.root)
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", "--lazy", self.root)

    @contextmanager
    def cut(self) -> Iterator[Path]:
        """The disk as a power cut at this moment leaves it, mounted again. Who writes to it is stopped."""
        self._take()
        _run("mount", "-o", MOUNTED, self._copy, self._cut)
        try:
            yield self._cut
        finally:
            _run("umount", self._cut)

    def _take(self) -> None:
        """A copy that is of one moment: what the kernel writes by itself must not happen in the middle."""
        for _ in range(MOST_COPIES):
            _run("cp", "--reflink=auto", "--sparse=always", self.image, self._copy)
            filecmp.clear_cache()
            if filecmp.cmp(self.image, self._copy, shallow=False):
                return
        raise RuntimeError("the disk never stood still")


def _run(*command: str | Path) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def strace(options: Sequence[str], log: Path) -> list[str]:
    """strace around the command that follows, threads included."""
    return ["strace", "-f", "-qq", "-o", str(log), *options]
