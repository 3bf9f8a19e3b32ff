"""The link: what makes the board believe that its host lives, and what a bad line can never do."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from native import wire_py as wire
from tests.board.rig import (
    BEAT,
    BOARD_BEAT,
    COUNTERS,
    GARBAGE,
    HELLO,
    LIGHTS,
    LINK,
    NOISE,
    PROTOCOL,
    READY,
    RUN,
    SESSION,
    TRIP,
    TRIPPED,
    U32,
    WELCOME,
    Bench,
    Host,
    ready,
    running,
)
from tests.board.rig import HOST as STOPPED

BLUE, RED = 1, 4
SILENCE_MS, LATE_MS, NOISE_LIMIT, NOISE_WINDOW_MS = 250, 200, 20, 1000


def other(bench: Bench, session: int = 0x9999) -> Host:
    return Host(bench, session)


def test_says_nothing_before_a_hello() -> None:
    bench = Bench()
    bench.step(500)
    assert bench.sent == []


def test_welcomes_first_and_echoes_the_nonce() -> None:
    bench = Bench()
    bench.step(100)
    Host(bench).greet(4711)
    assert [frame.type for frame in bench.sent[:2]] == [WELCOME, 0x43]
    assert bench.sent[0].payload[0] == 4711
    assert bench.sent[0].seq == 1


def test_a_repeated_hello_is_welcomed_again_in_the_same_session() -> None:
    bench, host = running()
    bench.take()
    host.say(HELLO, 5)
    host.step(20)
    assert [frame.payload[0] for frame in bench.take(WELCOME)] == [5]
    assert bench.state == RUN


def test_beats_every_50_ms_with_a_fresh_challenge() -> None:
    bench, host = running()
    bench.take()
    host.step(500)
    beats = bench.take(BOARD_BEAT)
    assert len(beats) == 10
    assert {later.t_ms - earlier.t_ms for earlier, later in itertools.pairwise(beats)} == {50}
    assert len({beat.payload[0] for beat in beats}) == 10


def test_answers_the_last_challenge_by_its_complement() -> None:
    bench, host = running()
    host.beating = False
    host.say(BEAT, 0x12345678, 0)
    host.step(60)
    assert bench.last[BOARD_BEAT].payload[1] == 0x12345678 ^ U32
    other(bench).greet()
    bench.step(60)
    assert bench.last[BOARD_BEAT].payload[1] == 0


def test_numbers_its_frames_and_confirms_the_host_s() -> None:
    bench, host = running()
    host.step(300)
    assert [frame.seq for frame in bench.sent] == list(range(1, len(bench.sent) + 1))
    assert bench.sent[-1].ack == host.seq


@pytest.mark.parametrize("start", [RUN, READY])
def test_silence_trips_after_exactly_250_ms(start: int) -> None:
    bench, host = running() if start == RUN else ready()
    host.beating = False
    host.step(55)
    bench.turn(host.answer())
    heard = bench.now
    while bench.state == start:
        assert bench.now - heard < SILENCE_MS
        host.step()
    assert bench.now - heard == SILENCE_MS
    assert (bench.state, bench.cause, bench.output) == (TRIPPED, LINK, False)


def test_an_answer_just_in_time_keeps_the_board_running() -> None:
    bench, host = running()
    host.beating = False
    for _ in range(4):
        host.step(SILENCE_MS - 60)
        bench.turn(host.answer())
        host.step(59)
    assert bench.state == RUN


def without_answers(host: Host, answer: Callable[[], int]) -> None:
    """Beat on for a second, with answers that prove nothing."""
    host.beating = False
    for _ in range(20):
        host.say(BEAT, 1, answer())
        host.step(50)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda bench, _: 0, id="zero"),
        pytest.param(lambda bench, _: U32, id="ones"),
        pytest.param(lambda bench, _: bench.last[BOARD_BEAT].payload[0], id="echo"),
        pytest.param(lambda bench, first: first ^ U32, id="always the same"),
        pytest.param(lambda bench, _: bench.last[BOARD_BEAT].payload[0] ^ U32 ^ 1, id="one bit off"),
    ],
)
def test_wrong_answers_are_silence(answer: Callable[[Bench, int], int]) -> None:
    bench, host = running()
    first = bench.last[BOARD_BEAT].payload[0]
    without_answers(host, lambda: answer(bench, first))
    assert (bench.state, bench.cause) == (TRIPPED, LINK)


def test_an_answer_counts_once() -> None:
    bench, host = running()
    host.beating = False
    host.step(60)
    challenge = bench.last[BOARD_BEAT].payload[0]
    host.say(BEAT, 1, challenge ^ U32)
    heard = bench.now
    for _ in range(SILENCE_MS - 1):
        host.step()
        if bench.now % 40 == 0:
            host.say(BEAT, 1, challenge ^ U32)
    assert bench.state == RUN
    host.step()
    assert (bench.now - heard, bench.state) == (SILENCE_MS, TRIPPED)


def test_an_answer_to_an_older_challenge_than_the_last_answered_is_none() -> None:
    bench, host = running()
    host.beating = False
    bench.take()
    host.step(160)
    older, newer = (beat.payload[0] for beat in bench.take(BOARD_BEAT)[-2:])
    host.say(BEAT, 1, newer ^ U32)
    heard = bench.now
    host.step(100)
    host.say(BEAT, 1, older ^ U32)
    host.step(SILENCE_MS - (bench.now - heard))
    assert bench.state == TRIPPED


def test_an_answer_that_took_longer_than_the_silence_is_none() -> None:
    bench, host = ready()
    host.beating = False
    host.step(400)
    bench.take()
    host.step(51)
    challenge = bench.take(BOARD_BEAT)[-1]
    host.step(SILENCE_MS - (bench.now - challenge.t_ms) + 1)
    host.say(BEAT, 1, challenge.payload[0] ^ U32)
    assert not bench.read()["live"]
    bench.take()
    host.step(51)
    challenge = bench.take(BOARD_BEAT)[-1]
    host.step(SILENCE_MS - (bench.now - challenge.t_ms))
    host.say(BEAT, 1, challenge.payload[0] ^ U32)
    assert bench.read()["live"]


def test_needs_a_new_nonce_after_silence() -> None:
    bench, host = ready()
    nonce = bench.read()["arm_nonce"]
    host.beating = False
    host.step(300)
    assert bench.read()["arm_nonce"] == 0
    host.beating = True
    host.until(READY)
    host.say(4, nonce)
    assert bench.state == READY
    assert bench.read()["arm_nonce"] not in (0, nonce)


def test_a_nonce_arms_once() -> None:
    bench, host = ready()
    nonce = bench.read()["arm_nonce"]
    host.say(4, nonce)
    assert bench.state == RUN
    host.say(5)
    assert (bench.state, bench.cause, bench.output) == (READY, STOPPED, False)  # nothing else was in the way
    host.say(4, nonce)
    host.say(4, 0)
    assert bench.state == READY


@pytest.mark.parametrize("wrong", [0, 1, U32])
def test_rejects_a_wrong_nonce(wrong: int) -> None:
    bench, host = ready()
    host.say(4, wrong)
    assert bench.state == READY


def test_rejects_arm_while_tripped() -> None:
    bench = Bench()
    host = Host(bench)
    host.greet()
    host.say(4, 0)
    host.step(50)
    host.say(4, 0)
    assert bench.state == TRIPPED


def test_stop_is_no_trip_to_act_on() -> None:
    bench, host = running()
    before = bench.read()["trip_id"]
    bench.take()
    host.say(5)
    host.step(100)
    assert bench.take(0x43) == []
    assert bench.read()["trip_id"] == before


@pytest.mark.parametrize("start", [RUN, READY])
def test_a_new_hello_trips_and_starts_over(start: int) -> None:
    bench, _host = running() if start == RUN else ready()
    new = other(bench)
    new.greet()
    assert (bench.state, bench.cause) == (TRIPPED, SESSION)
    assert not bench.read()["live"]
    new.until(READY)
    assert bench.read()["session"] == new.session


def test_a_new_session_hears_at_once_of_a_trip_that_nobody_acknowledged() -> None:
    bench, host = running()
    host.acknowledging = False
    bench.contacts = 0
    host.step(10)
    bench.take()
    other(bench).greet()
    assert [(frame.type, frame.seq) for frame in bench.take()[:2]] == [(WELCOME, 1), (TRIP, 2)]


def test_a_new_session_forgets_what_the_former_host_wished_to_show() -> None:
    bench, host = running()
    host.say(LIGHTS, 1, 5, 500)
    assert bench.lights()[1] == BLUE
    new = other(bench)
    new.greet()
    new.until(READY)
    assert bench.lights()[1] == 0
    new.say(LIGHTS, 7, 0, 0)
    assert bench.lights()[1] == RED


def test_late_traffic_of_the_former_session_does_no_harm() -> None:
    bench, host = ready()
    host.step(30)
    new = other(bench)
    new.greet()
    at = bench.now
    new.until(READY, most_ms=LATE_MS - 70)
    bench.turn(host.frame(HELLO, 1))
    assert bench.now - at <= LATE_MS
    assert bench.state == READY
    assert bench.read()["session"] == new.session
    assert bench.counters()["wrong_session"] == 1


def test_a_frame_of_another_session_trips() -> None:
    bench, host = running()
    bench.turn(host.frame(BEAT, 1, 2, session=77))
    assert (bench.state, bench.cause) == (TRIPPED, PROTOCOL)


def test_a_frame_of_the_former_session_trips_when_it_is_no_longer_late() -> None:
    bench, host = ready()
    new = other(bench)
    new.greet()
    new.until(READY)
    new.step(LATE_MS)
    bench.turn(host.frame(BEAT, 1, 2))
    assert (bench.state, bench.cause) == (TRIPPED, PROTOCOL)


def test_tells_a_host_of_another_version_why_it_hears_nothing_else() -> None:
    bench = Bench()
    bench.step(100)
    for _ in range(2):
        bench.turn(Host(bench).frame(HELLO, 4711, version=2))
        bench.step(500)
        (told,) = bench.take()
        assert (told.type, told.version, told.session) == (WELCOME, 1, 0)
    Host(bench).greet(4711)
    assert [frame.type for frame in bench.sent].count(WELCOME) == 1 and bench.sent[0].payload[0] == 4711


def test_a_frame_of_another_version_trips() -> None:
    bench, host = running()
    bench.turn(host.frame(BEAT, 1, 2, version=2))
    assert (bench.state, bench.cause) == (TRIPPED, PROTOCOL)
    assert bench.counters()["wrong_version"] == 1


def test_session_zero_is_none() -> None:
    bench = Bench()
    host = Host(bench, session=0)
    host.greet()
    host.step(100)
    assert bench.sent == []


def test_a_hello_of_session_zero_opens_none() -> None:
    bench, host = running()
    bench.turn(host.frame(HELLO, 1, session=0))
    assert (bench.state, bench.cause) == (TRIPPED, PROTOCOL)
    assert bench.read()["session"] == host.session


@pytest.mark.parametrize(
    ("seq", "opens"), [(0, False), (1, True), (32767, True), (32768, False), (65535, False)]
)
def test_a_session_begins_with_a_number_of_the_lower_half(seq: int, opens: bool) -> None:
    bench, _host = running()
    new = other(bench)
    new.seq = seq - 1 & 0xFFFF
    new.greet()
    assert (bench.read()["session"] == new.session) == opens
    assert (bench.state == TRIPPED) == opens


def test_twenty_bad_frames_a_second_are_borne_and_one_more_trips() -> None:
    bench, host = running()
    bench.turn(GARBAGE * NOISE_LIMIT)
    host.step(NOISE_WINDOW_MS - 1)
    assert bench.state == RUN
    bench.turn(GARBAGE)
    assert (bench.state, bench.cause) == (TRIPPED, NOISE)


def test_bad_frames_are_forgotten_after_a_second() -> None:
    bench, host = running()
    bench.turn(GARBAGE * NOISE_LIMIT)
    host.step(NOISE_WINDOW_MS)
    bench.turn(GARBAGE * NOISE_LIMIT)
    host.step(10)
    assert bench.state == RUN


def test_a_noisy_line_does_not_get_ready() -> None:
    bench, host = running()
    bench.turn(GARBAGE * 30)
    host.step(NOISE_WINDOW_MS - 100)
    assert bench.state == TRIPPED
    host.until(READY)


def test_messages_with_wrong_fields_are_bad_frames() -> None:
    bench, host = running()
    for payload in ((), (1,), (1, 2, 3), (-1, 2), (1, 2**32)):
        bench.turn(host.frame(BEAT, *payload))
    bench.turn(host.frame(0x3F))
    bench.turn(host.frame(LIGHTS, 10, 0, 0))
    assert bench.counters()["bad"] == 7


def test_duplicates_and_overtaken_frames_change_nothing() -> None:
    bench, host = running()
    before = bench.read()
    for data in host.written[1:]:
        bench.turn(data)
    assert bench.counters()["duplicate"] == len(host.written) - 1
    assert {**bench.read(), "live": 1} == before
    assert bench.state == RUN


def test_a_replayed_session_never_arms() -> None:
    _bench, host = running()
    written = list(host.written)
    reborn = Bench(seed=99)
    reborn.step(5)
    for _ in range(3):
        for data in written:
            reborn.step(7, data)
    assert not reborn.ever_on
    assert reborn.state == TRIPPED


def test_a_looped_line_never_arms_and_trips_by_silence() -> None:
    bench, _host = running()
    bench.take()
    bench.raw.clear()
    bench.ever_on = False
    for _ in range(400):
        echo = b"".join(bench.raw)
        bench.raw.clear()
        bench.step(1, echo)
    assert (bench.state, bench.cause) == (TRIPPED, LINK)
    assert bench.counters()["looped"] > 3
    assert not bench.output


@pytest.mark.parametrize("byte", [0x00, 0x01, 0x55, 0xFF])
def test_a_stuck_byte_never_arms(byte: int) -> None:
    bench, _host = running()
    for _ in range(500):
        bench.step(1, bytes([byte]) * 12)
    assert bench.state == TRIPPED
    assert bench.cause == (LINK if byte == 0 else NOISE)


def test_sequence_numbers_go_round() -> None:
    bench, host = running()
    for seq in (32000, 64000, 65535, 65536, 65537, 65536 + 200):
        host.seq = seq - 1 & 0xFFFF
        host.say(LIGHTS, 2, 0, 0)
        assert bench.counters()["duplicate"] == 0
    assert bench.state == RUN
    host.seq = 200 + 32768 - 1 - 65536 & 0xFFFF
    host.say(LIGHTS, 2, 0, 0)
    assert bench.counters()["duplicate"] == 1


@pytest.mark.parametrize("before", [1, 60, 120, 249, 300, 999])
def test_time_wraps_without_anyone_noticing(before: int) -> None:
    now = 2**32 - before - 400
    bench, host = running(now=now)
    host.step(2500)
    assert bench.now > 2**32
    assert bench.state == RUN
    assert bench.last[BOARD_BEAT].t_ms < 3000
    assert bench.last[COUNTERS].payload[-1] == (bench.now - now) // 1000
    heard = bench.now
    host.beating = False
    while bench.state == RUN:
        host.step()
    assert SILENCE_MS - 50 <= bench.now - heard <= SILENCE_MS


@pytest.mark.parametrize("wrap_in", [1, 50, 99, 100, 101])
def test_the_release_takes_100_ms_across_the_wrap(wrap_in: int) -> None:
    bench, host = running(now=2**32 - 3000)
    bench.contacts = 0
    host.step(2**32 - bench.now - wrap_in)
    bench.contacts = 3
    bench.step()
    closed_at = bench.now
    while bench.state == TRIPPED:
        host.step()
    assert bench.now - closed_at == 100


@pytest.mark.parametrize("jump", [300, 10_000, 2**31, 2**32 - 1, 2**32 - 5000])
def test_a_clock_that_jumps_trips_and_never_arms(jump: int) -> None:
    bench, host = running()
    bench.now += jump
    bench.turn()
    assert bench.state == TRIPPED
    bench.ever_on = False
    host.due = bench.now
    host.step(500)
    assert not bench.ever_on


@pytest.mark.parametrize("jump", [300, 2**31, 2**32 - 1])
def test_a_clock_that_jumps_does_not_close_a_contact(jump: int) -> None:
    bench, host = running()
    bench.contacts = 0
    host.step(20)
    bench.contacts = 3
    host.step(5)
    bench.now += jump
    host.due = bench.now
    bench.turn(host.answer())
    host.step(60)
    assert bench.state == TRIPPED


def test_counts_what_came_once_a_second() -> None:
    bench, host = running()
    bench.c.core_overrun(bench.core, 7)
    bench.turn(GARBAGE)
    bench.take()
    host.step(3000)
    told = bench.take(COUNTERS)
    assert [later.t_ms - earlier.t_ms for earlier, later in itertools.pairwise(told)] == [1000, 1000]
    assert told[-1].payload[1] == 1
    assert told[-1].payload[6] == 7


def test_recovers_within_one_frame_after_noise() -> None:
    bench, host = running()
    bench.turn(bytes(range(1, 200)))
    bench.turn(host.frame(LIGHTS, 2, 0, 0))  # ends the noise, and is lost with it
    good = bench.counters()["good"]
    bench.turn(host.frame(LIGHTS, 2, 0, 0))
    assert bench.counters()["good"] == good + 1


def test_challenges_and_nonces_differ_from_board_to_board_and_boot_to_boot() -> None:
    seen: set[int] = set()
    for seed in range(40):
        bench, _host = ready(seed=seed)
        seen |= {bench.read()["arm_nonce"], bench.last[BOARD_BEAT].payload[0], bench.last[WELCOME].payload[4]}
    assert len(seen) == 3 * 40
    assert not seen & {0, U32}


def test_arrival_times_change_the_challenges_of_the_same_seed() -> None:
    first, _host = ready()
    second = Bench()
    late = Host(second)
    second.step(4)  # everything arrives one millisecond later
    late.greet()
    late.until(READY)
    assert first.read()["arm_nonce"] != second.read()["arm_nonce"]


def test_frames_are_those_of_native_wire() -> None:
    bench, host = running()
    host.step(1000)
    for data, frame in zip(bench.raw, bench.sent, strict=True):
        assert wire.encode(*frame.fields()) == data
