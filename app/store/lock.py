"""The instance lock: one process owns a data folder. The kernel frees it however the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from app.errors import Unable

LOCK_FILE = "plimsoll.lock"
PID_LIMIT = 20  # bytes read of the pid another process left: 7 digits and a newline, or rubbish


class InstanceLock:
    """The lock on `data_dir`, held from construction until `release`. The file itself is never removed.

    Raises Refused when another process holds it, naming its pid, or when the folder cannot be used.
    """

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / LOCK_FILE
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        except OSError as error:
            raise _refused(
                "store.folder", f"{data_dir}: {error.strerror}", "create it, or set data_dir"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = self._holder()
            self.release()
            hint = "stop it first (systemctl stop plimsoll), or set another data_dir"
            raise _refused("store.in_use", f"{data_dir} is used by process {holder}", hint) from None
        except OSError as error:
            self.release()
            raise _refused("store.folder", f"{path}: {error.strerror}", "free some space") from None

    def _holder(self) -> str:
        text = os.pread(self._file, PID_LIMIT, 0).decode("ascii", "replace").strip()
        return text if text.isdigit() else "unknown"

    def release(self) -> None:
        """Give the folder free. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _refused(rule: str, value: str, hint: str) -> Unable:
    return Unable(rule, value, hint=hint)
