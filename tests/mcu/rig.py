"""The link and a board in one process on a virtual clock, a wire between them that can fail.

The board is the MicroPython firmware's, ticked every millisecond; bytes travel at the end of each tick.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from app.clock import MS, VirtualClock
from app.engine.ports import Trips
from app.errors import Unreachable
from app.mcu.link import Link
from app.mcu.native_codec import NativeCodec
from app.mcu.shipped import Shipped
from board.micropython.board import Board
from tests.guards import PATIENCE

CLOSED, OPEN, ONLY_A = 3, 0, 1
WATCHDOG_MS = 250  # P_WATCHDOG_MS of the protocol
IDENTITY = (bytes(range(8)), 1, 77)


class Wire:
    """A transport of the link. Its other end is the rig."""

    def __init__(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self.received, self.lost = received, lost
        self.sent = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True


class Listener:
    """An engine that only listens."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def trip(self, cause: str) -> None:
        self.heard.append(("trip", cause))

    def latched(self) -> bool:
        return True

    def on_panel(self, fresh: bool, closed: bool) -> None:
        self.heard.append((fresh, closed))


class Rig:
    """`contacts` is the switch; `plugged`, `frozen` and `mangle` are the faults."""

    def __init__(
        self, seed: int = 1, clock: VirtualClock | None = None, shipped: Shipped | None = None
    ) -> None:
        self.clock = clock or VirtualClock(10**18)
        self.random = random.Random(seed)
        self.contacts = CLOSED
        self.plugged = True
        self.frozen = False
        self._frozen_ms = 0
        self.beating = True
        self.mangle: Callable[[bytes], bytes] = lambda data: data
        self.wires: list[Wire] = []
        self.dialled_ms: list[int] = []
        self.board = self._boot()
        self.link = Link("virtual", self.clock, self._dial, NativeCodec(), None, shipped)
        self._task: asyncio.Task[None] | None = None

    def _boot(self) -> Board:
        return Board(NativeCodec(), lambda: self.random.getrandbits(32), IDENTITY, True, self.now_ms)

    @property
    def now_ms(self) -> int:
        return self.clock.mono_ns() // MS

    async def _dial(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> Wire:
        self.dialled_ms.append(self.now_ms)
        if not self.plugged:
            raise Unreachable("board", "no such device")
        self.wires.append(Wire(received, lost))
        return self.wires[-1]

    @property
    def wire(self) -> Wire | None:
        return self.wires[-1] if self.wires and not self.wires[-1].closed else None

    def connect(self, engine: Trips) -> None:
        self.link.connect(engine)
        self._task = asyncio.create_task(self.link.run())

    async def end(self) -> None:
        """An orderly end of the link; where the rig itself is broken, an end all the same."""
        if self._task is None:
            return
        self._task.cancel()
        try:
            await self.run(100)
        finally:
            self._task.cancel()  # its farewell waits for our clock, which may have stopped
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(self._task, return_exceptions=True)

    async def run(self, ms: int) -> None:
        """Let `ms` milliseconds pass."""
        for _ in range(ms):
            self.clock.advance(MS)
            if self.beating and self.now_ms % 50 == 0:
                self.link.heartbeat(self.clock.mono_ns())
            await asyncio.sleep(0)
            self._tick()

    async def until(self, condition: Callable[[], Any], within_ms: int = 2_000) -> int:
        """Milliseconds until `condition` holds."""
        for passed in range(within_ms):
            if condition():
                return passed
            await self.run(1)
        raise AssertionError(f"not within {within_ms} ms")

    def _tick(self) -> None:
        wire, now = self.wire, self.now_ms
        if self.frozen:
            self._watchdog()
            return
        self._frozen_ms = 0
        self.board.sample(self.contacts, now)
        self.board.read_back(self.board.output, now)
        sent = b""
        if wire is not None and self.plugged:
            sent, wire.sent = wire.sent, b""
        self.board.feed(sent, now)
        out, _ = self.board.poll(now)
        if out and wire is not None and self.plugged:
            wire.received(self.mangle(out))

    def _watchdog(self) -> None:
        """The hardware's: it resets a board whose loop stands still, which switches the output off."""
        self._frozen_ms += 1
        if self._frozen_ms == WATCHDOG_MS:
            self.reboot()

    def reboot(self) -> None:
        self.board = self._boot()

    def unplug(self) -> None:
        self.plugged = False
        if self.wire is not None:
            self.wire.lost("hung up")
