"""Sessions over a wire that fails: live only on fresh answers, silence noticed in time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mcu import messages, session
from app.mcu.native_codec import NativeCodec
from app.mcu.session import LIVE, LOST, OPENING, Peer, Session
from tests.mcu.world import OPEN, World, ready, running

U32 = 0xFFFFFFFF


def alone(now_ms: int = 0) -> Session:
    numbers = iter(range(1, 10_000))
    return Session(NativeCodec(), 7, 11, now_ms, lambda: next(numbers))


def peers() -> tuple[Peer, Peer]:
    numbers = iter(range(1, 10_000))
    codec = NativeCodec()
    host = Peer(codec, 7, 0, session.HOST_SILENCE_MS, 0, lambda: next(numbers))
    board = Peer(codec, 7, messages.FROM_BOARD, session.BOARD_SILENCE_MS, 0, lambda: next(numbers))
    return host, board


def fields_of(data: bytes) -> tuple:
    ((_, fields),) = NativeCodec().decoder().feed(data)
    return fields


class Numbered:
    """Judges frames by their sequence number alone."""

    def __init__(self) -> None:
        self.board = peers()[1]

    def judge(self, seq: int) -> int:
        return self.board.judge((messages.STOP, messages.VERSION, 7, seq, 0, 0, ()))


# Sequence


def test_accepts_each_number_once_and_in_order() -> None:
    one = Numbered()
    verdicts = [one.judge(seq) for seq in (1, 2, 2, 1, 5, 4, 6)]
    good, duplicate = session.GOOD, session.DUPLICATE
    assert verdicts == [good, good, duplicate, duplicate, good, duplicate, good]


@pytest.mark.parametrize(
    ("last", "seq", "verdict"),
    [
        (1, 32768, session.GOOD),
        (1, 32769, session.DUPLICATE),
        (65535 // 2, 65535, session.DUPLICATE),
        (32767, 65534, session.GOOD),
    ],
)
def test_takes_half_the_range_for_newer(last: int, seq: int, verdict: int) -> None:
    one = Numbered()
    assert one.judge(last) == session.GOOD
    assert one.judge(seq) == verdict


def test_goes_on_where_the_numbers_wrap() -> None:
    host, board = peers()
    for _ in range(65536 + 10):
        fields = fields_of(host.frame(messages.STOP, (), 0))
        assert board.judge(fields) == session.GOOD
    assert fields[3] == 10
    assert fields_of(board.frame(messages.FAULTS, (0, 0), 0))[4] == 10


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"type": messages.FAULTS}, session.LOOPED),
        ({"type": 0x7F, "version": 2}, session.LOOPED),
        ({"version": 2}, session.WRONG_VERSION),
        ({"version": 2, "type": 0x3F}, session.WRONG_VERSION),
        ({"type": 0x3F}, session.BAD),
        ({"payload": (1,)}, session.BAD),
        ({"session": 8}, session.WRONG_SESSION),
        ({"session": 0}, session.WRONG_SESSION),
        ({"seq": 0}, session.DUPLICATE),
        ({}, session.GOOD),
    ],
)
def test_judges_and_counts(change: dict, verdict: int) -> None:
    board = peers()[1]
    fields = {"type": messages.STOP, "version": 1, "session": 7, "seq": 1, "ack": 0, "t_ms": 0, "payload": ()}
    assert board.judge(tuple({**fields, **change}.values())) == verdict
    assert board.counted[verdict] == 1
    assert sum(board.counted) == 1


def test_refuses_session_0_even_of_a_peer_without_one() -> None:
    board = Peer(NativeCodec(), 0, messages.FROM_BOARD, 250, 0, lambda: 1)
    assert board.judge((messages.STOP, 1, 0, 1, 0, 0, ())) == session.WRONG_SESSION


# Challenge and answer


def exchange(host: Peer, board: Peer, at_ms: int, later_ms: int) -> bool:
    """Whether the host's challenge sent at one time is answered right at another."""
    board.hear(*host.challenge(at_ms), at_ms)
    return host.hear(*board.challenge(later_ms), later_ms)


