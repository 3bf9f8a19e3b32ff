"""A board of the release before: it serves while it speaks the same protocol, else it is refused by name."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.engine.snapshot import BoardView
from app.mcu import frame, messages, shipped
from app.mcu.messages import RUN
from app.mcu.shipped import Shipped
from app.mcu.virtual import VirtualBoard
from tests.guards import PATIENCE, ROOT
from tests.mcu.host import Host
from tests.mcu.rig import IDENTITY, Listener, Rig
from tests.web.pictures import ACTIVE

OWN, OTHER = IDENTITY[0].hex(), "f" * 16
TARGET = "micropython"  # the rig's board is that firmware
Rigged = Callable[[Shipped], Rig]


@pytest.fixture
async def rigged() -> AsyncIterator[Rigged]:
    made: list[Rig] = []

    def make(carried: Shipped) -> Rig:
        made.append(Rig(shipped=carried))
        return made[0]

    yield make
    await made[0].end()


async def running(rig: Rig) -> BoardView:
    rig.connect(Listener())
    await rig.until(lambda: rig.link.view().state == "ready")
    rig.link.show(ACTIVE)
    await rig.until(lambda: rig.board.state == RUN)
    await rig.run(100)
    return rig.link.view()


def as_version(version: int) -> Callable[[bytes], bytes]:
    """What the board sends as one of another release would."""
    receiver = frame.Receiver()

    def mangle(data: bytes) -> bytes:
        found = (fields for _, fields in receiver.feed(data) if fields)
        return b"".join(frame.build(fields[0], version, *fields[2:]) for fields in found)

    return mangle


@pytest.mark.parametrize(
    ("carried", "outdated"),
    [
        (Shipped(1, {TARGET: OWN}), False),
        (Shipped(1, {TARGET: OTHER}), True),
        (Shipped(1, {"unoq": OTHER}), False),
        (Shipped(), False),
    ],
    ids=["its own", "another", "none for it", "a checkout"],
)
async def test_trades_with_firmware_of_another_release_and_says_so(
    rigged: Rigged, carried: Shipped, outdated: bool
) -> None:
    view = await running(rigged(carried))
    assert (view.state, view.firmware, view.outdated, view.foreign) == ("run", OWN, outdated, False)


async def test_refuses_another_version_of_the_protocol_and_says_why(rigged: Rigged) -> None:
    rig = rigged(Shipped(1, {TARGET: OWN}))
    engine = Listener()
    await running(rig)
    rig.link.connect(engine)
    rig.mangle = as_version(messages.VERSION + 1)
    await rig.run(3_000)
    view = rig.link.view()
    assert engine.heard == [(False, True)] and rig.board.state != RUN
    assert (view.state, view.foreign, view.outdated) == ("silent", True, True)
    assert view.detail == "the board speaks another version of the protocol"
    rig.mangle = lambda data: data
    await rig.until(lambda: rig.link.view().state != "silent")
    assert (rig.link.view().foreign, rig.link.view().outdated) == (False, False)


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The virtual board of a release whose protocol is the next version."""
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed (apt install gcc)")
    sources = tmp_path / "sources" / "board"
    shutil.copytree(ROOT / "board", sources, ignore=shutil.ignore_patterns("build", "__pycache__"))
    header = sources / "protocol.h"
    numbers = header.read_text()
    assert "#define P_VERSION 1 " in numbers
    header.write_text(numbers.replace("#define P_VERSION 1 ", "#define P_VERSION 2 "))
    words = [sys.executable, str(sources / "build.py"), "virtual-board"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return Path(done.stdout.strip())


async def test_a_board_of_another_protocol_that_has_just_begun_is_refused_by_name(
    later: Path, tmp_path: Path
) -> None:
    """It has heard no host of its own: without a word it would seem dead."""
    board = await VirtualBoard.start(later, tmp_path)
    host = Host(board.link, Listener())
    running = asyncio.create_task(host.run())
    try:
        async with asyncio.timeout(PATIENCE):
            while not host.link.view().foreign:
                await asyncio.sleep(0.01)
        assert host.link.view().detail == "the board speaks another version of the protocol"
        assert (await board.ask("state"))["output"] is False
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await board.stop()


def test_the_micropython_firmware_answers_a_host_of_another_version_once_a_frame() -> None:
    world = Rig()
    hello = frame.build(messages.HELLO, messages.VERSION + 1, 7, 1, 0, 0, b"\x81\x01")
    for _ in range(2):
        world.board.feed(hello, world.now_ms)
        out, _ = world.board.poll(world.now_ms)
        ((_, fields),) = frame.Receiver().feed(out)
        assert fields[:3] == (messages.WELCOME, messages.VERSION, 0)
        assert world.board.poll(world.now_ms)[0] == b""


def test_reads_what_a_release_carries(tmp_path: Path) -> None:
    file = tmp_path / "firmware.json"
    file.write_text(f'{{"protocol_version": 1, "firmware": {{"unoq": "{OTHER}"}}, "later": 2}}')
    assert shipped.read(file) == Shipped(1, {"unoq": OTHER})


@pytest.mark.parametrize("text", ["", "[]", '{"firmware": {"unoq": "short"}}', '{"firmware": 7}'])
def test_compares_with_nothing_where_the_list_makes_no_sense(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    file = tmp_path / "firmware.json"
    file.write_text(text)
    assert shipped.read(file) == Shipped()
    assert "compared with nothing" in caplog.text


def test_a_checkout_carries_no_list(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert shipped.read(tmp_path / "firmware.json") == Shipped() and not caplog.text
