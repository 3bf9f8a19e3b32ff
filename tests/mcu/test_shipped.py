"""A board of the release before: it serves while it speaks the same protocol, else it is refused by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.engine.snapshot import BoardView
from app.mcu import frame, messages, shipped
from app.mcu.messages import RUN
from app.mcu.shipped import Shipped
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