def test_an_answer_counts_once() -> None:
    host, board = peers()
    board.hear(*host.challenge(0), 0)
    beat = board.challenge(1)
    assert host.hear(*beat, 2)
    assert not host.hear(*beat, 3)
    assert (host.heard_ms, host.round_trip_ms, host.live) == (2, 2, True)


@pytest.mark.parametrize(("age_ms", "right"), [(0, True), (200, True), (201, False), (-1, False)])
def test_an_answer_counts_within_the_time_out(age_ms: int, right: bool) -> None:
    host, board = peers()
    assert exchange(host, board, 1000, 1000 + age_ms) is right
    assert host.live is right


def test_an_answer_to_an_older_challenge_than_the_last_does_not_count() -> None:
    host, _ = peers()
    first, second = (host.challenge(at_ms) for at_ms in (0, 10))
    assert host.hear(5, second[0] ^ U32, 20)
    assert not host.hear(6, first[0] ^ U32, 21)


def test_forgets_all_but_the_last_challenges() -> None:
    host, _ = peers()
    challenges = [host.challenge(number)[0] for number in range(session.CHALLENGES + 1)]
    assert not host.hear(5, challenges[0] ^ U32, 20)
    assert host.hear(5, challenges[1] ^ U32, 20)


@pytest.mark.parametrize("number", [0, U32])
def test_never_sends_a_challenge_that_silence_would_answer(number: int) -> None:
    peer = Peer(NativeCodec(), 7, 0, 200, 0, lambda: number)
    assert peer.challenge(0) == (1, 0)


def test_a_side_that_heard_nothing_answers_nothing() -> None:
    host, board = peers()
    host.challenge(0)
    assert not host.hear(*board.challenge(1), 1)


@pytest.mark.parametrize(("elapsed_ms", "silent"), [(0, False), (199, False), (200, True), (-1, True)])
def test_silence_is_time_since_the_last_right_answer(elapsed_ms: int, silent: bool) -> None:
    host, board = peers()
    assert exchange(host, board, 1000, 1000)
    assert host.silent(1000 + elapsed_ms) is silent


# The host's states


def test_greets_until_it_is_welcomed() -> None:
    world = World()
    world.to_board.cut = True
    world.run(350)
    hellos = [at_ms for at_ms, type_ in world.sent if type_ == messages.HELLO]
    assert hellos == [1, 101, 201, 301]
    assert world.host.state == OPENING
    world.to_board.cut = False
    world.run(200)
    assert world.host.state == LIVE
    kinds = [event[0] for _, event in world.events]
    assert kinds[0] == session.EV_WELCOME
    assert session.EV_LIVE in kinds


def test_ignores_a_welcome_for_another_nonce() -> None:
    host = alone()
    host.poll(0)
    board = Peer(NativeCodec(), 7, messages.FROM_BOARD, 250, 0, lambda: 5)
    welcome = (12, bytes(8), 3, 1, 9, 1)
    assert host.feed(board.frame(messages.WELCOME, welcome, 0), 1) == []
    assert host.state == OPENING
    assert host.feed(board.frame(messages.WELCOME, (11, *welcome[1:]), 0), 2)[0][0] == session.EV_WELCOME


def test_tells_facts_only_once_it_is_live() -> None:
    world = World().run(100)
    live_ms = world.seen(session.EV_LIVE)[0][0]
    panels = world.seen(session.EV_PANEL)
    assert panels[0] == (live_ms, (session.EV_PANEL, messages.TRIPPED, 3, 0))
    assert [event[0] for at_ms, event in world.events if at_ms < live_ms] == [
        session.EV_WELCOME,
        session.EV_TRIP,
    ]


def test_everything_else_leaves_a_state_as_it_is() -> None:
    for state in range(len(session.STATES)):
        for happened in range(len(session.INPUTS)):
            host = alone()
            host.state = state
            moved = host._step(happened)
            assert moved is ((state, happened) in session.TRANSITIONS)
            assert host.state == session.TRANSITIONS.get((state, happened), state)
            assert host.peer.counted[session.IGNORED] == (not moved)


