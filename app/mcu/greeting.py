"""Ask a board once who it is: greet until it answers. For tools; the service has its own link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.clock import MS, Clock
from app.errors import Refused, Unreachable
from app.mcu import messages, session
from app.mcu.link import Dial, random32

PATIENCE_MS = 30_000  # a board that was just written may show its maker's logo first


@dataclass(frozen=True)
class Greeting:
    """The board's answer: its firmware's hash in hexadecimal, the protocol both speak, its target's name."""

    firmware_hash: str
    protocol_version: int
    target: str
    reset_cause: int
    boot_id: int


class Greeter:
    """Sessions that want nothing but a WELCOME. Bytes and milliseconds in, bytes out; no port, no clock."""

    def __init__(self, codec: Any, now_ms: int, random: Callable[[], int], patience_ms: int) -> None:
        self._codec, self._random = codec, random
        self._until, self._patience_ms = now_ms + patience_ms, patience_ms
        self._session = self._anew(now_ms)

    def _anew(self, now_ms: int) -> session.Session:
        return session.Session(self._codec, self._random() or 1, self._random(), now_ms, self._random)

    def poll(self, now_ms: int) -> tuple[bytes, int]:
        """Return what to write now, and when to call again. Raises Unreachable when nobody answered."""
        if now_ms >= self._until:
            raise Unreachable("board", f"no greeting within {self._patience_ms // 1000} s")
        out, due_ms = self._session.poll(now_ms)
        return out, min(due_ms, self._until)

    def feed(self, data: bytes, now_ms: int) -> Greeting | None:
        """Take what arrived. Raises Refused when the board speaks another version."""
        for event in self._session.feed(data, now_ms):
            if event[0] == session.EV_WELCOME:
                return _greeting(event)
            if event[0] == session.EV_LOST:
                if event[1] == session.VERSION:
                    raise Refused("board.protocol", "another version", messages.VERSION)
                self._session = self._anew(now_ms)
        return None


def _greeting(event: tuple) -> Greeting:
    _, _, firmware_hash, target, reset_cause, boot_id, _ = event
    return Greeting(firmware_hash.hex(), messages.VERSION, messages.TARGETS[target], reset_cause, boot_id)


async def greet(dial: Dial, codec: Any, clock: Clock, patience_ms: int = PATIENCE_MS) -> Greeting:
    """Open the way to the board and return its greeting. Raises Later without one, Refused as `Greeter`."""
    arrived, woken = bytearray(), asyncio.Event()
    ends: list[str] = []

    def received(data: bytes) -> None:
        arrived.extend(data)
        woken.set()

    def lost(why: str) -> None:
        ends.append(why)
        woken.set()

    greeter = Greeter(codec, clock.mono_ns() // MS, random32, patience_ms)
    transport = await dial(received, lost)
    try:
        while not ends:
            out, due_ms = greeter.poll(clock.mono_ns() // MS)
            transport.write(out)
            timer = clock.call_later(due_ms * MS - clock.mono_ns(), woken.set)
            await woken.wait()
            timer.cancel()
            woken.clear()
            greeting = greeter.feed(bytes(arrived), clock.mono_ns() // MS)
            arrived.clear()
            if greeting is not None:
                return greeting
    finally:
        transport.close()
    raise Unreachable("board", ends[0])
