"""Between the QEMU board and a test: a cable with a plug and the faults of a line, and one control socket.

QEMU gives two raw ports. Here they become what the virtual board offers: a pty that can be unplugged, and a
socket that takes the same commands. Faults of the line are made here, by the same `Line` as the MicroPython
board's; what concerns the board itself goes to its control port and is answered in the virtual board's words.
"""

from __future__ import annotations

import json
import os
import random
import select
import socket
import time
import tty
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.mcu import messages
from board.micropython.line import COUNTS, Line

READ_LIMIT = 4096  # bytes: a pty's buffer
LINE_LIMIT = 4096  # bytes of a command or an answer
IDLE_S = 0.05  # between looks when nothing moves
ANSWER_S = 1.0  # for a command to the board; one that a reset swallowed is sent again
TRIES = 20
LIGHTS = ("off", "blue", "green", "cyan", "red", "magenta", "amber", "white")
ON_BOARD = ("contact", "freeze", "reboot", "readback", "entropy", "edge", "clock", "state")


class Guest:
    """The board's control port: one command, one answer, which bears the command's number.

    A command is sent again when no answer comes, for a reset may have swallowed it whole or its beginning; a
    machine that was only slow then answers twice, and the second time while the next command waits.
    """

    def __init__(self, control: Path) -> None:
        self._port = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._port.connect(os.fspath(control))
        self._port.settimeout(ANSWER_S)
        self._number = 0
        self._part = b""  # of an answer

    def ask(self, command: str) -> dict[str, Any]:
        self._number += 1
        for _ in range(TRIES):
            self._port.sendall(f"{self._number} {command}\n".encode())
            with suppress(TimeoutError):
                return self._own_answer()
        return {"error": "the board does not answer"}

    def _own_answer(self) -> dict[str, Any]:
        """What stands behind our number. A line that a reset cut, with the one that ended it, is none."""
        while True:
            number, _, words = self._line().partition(b" ")
            if number == b"%d" % self._number:
                with suppress(ValueError):
                    found: dict[str, Any] = json.loads(words)
                    return found

    def _line(self) -> bytes:
        while b"\n" not in self._part:
            more = self._port.recv(LINE_LIMIT)
            if not more:  # the board's process ended, as our own will
                raise TimeoutError
            self._part += more
        line, _, self._part = self._part.partition(b"\n")
        return line


class Cable:
    """The pty that a host opens, with the board's link behind it. `link` is a symbolic link to it."""

    def __init__(self, board: str, link: Path, seed: int | None) -> None:
        chance = random.Random(seed)
        self.line = Line(self._put, lambda: chance.getrandbits(32))
        self.name = ""
        self.master = self._slave = -1
        self.board = os.open(board, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.board)
        self.waiting = b""  # for the board, which takes what it has room for
        self._link = link
        self._part = b""  # of a frame of the board
        self.plug()

    @property
    def plugged(self) -> bool:
        return self.master >= 0

    def plug(self) -> None:
        if self.plugged:
            return
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.name = os.ttyname(self._slave)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(self.name)

    def unplug(self) -> None:
        if self.plugged:
            self._link.unlink(missing_ok=True)
            os.close(self.master)
            os.close(self._slave)
            self.master = self._slave = -1

    def from_host(self, now_ms: int) -> None:
        del now_ms
        self.waiting += self.line.receive(_read(self.master))

    def from_board(self, now_ms: int) -> None:
        *whole, self._part = (self._part + _read(self.board)).split(b"\0")
        for one in whole:
            self.line.send(one + b"\0", now_ms)

    def to_board(self) -> None:
        try:
            self.waiting = self.waiting[os.write(self.board, self.waiting) :]
        except OSError:  # no room; or the board's process ended, and ours will
            return

    def restless(self, now_ms: int) -> bool:
        """Whether each millisecond counts."""
        return self.line.counts["noise"] > 0 or now_ms < self.line.stuck_until_ms

    def _put(self, data: bytes) -> None:
        """What finds no room is lost, as on a wire that nobody listens to."""
        if self.plugged and data:
            try:
                os.write(self.master, data)
            except BlockingIOError:
                return


def _read(file: int) -> bytes:
    try:
        return os.read(file, READ_LIMIT)
    except OSError:  # nothing there; or the board's process ended, and ours will
        return b""