def test_lost_is_final() -> None:
    assert not any(state == LOST for state, _ in session.TRANSITIONS)
    world = running()
    lost = world.host
    assert lost.close() == [(session.EV_LOST, session.CLOSED)]
    assert lost.close() == []
    assert lost.poll(world.now_ms) == (b"", world.now_ms)
    world.to_host.send(world.board.poll(world.now_ms + 50)[0], world.now_ms, world.rng)
    assert lost.feed(world.to_host.take(world.now_ms + 10), world.now_ms + 10) == []


def test_hears_a_trip_in_the_very_bytes_that_end_the_session() -> None:
    world = running()
    host = world.host
    world.to_host.lag_ms = 1000  # the bytes wait somewhere while the time-out passes
    world.contacts = OPEN
    world.run(10)
    late = world.to_host.take(world.now_ms + 2000)
    events = host.feed(late, world.now_ms + 300)
    assert events[0] == (session.EV_LOST, session.SILENCE)
    assert events[1][:3] == (session.EV_TRIP, 2, messages.CAUSE_SWITCH)


# Silence


@given(phase_ms=st.integers(0, 100), lag_ms=st.integers(1, 30), seed=st.integers(0, 1000))
def test_notices_silence_between_200_and_210_ms_after_the_last_answer(
    phase_ms: int, lag_ms: int, seed: int
) -> None:
    world = ready(seed)
    world.to_host.lag_ms = world.to_board.lag_ms = lag_ms
    world.run(100 + phase_ms)
    host = world.host
    world.to_host.cut = True
    world.run(lag_ms)
    heard_ms = host.peer.heard_ms
    world.run(260)
    ((lost_ms, event),) = world.seen(session.EV_LOST)
    assert event == (session.EV_LOST, session.SILENCE)
    assert 200 <= lost_ms - heard_ms <= 210


@given(phase_ms=st.integers(0, 60), stall_ms=st.integers(0, 9))
def test_a_runner_that_comes_at_the_deadline_notices_silence_in_time(phase_ms: int, stall_ms: int) -> None:
    """Called only when ``poll`` said so, and a little late."""
    world = ready()
    world.run(phase_ms)
    host, now = world.host, world.now_ms
    while not host.lost:
        host.beat_allowed(now)
        _, due_ms = host.poll(now)
        assert due_ms > now
        now = due_ms + stall_ms
        host.feed(b"", now)
    assert 200 <= now - host.peer.heard_ms <= 210


def test_the_board_trips_250_ms_after_the_last_answer() -> None:
    world = running()
    world.to_board.cut = True
    world.run(5)
    heard_ms = world.board.peer.heard_ms
    world.run(heard_ms + 249 - world.now_ms)
    assert world.board.output
    world.run(1)
    assert not world.board.output
    assert world.board.cause == messages.CAUSE_LINK


@pytest.mark.parametrize("jump_ms", [-1, -1000, 201, 3_600_000])
def test_a_clock_that_jumps_is_silence(jump_ms: int) -> None:
    world = running()
    host = world.host
    assert host.feed(b"", host.peer.heard_ms + jump_ms) == [(session.EV_LOST, session.SILENCE)]


def test_works_at_any_uptime() -> None:
    world = running(start_ms=2**32 - 150)
    assert world.now_ms > 2**32
    assert not world.seen(session.EV_LOST)


# The work loop


def test_beats_stop_when_the_work_loop_does_not_turn() -> None:
    world = running()
    world.turning = False
    hung_ms = world.now_ms
    world.run(400)
    beats = [at_ms for at_ms, type_ in world.sent if type_ == messages.HOST_BEAT]
    assert max(beats) <= hung_ms + session.WORK_MS
    assert world.seen(session.EV_LOST)
    assert not world.board.output


def test_beats_keep_their_rhythm() -> None:
    world = ready()
    since_ms = world.now_ms
    world.run(1000)
    beats = [at_ms for at_ms, type_ in world.sent if type_ == messages.HOST_BEAT and at_ms > since_ms]
    assert len(beats) == 20
    assert {later - earlier for earlier, later in pairwise(beats)} == {50}


