"""What MicroPython's unix port needs of the system, through libc: a pty with a link to it, a control socket.

For the virtual board only. Nothing here knows the link or the board.
"""

import os
import select
import socket
import struct
import termios

import ffi

_O_RDWR, _O_NOCTTY, _O_NONBLOCK = 0o2, 0o400, 0o4000
_PR_SET_PDEATHSIG, _SIGTERM = 1, 15
_READ_BYTES = 512
_LINE_BYTES = 128  # of a command

_libc = ffi.open("libc.so.6")
_openpt = _libc.func("i", "posix_openpt", "i")
_grantpt = _libc.func("i", "grantpt", "i")
_unlockpt = _libc.func("i", "unlockpt", "i")
_ptsname = _libc.func("s", "ptsname", "i")
_read = _libc.func("i", "read", "ipi")
_write = _libc.func("i", "write", "ipi")
_close = _libc.func("i", "close", "i")
_symlink = _libc.func("i", "symlink", "ss")
_unlink = _libc.func("i", "unlink", "s")
_rename = _libc.func("i", "rename", "ss")
_prctl = _libc.func("i", "prctl", "iLLLL")


def end_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, _SIGTERM, 0, 0, 0)


def random32() -> int:
    return int.from_bytes(os.urandom(4), "big")


class Port:
    """A pty; ``link`` points to the end that the host opens, and goes and comes with it."""

    def __init__(self, link: str) -> None:
        self.name = ""
        self._link = link
        self._master = -1
        self._slave = None
        self._buffer = bytearray(_READ_BYTES)

    @property
    def plugged(self) -> bool:
        return self._master >= 0

    def plug(self) -> None:
        """Raises OSError when there is no pty to be had."""
        self._master = _openpt(_O_RDWR | _O_NOCTTY | _O_NONBLOCK)
        if self._master < 0 or _grantpt(self._master) or _unlockpt(self._master):
            raise OSError(os.errno())
        self.name = _ptsname(self._master)
        # Held open, or reading the master fails whenever no host has the other end open.
        self._slave = open(self.name, "r+b")  # noqa: SIM115
        termios.setraw(self._slave.fileno())
        _unlink(self._link + ".new")
        if _symlink(self.name, self._link + ".new") or _rename(self._link + ".new", self._link):
            raise OSError(os.errno())

    def unplug(self) -> None:
        if self.plugged:
            _unlink(self._link)
            self._slave.close()
            _close(self._master)
            self._master = -1

    def read(self) -> bytes:
        """Return what is there; nothing without a cable."""
        count = _read(self._master, self._buffer, _READ_BYTES) if self.plugged else 0
        return bytes(self._buffer[: max(0, count)])

    def write(self, data: bytes) -> None:
        """Write what fits; the rest is lost, as on a wire nobody listens to."""
        if self.plugged and data:
            _write(self._master, data, len(data))


class Control:
    """A listening unix socket: a line of words in, a line out, as ``answer(line)`` gives it."""

    def __init__(self, path: str, answer) -> None:
        _unlink(path)
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(struct.pack("H108s", socket.AF_UNIX, path.encode()))
        self._listener.listen(8)
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)

    def serve(self) -> None:
        """Answer the lines that have come; does not wait."""
        for found in self._poll.poll(0):
            if found[0] is self._listener:
                self._poll.register(self._listener.accept()[0], select.POLLIN)
            else:
                self._serve_client(found[0])

    def _serve_client(self, client) -> None:
        line = client.readline(_LINE_BYTES)
        if line:
            client.write(self._answer(line.decode()) + "\n")
        else:
            self._poll.unregister(client)
            client.close()
