"""One open serial port on the event loop: bytes in by callback, bytes out without waiting.

A port lives once. When the tty vanishes, stalls or fails it is closed and `lost` is called, once; who wants
it again opens a new one. What the bytes mean is not known here. pyserial opens and sets the line, beside the
loop because a driver that hangs would stop it; reading and writing are the loop's, because pyserial's own
calls wait.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import serial

from app.errors import Unreachable
from app.mcu.opener import Opener

READ_LIMIT = 4096  # bytes a callback takes: the kernel's own buffer, 355 ms of the wire at 115,200 baud
WRITE_LIMIT = 1024  # bytes that wait: 89 ms of the wire; a tty that takes less is as good as gone

_VMIN, _VTIME = termios.VMIN, termios.VTIME


async def open_port(
    device: Path, baud: int, received: Callable[[bytes], None], lost: Callable[[str], None], opener: Opener
) -> Port:
    """`device`, open for us alone. Raises Unreachable, also when a port before is not closed yet."""
    line = await opener.open(lambda: opened_line(device, baud), _close_line)
    return Port(line, received, lost, opener)


class Port:
    """An open port. `received` gets every read, `lost` the reason for the end, unless we closed it."""

    def __init__(
        self,
        line: serial.Serial,
        received: Callable[[bytes], None],
        lost: Callable[[str], None],
        opener: Opener,
    ) -> None:
        self._received, self._lost, self._opener = received, lost, opener
        self._waiting = bytearray()
        self._serial = line
        self._file: int = self._serial.fileno()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._readable)

    @property
    def open(self) -> bool:
        return self._file >= 0

    def write(self, data: bytes) -> None:
        """Send now, or as soon as the tty takes it. Returns at once; silent on a port that is closed."""
        if not self.open:
            return
        if not self._waiting:
            data = data[self._sent(data) :]
        if data and self.open:
            self._wait(data)

    def close(self) -> None:
        """Idempotent; `lost` is not called."""
        if not self.open:
            return
        file, self._file = self._file, -1
        self._loop.remove_reader(file)
        self._loop.remove_writer(file)
        self._waiting.clear()
        _unmark(file)
        self._opener.close(self._end)

    def _end(self) -> None:
        with suppress(OSError):
            self._serial.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._file, READ_LIMIT)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(error.strerror or str(error))
            return
        if data:
            self._received(data)
        else:
            self._fail("hung up")

    def _sent(self, data: bytes | bytearray) -> int:
        """How much of `data` the tty took."""
        try:
            return os.write(self._file, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._fail(error.strerror or str(error))
            return 0

    def _wait(self, data: bytes) -> None:
        if len(self._waiting) + len(data) > WRITE_LIMIT:
            self._fail(f"takes no bytes, {len(self._waiting)} wait")
            return
        if not self._waiting:
            self._loop.add_writer(self._file, self._writable)
        self._waiting += data

    def _writable(self) -> None:
        del self._waiting[: self._sent(self._waiting)]
        if self.open and not self._waiting:
            self._loop.remove_writer(self._file)

    def _fail(self, why: str) -> None:
        self.close()
        self._lost(why)


def opened_line(device: Path, baud: int) -> serial.Serial:
    """Waits for as long as the driver does. Raises Unreachable."""
    try:
        port = serial.Serial(os.fspath(device), baud, timeout=0, write_timeout=0, exclusive=True)
    except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError
        raise Unreachable("board", error) from None
    try:
        _settle(port.fileno())
    except (OSError, termios.error) as error:
        port.close()
        raise Unreachable("board", f"{device}: {error}") from None
    return port


def _settle(file: int) -> None:
    """What pyserial leaves out: nobody else may open it, closing pulls no line, and a read of nothing means
    the end (with VMIN 0 it also means that nothing is there yet).
    """
    fcntl.ioctl(file, termios.TIOCEXCL)
    mode = termios.tcgetattr(file)
    mode[2] &= ~termios.HUPCL
    mode[6][_VMIN], mode[6][_VTIME] = 1, 0
    termios.tcsetattr(file, termios.TCSANOW, mode)


def _unmark(file: int) -> None:
    """A pty keeps the exclusive mark as long as its other end lives: take it off for the next one."""
    with suppress(OSError):
        fcntl.ioctl(file, termios.TIOCNXCL)


def _close_line(line: serial.Serial) -> None:
    _unmark(line.fileno())
    line.close()