class Bench:
    """The loop over cable and control socket; `run` ends with the board's process."""

    def __init__(self, cable: Cable, guest: Guest, listener: socket.socket) -> None:
        self._cable, self._guest, self._listener = cable, guest, listener
        self._clients: dict[socket.socket, bytes] = {}
        self._begun = time.monotonic()

    def now_ms(self) -> int:
        return int((time.monotonic() - self._begun) * 1000)

    def turn(self) -> None:
        """Wait until something moves, and move it on."""
        cable = self._cable
        reading: list[Any] = [cable.board, self._listener, *self._clients]
        if cable.plugged and not cable.waiting:
            reading.append(cable.master)
        wait_s = 0.001 if cable.restless(self.now_ms()) else IDLE_S
        readable, writable, _ = select.select(reading, [cable.board] if cable.waiting else [], [], wait_s)
        now_ms = self.now_ms()
        if writable:
            cable.to_board()
        if cable.board in readable:
            cable.from_board(now_ms)
        if cable.plugged and cable.master in readable:
            cable.from_host(now_ms)
        cable.line.tick(now_ms)
        for one in readable:
            if isinstance(one, socket.socket):
                self._accept() if one is self._listener else self._serve(one)

    def _accept(self) -> None:
        self._clients[self._listener.accept()[0]] = b""

    def _serve(self, client: socket.socket) -> None:
        try:
            data = client.recv(LINE_LIMIT)
            *lines, rest = (self._clients[client] + data).split(b"\n")
            for line in lines:
                client.sendall(json.dumps(self.answer(line.decode(errors="replace"))).encode() + b"\n")
        except OSError:
            data = rest = b""
        self._clients[client] = rest
        if not data or len(rest) > LINE_LIMIT:
            del self._clients[client]
            client.close()

    def answer(self, command: str) -> dict[str, Any]:
        words = command.split()
        name, values = (words[0], words[1:]) if words else ("", [])
        try:
            if name in COUNTS:
                self._cable.line.counts[name] = _count(values)
                return {"ok": True}
            if name in ON_BOARD:
                return self._on_board(name, values)
            return self._on_line(name, values)
        except (ValueError, IndexError, KeyError):
            return {"error": f"no such command: {command[:40]}"}

    def _on_board(self, name: str, values: list[str]) -> dict[str, Any]:
        if (name, values) == ("freeze", ["off"]):
            return {"ok": True}  # a loop that stands still hears nothing; the watchdog ends it
        if name == "entropy":
            values = [values[0].zfill(32)]
        answer = self._guest.ask(" ".join((name, *values)))
        return self._told(answer) if name == "state" and "state" in answer else answer

    def _on_line(self, name: str, values: list[str]) -> dict[str, Any]:
        line, now_ms = self._cable.line, self.now_ms()
        if name == "replay":
            return {"ok": True, "frames": line.replay(now_ms)}
        if name == "loop":
            line.loop = {"on": True, "off": False}[values[0]]
        elif name == "stuck":
            line.stuck_byte, line.stuck_until_ms = int(values[0], 0) & 0xFF, now_ms + int(values[1])
        elif name == "version":
            line.version = int(values[0]) & 0xFF
        elif name == "unplug":
            self._cable.unplug()
        elif name == "plug":
            self._cable.plug()
            return {"ok": True, "pty": self._cable.name}
        else:
            raise ValueError(name)
        return {"ok": True}

    def _told(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The board's state in the virtual board's words, its own times beside them under `guest`."""
        latest = max((raw[name] - raw["opened_us"]) % 2**32 for name in ("off_us", "latched_us"))
        return {
            "state": messages.STATES[raw["state"]],
            "cause": messages.CAUSES[raw["cause"]],
            "contacts": raw["contacts"],
            "output": bool(raw["output"]),
            "faults": raw["faults"],
            "live": bool(raw["live"]),
            "session": raw["session"],
            "trip_id": raw["trip_id"],
            "trip_acknowledged": bool(raw["trip_acknowledged"]),
            "boot_id": raw["boot_id"],
            "resets": raw["boots"] - 1,
            "plugged": self._cable.plugged,
            "lights": [LIGHTS[light] for light in raw["lights"]],
            "matrix": raw["matrix"],
            "latency_us": latest,
            "counters": raw["counters"],
            "guest": raw,
        }


def _count(values: list[str]) -> int:
    count = int(values[0])
    if count < 0:
        raise ValueError(count)
    return count
