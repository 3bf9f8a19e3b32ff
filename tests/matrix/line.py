"""What travels between the host and its port, with the faults of a line on the way to the board.

The way to the host suffers in the virtual boards themselves; here is the other way, by the same rules, and
what they lack: frames of another session, both ways. Bytes go through, no meaning but a frame's header.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from app.clock import MS, Clock, Timer
from app.mcu import frame
from app.mcu.opener import Opener
from app.mcu.port import Port, open_port
from board.micropython.line import COUNTS, Line

BAUD = 115_200
PIECE = 512  # bytes of noise at a time, whenever the port takes everything at once
STRANGER = 0x5A5A5A5A  # changes a session's id into another one's


class FaultyLine:
    """Dials ports to `device`; what is sent through them suffers as ordered. Outlives a port that is lost."""

    def __init__(self, device: Path, clock: Clock, seed: int) -> None:
        self._device, self._clock = device, clock
        self._random = random.Random(seed)
        self._line = Line(self._put, lambda: self._random.getrandbits(32))
        self._port: Port | None = None
        self._opener = Opener("board")
        self._noise = 0
        self._foreign_out = self._foreign_in = 0
        self._timer: Timer | None = None
        self._received: Callable[[bytes], None] = lambda data: None

    async def dial(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> FaultyLine:
        """Open the port. The transport is this object: whoever dialled last has it."""
        self._received = received
        self._line._sent.clear()  # a replay is of this session: one of an earlier would be a wrong session
        self._port = await open_port(self._device, BAUD, self._take, lost, self._opener)
        return self

    def write(self, data: bytes) -> None:
        """The transport's: what the link sends."""
        for part in data.split(b"\0")[:-1]:
            if self._foreign_out:
                self._foreign_out -= 1
                part = _of_another_session(part)
            self._line.send(part + b"\0", self._now_ms())

    def close(self) -> None:
        """The transport's: idempotent."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def order(self, name: str, value: str) -> None:
        """A fault by its name: those of `Line`, `noise` in bytes, `foreign` and `foreign-to-host` frames."""
        if name == "noise":
            self._noise = int(value)
        elif name in COUNTS:
            self._line.counts[name] = int(value)
        elif name == "loop":
            self._line.loop = value == "on"
        elif name == "replay":
            self._line.replay(self._now_ms())
        elif name == "version":
            self._line.version = int(value)
        elif name == "stuck":
            self._line.stuck_byte, self._line.stuck_until_ms = 0x55, self._now_ms() + int(value)
        elif name == "foreign":
            self._foreign_out = int(value)
        else:
            assert name == "foreign-to-host", name
            self._foreign_in = int(value)
        self._tick()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now_ms(self) -> int:
        return self._clock.mono_ns() // MS

    def _tick(self) -> None:
        """Go on with noise and a stuck byte, every millisecond until they are over."""
        self.stop()
        self._line.tick(self._now_ms())
        while self._noise and self._port is not None and not self._port._waiting:
            count = min(PIECE, self._noise)
            self._noise -= count
            self._put(self._random.randbytes(count))
        if self._noise or self._now_ms() < self._line.stuck_until_ms:
            self._timer = self._clock.call_later(MS, self._tick)

    def _take(self, data: bytes) -> None:
        heard = self._line.receive(data)
        if heard:
            self._received(self._changed(heard))

    def _changed(self, data: bytes) -> bytes:
        """The next whole frames become another session's; a read that begins or ends within one stays."""
        parts = data.split(b"\0")
        for index, part in enumerate(parts[:-1]):
            if self._foreign_in:
                self._foreign_in -= 1
                parts[index] = _of_another_session(part)
        return b"\0".join(parts)

    def _put(self, data: bytes) -> None:
        if self._port is not None:
            self._port.write(data)


def _of_another_session(part: bytes) -> bytes:
    """The same frame with another session; what is none stays as it is."""
    fields = frame.parse(part)[1] if part else None
    if fields is None:
        return part
    type_, version, session, *rest = fields
    return frame.build(type_, version, session ^ STRANGER, *rest)[:-1]
