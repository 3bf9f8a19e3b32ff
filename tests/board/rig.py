"""A bench for the firmware: the C core in this process, its hardware and host played in virtual milliseconds.

``Bench`` steps the loop that ``board/firmware/firmware.h`` prescribes; ``Host`` is a plain host over it that
answers challenges while ``beating``. Nothing here judges: tests do.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import pytest

from board.build import NoCompilerError, build
from native import wire_py as wire

TRIPPED, READY, RUN, FAULT = 0, 1, 2, 3
NONE, BOOT, SWITCH, LINK, HOST, SESSION, NOISE, PROTOCOL, CAUSE_FAULT = range(9)
DISCREPANCY, READBACK, WATCHDOG, STARVED = 1, 2, 4, 8
A, B, BOTH = 1, 2, 3
HELLO, BEAT, ACK, ARM, STOP, LIGHTS = 1, 2, 3, 4, 5, 6
WELCOME, BOARD_BEAT, TRIP, FAULTS, COUNTERS = 0x41, 0x42, 0x43, 0x44, 0x45
U32 = 0xFFFFFFFF
MAX_FRAME = 128
PIXELS = 104
GARBAGE = b"\x05\x01\x02\0"  # a chain of zeros that leads beyond its end: one bad frame

PROBED = (
    "state",
    "cause",
    "contacts",
    "faults",
    "live",
    "arm_nonce",
    "trip_id",
    "trip_cause",
    "acknowledged",
    "session",
    "ignored",
)
COUNTED = ("good", "bad", "duplicate", "looped", "wrong_session", "wrong_version", "overrun")


@functools.cache
def library() -> ctypes.CDLL:
    """The firmware as a library that stops at undefined behaviour; skips where it cannot be built."""
    try:
        path: Path = build("library")
    except NoCompilerError as error:
        pytest.skip(str(error))
    loaded = ctypes.CDLL(str(path))
    for name in ("probe_size", "probe_decode", "probe_encode", "core_send"):
        getattr(loaded, name).restype = ctypes.c_size_t
    for name in ("core_output", "core_is_fresh", "probe_is_payload"):
        getattr(loaded, name).restype = ctypes.c_bool
    return loaded


class Bench:
    """One board. ``now`` is the board's time as a plain integer; the board sees it modulo 2**32."""

    def __init__(
        self, *, reset_cause: int = 1, two_channels: bool = True, seed: int = 1, now: int = 1000
    ) -> None:
        self.c = library()
        self.core = ctypes.create_string_buffer(self.c.probe_size())
        self.now = now
        self.contacts = BOTH
        self.output = False
        self.read_back: bool | None = None  # None: follows the output
        self.ever_on = False
        self.sent: list[Any] = []  # frames of the board since the last take()
        self.raw: list[bytes] = []  # and their bytes
        self.last: dict[int, Any] = {}  # the last frame of each type
        self._decoder = wire.Decoder()
        self._frame = ctypes.create_string_buffer(MAX_FRAME)
        self.c.probe_init(self.core, reset_cause, two_channels, ctypes.c_uint32(seed), self._u32())

    def _u32(self) -> ctypes.c_uint32:
        return ctypes.c_uint32(self.now & U32)

    def read(self) -> dict[str, int]:
        values = (ctypes.c_uint32 * len(PROBED))()
        self.c.probe_read(self.core, values)
        return dict(zip(PROBED, values, strict=True))

    def counters(self) -> dict[str, int]:
        values = (ctypes.c_uint32 * len(COUNTED))()
        self.c.probe_counters(self.core, values)
        return dict(zip(COUNTED, values, strict=True))

    @property
    def state(self) -> int:
        return self.read()["state"]

    @property
    def cause(self) -> int:
        return self.read()["cause"]

    def sample(self) -> None:
        self.c.core_contacts(self.core, self.contacts, self._u32())

    def feed_back(self) -> None:
        level = self.output if self.read_back is None else self.read_back
        self.c.core_read_back(self.core, ctypes.c_bool(level), self._u32())

    def receive(self, data: bytes = b"") -> None:
        self.c.core_receive(self.core, data, ctypes.c_size_t(len(data)), self._u32())

    def drive(self) -> None:
        self.output = self.c.core_output(self.core)
        self.ever_on |= self.output

    def tick(self) -> None:
        self.c.core_tick(self.core, self._u32())
        self.drive()

    def interrupt(self) -> None:
        self.output = False
        self.c.core_opened(self.core)

    def lights(self) -> bytes:
        """The two LEDs, then the pixels of the matrix."""
        out = ctypes.create_string_buffer(2 + PIXELS)
        self.c.core_show(self.core, out)
        return out.raw

    def is_fresh(self) -> bool:
        return bool(self.c.core_is_fresh(self.core))

    def send(self) -> None:
        while size := self.c.core_send(self.core, self._frame, self._u32()):
            data = self._frame.raw[:size]
            self.raw.append(data)
            (frame,) = self._decoder.feed(data)
            self.sent.append(frame)
            self.last[frame.type] = frame

    def turn(self, data: bytes = b"") -> None:
        """One turn of the loop at the present millisecond."""
        self.sample()
        self.feed_back()
        self.receive(data)
        self.tick()
        self.send()

    def step(self, milliseconds: int = 1, data: bytes = b"") -> None:
        """Let time pass, a turn each millisecond; ``data`` arrives with the first."""
        for _ in range(milliseconds):
            self.now += 1
            self.turn(data)
            data = b""

    def take(self, kind: int | None = None) -> list[Any]:
        """The frames sent since the last call, of one type."""
        found = [frame for frame in self.sent if kind in (None, frame.type)]
        self.sent.clear()
        self.raw.clear()
        return found


