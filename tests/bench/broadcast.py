"""Job `broadcast`: 100 updates a second of 200 bytes to 1,000 and 10,000 clients, flushed every 100 ms.

Nanoseconds of CPU are per delivered update, ten in a batch: who is sent the newest state has all ten.
`go_ns` is a goroutine per client that writes every update, the usual server and what the goal is measured
against, `c_ns` one thread with epoll that does the same. Most of the gain is the coalescing, not the
language: `go_latest_ns` and `c_latest_ns` coalesce the same way, `cython_each_ns` is ours flushing every
update. `..._deliveries_s` is what was delivered in a second of the clock, as fast as it goes. Every sender
and every reader is a process of its own; the readers' CPU does not count, but on loopback the kernel charges
much of receiving to the sender, to all alike.
"""

from __future__ import annotations

import asyncio
import importlib
import resource
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.bench.figures import Row
from tests.bench.side_by_side import (
    ANSWER_SECONDS,
    ROOT,
    Contender,
    Outside,
    compare,
    compile_c,
    compile_go,
    promise,
)

UPDATES, SIZE = 10, 200  # of one batch; bytes of one update
CLIENTS = (1_000, 10_000)
RATED = ("cython", "go", "c")  # whose deliveries a second are taken, at the larger number of clients
RATE_SECONDS, RATE_ROUNDS = 1.0, 5
SPARE = 500  # descriptors a process needs besides its clients
QUIET_SECONDS = 0.3  # of nothing arriving, then a reader has everything: senders wrote before it was asked
BACKLOG = 4096  # connections waiting to be accepted
PIECE = 1 << 16
MESSAGES = [f"{update:0{SIZE - 1}d}\n".encode() for update in range(UPDATES)]
OURS = {"cython": ("fanout_run", UPDATES), "pure": ("fanout_py", UPDATES), "cython_each": ("fanout_run", 1)}
GOAL_GO, GOAL_NS, GOAL_DELIVERIES = 0.5, 1_000.0, 1_000_000


def measure() -> list[Row]:
    """One row for each number of clients that the limit on descriptors admits."""
    _raise_limit()
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE
    return [_row(clients) if clients <= room else _too_many(clients) for clients in CLIENTS]


def _raise_limit() -> None:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))


def _too_many(clients: int) -> Row:
    return {
        "job": "broadcast",
        "figure": f"{clients} clients",
        "failed": "the limit on open files is too low",
    }


def _row(clients: int) -> Row:
    with ExitStack() as stack:
        contenders: dict[str, Contender | None] = {}
        for name, program in _programs().items():
            contenders[name] = None if program is None else stack.enter_context(Watched(program, clients))
        row = compare("broadcast", contenders, None, clients * UPDATES)
        row = {"job": row["job"], "figure": f"{clients} clients", "clients": clients} | row
        row = promise(promise(row, "ratio_go", GOAL_GO), "cython_ns", GOAL_NS)
        if clients < max(CLIENTS):
            return row
        row |= _rates({name: contenders.get(name) for name in RATED}, clients)
        return promise(row, "cython_deliveries_s", least=GOAL_DELIVERIES)


def _programs() -> dict[str, list[str] | None]:
    """The command line of each sender but for port and clients; None for what cannot be built here."""
    ours = [sys.executable, "-m", __spec__.name, "send"]
    lines: dict[str, list[str] | None] = {name: [*ours, *map(str, how)] for name, how in OURS.items()}
    for language, program in (("c", compile_c("broadcast")), ("go", compile_go("broadcast"))):
        for suffix, mode in (("", "each"), ("_latest", "latest")):
            lines[language + suffix] = None if program is None else [str(program), mode]
    return lines


def _rates(contenders: Mapping[str, Contender | None], clients: int) -> Row:
    """Updates delivered in a second of the clock: medians, the contenders in turn."""
    samples: dict[str, list[float]] = {name: [] for name, contender in contenders.items() if contender}
    for _ in range(RATE_ROUNDS):
        for name, each in samples.items():
            each.append(_rate(contenders[name], clients))
    return {f"{name}_deliveries_s": round(statistics.median(each)) for name, each in samples.items()}


def _rate(contender: Contender | None, clients: int) -> float:
    """Batches until the second is over; a sender returns when all its clients were given the last."""
    assert contender is not None
    begun, batches = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < RATE_SECONDS:
        contender.run(2)
        batches += 2
    return batches * UPDATES * clients / spent


class Watched:
    """A sender with a reader of its own; its result is what the reader received."""

    def __init__(self, program: list[str], clients: int) -> None:
        self._stack = ExitStack()
        self._reader = self._stack.enter_context(Reader(clients))
        command = [*program, str(self._reader.port), str(clients)]
        self._sender = self._stack.enter_context(Outside(Path(command[0]), *command[1:]))

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def result(self) -> str:
        self._sender.run(1)
        return self._reader.received()

    def run(self, repeats: int) -> int:
        return self._sender.run(repeats)


class Sending:
    """Ours: `clients` asyncio transports, the state published and flushed after every `each` updates."""

    def __init__(self, module: str, each: int, port: int, clients: int) -> None:
        self._fanout = importlib.import_module(f"native.{module}").Fanout()
        self._loop, self._each = asyncio.new_event_loop(), each
        self._loop.run_until_complete(self._connect(port, clients))

    async def _connect(self, port: int, clients: int) -> None:
        for _ in range(clients):
            transport, _ = await self._loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
            self._fanout.add(transport.get_extra_info("socket").fileno(), transport)

    def serve(self) -> None:
        """Answer `check` and `run N` on standard input, like the peers."""
        for line in sys.stdin:
            command, _, repeats = line.partition(" ")
            spent = self._run(int(repeats or 1))
            print(spent if command == "run" else "sent", flush=True)

    def _run(self, repeats: int) -> int:
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
        """One flush and one turn of the loop, as the service takes between flushes."""
        if self._fanout.flush():
            raise RuntimeError("broadcast: a client was dropped")
        self._loop.run_until_complete(asyncio.sleep(0))


class Reader:
    """A process that accepts `clients` connections and reads all they are sent."""

    def __init__(self, clients: int) -> None:
        command = [sys.executable, "-m", __spec__.name, "read", str(clients)]
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
    _raise_limit()
    if sys.argv[1] == "read":
        Sockets(int(sys.argv[2])).serve()
    else:
        Sending(sys.argv[2], *map(int, sys.argv[3:])).serve()
