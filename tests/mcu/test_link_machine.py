"""Whatever happens to host, board and wire, in any order: never armed by accident, never live without proof.

The same rules against both firmwares: MicroPython's and the one in C.
"""

from __future__ import annotations

from itertools import pairwise

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from app.mcu import messages, session
from tests.mcu.world import BOARD, CLOSED, HOST, OPEN, Direction, World

PROOF_MS = session.HOST_SILENCE_MS * 2  # an answer is that old at most, and so is the challenge before it
ANSWERED_MS = session.BOARD_SILENCE_MS * 2
PERSONS = (messages.CAUSE_SWITCH, messages.CAUSE_FAULT)
counts = st.integers(1, 8)
kinds = st.sampled_from(["drop", "duplicate", "corrupt", "truncate", "swap"])
sides = st.sampled_from([HOST, BOARD])


class Link(RuleBasedStateMachine):
    """Every rule is something that may happen; ``_live`` lets time pass and looks at every millisecond."""

    in_c = False

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.world = World(seed, in_c=self.in_c)
        self.trip = 0  # of this boot, the last that a person must deal with
        self.boot_ms = 0
        self._live(250)

    def _live(self, milliseconds: int) -> None:
        for _ in range(milliseconds):
            self.world.tick()
            self._look()

    def _look(self) -> None:
        world, now_ms = self.world, self.world.now_ms
        trip_id, cause = world.board.trip[:2]
        if cause in PERSONS:
            self.trip = trip_id
        if now_ms < world.stalled_until_ms[BOARD]:
            return
        if world.board.output:
            assert world.contacts == CLOSED
            beats = [at_ms for at_ms, type_ in world.sent[-64:] if type_ == messages.HOST_BEAT]
            assert now_ms - beats[-1] <= ANSWERED_MS
        if now_ms >= world.stalled_until_ms[HOST] and world.host.state == session.LIVE:
            assert now_ms - world.board_sent_ms <= PROOF_MS

    def _wire(self, side: str) -> Direction:
        return self.world.to_host if side == HOST else self.world.to_board

    @rule(milliseconds=st.integers(1, 300))
    def passes(self, milliseconds: int) -> None:
        self._live(milliseconds)

    @rule(contacts=st.sampled_from([OPEN, CLOSED, 1, 2]), milliseconds=st.integers(1, 120))
    def moves_the_switch(self, contacts: int, milliseconds: int) -> None:
        self.world.contacts = contacts
        self._live(milliseconds)

    @rule(turning=st.booleans())
    def hangs_or_turns(self, turning: bool) -> None:
        self.world.turning = turning

    @rule()
    def asks_to_run(self) -> None:
        self.world.arm()
        self._live(20)

    @rule()
    def asks_to_stop(self) -> None:
        self.world.host.stop()
        self._live(20)

    @rule(side=sides, kind=kinds, count=counts)
    def damages(self, side: str, kind: str, count: int) -> None:
        setattr(self._wire(side), kind, count)

    @rule(side=sides, cut=st.booleans())
    def cuts(self, side: str, cut: bool) -> None:
        self._wire(side).cut = cut

    @rule(side=sides, lag_ms=st.integers(1, 80))
    def delays(self, side: str, lag_ms: int) -> None:
        self._wire(side).lag_ms = lag_ms

    @rule(loop=st.booleans())
    def loops_back(self, loop: bool) -> None:
        self.world.loop = loop

    @rule(side=sides, count=st.integers(1, 100))
    def replays(self, side: str, count: int) -> None:
        wire = self._wire(side)
        wire.put(b"".join(wire.recorded[-count:]), self.world.now_ms)

    @rule(side=sides, count=st.integers(1, 600))
    def makes_noise(self, side: str, count: int) -> None:
        self._wire(side).put(self.world.rng.randbytes(count), self.world.now_ms)

    @rule(side=sides, milliseconds=st.integers(1, 400))
    def stalls(self, side: str, milliseconds: int) -> None:
        self.world.stalled_until_ms[side] = self.world.now_ms + milliseconds

    @rule()
    def reboots(self) -> None:
        self.world.reboot()
        self.trip = 0
        self.boot_ms = self.world.now_ms

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self._heal()
        world = self.world
        assert all(earlier < later for earlier, later in pairwise([0, *world.turned_on]))
        assert world.host.state == session.LIVE
        assert world.board.state in (messages.READY, messages.RUN)
        told = {event[1] for _, event in world.seen(session.EV_TRIP, self.boot_ms)}
        assert self.trip in {0, *told}  # a fault takes the place of an opening that is not confirmed yet

    def _heal(self) -> None:
        """Everything is well again, and the switch is opened and closed once more."""
        world = self.world
        world.turning, world.loop = True, False
        for wire in (world.to_host, world.to_board):
            wire.cut, wire.lag_ms, wire.held = False, 1, b""
            wire.drop = wire.duplicate = wire.corrupt = wire.truncate = wire.swap = 0
        world.contacts = OPEN
        self._live(500)
        world.contacts = CLOSED
        self._live(2500)


class LinkInC(Link):
    in_c = True


TestMicroPythonBoard = Link.TestCase
TestFirmwareInC = LinkInC.TestCase
for case in (TestMicroPythonBoard, TestFirmwareInC):
    case.settings = hypothesis.settings(
        max_examples=max(20, hypothesis.settings.default.max_examples // 4), stateful_step_count=30
    )
