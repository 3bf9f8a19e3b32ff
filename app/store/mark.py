"""The armed mark: an empty file beside the journal that must exist for a start to count as armed.

A halt must be remembered when the disk is full, and a full disk takes no row. But it lets a file be removed:
so arming makes the mark (after the row is durable, before anything trades), and every reason of a person
removes it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path

from app import durable
from app.errors import Refused, clean

MARK_FILE = "armed"

log = logging.getLogger(__name__)


class ArmedMark:
    """The mark of one data folder. Disk calls run on a thread: a hanging disk never holds the loop."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / MARK_FILE
        self._work: set[asyncio.Future[None]] = set()

    def exists(self) -> bool:
        return self._path.exists()

    async def make(self) -> None:
        """Durably. Raises Refused when the folder takes no file."""
        try:
            await asyncio.to_thread(self._make)
        except OSError as error:
            raise Refused("journal.armed_mark", clean(error), hint="free or replace the disk") from None

    def remove(self) -> None:
        """Begin to remove it; returns at once, never raises."""
        future = asyncio.get_running_loop().run_in_executor(None, self.remove_now)
        self._work.add(future)
        future.add_done_callback(self._work.discard)

    def remove_now(self) -> None:
        """The same, waiting for the disk."""
        try:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
                durable.flush(self._path.parent)
        except OSError as error:
            log.error("the armed mark could not be removed: %s", clean(error))

    async def settled(self) -> None:
        """Until what was begun has ended."""
        if self._work:
            await asyncio.wait(self._work)

    def _make(self) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        durable.flush(self._path.parent)
