"""Job `broadcast`: 100 updates a second of 200 bytes to 1,000 and 10,000 clients, flushed every 100 ms.

Nanoseconds of CPU are per delivered update, ten in a batch: who is sent the newest state has all ten.
`go_ns` is a goroutine per client that writes every update, the usual server and what the goal is measured
against. Most of the gain is the coalescing, not the language: `go_latest_ns` is Go coalescing the same way,
`cython_each_ns` is ours flushing every update. `cython_each` and `pure` are left out where their clients
would exceed the limit on open files. Senders connect to readers in processes of their own, whose CPU does
not count; on loopback the kernel charges much of receiving to the sender, to all alike.
"""

from __future__ import annotations

import asyncio
import importlib
import resource
import select
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from types import ModuleType

from native import fanout_py
from tests.bench.figures import Row
from tests.bench.side_by_side import ANSWER_SECONDS, ROOT, Contender, Outside, compare, compile_go, promise

UPDATES, SIZE = 10, 200  # of one batch; bytes of one update
CLIENTS = (1_000, 10_000)
SPARE = 500  # descriptors a process needs besides its clients
QUIET_SECONDS = 0.3  # of nothing arriving, then a reader has everything: senders wrote before it was asked
BACKLOG = 4096  # connections waiting to be accepted
PIECE = 1 << 16
MESSAGES = [f"{update:0{SIZE - 1}d}\n".encode() for update in range(UPDATES)]


def measure() -> list[Row]:
    """One row for each number of clients that the limit on descriptors admits."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
    return [row for clients in CLIENTS for row in _rows(clients, allowed - SPARE)]


def _rows(clients: int, room: int) -> list[Row]:
    if clients > room:
        return [{"job": "broadcast", "clients": clients, "failed": "the limit on open files is too low"}]
    unlocked, go = importlib.import_module("native.fanout_run"), compile_go("broadcast")
    ours = {"cython": (unlocked, UPDATES), "cython_each": (unlocked, 1), "pure": (fanout_py, UPDATES)}
    fitting = list(ours)[: room // clients]  # all of ours live in this process
    with ExitStack() as stack:
        contenders: dict[str, Contender] = {}
        for name in fitting:
            reader = stack.enter_context(Reader(clients))
            sending = stack.enter_context(Sending(*ours[name], reader.port, clients))
            contenders[name] = Watched(sending, reader)
        for name, mode in (("go", "each"), ("go_latest", "latest")):
            reader = stack.enter_context(Reader(clients))
            peer = stack.enter_context(Outside(go, str(reader.port), str(clients), mode))
            contenders[name] = Watched(peer, reader)
        row = compare("broadcast", contenders, None, clients * UPDATES)
    row = {"job": row["job"], "figure": f"{clients} clients"} | row
    return [promise(promise(row, "ratio_go", 0.5), "cython_ns", 1000.0)]


class Watched:
    """A sender whose result is what its reader received."""

    def __init__(self, sender: Sending | Outside, reader: Reader) -> None:
        self._sender, self._reader = sender, reader

    def result(self) -> str:
        self._sender.run(1)
        return self._reader.received()

    def run(self, repeats: int) -> int:
        return self._sender.run(repeats)


class Sending:
    """Ours: `clients` asyncio transports, the state published and flushed after every `each` updates."""

    def __init__(self, module: ModuleType, each: int, port: int, clients: int) -> None:
        self._loop, self._fanout, self._each = asyncio.new_event_loop(), module.Fanout(), each
        self._transports = self._loop.run_until_complete(self._connect(port, clients))

    async def _connect(self, port: int, clients: int) -> list[asyncio.Transport]:
        transports = []
        for _ in range(clients):
            transport, _ = await self._loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
            self._fanout.add(transport.get_extra_info("socket").fileno(), transport)
            transports.append(transport)
        return transports

    def __enter__(self) -> Sending:
        return self

    def __exit__(self, *_: object) -> None:
        for transport in self._transports:
            transport.abort()
        self._turn()
        self._loop.close()

    def run(self, repeats: int) -> int:
        """Publish that many batches, until every client was given the last; returns CPU nanoseconds."""
        begun = time.process_time_ns()
        for _ in range(repeats):
            for update, message in enumerate(MESSAGES, 1):
                self._fanout.publish(message)
                if update % self._each == 0:
                    self._flush()
        while self._fanout.waiting():
            self._flush()
        return time.process_time_ns() - begun

    def _flush(self) -> None:
        if self._fanout.flush():
            raise RuntimeError("broadcast: a client was dropped")
        self._turn()

    def _turn(self) -> None:
        """One turn of the loop, as the service takes between flushes."""
        self._loop.run_until_complete(asyncio.sleep(0))


class Reader:
    """A process that accepts `clients` connections and reads all they are sent."""

    def __init__(self, clients: int) -> None:
        command = [sys.executable, "-m", "tests.bench.broadcast", str(clients)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self._line())

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=ANSWER_SECONDS)

    def received(self) -> str:
        """Once all is quiet: how many clients, whether all has come in whole messages, the last ones."""
        assert self._process.stdin is not None
        self._process.stdin.write("received\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Sockets:
    """The reader's side: the clients' sockets, what came last on each, how many bytes in all."""

    def __init__(self, clients: int) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self._server.setblocking(False)
        self._clients = clients
        self._open: dict[int, socket.socket] = {}
        self._last: dict[int, bytes] = {}
        self._bytes: dict[int, int] = {}
        self._poll = select.epoll()
        self._poll.register(self._server, select.EPOLLIN)
        self._poll.register(0, select.EPOLLIN)
        print(self._server.getsockname()[1], flush=True)

    def serve(self) -> None:
        """Read until standard input ends."""
        asked, going = False, True
        while going:
            ready = [fd for fd, _ in self._poll.poll(QUIET_SECONDS if asked else None)]
            if 0 in ready:
                going = asked = bool(sys.stdin.readline())
            for fd in ready:
                self._read(fd)
            if asked and not ready and len(self._open) == self._clients:
                print(self._report(), flush=True)
                asked = False

    def _read(self, fd: int) -> None:
        if fd == self._server.fileno():
            self._accept()
        elif fd in self._open:
            piece = self._open[fd].recv(PIECE)
            self._last[fd] = (self._last[fd] + piece)[-SIZE:]
            self._bytes[fd] += len(piece)
            if not piece:
                self._poll.unregister(fd)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                client = self._server.accept()[0]
                fd = client.fileno()
                self._open[fd], self._last[fd], self._bytes[fd] = client, b"", 0
                self._poll.register(fd, select.EPOLLIN)

    def _report(self) -> str:
        whole = all(count > 0 and count % SIZE == 0 for count in self._bytes.values())
        last = {MESSAGES.index(message) if message in MESSAGES else -1 for message in self._last.values()}
        return f"clients {len(self._open)} whole {whole} last {sorted(last)}"


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    Sockets(int(sys.argv[1])).serve()
