"""Engine, link and the board's rules together on a virtual clock, under every fault there is, at random.

After each millisecond: the output is on only while trading was open a moment ago. After each calm: an opening
since the last re-arm is known and trading is closed. Nothing but a person ever arms.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from app.clock import MS
from app.engine.engine import Engine
from app.engine.records import Recovered
from app.errors import Refused
from app.mcu import messages
from tests.engine.world import World
from tests.mcu.rig import CLOSED, ONLY_A, OPEN, Rig

OFF_WITHIN_MS = 300  # the board's deadman and a beat's way: how long the output may outlive open trading
CALM_MS = 4_000  # a new session, its debounce and a clean read of the account
QUOTE_MS = 250


class Desk(World):
    """A world whose panel is a link to a board."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rig = Rig(self.seed, self.clock)
        self.rig.beating = False  # the engine's own timer beats
        self.heartbeat_ns, self.show_ns = 50 * MS, 100 * MS
        self.engine = self._engine(Recovered())
        self.open_ms = 0  # when trading was open last
        self.what = "the beginning"

    def _engine(self, recovered: Recovered) -> Engine:
        engine = super()._engine(recovered)
        if hasattr(self, "rig"):
            engine.panel = engine.telling._panel = self.rig.link
        return engine

    async def begin_with_board(self) -> None:
        self.engine.begin({"ES": "CON.F.US.EP.Z26"})
        self.quote()
        self.engine.on_link(True, "")
        self.rig.connect(self.engine)
        await self.pass_ms(CALM_MS)

    async def pass_ms(self, ms: int) -> None:
        for _ in range(ms):
            await self.rig.run(1)
            now = self.rig.now_ms
            if now % QUOTE_MS == 0:
                self.quote()
            if not self.engine.trading.state:
                self.open_ms = now
            assert not self.rig.board.output or now - self.open_ms <= OFF_WITHIN_MS, self.what
        self.check()

    async def arm(self) -> bool:
        try:
            self.engine.rearm("test", "")
        except Refused:
            return False
        await self.pass_ms(500)
        return not self.engine.trading.state

    @property
    def codes(self) -> set[str]:
        return {reason.code for reason in self.engine.snapshot().reasons}


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    try:
        await made.begin_with_board()
        assert await made.arm()
        await made.rig.until(lambda: made.rig.board.output)
        yield made
    finally:
        made.engine.stop()
        await made.rig.end()


async def test_holds_on_silence_and_trades_again_by_itself(desk: Desk) -> None:
    desk.rig.frozen = True
    await desk.pass_ms(250)
    assert desk.codes == {"link_silence"} and desk.engine.trading.armed
    desk.rig.frozen = False
    await desk.pass_ms(CALM_MS)
    assert not desk.codes and desk.rig.board.output


async def test_needs_a_person_after_more_than_three_silences_in_an_hour(desk: Desk) -> None:
    for _ in range(3):
        desk.rig.reboot()
        await desk.pass_ms(CALM_MS)
        assert not desk.codes
    desk.rig.reboot()
    await desk.pass_ms(CALM_MS)
    assert "silence_holds" in desk.codes and not desk.engine.trading.armed and not desk.rig.board.output


async def test_takes_a_long_silence_for_a_trip(desk: Desk) -> None:
    desk.rig.unplug()
    await desk.pass_ms(30_300)
    assert "switch" in desk.codes and not desk.engine.trading.armed
    desk.rig.plugged = True
    await desk.pass_ms(CALM_MS)
    assert not desk.rig.board.output and desk.engine.snapshot().panel == "closed"
    assert await desk.arm()


async def test_halts_by_a_person_stop_the_output_and_count_no_silence(desk: Desk) -> None:
    for _ in range(6):
        desk.engine.halt("test", "")
        await desk.pass_ms(1_000)
        assert not desk.rig.board.output and "silence_holds" not in desk.codes
        assert await desk.arm()
        await desk.pass_ms(500)
        assert desk.rig.board.output


async def test_an_opening_survives_a_crash_of_the_service(desk: Desk) -> None:
    desk.rig.contacts = OPEN
    await desk.pass_ms(20)
    desk.rig.contacts = CLOSED
    desk.crash()
    desk.engine = desk._engine(desk.journal.recovered())
    desk.engine.begin({"ES": "CON.F.US.EP.Z26"})
    desk.engine.on_link(True, "")
    desk.rig.link.connect(desk.engine)
    desk.engine.on_panel(True, True)
    await desk.pass_ms(CALM_MS)
    assert desk.engine.trading.state and not desk.engine.trading.armed


