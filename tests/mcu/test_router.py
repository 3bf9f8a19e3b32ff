"""The router's client: answers in pieces, errors, silence, nonsense; never more than a bounded buffer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Later, Refused, Theirs, Unreachable
from app.mcu import router as module
from app.mcu.router import BATCH_LIMIT, MESSAGE_LIMIT, Router, item_size
from tests.guards import PATIENCE
from tests.mcu.router import SmallRouter

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False),
    st.binary(max_size=300), st.text(max_size=80),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=3), inner, max_size=20),
    max_leaves=30,
)


def encoded(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


@given(VALUES, st.binary(max_size=20))
def test_finds_the_end_of_every_item(value: object, more: bytes) -> None:
    data = encoded(value)
    try:
        assert item_size(data + more) == len(data)
        assert all(item_size(data[:size]) in (0, size) for size in range(len(data)))
    except Theirs as error:
        assert "deeply" in str(error)


@given(st.binary(max_size=64))
def test_finds_no_end_beyond_what_is_there(data: bytes) -> None:
    try:
        assert 0 <= item_size(data) <= len(data)
    except Theirs as error:
        assert "router" in str(error)


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[SmallRouter]:
    made = SmallRouter(tmp_path / "router.sock")
    await made.start()
    yield made
    await made.stop()


class Client(Router):
    def __init__(self) -> None:
        self.heard: list[tuple[str, list[Any]]] = []
        self.ended: list[str] = []
        super().__init__(lambda method, params: self.heard.append((method, params)), self.ended.append)


async def connected(small: SmallRouter) -> Client:
    client = Client()
    await client.open(small.path)
    return client


async def ended(client: Client) -> str:
    async with asyncio.timeout(PATIENCE):
        while not client.ended:
            await asyncio.sleep(0.001)
    (why,) = client.ended
    return why


@pytest.mark.parametrize("cut", [0, 1, 3])
async def test_calls_and_is_called(small: SmallRouter, cut: int) -> None:
    small.cut = cut
    first, second = await connected(small), await connected(small)
    assert await first.call("$/register", "sum") is True
    assert await second.call("sum", 2, b"\x00\xff") is True, "we confirm what we are asked"
    second.notify("sum", "again")
    async with asyncio.timeout(PATIENCE):
        while len(first.heard) < 2:
            await asyncio.sleep(0.001)
    assert first.heard == [("sum", [2, b"\x00\xff"]), ("sum", ["again"])]
    first.close()
    second.close()
    first.close()
    assert not first.ended and not second.ended


async def test_raises_what_the_router_refuses(small: SmallRouter) -> None:
    client = await connected(small)
    with pytest.raises(Refused, match="method nothing not available"):
        await client.call("nothing")
    client.close()


async def test_gives_up_a_router_that_does_not_answer(
    small: SmallRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_S", 0.01)
    small.deaf = True
    client = await connected(small)
    with pytest.raises(Unreachable, match="no answer to x"):
        await client.call("x")
    client.close()
    with pytest.raises(Later, match="not connected"):
        await client.call("x")


async def test_tells_that_the_router_went_away_and_ends_its_open_calls(small: SmallRouter) -> None:
    small.deaf = True
    client = await connected(small)
    call = asyncio.create_task(client.call("x"))
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        while not small._writers:
            await asyncio.sleep(0.001)
    small.hang_up()
    with pytest.raises(Unreachable):
        await call
    assert "ended" in await ended(client)
    client.notify("nobody")


async def test_refuses_a_socket_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await Router().open(tmp_path / "nothing")


def test_takes_no_error_of_the_engine_for_one_of_the_router() -> None:
    def broken(_method: str, _params: list[Any]) -> None:
        raise ValueError("a bug in the engine")

    ended: list[str] = []
    client = Router(broken, ended.append)
    client.connection_made(asyncio.Transport())
    with pytest.raises(ValueError, match="a bug in the engine"):
        client.data_received(encoded([2, "plimsoll/up", [b""]]))
    assert not ended


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (encoded([7, 1]), "no RPC"),
        (encoded("hello"), "no RPC"),
        (b"\xd4\x01\x02", "0xd4"),
        (b"\x91" * 20, "deeply"),
        (b"\xdc\xff\xff" + b"\x01" * MESSAGE_LIMIT, "more than"),
        (encoded([2, "m", [bytes(MESSAGE_LIMIT)]]), "more than"),
        (encoded([2, "m", []]) * (BATCH_LIMIT + 1), "at once"),
        (b"\xa1\xff", "router"),
    ],
)
async def test_ends_a_connection_that_makes_no_sense(small: SmallRouter, data: bytes, why: str) -> None:
    client = await connected(small)
    async with asyncio.timeout(PATIENCE):
        while not small._writers:
            await asyncio.sleep(0.001)
    small.raw(data)
    told = await ended(client)
    assert why in told or why == "router"
