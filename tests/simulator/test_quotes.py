"""Quotes over real sockets: whole frames whatever the buffers; the slow keep nobody waiting, the stuck go."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from app.clock import NS, VirtualClock
from app.simulator import quotes
from app.simulator.quotes import BEAT_NS, PATIENCE_NS, Quotes, text_frame
from tests.guards import PATIENCE
from tests.simulator.conftest import ES, MES, Bench

PIECE = 1 << 20


class Client:
    """The far end of one connection; reads when told to."""

    def __init__(self, buffer: int) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        for end in (self.near, self.far):
            end.setblocking(False)
        self.heard = bytearray()

    async def open(self) -> Client:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_connection(asyncio.Protocol, sock=self.near)
        return self

    def read(self, most: int = PIECE) -> None:
        with suppress(BlockingIOError):
            self.heard += self.far.recv(most)

    async def catch_up(self) -> None:
        while self.transport.get_write_buffer_size():
            self.read()
            await asyncio.sleep(0)
        self.read()

    def texts(self) -> list[str]:
        return [text for text in frames(bytes(self.heard))]

    def rows(self, contract: str = ES) -> list[dict[str, Any]]:
        records = [json.loads(text.removesuffix("\x1e")) for text in self.texts() if text[0] == "{"]
        return [r["arguments"][1] for r in records if r["arguments"][0] == contract]

    def quote(self, contract: str = ES) -> dict[str, Any]:
        """What a client that merges changes believes."""
        merged: dict[str, Any] = {}
        for row in self.rows(contract):
            merged |= row
        return merged


def frames(stream: bytes) -> Iterator[str]:
    """The texts of whole unmasked WebSocket frames; fails on anything else."""
    while stream:
        assert stream[0] == 0x81 and stream[1] < 128
        head, size = 2, stream[1]
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(stream[2:head], "big")
        assert len(stream) >= head + size
        yield stream[head : head + size].decode()
        stream = stream[head + size :]


class Stage:
    def __init__(self) -> None:
        self.clock, self.dropped, self.clients = VirtualClock(NS), [], []  # type: ignore[var-annotated]
        self.quotes = Quotes(self.clock, self.dropped.append)

    async def enter(self, buffer: int = PIECE, *contracts: str) -> Client:
        client = await Client(buffer).open()
        self.clients.append(client)
        for contract in contracts or (ES,):
            self.quotes.join(contract, client.transport)
        return client


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    async with asyncio.timeout(PATIENCE):
        yield made
    made.quotes.close()
    for client in made.clients:
        client.transport.abort()
        client.far.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_frames_of_every_length_are_read_back(size: int) -> None:
    assert list(frames(text_frame(b"x" * size) + text_frame(b"end"))) == ["x" * size, "end"]


async def test_sends_one_change_to_all_at_once_and_a_newcomer_the_whole(stage: Stage) -> None:
    clients = [await stage.enter() for _ in range(3)]
    stage.quotes.tell(ES, {"bestBid": 1, "bestAsk": 2})
    stage.clock.advance(BEAT_NS)
    stage.quotes.tell(ES, {"bestBid": 3})
    newcomer = await stage.enter()
    for client in (*clients, newcomer):
        client.read()
    assert [client.rows() for client in clients] == [[{"bestBid": 1, "bestAsk": 2}, {"bestBid": 3}]] * 3
    stage.clock.advance(BEAT_NS)
    newcomer.read()
    assert newcomer.rows() == [{"bestBid": 3, "bestAsk": 2}]


async def test_merges_what_comes_within_a_beat(stage: Stage) -> None:
    client = await stage.enter()
    for price in range(10):
        stage.quotes.tell(ES, {"lastPrice": price, f"m{price}": price})
    stage.clock.advance(BEAT_NS)
    client.read()
    assert len(client.rows()) == 2 and client.rows()[1] == {"lastPrice": 9} | {f"m{n}": n for n in range(10)}
    stage.clock.advance(BEAT_NS)
    assert stage.clock.next_due_ns() is None


@pytest.mark.parametrize("seed", range(5))
async def test_frames_of_quotes_and_of_the_outbox_stay_whole_whatever_the_buffers(
    stage: Stage, seed: int
) -> None:
    chance = random.Random(seed)
    clients = [await stage.enter(chance.choice((1, 5_000, 20_000, 100_000)), ES, MES) for _ in range(6)]
    own: dict[Client, list[str]] = {client: [] for client in clients}
    for turn in range(300):
        stage.quotes.tell(chance.choice((ES, MES)), {"n": turn, "pad": "x" * chance.randrange(2_000)})
        client = chance.choice(clients)
        if chance.random() < 0.3:
            own[client].append(f"own {turn} " + "y" * chance.randrange(3_000))
            client.transport.write(text_frame(own[client][-1].encode()))
        stage.clock.advance(chance.randrange(2 * BEAT_NS))
        if chance.random() < 0.7:
            chance.choice(clients).read(chance.choice((1, 500, 10_000)))
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    for _ in range(3):
        for client in clients:
            await client.catch_up()
        stage.clock.advance(BEAT_NS)
    for client in clients:
        client.read()
        assert [text for text in client.texts() if text.startswith("own")] == own[client]
        for contract in (ES, MES):
            assert client.quote(contract) == stage.quotes._boards[contract].row
    assert stage.dropped == []


async def test_drops_a_client_that_takes_nothing_and_leaves_the_others_alone(stage: Stage) -> None:
    stuck, well = await stage.enter(1), await stage.enter()
    for turn in range(2 * PATIENCE_NS // (100 * BEAT_NS)):
        stage.quotes.tell(ES, {"n": turn, "pad": "x" * 3_000})
        stage.clock.advance(100 * BEAT_NS)
        well.read()
    assert stage.dropped == [stuck.transport] and stuck.transport.is_closing()
    assert well.quote()["n"] == turn and len(well.rows()) == turn + 1


async def test_forgets_the_quote_with_the_last_listener(stage: Stage) -> None:
    first, second = await stage.enter(), await stage.enter()
    stage.quotes.tell(ES, {"n": 1})
    first.transport.abort()
    stage.clock.advance(BEAT_NS)
    stage.quotes.tell(ES, {"n": 2})
    assert stage.dropped == [first.transport]
    stage.quotes.leave(ES, first.transport)
    stage.quotes.leave(ES, second.transport)
    stage.quotes.tell(ES, {"n": 3})
    late = await stage.enter()
    stage.clock.advance(BEAT_NS)
    late.read()
    assert late.heard == b""


async def test_a_client_that_reads_nothing_is_cut_and_leaves_the_hub(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the whole server: the stuck one is dropped, an aiohttp client beside it keeps hearing."""
    monkeypatch.setattr(quotes, "PATIENCE_NS", 2 * BEAT_NS)
    stuck = await bench.hub("market")
    await stuck.call("SubscribeContractQuotes", ES)
    connection = next(iter(bench.simulator.hubs.connections))
    assert connection.transport is not None
    connection.transport.pause_reading()
    connection.transport.get_write_buffer_size = lambda: 1  # type: ignore[method-assign]
    hub = await bench.hub("market")
    await hub.call("SubscribeContractQuotes", ES)
    for _ in range(20):
        bench.clock.advance(NS // 5)
        await hub.call("SubscribeContractQuotes", ES)
    assert connection.closed and connection not in bench.simulator.hubs.connections
    assert len(hub.events("GatewayQuote")) > 5
    async with asyncio.timeout(PATIENCE):
        while (await stuck.socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    await hub.socket.close()  # its answer is on the way: the session alone would leave the connection open
