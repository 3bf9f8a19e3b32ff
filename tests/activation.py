"""A service as systemd starts it: sockets from descriptor 3 on, a notify socket, and its words."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.guards import PATIENCE, ROOT

WORD_LIMIT = 2_000  # bytes of one word to systemd
LAUNCH = """
import os, sys
count = int(sys.argv[1])
held = [int(number) for number in sys.argv[2 : 2 + count]]
copies = [os.dup2(number, 100 + at, inheritable=False) for at, number in enumerate(held)]
for at, number in enumerate(copies):
    os.dup2(number, 3 + at)
names = ":".join(["page"] * count)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES=names)
os.execv(sys.executable, [sys.executable, "-m", "app", *sys.argv[2 + count :]])
"""


class Systemd:
    """The notify socket: `heard` has every word so far."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(PATIENCE)

    def until(self, words: str) -> str:
        """The first word from now on that holds `words`. Raises TimeoutError."""
        while True:
            self.heard.append(self._socket.recv(WORD_LIMIT).decode())
            if words in self.heard[-1]:
                return self.heard[-1]

    def close(self) -> None:
        self._socket.close()


@contextmanager
def started(
    arguments: Sequence[str], systemd: Systemd | None, sockets: Sequence[socket.socket] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """`plimsoll ARGUMENTS` as a process of its own; killed at exit unless it has ended."""
    held = [each.fileno() for each in sockets]
    command = [sys.executable, "-c", LAUNCH, str(len(held)), *map(str, held), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    environment["PYTHONDONTWRITEBYTECODE"] = (
        "1"  # a test may take its disk away: the checkout keeps whole files
    )
    if systemd is not None:
        environment["NOTIFY_SOCKET"] = systemd.path
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, pass_fds=held
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def ask(port: int, path: str = "/healthz", head: str = "GET") -> tuple[int, bytes]:
    """One request on a connection of its own: status and body. Raises OSError."""
    with connect(port) as link:
        return answer(link, path, head)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def answer(link: socket.socket, path: str = "/healthz", method: str = "GET") -> tuple[int, bytes]:
    change = (
        "Content-Type: application/json\r\nX-Plimsoll: 1\r\nContent-Length: 2\r\n" if method == "POST" else ""
    )
    body = "{}" if method == "POST" else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{change}\r\n{body}"
    link.sendall(head.encode())
    with link.makefile("rb") as stream:
        data = stream.read()
    if not data:
        raise ConnectionResetError("no answer")
    head_bytes, _, rest = data.partition(b"\r\n\r\n")
    return int(head_bytes.split()[1]), rest
