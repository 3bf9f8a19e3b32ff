"""The order connections against a raw server: written at once, told after the close, never repeated."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from app import listeners
from app.clock import MS, NS, SystemClock, VirtualClock
from app.errors import Unreachable
from app.venues.topstepx import wire
from app.venues.topstepx.codec.http1 import Answer
from app.venues.topstepx.limiter import Lane
from app.venues.topstepx.times import TIMES
from app.venues.topstepx.wire import Address, Pool, Request
from tests.guards import PATIENCE

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Probe(Request):
    """A request that notes everything that happens to it."""

    def __init__(
        self,
        name: str = "r",
        lane: Lane = Lane.GENERAL,
        refusal: str = "",
        timeout_ns: int = int(PATIENCE) * NS,
    ) -> None:
        self.name, self.lane, self.refusal, self.timeout_ns = name, lane, refusal, timeout_ns
        self.events: list[str] = []
        self.proves = True
        self.ended = asyncio.Event()

    def encode(self) -> bytes:
        return b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(self.name), self.name.encode())

    def may_send(self) -> str:
        self.events.append("may")
        return self.refusal

    def withheld(self, reason: str) -> None:
        self._note(f"withheld {reason}")

    def sent(self) -> None:
        self.events.append("sent")

    def answered(self, answer: Answer) -> bool:
        if self.proves:
            self._note(f"answered {answer.status}")
        return self.proves

    def failed(self, problem: str, sent: bool) -> None:
        self._note(f"failed {'sent' if sent else 'unsent'} {problem}")

    def _note(self, event: str) -> None:
        self.events.append(event)
        self.ended.set()

    async def end(self) -> str:
        async with asyncio.timeout(PATIENCE):
            await self.ended.wait()
        return self.events[-1]


class Server:
    """Counts connections and hands each request to `talk`."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.connections = 0
        self.heard = b""
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self.talk(reader, writer)
        writer.close()


async def request_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0] or 0)
    return await reader.readexactly(length)


async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await request_of(reader)
        writer.write(GOOD)


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


