"""The QEMU board for tests: the process, its control port, and a host that keeps a session in real time.

Times that tests judge are the guest's own; real time only bounds how long a test waits.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.mcu import messages, session
from app.mcu.native_codec import NativeCodec
from native import wire
from tests.guards import ROOT

BOARD = ROOT / "board"
WAIT_S = 120.0  # for anything: a loaded machine runs the guest at a fraction of its speed
BACKLOG = 4096  # bytes: while more than this is on its way, a wait has not begun


def firmware() -> None:
    """Build it; skips without the tools."""
    for name in ("qemu-system-arm", "arm-none-eabi-gcc"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed (apt install qemu-system-arm gcc-arm-none-eabi)")
    done = subprocess.run([sys.executable, BOARD / "targets.py", "qemu"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class QemuBoard:
    """A board and the bytes of its link. `host` is the session that `pump` keeps while it waits."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        link, control = folder / "link", folder / "control"
        self.process = subprocess.Popen(
            [
                sys.executable,
                BOARD / "qemu" / "run.py",
                "--link",
                link,
                "--control",
                control,
                "--seed",
                str(seed),
            ],
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline())["control"] == str(control)
        self.link = -1
        self._open(link)
        self._port = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._port.connect(os.fspath(control))
        self._answer = b""
        self._random = random.Random(seed)
        self._unsent = b""
        self.talking = True
        self.begun = time.monotonic()
        self.events: list[tuple] = []
        self.seen: dict[int, Any] = {}  # the board's last frame of each type
        self._decoder = wire.Decoder()
        self.new_session()

    def close(self) -> None:
        self.process.terminate()
        if self.link >= 0:
            os.close(self.link)
        self._port.close()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def now_ms(self) -> int:
        return int((time.monotonic() - self.begun) * 1000)

    def unplug(self) -> None:
        assert self.ask("unplug")["ok"]
        os.close(self.link)
        self.link, self._unsent = -1, b""

    def plug(self) -> None:
        self._open(Path(self.ask("plug")["pty"]))

    def _open(self, link: Path) -> None:
        self.link = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.link)

    def new_session(self) -> None:
        def bits() -> int:
            return self._random.getrandbits(32)

        self.host = session.Session(NativeCodec(), bits() or 1, bits(), self.now_ms(), bits)

    def send(self, data: bytes) -> None:
        """Queue bytes; `pump` writes them as fast as the board takes them."""
        self._unsent += data

    def pump(self, until: Callable[[], Any]) -> None:
        """Keep the session, and read and write, until `until` is true."""
        end = time.monotonic() + WAIT_S
        while not until():
            assert time.monotonic() < end, (
                f"nothing happened for {WAIT_S} s; {self.host.state=} {self.events[-5:]}"
            )
            link: list[Any] = [self.link] if self.link >= 0 else []
            readable, writable, _ = select.select(
                [self._port, *link], link if self._unsent else [], [], 0.005
            )
            if self._port in readable:
                self._answer += self._port.recv(4096)
            data = self._read() if self.link in readable else b""
            self.seen.update((one.type, one) for one in self._decoder.feed(data) if not isinstance(one, int))
            if self.talking:
                self._talk(data)
            if writable:
                self._unsent = self._unsent[self._write() :]
                end = time.monotonic() + WAIT_S if len(self._unsent) > BACKLOG else end

    def _read(self) -> bytes:
        try:
            return os.read(self.link, 4096)
        except OSError:  # the other end is unplugged
            return b""

    def _write(self) -> int:
        try:
            return os.write(self.link, self._unsent[:4096])
        except OSError:  # unplugged since `select` looked: what waited is lost, as on a cable
            return len(self._unsent)

    def _talk(self, data: bytes) -> None:
        now = self.now_ms()
        self.host.beat_allowed(now)
        self.events += self.host.feed(data, now)
        if self.host.state == session.LOST:
            self.new_session()
        self.send(self.host.poll(now)[0])

    def ask(self, command: str) -> dict[str, Any]:
        """A command to the control port and its answer, the session kept meanwhile."""
        self._answer = b""
        self._port.sendall(f"{command}\n".encode())
        self.pump(lambda: self._answer.endswith(b"\n"))
        return json.loads(self._answer)

    def state(self) -> dict[str, Any]:
        """The board's numbers as it tells them itself."""
        return self.ask("state")["guest"]

    def run(self) -> None:
        """To RUN with a live host, whatever it takes in sessions. Both channels are opened first: that ends a
        discrepancy.
        """
        self.ask("contact both open")
        while self.state()["contacts"]:
            pass
        self.ask("contact both closed")
        self.pump(self._running)
        while not (self.state()["state"] == messages.RUN and self.host.state == session.LIVE):
            self.pump(self._running)  # the last beat may have been older than the board's state

    def _running(self) -> bool:
        if self.host.state != session.LIVE:
            return False
        if self.host.beat[2] == messages.READY:
            self.host.arm()
        return self.host.beat[2] == messages.RUN
