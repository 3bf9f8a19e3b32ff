"""From the firmware's last sign of life to the hold: its loop is stopped, trading must halt within 250 ms."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.figures import Row, measured, most

JOB = "board_silence"
ROUNDS = 40
GOAL_MS = 250
SYMBOLS = ("ES", "NQ", "YM", "MES")
QUOTES = "50"  # a second and symbol


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        return asyncio.run(_measure(Path(folder)))


class Held:
    """When the hold was opened."""

    def __init__(self) -> None:
        self.at_ns = 0

    def seen(self, record: Any) -> None:
        from app.engine.records import ReasonOpened
        from app.risk.state import Code

        if isinstance(record, ReasonOpened) and record.reason.code is Code.LINK_SILENCE:
            self.at_ns = time.monotonic_ns()


async def _measure(home: Path) -> list[Row]:
    from tests.bench.appliance import SPECIAL, simulator, write_settings
    from tests.bench.desk import desk
    from tests.bench.switch import Control, link_to, virtual_board

    held = Held()
    async with (
        simulator(home, "--quotes-per-second", QUOTES, script=SPECIAL, pinned=True) as url,
        virtual_board(home) as board,
    ):
        file = write_settings(home, url, SYMBOLS, strategy=False)
        async with desk(file, [], held.seen, durable=True, panel=link_to(board)) as running:
            control = await Control.open(board)
            rounds = [await _round(running, board, control, held) for _ in range(ROUNDS)]
            control.close()
    return [measured(JOB, "silence -> halt", "ms", rounds, most(GOAL_MS, "p99"))]


async def _round(running, board, control, held: Held) -> float:  # type: ignore[no-untyped-def]
    from tests.bench.appliance import until
    from tests.bench.switch import ready

    await ready(running, board)
    held.at_ns = 0
    begun = time.monotonic_ns()
    control.send("freeze on")
    await until(lambda: bool(held.at_ns), "the hold")
    await control.answered()
    control.send("freeze off")
    await control.answered()
    return (held.at_ns - begun) / 1e6
