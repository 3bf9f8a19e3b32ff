"""A process that migrates a journal to the next version and is killed before its statement NUMBER.

Usage: migrating_child.py FOLDER NUMBER (0 = before the first; one more than there are = after the last, which
is the commit).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from app.store import database
from tests.store.test_database import NEXT

left = int(sys.argv[2])


class _Doomed(database._BatchConnection):
    """Dies of SIGKILL before the statement that `left` counts down to."""

    def execute(self, statement: str, *parameters: object) -> object:  # type: ignore[override]
        global left
        if self.in_transaction:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        return super().execute(statement, *parameters)  # type: ignore[arg-type]


async def main(folder: Path) -> None:
    database._BatchConnection = _Doomed  # type: ignore[misc]
    await database.open_database(folder, NEXT)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
