"""One state sent to many sockets: the newest only, straight to the kernel, slow readers on their own account.

Source of both twins: the build compiles this very file, typed by ``fanout_c.pxd``, to ``native.fanout_c``;
``native.fanout_run`` replaces `Fanout._send` by send(2) in one loop without the interpreter's lock. What the
bytes mean (a WebSocket frame, a chunk of server-sent events), when to flush and who may read belong to the
server. One thread, the loop's, uses a `Fanout`.

A client is a socket under an asyncio transport. `publish` replaces the state, and may say as a *step* what
those need who have the state before; `flush` sends each client the step or the whole. Bytes never mix:
nothing is sent past a transport that still holds bytes or encrypts, and what the kernel did not take of a
message goes through the transport, whole to its end, before the next one. Such a client misses what is
published meanwhile and gets the newest state whole afterwards.

Flush periodically, not only after a publish: a client that was behind is served by a later flush.
"""

from __future__ import annotations

import errno
import socket
from array import array
from typing import Any

BACKLOG_LIMIT = 0  # bytes a transport may hold: one message at most waits there, so any that stays is late
PATIENCE = 100  # flushes in a row above the limit: ten seconds of not taking one message, at ten a second
MESSAGE_LIMIT = 1 << 20  # bytes: what clients commonly take as one message
CLIENTS_LIMIT = 65_536  # more than a process has descriptors for; bounds the columns

# Why a client was dropped.
CLOSED = "closed"  # its transport was closing before anything was sent
FAILED = "failed"  # the kernel or the transport refused the bytes: reset, broken pipe, a closed descriptor
SLOW = "slow"  # above the limit for longer than the patience

_FD_MAX = 0x7FFFFFFF
_ROOM = 64  # clients the columns hold at first; doubled as needed
_FLAGS = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_LATER = (-errno.EAGAIN, -errno.EWOULDBLOCK, -errno.EINTR)  # nothing taken, nothing wrong


class Client:
    """One reader: its transport, the descriptor below it (-1: only through the transport), the number of the
    state it has (-1: none), flushes above the limit.
    """

    __slots__ = ("behind", "fd", "had", "transport")

    def __init__(self, fd: int, transport: Any) -> None:
        self.fd = fd
        self.transport = transport
        self.had = -1
        self.behind = 0


