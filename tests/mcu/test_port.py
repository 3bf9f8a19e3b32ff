"""The serial port on the loop, over a pty: bytes both ways, bounded, a tty that vanishes or takes nothing."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import Unreachable
from app.mcu.opener import Opener
from app.mcu.port import READ_LIMIT, WRITE_LIMIT, Port, open_port
from tests.guards import PATIENCE

BAUD = 115_200


class Pty:
    """The far end, and what the port told."""

    def __init__(self) -> None:
        self.far, near = os.openpty()
        tty.setraw(near)
        self.device = Path(os.ttyname(near))
        os.close(near)
        os.set_blocking(self.far, False)
        self.got = bytearray()
        self.chunks: list[int] = []
        self.ended: list[str] = []

    def received(self, data: bytes) -> None:
        self.got += data
        self.chunks.append(len(data))

    async def port(self) -> Port:
        return await open_port(self.device, BAUD, self.received, self.ended.append, Opener("board", PATIENCE))

    def unplug(self) -> None:
        if self.far >= 0:
            os.close(self.far)
            self.far = -1

    def read(self) -> bytes:
        try:
            return os.read(self.far, 65_536)
        except BlockingIOError:
            return b""


@pytest.fixture
def pty() -> Iterator[Pty]:
    made = Pty()
    yield made
    made.unplug()


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def test_carries_every_byte_both_ways(pty: Pty) -> None:
    port = await pty.port()
    everything = bytes(range(256)) * 4
    os.write(pty.far, everything)
    await until(lambda: bytes(pty.got) == everything)
    port.write(everything)
    echoed = bytearray()
    async with asyncio.timeout(PATIENCE):
        while len(echoed) < len(everything):
            echoed += pty.read()
            await asyncio.sleep(0)
    assert bytes(echoed) == everything and not pty.ended
    port.close()


async def test_takes_a_bounded_batch_at_a_time(pty: Pty) -> None:
    port = await pty.port()
    sent = 0
    async with asyncio.timeout(PATIENCE):
        while sent < 4 * READ_LIMIT:
            try:
                sent += os.write(pty.far, b"x" * READ_LIMIT)
            except BlockingIOError:
                await asyncio.sleep(0)
    await until(lambda: len(pty.got) == sent)
    assert max(pty.chunks) <= READ_LIMIT
    port.close()


async def test_tells_once_that_the_tty_vanished(pty: Pty) -> None:
    port = await pty.port()
    pty.unplug()
    await until(lambda: pty.ended)
    port.write(b"anything")
    port.close()
    assert len(pty.ended) == 1 and not port.open


async def test_gives_up_a_tty_that_takes_nothing_and_never_waits_for_it(pty: Pty) -> None:
    port = await pty.port()
    for _ in range(10_000):
        port.write(b"x" * 100)
        if pty.ended:
            break
    assert pty.ended and "takes no bytes" in pty.ended[0] and not port.open


async def test_sends_what_waited_in_order_once_the_tty_takes_it(pty: Pty) -> None:
    port = await pty.port()
    sent = bytearray()
    while not port._waiting and port.open:
        piece = len(sent).to_bytes(4, "big")
        port.write(piece)
        sent += piece
    port.write(b"last")
    sent += b"last"
    got = bytearray()
    async with asyncio.timeout(PATIENCE):
        while len(got) < len(sent):
            got += pty.read()
            await asyncio.sleep(0)
    assert got == sent and len(port._waiting) <= WRITE_LIMIT
    await until(lambda: not port._waiting)
    port.close()


async def test_refuses_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="board"):
        await open_port(tmp_path / "nothing", BAUD, print, print, Opener("board", PATIENCE))


async def test_refuses_what_is_no_tty(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(Unreachable, match="board"):
        await open_port(file, BAUD, print, print, Opener("board", PATIENCE))


async def test_has_the_port_for_itself_and_leaves_it_free(pty: Pty) -> None:
    opener = Opener("board", PATIENCE)
    port = await open_port(pty.device, BAUD, pty.received, pty.ended.append, opener)
    with pytest.raises(Unreachable):
        await pty.port()
    port.close()
    port.close()
    (await open_port(pty.device, BAUD, pty.received, pty.ended.append, opener)).close()
    await opener.free()
    (await pty.port()).close()
    assert not pty.ended


async def test_comes_back_as_a_new_port_at_the_same_place(pty: Pty, tmp_path: Path) -> None:
    link = tmp_path / "board"
    link.symlink_to(pty.device)
    opener = Opener("board", PATIENCE)
    port = await open_port(link, BAUD, pty.received, pty.ended.append, opener)
    other = Pty()
    link.unlink()
    link.symlink_to(other.device)
    pty.unplug()
    await until(lambda: pty.ended)
    again = await open_port(link, BAUD, other.received, other.ended.append, opener)
    os.write(other.far, b"here")
    await until(lambda: bytes(other.got) == b"here")
    again.close()
    other.unplug()
    assert not port.open