async def test_an_opening_that_the_disk_never_took_is_told_again_after_a_crash(desk: Desk) -> None:
    desk.journal.delay, desk.journal.disarm = 60_000 * MS, lambda: None  # type: ignore[method-assign]  # it hangs
    desk.rig.contacts = OPEN
    await desk.pass_ms(1_000)
    assert "switch" in desk.codes and not desk.rig.board.acknowledged
    desk.rig.contacts = CLOSED
    desk.crash()
    desk.engine = desk._engine(desk.journal.recovered())
    desk.engine.begin({"ES": "CON.F.US.EP.Z26"})
    desk.engine.on_link(True, "")
    desk.rig.link.connect(desk.engine)
    desk.rig.unplug()
    desk.rig.plugged = True
    await desk.pass_ms(CALM_MS)
    assert "switch" in desk.codes and not desk.engine.trading.armed and not desk.rig.board.output


async def test_confirms_an_opening_to_the_board_once_it_is_on_disk(desk: Desk) -> None:
    desk.journal.delay = 120 * MS
    desk.rig.contacts = OPEN
    await desk.pass_ms(100)
    assert not desk.rig.board.acknowledged
    await desk.pass_ms(120)
    assert desk.rig.board.acknowledged


Fault = Callable[[Desk, random.Random], Any]


def _unplug(desk: Desk, _: random.Random) -> None:
    desk.rig.unplug()


def _freeze(desk: Desk, _: random.Random) -> None:
    desk.rig.frozen = True


def _reboot(desk: Desk, _: random.Random) -> None:
    desk.rig.reboot()


def _open(desk: Desk, chance: random.Random) -> None:
    desk.rig.contacts = chance.choice((OPEN, ONLY_A))


def _halt(desk: Desk, _: random.Random) -> None:
    desk.engine.halt("test", "")


def _mangle(how: Callable[[bytes, random.Random], bytes]) -> Fault:
    def fault(desk: Desk, chance: random.Random) -> None:
        desk.rig.mangle = lambda data: how(data, chance)

    return fault


def _flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


FAULTS: dict[str, Fault] = {
    "unplug": _unplug,
    "freeze": _freeze,
    "reboot": _reboot,
    "open": _open,
    "halt": _halt,
    "noise": _mangle(lambda data, chance: chance.randbytes(len(data))),
    "flip": _mangle(_flip),
    "drop": _mangle(lambda data, chance: b"" if chance.random() < 0.5 else data),
    "twice": _mangle(lambda data, chance: data * 2),
    "cut": _mangle(lambda data, chance: data[: chance.randrange(len(data) + 1)]),
    "late junk": _mangle(lambda data, chance: data + bytes(chance.randrange(200))),
    "stuck": _mangle(lambda data, chance: b"\xff" * 100),
}


def _calm(desk: Desk) -> None:
    desk.rig.plugged, desk.rig.frozen = True, False
    desk.rig.mangle = lambda data: data


@pytest.mark.parametrize("seed", range(4))
async def test_ends_every_fault_tripped_or_unharmed(seed: int) -> None:
    desk = Desk(seed=seed)
    try:
        await desk.begin_with_board()
        await desk.arm()
        await _check_through_faults(desk, random.Random(f"board:{seed}"))
    finally:
        desk.engine.stop()
        await desk.rig.end()


async def _check_through_faults(desk: Desk, chance: random.Random) -> None:
    for _ in range(6):
        name = chance.choice(sorted(FAULTS))
        was_armed = desk.engine.trading.armed
        desk.what = f"output without trading after {name}"
        FAULTS[name](desk, chance)
        await desk.pass_ms(chance.randrange(20, 1_500))
        _calm(desk)
        await desk.pass_ms(CALM_MS)
        assert was_armed or not desk.engine.trading.armed, f"{name} armed the desk"
        if name == "open":
            assert not desk.engine.trading.armed and not desk.rig.board.output
            await _closed_again(desk)
            assert not desk.engine.trading.armed, "closing the contact armed the desk"
        assert desk.rig.board.state in (messages.READY, messages.RUN), f"the board came not back from {name}"
        await desk.arm()
        assert desk.rig.board.output is not bool(desk.engine.trading.state), name


async def _closed_again(desk: Desk) -> None:
    """Both channels seen open together end a discrepancy."""
    desk.rig.contacts = OPEN
    await desk.pass_ms(10)
    desk.rig.contacts = CLOSED
    await desk.pass_ms(CALM_MS)