def test_a_loop_that_turns_again_beats_at_once_and_not_in_a_burst() -> None:
    world = ready()
    world.turning = False
    world.run(150)
    world.turning = True
    since_ms = world.now_ms
    world.run(60)
    beats = [at_ms for at_ms, type_ in world.sent if type_ == messages.HOST_BEAT and at_ms > since_ms]
    assert beats == [since_ms + 1, since_ms + 51]


def test_never_beats_unless_told_that_the_loop_turns() -> None:
    world = World()
    world.turning = False
    world.run(1000)
    assert messages.HOST_BEAT not in {type_ for _, type_ in world.sent}
    assert not world.seen(session.EV_LIVE)


# A wire that lies


def replay_all(world: World) -> None:
    world.to_host.put(b"".join(world.to_host.recorded), world.now_ms)


def test_never_lives_on_its_own_echo() -> None:
    world = running()
    world.loop = True
    since_ms = world.now_ms
    world.run(2000)
    assert world.seen(session.EV_LOST, since_ms)
    assert not world.seen(session.EV_LIVE, since_ms)
    assert world.host.peer.counted[session.LOOPED] > 0
    assert not world.board.output


@given(seed=st.integers(0, 1000), every_ms=st.integers(1, 60))
def test_never_lives_on_a_recording(seed: int, every_ms: int) -> None:
    """All that the board ever sent, again and again, and nothing else."""
    world = running(seed)
    world.to_host.cut = True
    record = list(world.to_host.recorded)
    since_ms = world.now_ms
    for turn in range(800 // every_ms):
        world.to_host.put(record[turn % len(record)], world.now_ms)
        world.run(every_ms)
    assert world.seen(session.EV_LOST, since_ms)
    assert not world.seen(session.EV_LIVE, since_ms)


def test_a_recording_of_the_host_does_not_keep_the_board_running() -> None:
    world = running()
    world.to_board.cut = True
    record = b"".join(world.to_board.recorded)
    for _ in range(60):
        world.to_board.put(record, world.now_ms)
        world.run(5)
    assert not world.board.output
    assert world.board.peer.live is False


def test_a_recorded_arm_does_not_arm_again() -> None:
    world = running()
    recorded = list(world.to_board.recorded)
    world.contacts = OPEN
    world.run(20)
    world.contacts = 3
    for one in recorded:
        world.to_board.put(one, world.now_ms)
        world.run(5)
    world.run(300)
    assert world.board.state == messages.READY
    assert world.turned_on == [1]


def test_a_replayed_frame_between_real_ones_harms_nobody() -> None:
    world = running()
    replay_all(world)
    world.run(300)
    assert world.host.state == LIVE
    assert world.board.output
    assert world.host.peer.counted[session.DUPLICATE] > 0


DAMAGE: dict[str, Callable[[World], None]] = {
    "drop": lambda world: setattr(world.to_host, "drop", 2),
    "drop to board": lambda world: setattr(world.to_board, "drop", 2),
    "duplicate": lambda world: setattr(world.to_host, "duplicate", 50),
    "duplicate to board": lambda world: setattr(world.to_board, "duplicate", 50),
    "swap": lambda world: setattr(world.to_host, "swap", 1),
    "corrupt": lambda world: setattr(world.to_host, "corrupt", 2),
    "corrupt to board": lambda world: setattr(world.to_board, "corrupt", 2),
    "truncate": lambda world: setattr(world.to_host, "truncate", 1),
    "late": lambda world: setattr(world.to_host, "lag_ms", 40),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_outlives_a_passing_fault(damage: Callable[[World], None]) -> None:
    world = running()
    damage(world)
    world.run(1000)
    assert world.host.state == LIVE
    assert world.board.output
    assert not world.seen(session.EV_LOST)


# Noise and versions


def bad_frames(count: int) -> bytes:
    return b"\x01\0" * count


def test_bears_20_bad_frames_a_second_and_not_21() -> None:
    host = alone()
    assert host.feed(bad_frames(session.NOISE_LIMIT), 0) == []
    assert host.feed(bad_frames(1), session.NOISE_WINDOW_MS) == []
    assert host.feed(bad_frames(19), session.NOISE_WINDOW_MS + 1) == []
    assert host.feed(bad_frames(1), session.NOISE_WINDOW_MS + 2) == [(session.EV_LOST, session.NOISE)]


def test_a_mebibit_of_noise_ends_a_session_once() -> None:
    world = running()
    noise = world.rng.randbytes(131_072)
    events = [
        event for at in range(0, len(noise), 4096) for event in world.host.feed(noise[at : at + 4096], 400)
    ]
    assert events == [(session.EV_LOST, session.NOISE)]


def test_another_version_ends_a_session() -> None:
    host = alone()
    host.poll(0)
    frame = NativeCodec().encode(messages.BOARD_BEAT, 2, 7, 1, 0, 0, ())
    assert host.feed(frame, 1) == [(session.EV_LOST, session.VERSION)]


def test_another_session_is_only_counted() -> None:
    host = alone()
    frame = NativeCodec().encode(messages.TRIP, 1, 8, 1, 0, 0, (1, 2, 3))
    assert host.feed(frame * 100, 1) == []
    assert host.peer.counted[session.WRONG_SESSION] == 100


# Requests


def test_arms_once_for_a_nonce_even_if_the_wire_loses_it() -> None:
    world = ready()
    world.to_board.drop = 3
    assert world.arm()
    world.run(400)
    assert world.board.output
    arms = [at_ms for at_ms, type_ in world.sent if type_ == messages.ARM]
    world.run(300)
    assert [at_ms for at_ms, type_ in world.sent if type_ == messages.ARM] == arms


def test_does_not_arm_a_board_that_is_not_ready() -> None:
    world = World()
    assert not world.arm()
    world.contacts = OPEN
    world.run(300)
    assert world.host.state == LIVE
    assert not world.arm()
    world.contacts = 3
    world.run(300)
    assert world.arm()
    world.run(100)
    assert not world.arm()


def test_stop_cancels_an_arm_and_arrives_through_losses() -> None:
    world = ready()
    assert world.arm()
    world.host.stop()
    assert not world.arm()
    world.run(200)
    assert not world.turned_on
    world = running()
    world.to_board.drop = 4
    world.host.stop()
    world.run(300)
    assert not world.board.output
    assert world.board.cause == messages.CAUSE_HOST
    assert world.arm()


def test_confirms_a_trip_each_time_and_tells_it_once() -> None:
    world = running()
    world.to_board.drop = 4  # the first confirmation among them
    world.contacts = OPEN
    world.run(300)
    trips = [event[1:3] for _, event in world.seen(session.EV_TRIP)]
    assert trips == [(1, messages.CAUSE_BOOT), (2, messages.CAUSE_SWITCH)]
    assert world.board.acknowledged


def test_tells_of_an_opening_at_once() -> None:
    world = running()
    world.contacts = OPEN
    opened_ms = world.now_ms
    world.run(20)
    told = [at_ms for at_ms, _ in world.seen(session.EV_TRIP, opened_ms)]
    panel = [at_ms for at_ms, event in world.seen(session.EV_PANEL, opened_ms) if event[2] == 0]
    assert told[0] - opened_ms <= 3
    assert panel[0] - opened_ms <= 15


def test_repeats_the_lights_it_wants_and_holds_them_to_their_widths() -> None:
    world = ready()
    world.to_board.drop = 2
    world.host.lights(3, 10**6, -(10**12))
    world.run(1300)
    assert world.board.request == (3, 0x7FFF, -0x7FFFFFFF)
    with pytest.raises(ValueError, match="no such status"):
        world.host.lights(10, 0, 0)


def test_tells_the_boards_counters_and_faults() -> None:
    world = running()
    world.to_board.duplicate = 3
    world.run(1100)
    assert world.seen(session.EV_COUNTERS)[-1][1][3] == 3
    world.contacts = 1
    world.run(100)
    assert world.seen(session.EV_FAULTS)[-1][1][1] == messages.FAULT_DISCREPANCY


def test_makes_at_most_two_sessions_a_second() -> None:
    world = World()
    world.to_host.cut = True
    seen = set()
    for _ in range(3000):
        world.tick()
        world.host.close()
        seen.add(id(world.host.peer))
    assert len([1 for _, type_ in world.sent if type_ == messages.HELLO]) <= 6
