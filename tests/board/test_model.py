"""The firmware against the model of it, step by step under random hardware, hosts and lines."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from native import wire_py as wire
from tests.board.model import Model
from tests.board.rig import (
    ACK,
    ARM,
    BEAT,
    BOARD_BEAT,
    BOTH,
    GARBAGE,
    HELLO,
    LIGHTS,
    READY,
    RUN,
    STOP,
    TRIP,
    TRIPPED,
    U32,
    Bench,
)

SESSIONS = (0, 11, 22, 33)


class Pair:
    """Firmware and model side by side. Each method is one action of the outside world, done to both."""

    def __init__(self, seed: int, start: int) -> None:
        self.bench = Bench(seed=seed, now=start)
        self.model = Model(start)
        self.session = 11
        self.seq = 0
        self.nonces = [0]
        self.challenges: list[int] = [0]
        self.written = [GARBAGE]
        self.beating = False
        self.acknowledging = True
        self.next_beat = 0
        self.turn()

    def turn(self, data: bytes = b"", then: Any = None, *arguments: Any) -> None:
        """One turn of the loop on both sides; ``then`` tells the model what the bytes were."""
        bench, model = self.bench, self.model
        model.pass_time(bench.now)
        model.sample(bench.contacts)
        model.read_back(bench.output if bench.read_back is None else bench.read_back)
        if then is not None:
            then(*arguments)
        model.tick()
        bench.turn(data)
        for frame in bench.take():
            if frame.type == BOARD_BEAT:
                model.on_challenge(frame.payload[0])
                self.challenges.append(frame.payload[0])
        self.compare()

    def compare(self) -> None:
        read, model = self.bench.read(), self.model
        assert (read["state"], read["cause"]) == (model.state, model.cause)
        assert (read["trip_id"], read["trip_cause"]) == (model.trip_id, model.trip_cause)
        assert (read["acknowledged"], read["live"]) == (model.acknowledged, model.live)
        assert read["faults"] == sum(model.faults)
        assert read["session"] == model.session
        assert self.bench.output == (model.state == RUN)
        assert (read["arm_nonce"] != 0) == (model.state == READY)
        if read["arm_nonce"] not in (0, self.nonces[-1]):
            self.nonces.append(read["arm_nonce"])
        model.nonce = read["arm_nonce"]

    def frame(self, kind: int, *payload: int, session: int | None = None, version: int = 1) -> bytes:
        self.seq = self.seq + 1 & 0xFFFF
        own = self.session if session is None else session
        data = wire.encode(kind, version, own, self.seq, 0, 0, payload)
        self.written.append(data)
        return data

    def said(self, session: int | None, then: Any, *arguments: Any) -> Any:
        """The model's side of a message: it counts only if its session and number do."""
        own = self.session if session is None else session

        def judge() -> None:
            if self.model.accepts(own, self.seq):
                then(*arguments)

        return judge

    def pass_time(self, milliseconds: int) -> None:
        for _ in range(milliseconds):
            self.bench.now += 1
            self.turn()
            if self.acknowledging and self.model.session and not self.model.acknowledged:
                self.ack(0)
            if self.beating and self.bench.now >= self.next_beat:
                self.next_beat = self.bench.now + 50
                self.beat(0)

    def stand_still(self, milliseconds: int) -> None:
        """The loop does not turn; nothing is looked at."""
        self.bench.now += milliseconds
        self.turn()

    def interrupt(self, _: int) -> None:
        self.bench.interrupt()
        self.model.interrupted = True
        assert not self.bench.c.core_output(self.bench.core)
        self.turn()

    def hello(self, which: int) -> None:
        self.session = SESSIONS[which % 3 + 1]
        self.seq = self.seq if self.session == self.model.session else 0
        data = self.frame(HELLO, 7)
        self.turn(data, self.model.on_hello, self.session, self.seq)

    def beat(self, back: int) -> None:
        answer = self.challenges[-1 - back % len(self.challenges)] ^ U32
        data = self.frame(BEAT, 1, answer)
        self.turn(data, self.said(None, self.model.on_beat, answer))

    def ack(self, off: int) -> None:
        trip_id = self.model.trip_id - off & 0xFFFF
        data = self.frame(ACK, trip_id)
        self.turn(data, self.said(None, self.model.on_ack, trip_id))

    def arm(self, back: int) -> None:
        nonce = self.nonces[-1 - back % len(self.nonces)]
        data = self.frame(ARM, nonce)
        self.turn(data, self.said(None, self.model.on_arm, nonce))

    def stop(self, _: int) -> None:
        data = self.frame(STOP)
        self.turn(data, self.said(None, self.model.on_stop))

    def lights(self, status: int) -> None:
        data = self.frame(LIGHTS, status % 10, status, -status)
        self.turn(data, self.said(None, lambda: None))

    def foreign(self, which: int) -> None:
        session = SESSIONS[which % 4]
        data = self.frame(BEAT, 1, 2, session=session)
        self.turn(data, self.said(session, self.model.on_beat, 2))

    def version(self, version: int) -> None:
        data = self.frame(BEAT, 1, 2, version=version % 254 + 2)
        self.turn(data, self.model.on_wrong_version)

    def noise(self, count: int) -> None:
        def bad() -> None:
            for _ in range(count):
                self.model.on_bad_frame()

        self.turn(GARBAGE * count, bad)

    def again(self, back: int) -> None:
        """A frame of the past: in this session a duplicate, from another one late or foreign."""
        data = self.written[-1 - back % len(self.written)]
        (found,) = wire.Decoder().feed(data)
        if isinstance(found, int):
            self.turn(data, self.model.on_bad_frame)
        elif found.version != 1:
            self.turn(data, self.model.on_wrong_version)
        elif found.type == HELLO:
            self.turn(data, self.model.on_hello, found.session, found.seq)
        else:
            self.turn(data, self.replayed, found)

    def replayed(self, found: Any) -> None:
        if self.model.accepts(found.session, found.seq):  # of a session that was opened again
            act = {BEAT: self.model.on_beat, ACK: self.model.on_ack, ARM: self.model.on_arm}.get(found.type)
            if act is not None:
                act(found.payload[-1])
            elif found.type == STOP:
                self.model.on_stop()

    def loop(self, _: int) -> None:
        data = wire.encode(TRIP, 1, self.model.session, self.seq + 1 & 0xFFFF, 0, 0, (1, 2, 3))
        self.turn(data)

    def contacts(self, bits: int) -> None:
        self.bench.contacts = bits % 4
        self.turn()

    def read_back(self, kind: int) -> None:
        self.bench.read_back = (None, None, None, False, True)[kind % 5]
        self.turn()

    def habits(self, bits: int) -> None:
        self.beating, self.acknowledging = bool(bits & 1), bool(bits & 2)

    def bring_up(self) -> None:
        """What an ordinary host does: most histories begin with it, or none would get far."""
        self.bench.contacts = BOTH
        self.beating = True
        self.hello(0)
        self.pass_time(170)
        assert self.model.state == READY
        self.arm(0)


