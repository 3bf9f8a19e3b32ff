"""A disk whose power can be cut: ext4 in an image behind a loop device, in a mount namespace of its own.

What the kernel holds in memory is not in the image. A copy of the image is therefore the disk as a power cut
leaves it: what was flushed is there, and what happened to be written back; mounting it replays ext4's journal
as a boot does. Needs root, mke2fs and loop devices.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

TOOLS = ("mkfs.ext4", "strace", "unshare", "mount")
# Neither the kernel's own flush every 5 s nor ext4's mercy on a rename without a flush may help ours.
MOUNTED = "loop,noatime,commit=300,noauto_da_alloc"
MOST_COPIES = 200  # looks until two in a row are equal: the disk stood still between them


def missing() -> list[str]:
    """The tools that this machine lacks."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def alone(*command: str | Path) -> list[str]:
    """`command` in a mount namespace of its own: whatever it mounts is gone with it, however it ends."""
    return ["unshare", "--mount", "--propagation", "private", "--", sys.executable, *map(str, command)]


def in_memory(folder: Path) -> None:
    """Put what will lie in `folder` into memory: an image's own flushes then wait for no real disk."""
    run("mount", "-t", "tmpfs", "-o", "size=50%", "tmpfs", folder)


class Disk:
    """An ext4 file system in `folder`; use as a context. `root` is where it is mounted. Its own journal takes
    4 of the `megabytes`.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.image, self.root, self._copy = folder / "disk.img", folder / "disk", folder / "cut.img"
        self._cut = folder / "cut"
        self._megabytes = megabytes

    def __enter__(self) -> Disk:
        self.root.mkdir(parents=True)
        self._cut.mkdir()
        with self.image.open("wb") as file:
            file.truncate(self._megabytes * 2**20)
        run("mkfs.ext4", "-q", "-F", "-J", "size=4", "-m", "0", self.image)
        run("mount", "-o", MOUNTED, self.image, self.root)
        return self

    def __exit__(self, *_: object) -> None:
        run("umount", "--lazy", self.root)
        self.image.unlink()
        self._copy.unlink(missing_ok=True)

    def sync(self) -> None:
        """What was written so far is no question of a cut."""
        run("sync", "--file-system", self.root)

    @contextmanager
    def cut(self) -> Iterator[Path]:
        """The disk as a power cut at this moment leaves it, mounted again. Who writes to it is stopped."""
        self.freeze()
        run("mount", "-o", MOUNTED, self._copy, self._cut)
        try:
            yield self._cut
        finally:
            run("umount", "--lazy", self._cut)  # a child being forked by another thread may hold a file of it

    def reboot(self) -> None:
        """The disk itself becomes what `freeze` took. Nobody has a file open on it any more."""
        run("umount", self.root)
        self._copy.replace(self.image)
        run("mount", "-o", MOUNTED, self.image, self.root)

    def freeze(self) -> None:
        """Take a copy that is of one moment: nothing the kernel writes by itself happens in the middle."""
        seen = None
        for _ in range(MOST_COPIES):
            before, seen = seen, _written(self.image)
            if before == seen:
                break
        else:
            raise RuntimeError("the disk never stood still")
        self._copy.unlink(missing_ok=True)  # the one before may not be let go yet
        with self._copy.open("wb") as file:
            file.truncate(self.image.stat().st_size)
            for offset, data in seen or ():
                os.pwrite(file.fileno(), data, offset)


def _written(image: Path) -> list[tuple[int, bytes]]:
    """Every part of a sparse file that was ever written to, with its offset."""
    found = []
    with image.open("rb") as file, suppress(OSError):  # ENXIO: nothing but a hole follows
        end = 0
        while True:
            begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
            end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            found.append((begin, os.pread(file.fileno(), end - begin, begin)))
    return found


def run(*command: str | Path) -> None:
    """Raises RuntimeError with what the command said."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def strace(options: Sequence[str], log: Path) -> list[str]:
    """strace around the command that follows, threads included."""
    return ["strace", "-f", "-qq", "-o", str(log), *options]