class Host:
    """A host that does what it should: greets, beats every 50 ms, acknowledges; arms when told."""

    def __init__(self, bench: Bench, session: int = 0x1234) -> None:
        self.bench = bench
        self.session = session
        self.seq = 0
        self.beating = True
        self.acknowledging = True
        self.due = 0  # the next beat's millisecond
        self.written: list[bytes] = []

    def frame(self, kind: int, *payload: int, version: int = 1, session: int | None = None) -> bytes:
        """The next frame of this session."""
        self.seq = self.seq + 1 & 0xFFFF
        own = self.session if session is None else session
        data = wire.encode(kind, version, own, self.seq, 0, self.bench.now & U32, payload)
        self.written.append(data)
        return data

    def say(self, kind: int, *payload: int, **header: int) -> None:
        self.bench.turn(self.frame(kind, *payload, **header))

    def answer(self) -> bytes:
        beat = self.bench.last.get(BOARD_BEAT)
        answer = 0 if beat is None or beat.session != self.session else beat.payload[0] ^ U32
        return self.frame(BEAT, self.seq * 7919 & U32, answer)

    def greet(self, nonce: int = 77) -> None:
        self.say(HELLO, nonce)
        self.due = self.bench.now + 1

    def step(self, milliseconds: int = 1) -> None:
        for _ in range(milliseconds):
            self.bench.step()
            trip = self.bench.last.get(TRIP)
            if self.acknowledging and trip is not None and not self.bench.read()["acknowledged"]:
                self.bench.turn(self.frame(ACK, trip.payload[0]))
            if self.beating and self.bench.now >= self.due:
                self.due = self.bench.now + 50
                self.bench.turn(self.answer())

    def arm(self) -> None:
        self.say(ARM, self.bench.last[BOARD_BEAT].payload[5])

    def until(self, state: int, most_ms: int = 1000) -> None:
        for _ in range(most_ms):
            if self.bench.state == state:
                break
            self.step()
        self.step(60)  # a BEAT has told it
        assert self.bench.state == state, self.bench.read()


def ready(**options: Any) -> tuple[Bench, Host]:
    bench = Bench(**options)
    if not options.get("two_channels", True):
        bench.contacts = A
    host = Host(bench)
    bench.step(3)
    host.greet()
    host.until(READY)
    return bench, host


def running(**options: Any) -> tuple[Bench, Host]:
    """A board in RUN with its host."""
    bench, host = ready(**options)
    host.arm()
    assert bench.state == RUN
    assert bench.output
    host.step(60)
    return bench, host
