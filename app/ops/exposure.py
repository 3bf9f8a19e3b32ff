"""The update lock: the service holds it while it must not be stopped, so that no updater does.

Taken before anything that adds exposure leaves, given back by a look once a second that finds nothing open.
The updater holds it from its last look until the new release is kept or taken back: who has it decides, and
there is no moment between asking and stopping. The kernel frees it however either process ends. What the
updater does with it is in `app.update.locks`; nothing here stops or starts anything.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path

from app.clock import NS, Clock, pause
from app.engine.snapshot import Snapshot

FOLDER = "RUNTIME_DIRECTORY"  # that systemd made for the service below /run; it stays over restarts
FILE = "update.lock"
LOOK_NS = 1 * NS  # between two looks: what opens by itself (a position taken by hand) is that late at most
LIVE_STATES = frozenset({"pending", "sent", "unknown", "suspended", "working"})
DOUBTS = {
    "unknown_order": "the fate of an order is unknown",
    "difference": "the books and the venue differ",
    "reconciling": "a read of the account did not agree with the books",
}

log = logging.getLogger("plimsoll.update")


def exposed(view: Snapshot) -> str:
    """Why the service must not be stopped now, "" = it may. What is not known counts as exposed."""
    if view.positions:
        return "a position is open"
    if any(order.state in LIVE_STATES for order in view.orders):
        return "an order is working, or may be"
    if view.goal.pending:
        return "a halt is not confirmed by the venue yet"
    doubts = [DOUBTS[reason.code] for reason in view.reasons if reason.code in DOUBTS]
    if doubts:
        return doubts[0]
    if not view.synced:
        return "the books are not compared with the venue"
    return "strategies may open positions" if view.state == "active" else ""


class UpdateLock:
    """One file and its lock. Without a file (no systemd, a read-only disk) nothing is locked: an updater that
    finds none does not stop a service that runs.
    """

    def __init__(self, file: Path | None) -> None:
        self.held = False
        self._handle = -1
        if file is None:
            return
        try:
            self._handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            log.warning("updates wait for an operator: %s cannot be opened (%s)", file, error.strerror)

    @classmethod
    def adopt(cls) -> UpdateLock:
        """The one in the folder that systemd made for this service."""
        folder = os.environ.get(FOLDER, "").partition(":")[0]
        return cls(Path(folder) / FILE if folder else None)

    def take(self) -> bool:
        """Hold it; False while an updater does. Never waits."""
        if not self.held and self._handle >= 0:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            self.held = True
        return True

    def free(self) -> None:
        """Give it back. Idempotent."""
        if self.held:
            fcntl.flock(self._handle, fcntl.LOCK_UN)
            self.held = False

    def close(self) -> None:
        """Give it back for good: the service is over. Idempotent."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self.held = -1, False

    def follow(self, why: str) -> None:
        """Hold it while there is a reason."""
        if why:
            self.take()
        else:
            self.free()


async def watch(lock: UpdateLock, picture: Callable[[], Snapshot], clock: Clock) -> None:
    """Look every second whether the lock is still needed, until cancelled."""
    while True:
        lock.follow(exposed(picture()))
        await pause(clock, LOOK_NS)
