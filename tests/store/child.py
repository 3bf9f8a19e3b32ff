"""A process that journals until it is killed or its disk is full. Prints one line for each answer it got.

Usage: child.py FOLDER FILE_SIZE_LIMIT (bytes of any one file it may write, 0 = no limit).
"""

from __future__ import annotations

import asyncio
import math
import resource
import sys
from pathlib import Path

from app.clock import SystemClock
from app.errors import PlimsollError
from app.store import Store, open_journal
from tests.store.records import fill

WRITERS = 8
ROWS = 100_000  # of one writer; it is ended long before


async def write(store: Store, writer: int) -> None:
    """Book fills one after the other, saying so after each commit, until one fails."""
    for number in range(ROWS):
        answer: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        store.append([fill(writer * ROWS + number)], answer.set_result)
        error = await answer
        if error is not None:
            print(f"FAILED {error}", flush=True)
            return
        print(f"ACK {writer * ROWS + number}", flush=True)


async def main(folder: Path) -> None:
    asyncio.get_running_loop().slow_callback_duration = math.inf  # -X dev is for leaks, not for slow machines
    try:
        store = await open_journal(folder, SystemClock())
    except PlimsollError as error:
        print(f"REFUSED {error.exit_code} {error}", flush=True)
        return
    await asyncio.gather(*(write(store, writer) for writer in range(WRITERS)))
    print(f"STATE {store.failed}", flush=True)
    await store.close()


if __name__ == "__main__":
    if limit := int(sys.argv[2]):
        sys.dont_write_bytecode = True  # the limit would cut the checkout's own
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    asyncio.run(main(Path(sys.argv[1])))
