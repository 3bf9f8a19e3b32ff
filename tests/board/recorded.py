"""The UNO Q's sketch on a UNO Q of recordings: put together, compiled with them, loaded as a library.

`line` is the sketch's name in `board/build.py`: how its frames lie on the UART decides what the test's host
must send there, and nothing else.
"""

from __future__ import annotations

import ctypes
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.mcu import session
from app.mcu.guest import CHUNK, FROM_BOARD, TO_BOARD
from app.mcu.native_codec import NativeCodec
from app.mcu.router import NOTIFICATION, item_size
from tests.guards import ROOT

BOARD, HERE = ROOT / "board", ROOT / "tests" / "board"
OWNER, GUEST = "unoq", "unoq-guest"
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
CONTACT_A, CONTACT_B, OUTPUT, OUTPUT_READ = 2, 8, 4, 7
RECORDS, BYTES = 4096, 4096  # what the recordings hold


class Record(ctypes.Structure):
    """One thing the firmware did."""

    _fields_ = (("what", ctypes.c_char), ("where", ctypes.c_uint32), ("value", ctypes.c_uint32))


def compiler(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (apt install g++)")
    return found


def check_runs(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def put_together(line: str, folder: Path) -> Path:
    """The sketch as it is compiled on the board, with headers of Arduino's names beside it, in `folder`."""
    told = subprocess.run(
        [sys.executable, BOARD / "targets.py", "sketch", folder, line],
        capture_output=True,
        text=True,
        check=True,
    )
    (folder / "arduino").mkdir()
    for name in ("Arduino.h", "Arduino_LED_Matrix.h"):
        (folder / "arduino" / name).write_text(f'#include "{HERE}/arduino_declared.h"\n')
    (folder / "told.json").write_text(told.stdout)
    return folder


def told(sketch: Path) -> dict[str, Any]:
    """What `sketch` said of the sketch."""
    return json.loads((sketch / "told.json").read_text())


def compiled(sketch: Path) -> Path:
    """The sketch with the recording definitions, as a library."""
    parts = []
    for source in sorted((sketch / "unoq" / "src").rglob("*.c")):
        parts.append(sketch / f"{source.stem}.o")
        check_runs(compiler("gcc"), "-std=c11", "-O1", "-fPIC", *STRICT, "-c", source, "-o", parts[-1])
    made = sketch / "unoq.so"
    whole = sketch / "whole.cpp"  # the .ino is C++ in which Arduino.h was included
    whole.write_text('#include "unoq/unoq.ino"\nextern "C" void sketch_setup() { setup(); }\n')
    check_runs(
        *(compiler("g++"), "-std=gnu++17", "-O1", "-fPIC", "-shared", "-DUNOQ_RECORDED", *STRICT),
        *("-I", sketch / "arduino", "-I", HERE, sketch / "unoq/src/unoq/hw_unoq.cpp"),
        *(HERE / "arduino_recorded.cpp", whole, *parts, "-o", made),
    )
    return made


def down(data: bytes) -> bytes:
    """As the router writes to the tty what `app.mcu.guest` asks of it."""
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    return b"".join(msgspec.msgpack.encode([NOTIFICATION, TO_BOARD, [chunk]]) for chunk in chunks)


class Tty:
    """The router's end of the tty: what the sketch sent, a message at a time."""

    def __init__(self) -> None:
        self.held = b""
        self.asked: list[list[Any]] = []
        self.frames: list[bytes] = []

    def take(self, data: bytes) -> bytes:
        """The frames that came up in `data`, one after the other."""
        self.held += data
        came = []
        while size := item_size(self.held):
            message = msgspec.msgpack.decode(self.held[:size])
            self.held = self.held[size:]
            if message[:2] == [NOTIFICATION, FROM_BOARD]:
                came.append(message[2][0])
            else:
                self.asked.append(message)
        self.frames += came
        return b"".join(came)


class Board:
    """The sketch on a UNO Q of recordings, with a virtual millisecond and a host."""

    def __init__(self, line: str, library: Path, folder: Path, flags: int = 0) -> None:
        own = folder / "own.so"  # a library of its own per test: its variables start anew
        shutil.copyfile(library, own)
        self.c = ctypes.CDLL(str(own))
        self.line = line
        self.tty = Tty()
        self.now = 0
        self.contact(CONTACT_A, True)
        self.contact(CONTACT_B, True)
        self.c.unoq_reset_flags(flags)
        self.numbers = random.Random(1)
        self.host = self.session(7)
        self.events: list[tuple] = []

    def session(self, session_id: int) -> session.Session:
        """A host's session that begins now."""
        return session.Session(NativeCodec(), session_id, 9, self.now, lambda: self.numbers.getrandbits(32))

    def contact(self, pin: int, closed: bool) -> None:
        self.c.unoq_pin(pin, not closed)

    def records(self) -> list[tuple[str, int, int]]:
        made = (Record * RECORDS)()
        self.c.unoq_records.restype = ctypes.c_size_t
        return [(one.what.decode(), one.where, one.value) for one in made[: self.c.unoq_records(made)]]

    def output(self) -> bool:
        return bool(self.c.unoq_output(OUTPUT))

    def lit(self, led: tuple[int, int, int]) -> str:
        return "".join(name for name, pin in zip("rgb", led, strict=True) if not self.c.unoq_output(pin))

    def turn(self, times: int = 1) -> None:
        """Milliseconds of the loop; the output's read-back follows."""
        for _ in range(times):
            self.now += 1
            self.c.unoq_time(self.now)
            self.c.unoq_pin(OUTPUT_READ, self.output())
            self.c.unoq_loop()

    def talk(self, times: int) -> None:
        """Milliseconds with a host on the line."""
        for _ in range(times):
            self.turn()
            self.host.beat_allowed(self.now)
            sent = self.sent()
            self.events += self.host.feed(self.tty.take(sent) if self.line == GUEST else sent, self.now)
            out, _ = self.host.poll(self.now)
            self.receive(down(out) if self.line == GUEST else out)

    def sent(self) -> bytes:
        """What the sketch wrote to the UART since the last time."""
        raw = ctypes.create_string_buffer(BYTES)
        self.c.unoq_sent.restype = ctypes.c_size_t
        size = self.c.unoq_sent(raw)
        return raw.raw[:size]

    def receive(self, data: bytes) -> None:
        """Bytes for the UART."""
        self.c.unoq_receive(data, ctypes.c_size_t(len(data)))

    def to_run(self) -> None:
        self.c.unoq_setup()
        self.talk(300)
        assert self.host.arm()
        self.talk(20)
        assert self.output()
        self.records()