CALM = ["pass_time", "pass_time", "beat", "habits", "contacts"]
ALL = [
    *("pass_time", "hello", "beat", "ack", "arm", "stop", "lights", "foreign", "version", "noise", "again"),
    *("loop", "contacts", "read_back", "habits", "interrupt", "stand_still"),
]
RARELY = st.integers(0, 25)
TIMES = st.sampled_from([1, 2, 10, 19, 20, 21, 49, 50, 51, 52, 99, 100, 101, 199, 201, 249, 250, 251])
actions = st.one_of(
    st.tuples(st.sampled_from(["pass_time", "pass_time", "stand_still"]), TIMES),
    st.tuples(st.sampled_from(CALM), st.integers(1, 60)),
    st.tuples(st.sampled_from(ALL), RARELY),
)
STARTS = st.sampled_from([0, 1000, 2**31 - 200, 2**32 - 150, 2**32 - 400])


@given(
    seed=st.integers(0, U32),
    start=STARTS,
    up=st.booleans(),
    history=st.lists(actions, min_size=1, max_size=25),
)
def test_the_firmware_does_what_the_model_says(
    seed: int, start: int, up: bool, history: list[tuple[str, int]]
) -> None:
    pair = Pair(seed, start)
    if up:
        pair.bring_up()
        assert pair.model.state == RUN
    for name, argument in history:
        getattr(pair, name)(argument)


@given(seed=st.integers(0, U32), history=st.lists(actions, min_size=1, max_size=25))
def test_never_runs_without_an_arm(seed: int, history: list[tuple[str, int]]) -> None:
    pair = Pair(seed, 1000)
    pair.bench.contacts = BOTH
    pair.beating = True
    pair.hello(0)
    for name, argument in history:
        if name != "arm":
            getattr(pair, name)(argument)
    assert not pair.bench.ever_on


@given(data=st.binary(max_size=3000), gap=st.integers(0, 3))
def test_random_bytes_never_arm(data: bytes, gap: int) -> None:
    bench = Bench()
    for at in range(0, len(data), 64):
        bench.step(1 + gap, data[at : at + 64])
    assert bench.state == TRIPPED
    assert not bench.ever_on
