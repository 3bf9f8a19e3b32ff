"""The listening sockets that systemd passes, so that a browser waits through a restart instead of failing.

The protocol is `sd_listen_fds(3)`: file descriptors from 3 on, announced in the environment. They stay open
for the life of the process and are handed out as copies: who closes one closes nothing for the next.
"""

from __future__ import annotations

import os
import socket

from app.errors import SettingsError, clean

FIRST = 3  # SD_LISTEN_FDS_START: behind standard input, output and error
MOST = 8  # loopback, LAN, IPv6, and room
NAMES = frozenset({"page", "plimsoll.socket", "unknown"})  # the unit's own, its default, and none said
UNIT = "plimsoll.socket"  # what the owner must mend


def adopt() -> list[socket.socket]:
    """Copies of the sockets meant for this process, [] without any. Raises SettingsError for a wrong one."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = os.environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdigit() and int(count) <= MOST):
        raise SettingsError(UNIT, f"passes {clean(count, 20) or 'no number of'} sockets, at most {MOST}")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    for name in names[: int(count)]:
        if name and name not in NAMES:
            raise SettingsError(UNIT, f"passes a socket named {clean(name, 40)}; only page is known")
    return [_copy(FIRST + number) for number in range(int(count))]


def _copy(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        found = socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise SettingsError(UNIT, f"file descriptor {descriptor} is no socket: {error.strerror}") from None
    tcp = found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM
    if not tcp or not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        found.close()
        raise SettingsError(UNIT, f"file descriptor {descriptor} is no listening TCP socket")
    return found
