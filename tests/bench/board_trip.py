"""From the contact's opening to the first byte of a cancel or close, the hubs at 200 messages a second and a
thread searching plans without a pause.

Begun is the moment before the virtual board is told that its contact opened, so its own millisecond and two
context switches are inside. Its pty has no pace: on the wire the trip's frame takes another 2.6 ms.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.figures import Row, measured, most

JOB = "board_trip"
ROUNDS = 60
SYMBOLS = ("MES", "ES", "NQ", "YM")
QUOTES = "50"  # a second and symbol
LOW_PRIORITY = 10  # of the planner's thread, in steps of nice
GOALS = (most(15, "p50"), most(30, "p99"))


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder, planning():
        return asyncio.run(_measure(Path(folder)))


async def _measure(home: Path) -> list[Row]:
    from tests.bench.appliance import SPECIAL, simulator, write_settings
    from tests.bench.desk import desk
    from tests.bench.kill import Stamps
    from tests.bench.switch import Control, link_to, virtual_board

    stamps = Stamps()
    async with (
        simulator(home, "--quotes-per-second", QUOTES, script=SPECIAL, pinned=True) as url,
        virtual_board(home) as board,
    ):
        file = write_settings(home, url, SYMBOLS, risk="default_max_contracts = 5", strategy=False)
        async with desk(file, [], stamps.seen, durable=True, panel=link_to(board)) as running:
            control = await Control.open(board)
            rounds = [await _round(running, board, control, stamps, n) for n in range(ROUNDS)]
            control.close()
    note = f"{len(SYMBOLS)} symbols at {QUOTES} quotes a second, a thread searching sequences"
    return [measured(JOB, "contact open -> first byte of a cancel or close", "ms", rounds, *GOALS, note=note)]


async def _round(running, board, control, stamps, number: int) -> float:  # type: ignore[no-untyped-def]
    """Milliseconds from the contact to the first byte."""
    from tests.bench.appliance import until
    from tests.bench.kill import expose
    from tests.bench.switch import ready

    await ready(running, board)
    await expose(running, number)
    stamps.clear()
    begun = time.monotonic_ns()
    control.send("contact both open")
    await until(lambda: bool(stamps.flat_ns), "the halt is confirmed")
    await control.answered()
    control.send("contact both closed")
    await control.answered()
    return float(stamps.bytes_ns - begun) / 1e6


@contextmanager
def planning() -> Iterator[None]:
    """A thread that searches plans in compiled code without the interpreter's lock, as the planner will."""
    from native import sequences
    from tests.bench.sequences import portfolio, search

    over = threading.Event()

    def plan() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW_PRIORITY)
        run = search(sequences, *portfolio(random.Random(1)))
        while not over.is_set():
            run()

    thread = threading.Thread(target=plan, name="planner")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
