"""The locks: one updater at a time, the service's word that it must not be stopped now, and the copy of a
release that an updater runs from.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from app.errors import Unable
from app.update.decide import Exposure

FILE = "updater.lock"


@contextmanager
def alone(folder: Path, patience_s: int = 0) -> Iterator[None]:
    """Hold the lock of `folder`; the kernel frees it however the process ends. Raises Unable when another
    updater holds it, for longer than `patience_s`.
    """
    handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while _held(handle) is not Exposure.CLEAR:
            if patience_s <= 0:
                raise Unable("update.busy", "another updater is at work", hint="wait until it is done")
            patience_s -= 1
            Event().wait(1)
        yield
    finally:
        os.close(handle)


@contextmanager
def kept(lock: Path) -> Iterator[Exposure]:
    """Hold the service's own `lock` meanwhile: it takes it before anything that adds exposure, so it cannot
    become exposed between the question and the stop. EXPOSED while the service holds it, UNKNOWN where there
    is no file; then nothing is held.
    """
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield Exposure.UNKNOWN
        return
    try:
        yield _held(handle)
    finally:
        os.close(handle)


def _held(handle: int) -> Exposure:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return Exposure.EXPOSED
    return Exposure.CLEAR


@contextmanager
def used(folder: Path) -> Iterator[None]:
    """Hold `folder`, of which code is loaded as it is needed: it is not removed meanwhile. Never waits:
    anybody may lock a folder that he can read, and must not hold up a way back by it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def is_used(folder: Path) -> bool:
    """Whether a process holds it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _held(handle) is not Exposure.CLEAR
    finally:
        os.close(handle)