def saying(*parts: bytes, close: bool = False) -> Talk:
    """Answer each request with `parts`, one write each, and close if told to."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_of(reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if close:
                return

    return talk


@contextlib.asynccontextmanager
async def pool_at(
    talk: Talk,
    clock: SystemClock | VirtualClock | None = None,
    warm: int = 2,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
) -> AsyncIterator[tuple[Pool, Server]]:
    server = Server(talk)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls[0] if tls else None)
    port = listener.sockets[0].getsockname()[1]
    pool = Pool(Address("127.0.0.1", port, tls[1] if tls else None), clock or SystemClock(), TIMES)
    try:
        for _ in range(warm):
            await pool.connect()
        yield pool, server
    finally:
        pool.stop()
        await listeners.close([listener])
        await asyncio.sleep(0)  # whoever came last is served
        for writer in server.writers:
            writer.transport.abort()
        await asyncio.sleep(0)
        await listener.wait_closed()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with a certificate made for this run, and of a client that trusts it."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=simulator"
    make += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
    subprocess.run(["openssl", *make.split()], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=str(cert))


async def test_writes_in_the_same_call_when_a_connection_is_warm() -> None:
    async with pool_at(polite) as (pool, _):
        probe = Probe()
        pool.post(probe)
        assert probe.events == ["may", "sent"]
        assert await probe.end() == "answered 200"


async def test_nothing_leaves_when_the_last_check_says_no() -> None:
    async with pool_at(polite) as (pool, _):
        first, second = Probe(refusal="halted"), Probe()
        pool.post(first)
        pool.post(second)
        assert first.events == ["may", "withheld halted"]
        assert await second.end() == "answered 200"
        assert len(pool._idle) == 2


async def test_an_order_leaves_the_reserved_connection_alone_and_a_cancel_takes_it() -> None:
    async with pool_at(mute) as (pool, _):
        order, second, cancel = Probe(), Probe(), Probe(lane=Lane.KILL)
        pool.post(order)
        pool.post(second)
        assert second.events == []
        pool.post(cancel)
        assert cancel.events == ["may", "sent"]


async def test_cancels_go_before_waiting_orders() -> None:
    release = asyncio.Event()

    async def gated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_of(reader)
            await release.wait()
            writer.write(GOOD)

    async with pool_at(gated) as (pool, _):
        busy = [Probe("a", Lane.KILL), Probe("b", Lane.KILL)]
        waiting = [Probe("order"), Probe("read", Lane.KILL_READ), Probe("cancel", Lane.KILL)]
        order_of_sending: list[str] = []
        for probe in busy + waiting:
            probe.sent = lambda p=probe: order_of_sending.append(p.name)  # type: ignore[method-assign, misc]
            pool.post(probe)
        release.set()
        for probe in waiting:
            assert await probe.end() == "answered 200"
        assert order_of_sending == ["a", "b", "cancel", "read", "order"]


@pytest.mark.parametrize(
    "parts",
    [
        [GOOD[i : i + 1] for i in range(len(GOOD))],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no", b"\r\n1\r\nk\r\n0", b"\r\n\r\n"],
    ],
)
async def test_reads_answers_in_pieces_and_keeps_the_connection(parts: list[bytes]) -> None:
    async with pool_at(saying(*parts)) as (pool, server):
        for _ in range(3):
            probe = Probe()
            pool.post(probe)
            assert await probe.end() == "answered 200"
        assert server.connections == 2


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([GOOD[:20]], "connection lost"),
        ([GOOD[:-1]], "connection lost"),
        ([], "connection lost"),
        ([b"<html>\r\n\r\n"], "HTTP answer"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000], "a head of more than"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"], "a body of more than"),
    ],
)
async def test_a_broken_answer_is_told_after_the_connection_closed(parts: list[bytes], words: str) -> None:
    async with pool_at(saying(*parts, close=True)) as (pool, _):
        probe, open_then = Probe(), []
        carrier = pool._idle[-1]
        probe.failed = lambda problem, sent: (  # type: ignore[method-assign]
            # type: ignore[union-attr]
            open_then.append(carrier._transport.get_extra_info("socket").fileno()),
            probe._note(f"{sent} {problem}"),
        )[0]
        pool.post(probe)
        assert words in await probe.end() and probe.events[-1].startswith("True")
        assert open_then == [-1]


async def test_an_answer_that_proves_nothing_closes_first() -> None:
    async with pool_at(polite) as (pool, _):
        probe = Probe()
        probe.proves = False
        pool.post(probe)
        assert await probe.end() == "failed sent the answer proves nothing"
        assert len(pool._all) == 1


async def test_a_time_out_closes_hard_and_is_ambiguous() -> None:
    clock = VirtualClock(NS)
    reset = asyncio.Event()

    async def watching(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(-1)
        except ConnectionResetError:
            reset.set()

    async with pool_at(watching, clock) as (pool, _):
        probe = Probe(timeout_ns=3 * NS)
        pool.post(probe)
        clock.advance(3 * NS - 1)
        await asyncio.sleep(0)
        assert probe.events == ["may", "sent"]
        clock.advance(1)
        assert await probe.end() == "failed sent no answer in time"
        async with asyncio.timeout(PATIENCE):
            await reset.wait()


async def test_bytes_nobody_asked_for_end_a_connection() -> None:
    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await reader.read(-1)

    async with pool_at(chatty, warm=1) as (pool, _):
        async with asyncio.timeout(PATIENCE):
            while pool._all:
                await asyncio.sleep(0)
        assert pool._idle == []


async def test_the_venue_closing_after_an_answer_is_no_failure() -> None:
    last = GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    async with pool_at(saying(last, close=True)) as (pool, _):
        probe = Probe()
        pool.post(probe)
        assert await probe.end() == "answered 200"
        assert len(pool._idle) == 1


async def test_never_two_requests_on_one_connection() -> None:
    async with pool_at(mute) as (pool, _):
        probes = [Probe(lane=Lane.KILL) for _ in range(3)]
        for probe in probes:
            pool.post(probe)
        assert [probe.events for probe in probes] == [["may", "sent"], ["may", "sent"], []]


async def test_the_queue_is_bounded() -> None:
    async with pool_at(mute, warm=0) as (pool, _):
        probes = [Probe() for _ in range(wire.MAX_QUEUE + 1)]
        for probe in probes:
            pool.post(probe)
        assert probes[-1].events == [f"failed unsent {wire.MAX_QUEUE} requests are waiting already"]
        assert probes[0].events == []


async def test_a_queue_full_of_orders_refuses_no_cancel() -> None:
    async with pool_at(mute, warm=0) as (pool, _):
        for _ in range(wire.MAX_QUEUE):
            pool.post(Probe())
        kills = [Probe(lane=lane) for lane in (Lane.KILL, Lane.KILL_READ)]
        for kill in kills:
            pool.post(kill)
        assert [kill.events for kill in kills] == [[], []]


async def test_run_opens_the_warm_connections_and_more_when_they_are_busy() -> None:
    async with pool_at(mute, warm=0) as (pool, server):
        task = asyncio.create_task(pool.run(Probe))
        async with asyncio.timeout(PATIENCE):
            while server.connections < wire.WARM:
                await asyncio.sleep(0)
            for _ in range(20):
                pool.post(Probe())
            while server.connections < wire.LIMIT:
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert server.connections == wire.LIMIT


async def test_idle_connections_are_pinged_in_turn() -> None:
    clock, pings = VirtualClock(NS), []

    def ping() -> Probe:
        pings.append(Probe("ping", Lane.KILL))
        return pings[-1]

    async with pool_at(polite, clock, warm=wire.WARM) as (pool, _):
        task = asyncio.create_task(pool.run(ping))
        for count in range(1, wire.WARM + 1):
            await asyncio.sleep(0)
            clock.advance(wire.TURN_NS)
            async with asyncio.timeout(PATIENCE):
                while len(pings) < count:
                    await asyncio.sleep(0)
            assert await pings[-1].end() == "answered 200"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert all(connection.used_ns > NS for connection in pool._all)


async def test_connections_in_use_are_neither_pinged_nor_closed() -> None:
    clock, pings = VirtualClock(NS), list[Probe]()

    def ping() -> Probe:
        pings.append(Probe("ping", Lane.KILL))
        return pings[-1]

    async with pool_at(polite, clock, warm=wire.LIMIT) as (pool, _):
        task = asyncio.create_task(pool.run(ping))
        for _ in range(5):
            pool._bell.ring()
            await asyncio.sleep(0)
        assert len(pool._all) == wire.LIMIT and pings == []
        for left in range(wire.LIMIT - 1, wire.WARM - 1, -1):
            clock.advance(wire.TURN_NS)
            async with asyncio.timeout(PATIENCE):
                while len(pool._all) > left:
                    await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(pool._all) == wire.WARM and pings == []


async def test_a_refused_connect_tells_the_waiting_that_nothing_left() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        pool = Pool(Address("127.0.0.1", unused.getsockname()[1], None), SystemClock(), TIMES)
        task = asyncio.create_task(pool.run(Probe))
        probe = Probe()
        pool.post(probe)
        assert (await probe.end()).startswith("failed unsent 127.0.0.1")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        pool.stop()


async def test_a_connect_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(address)
        pool = Pool(Address("127.0.0.1", address[1], None), SystemClock(), replace(TIMES, connect_ns=20 * MS))
        with pytest.raises(Unreachable, match="TimeoutError"):
            await pool.connect()
        pool.stop()
        for filler in fillers:
            filler.close()


async def test_stop_tells_everybody_and_may_be_called_twice() -> None:
    async with pool_at(mute) as (pool, _):
        sent, waiting, late = Probe(lane=Lane.KILL), Probe(), Probe()
        pool.post(sent)
        pool.post(waiting)
        pool.stop()
        pool.stop()
        pool.post(late)
        assert await sent.end() == "failed sent stopped"
        assert waiting.events == ["failed unsent stopped"]
        assert late.events == ["failed unsent the connection pool is stopped"]


async def test_over_tls_the_bytes_leave_in_the_same_call_too(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with pool_at(polite, tls=tls) as (pool, _):
        for _ in range(3):
            probe = Probe()
            pool.post(probe)
            assert probe.events == ["may", "sent"]
            assert await probe.end() == "answered 200"


async def test_over_tls_a_time_out_closes_the_socket_before_it_is_told(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    clock = VirtualClock(NS)
    async with pool_at(mute, clock, tls=tls) as (pool, _):
        probe, told = Probe(timeout_ns=NS), list[int]()
        carrier = pool._idle[-1]._transport
        assert carrier is not None
        raw = carrier.get_extra_info("socket")
        # type: ignore[method-assign]
        probe.failed = lambda problem, sent: (told.append(raw.fileno()), probe._note(problem))[0]
        pool.post(probe)
        clock.advance(NS)
        assert await probe.end() == "no answer in time"
        assert told == [-1]


async def test_a_certificate_nobody_vouches_for_is_unreachable(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    with pytest.raises(Unreachable, match="SSLCertVerificationError"):
        async with pool_at(polite, tls=(tls[0], ssl.create_default_context())):
            pass
