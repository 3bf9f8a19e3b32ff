"""A process that restores a backup and is killed at its step NUMBER; prints how many steps there were if not.

Usage: restoring_child.py BACKUP DATA NUMBER (0 = never). A step is a call that changes a folder or opens a
file of the data folder.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from app.clock import SystemClock
from app.store import sealing
from app.store.backup import restore
from tests.store.test_backup import PASSPHRASE

STEPS = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "sqlite3.connect")

backup, data, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
done = 0


def count(event: str, arguments: tuple[object, ...]) -> None:
    """Die of SIGKILL instead of the step that comes next."""
    global done
    if event in STEPS and str(data) in " ".join(map(str, arguments)):
        done += 1
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sealing.SCRYPT_N = 2
    sys.addaudithook(count)
    restore(backup, data, SystemClock(), "test", PASSPHRASE)
    print(done)
