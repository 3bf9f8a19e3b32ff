"""A desk with the virtual board for measurements: the board on the venue's core, as if it had its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.appliance import until, until_async

if TYPE_CHECKING:
    from app.mcu.link import Link
    from app.mcu.virtual import VirtualBoard
    from tests.bench.desk import Desk


@asynccontextmanager
async def virtual_board(home: Path) -> AsyncIterator[VirtualBoard]:
    """A running one on the last core; its tty has no wire's pace."""
    from app.mcu import virtual

    board = await virtual.VirtualBoard.start(await virtual.build(), home)
    os.sched_setaffinity(board.pid, {max(range(os.cpu_count() or 1))})
    try:
        yield board
    finally:
        await board.stop()


def link_to(board: VirtualBoard) -> Link:
    from app.clock import SystemClock
    from app.mcu.link import Link
    from app.mcu.native_codec import NativeCodec
    from app.mcu.opener import Opener
    from app.mcu.port import open_port

    opener = Opener("board")

    async def dial(received, lost):  # type: ignore[no-untyped-def]
        return await open_port(board.link, 115_200, received, lost, opener)

    return Link("virtual", SystemClock(), dial, NativeCodec())


class Control:
    """One connection to the board's control socket, so that a command costs one write."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, board: VirtualBoard) -> Control:
        return cls(*await asyncio.open_unix_connection(board.control))

    def send(self, command: str) -> None:
        self._writer.write(command.encode() + b"\n")

    async def answered(self) -> None:
        await self._reader.readline()

    def close(self) -> None:
        self._writer.close()


async def ready(running: Desk, board: VirtualBoard) -> None:
    """The halt is over, the switch closed, trading open and the output on."""
    from tests.bench.desk import arm

    engine = running.engine
    await until(lambda: engine.board.closed and engine.pursuit.done, "the board is ready, the halt confirmed")
    await arm(engine)

    async def on() -> bool:
        return bool((await board.ask("state"))["output"])

    await until_async(on, "the output is on")
