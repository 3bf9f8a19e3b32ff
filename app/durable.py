"""Files that are whole after a power cut: written beside, flushed, renamed, the folder flushed.

Also reading what another user wrote: only plain files, only so many bytes, no link followed. What the bytes
mean is not known here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

CHUNK = 262_144  # bytes moved at a time: an appliance has little memory to spare
PLAIN = (
    os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
)  # a pipe in the file's place must not hang us


def write(path: Path, data: bytes, mode: int = 0o644, *, folders_owner: bool = False) -> None:
    """Replace `path` by `data`: afterwards, and after a power cut at any moment, it is the old or the new.

    With `folders_owner` a file that root writes belongs to whom the folder belongs. Raises OSError; then the
    old content stays.
    """
    begun = path.with_name(f".{path.name}.new")
    begun.unlink(missing_ok=True)  # of a process that was killed
    try:
        handle = os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)  # whatever the caller's umask took away
            if folders_owner and os.geteuid() == 0:
                owner = path.parent.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(data)
            sync(file)
        begun.replace(path)
    except OSError:
        begun.unlink(missing_ok=True)
        raise
    flush(path.parent)


def point(link: Path, target: str) -> None:
    """Make `link` lead to `target`, atomically: there is no moment without a link."""
    begun = link.with_name(f".{link.name}.new")
    begun.unlink(missing_ok=True)
    begun.symlink_to(target)
    begun.replace(link)
    flush(link.parent)


def sync(file: BinaryIO) -> None:
    """What was written to an open file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def flush(path: Path) -> None:
    """A file's or folder's own content to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def settle(folder: Path) -> None:
    """Everything below `folder`, and the folder, to the disk.

    All of it is sent on its way before the first file is waited for: else the file system commits each file
    for itself, which for a release is twice the writes and 20 MB more on a disk that wears.
    """
    for inside, _, names in os.walk(folder):
        for name in names:
            _send(Path(inside) / name)
    for inside, _, names in os.walk(folder):
        for name in (*names, "."):
            flush(Path(inside) / name)


def _send(path: Path) -> None:
    """Begin to write a file out, without waiting."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def read(path: Path, limit: int) -> bytes:
    """A plain file of at most `limit` bytes. Raises OSError, also for a longer or another kind of file."""
    data = b"".join(chunks(path, limit + 1))
    if len(data) > limit:
        raise OSError(f"{path} is longer than {limit} bytes")
    return data


def chunks(path: Path, limit: int) -> Iterator[bytes]:
    """The first `limit` bytes of a plain file, piece by piece. Raises OSError."""
    with os.fdopen(os.open(path, PLAIN), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no plain file")
        while limit > 0 and (chunk := file.read(min(CHUNK, limit))):
            limit -= len(chunk)
            yield chunk
