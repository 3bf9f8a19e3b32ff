"""Guest mode: the link's bytes through a router, both ways, in messages it passes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.errors import Later
from app.mcu.guest import CHUNK, FROM_BOARD, TO_BOARD, WRITE_LIMIT, Guest, open_guest
from app.mcu.router import Router
from tests.guards import PATIENCE
from tests.mcu.router import MESSAGE_LIMIT, SmallRouter


class Sketch:
    """The microcontroller's side of the router."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.sizes: list[int] = []
        self.router = Router(self._called)

    def _called(self, method: str, params: list[bytes]) -> None:
        self.got += params[0]
        self.sizes.append(len(params[0]))

    async def start(self, small: SmallRouter) -> None:
        await self.router.open(small.path)
        await self.router.call("$/register", TO_BOARD)


class Held:
    def __init__(self) -> None:
        self.got = bytearray()
        self.ended: list[str] = []

    async def guest(self, small: SmallRouter) -> Guest:
        return await open_guest(small.path, self.got.extend, self.ended.append)


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[SmallRouter]:
    made = SmallRouter(tmp_path / "router.sock")
    await made.start()
    yield made
    await made.stop()


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def test_carries_every_byte_both_ways_whether_notified_or_called(small: SmallRouter) -> None:
    sketch, held = Sketch(), Held()
    await sketch.start(small)
    guest = await held.guest(small)
    down = bytes(range(256)) * 2
    guest.write(down)
    await until(lambda: bytes(sketch.got) == down)
    assert max(sketch.sizes) <= CHUNK < MESSAGE_LIMIT
    sketch.router.notify(FROM_BOARD, b"\x00notified")
    assert await sketch.router.call(FROM_BOARD, b"\xffcalled") is True
    await until(lambda: bytes(held.got) == b"\x00notified\xffcalled")
    guest.close()
    sketch.router.close()


async def test_ignores_what_is_no_bytes(small: SmallRouter) -> None:
    sketch, held = Sketch(), Held()
    await sketch.start(small)
    guest = await held.guest(small)
    for params in ((), ("text",), (7,), (None,)):
        await sketch.router.call(FROM_BOARD, *params)
    assert not held.got and not held.ended
    guest.close()
    sketch.router.close()


async def test_tells_once_that_the_router_went_away(small: SmallRouter) -> None:
    held = Held()
    guest = await held.guest(small)
    small.hang_up()
    await until(lambda: held.ended)
    guest.write(b"x")
    guest.close()
    assert len(held.ended) == 1


async def test_gives_up_a_router_that_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stuck.sock"
    ends: list[asyncio.StreamWriter] = []

    async def register_then_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(writer)
        await reader.read(1)
        writer.write(b"\x94\x01\x01\xc0\xc3")
        reader._transport.pause_reading()  # type: ignore[attr-defined]

    server = await asyncio.start_unix_server(register_then_nothing, path)
    held = Held()
    guest = await open_guest(path, held.got.extend, held.ended.append)
    for _ in range(100_000):
        guest.write(b"x" * CHUNK)
        if held.ended:
            break
    assert held.ended == ["the router takes no messages"] and guest._router.waiting() <= WRITE_LIMIT
    for end in ends:
        end.close()
    server.close()
    await asyncio.sleep(0)


async def test_says_why_it_cannot_be_a_guest(small: SmallRouter, tmp_path: Path) -> None:
    held = Held()
    with pytest.raises(Later):
        await open_guest(tmp_path / "nothing", held.got.extend, held.ended.append)
    first = await held.guest(small)
    with pytest.raises(Later, match="route already exists"):
        await held.guest(small)
    first.close()
    assert not held.ended