class Fanout:
    """The clients of one state. `flush` returns and forgets those that are dropped; see the module."""

    __slots__ = ("_clients", "_fds", "_latest", "_limit", "_number", "_patience", "_results", "_step")

    def __init__(self, backlog_limit: int = BACKLOG_LIMIT, patience: int = PATIENCE) -> None:
        """Raises ValueError for a negative limit (bytes) or patience (flushes)."""
        if backlog_limit < 0 or patience < 0:
            raise ValueError("fanout: limits cannot be negative")
        self._clients: dict[Any, Client] = {}
        self._limit = backlog_limit
        self._patience = patience
        self._latest = b""
        self._step = b""  # from the state before to the latest, empty when that was not said
        self._number = 0  # of the latest state; 0 is none yet
        self._fds = array("i", bytes(4 * _ROOM))
        self._results = array("q", bytes(8 * _ROOM))

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, fd: int, transport: Any) -> None:
        """Send to the socket `fd` under `transport` from now on, the latest state first.

        A stream under TLS is written through its transport alone: plain bytes would break it. Raises
        ValueError for a transport that is there already, no descriptor (-1 is a closed socket's), and one
        client too many.
        """
        if not 0 <= fd <= _FD_MAX:
            raise ValueError("fanout: not a descriptor")
        if transport in self._clients:
            raise ValueError("fanout: the client is there already")
        if len(self._clients) >= CLIENTS_LIMIT:
            raise ValueError(f"fanout: more than {CLIENTS_LIMIT} clients")
        encrypted = transport.get_extra_info("sslcontext") is not None
        self._clients[transport] = Client(-1 if encrypted else fd, transport)
        self._grow()

    def remove(self, transport: Any) -> bool:
        """Forget a client, which stays open; False when it is not there (any more)."""
        return self._clients.pop(transport, None) is not None

    def publish(self, message: Any, step: Any = None) -> None:
        """Replace the state by the bytes of `message`; `step` is enough for who has the one before.

        Raises ValueError when one of them is empty or above MESSAGE_LIMIT, and nothing has changed then.
        """
        latest = _checked(message)
        self._step = b"" if step is None else _checked(step)
        self._latest = latest
        self._number += 1

    def waiting(self) -> int:
        """Return how many clients have not been given the latest state: another flush is due."""
        waiting = 0
        if self._number > 0:
            for client in self._clients.values():
                if client.had != self._number:
                    waiting += 1
        return waiting

    def flush(self) -> list[tuple[Any, str]]:
        """Send the latest state to all who lack it and can take it; returns who was dropped, and why.

        Never waits. The transports of clients that failed or were too slow are aborted.
        """
        dropped: list[tuple[Any, str]] = []
        following: list[Client] = []
        others: list[Client] = []
        self._due(following, others, dropped)
        self._offer(self._step, following, dropped)
        self._offer(self._latest, others, dropped)
        for transport, why in dropped:
            self._clients.pop(transport, None)
            if why != CLOSED:
                transport.abort()
        return dropped

    def _grow(self) -> None:
        """Make room for one result per client, in new columns: a flush in progress keeps those it has."""
        room = len(self._fds)
        if room < len(self._clients):
            self._fds = array("i", bytes(8 * room))
            self._results = array("q", bytes(16 * room))

    def _due(self, following: list[Client], others: list[Client], dropped: list[tuple[Any, str]]) -> None:
        """Find who is to be sent the step now and who the whole; who is gone or too slow."""
        before = self._number - 1 if self._step else self._number
        for client in self._clients.values():
            transport = client.transport
            # First of all: the number of a closed descriptor may already be another connection's.
            if transport.is_closing():
                dropped.append((transport, CLOSED))
                continue
            held = transport.get_write_buffer_size()
            if held > self._limit:
                client.behind += 1
                if client.behind > self._patience:
                    dropped.append((transport, SLOW))
                continue
            client.behind = 0
            if held == 0 and client.had != self._number and self._number > 0:
                if client.had == before:
                    following.append(client)
                else:
                    others.append(client)

    def _offer(self, message: bytes, clients: list[Client], dropped: list[tuple[Any, str]]) -> None:
        """Send `message` to `clients`; what the kernel did not take goes to the transports."""
        size, count = len(message), len(clients)
        # A transport that is written to may call somebody who adds or publishes: these are of this message.
        number, results = self._number, self._results
        for index, client in enumerate(clients):
            self._fds[index] = client.fd
        self._send(message, count)
        for index, client in enumerate(clients):
            taken = results[index]
            client.had = number
            if taken != size and not self._rest(message, client, taken):
                dropped.append((client.transport, FAILED))

    def _send(self, message: bytes, count: int) -> None:
        """Offer `message` to `count` descriptors; a result is the bytes taken or minus the errno."""
        for index in range(count):
            self._results[index] = _send_one(self._fds[index], message)

    def _rest(self, message: bytes, client: Client, taken: int) -> bool:
        """Whether the transport took over after `taken` bytes."""
        if taken < 0 and taken not in _LATER:
            return False
        try:
            client.transport.write(message[taken:] if taken > 0 else message)
        except (OSError, RuntimeError):
            return False
        return True


def _checked(message: Any) -> bytes:
    """The bytes of `message`; ValueError when there are none or too many."""
    checked = message if type(message) is bytes else bytes(memoryview(message))
    if not 0 < len(checked) <= MESSAGE_LIMIT:
        raise ValueError(f"fanout: a message has 1 to {MESSAGE_LIMIT} bytes, not {len(checked)}")
    return checked


def _send_one(fd: int, message: bytes) -> int:
    """Send without waiting; returns the bytes taken or minus the errno. The descriptor is only borrowed."""
    if fd < 0:
        return -errno.EAGAIN
    try:
        borrowed = socket.socket(fileno=fd)
    except OSError as error:
        return -(error.errno or errno.EIO)
    try:
        return borrowed.send(message, _FLAGS)
    except OSError as error:
        return -(error.errno or errno.EIO)
    finally:
        borrowed.detach()
