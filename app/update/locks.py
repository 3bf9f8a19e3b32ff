"""The two locks: one updater at a time, and the service's word that it must not be stopped now."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import Unable
from app.update.decide import Exposure

FILE = "updater.lock"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`; the kernel frees it however the process ends. Raises Refused when another
    updater holds it.
    """
    handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unable("update.busy", "another updater is at work", hint="wait until it is done") from None
        yield
    finally:
        os.close(handle)


def exposure(lock: Path, running: bool) -> Exposure:
    """Ask the service: it holds `lock` while it has a position, a working order, an open market or a tripped
    switch. A service that runs without the file cannot be asked, which is no consent.
    """
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return Exposure.UNKNOWN if running else Exposure.CLEAR
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return Exposure.EXPOSED
    finally:
        os.close(handle)
    return Exposure.CLEAR
