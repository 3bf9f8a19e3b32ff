"""The output stage, the watchdog's rule and resets: energised only in RUN, believed only when read back."""

from __future__ import annotations

import pytest

from tests.board.rig import (
    BOOT,
    CAUSE_FAULT,
    FAULT,
    READBACK,
    READY,
    RUN,
    STARVED,
    TRIPPED,
    WATCHDOG,
    WELCOME,
    Bench,
    Host,
    ready,
    running,
)

READBACK_MS, FRESH_MS = 20, 20
RESET_POWER, RESET_WATCHDOG = 1, 3


def test_boots_tripped_with_the_output_off() -> None:
    bench = Bench()
    assert (bench.state, bench.cause) == (TRIPPED, BOOT)
    assert not bench.c.core_output(bench.core)
    bench.step(500)
    assert not bench.ever_on


def test_the_output_is_on_in_run_and_nowhere_else() -> None:
    bench, host = ready()
    assert not bench.ever_on
    host.arm()
    assert bench.output
    host.say(5)
    assert not bench.output


@pytest.mark.parametrize("level", [False, True])
def test_an_output_that_does_not_follow_is_a_fault_after_20_ms(level: bool) -> None:
    bench, host = running() if not level else ready()
    bench.read_back = level
    bench.step()
    first = bench.now
    while bench.state != FAULT:
        assert bench.now - first <= READBACK_MS
        host.step()
    assert bench.now - first == READBACK_MS + 1
    assert (bench.cause, bench.read()["faults"]) == (CAUSE_FAULT, READBACK)
    assert not bench.output


def test_an_output_may_take_20_ms_to_follow() -> None:
    bench, host = running()
    bench.read_back = True
    bench.contacts = 0
    host.step(READBACK_MS)
    bench.read_back = None
    host.step(100)
    assert bench.state == TRIPPED


def test_only_a_reboot_ends_a_stuck_output() -> None:
    bench, host = running()
    bench.read_back = False
    host.step(50)
    bench.read_back = None
    for contacts in (0, 3, 0, 3):
        bench.contacts = contacts
        host.step(300)
    assert bench.state == FAULT
    assert ready()[0].state == READY


@pytest.mark.parametrize("starved", ["sample", "feed_back", "receive"])
def test_the_watchdog_is_fed_only_when_every_task_ran_within_20_ms(
    starved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, _ = running()
    bench.step()
    monkeypatch.setattr(bench, starved, lambda *_: None)
    bench.step(FRESH_MS)
    assert bench.is_fresh()
    bench.step()
    assert not bench.is_fresh()
    assert bench.read()["faults"] == STARVED
    monkeypatch.undo()
    bench.step()
    assert bench.is_fresh()
    assert bench.read()["faults"] == 0


@pytest.mark.parametrize("starved", ["sample", "feed_back"])
def test_refuses_ready_and_arm_while_a_task_starves(starved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, host = ready()
    monkeypatch.setattr(bench, starved, lambda *_: None)
    host.step(60)
    host.arm()
    assert bench.state == READY
    host.say(5)
    host.step(200)
    assert bench.state == TRIPPED
    monkeypatch.undo()
    host.until(READY)


@pytest.mark.parametrize(("reset_cause", "faults"), [(RESET_POWER, 0), (RESET_WATCHDOG, WATCHDOG)])
def test_tells_why_it_reset_and_arms_all_the_same(reset_cause: int, faults: int) -> None:
    bench, host = ready(reset_cause=reset_cause)
    welcome = bench.last[WELCOME].payload
    assert (welcome[0], welcome[1], welcome[2], welcome[3], welcome[5]) == (
        77,
        bytes(range(1, 9)),
        3,
        reset_cause,
        1,
    )
    assert bench.last[0x42].payload[4] == faults
    host.arm()
    assert bench.state == RUN


def test_faults_are_told_when_they_change() -> None:
    bench, host = running()
    bench.take()
    bench.read_back = False
    host.step(200)
    (told,) = bench.take(0x44)
    assert told.payload[0] == READBACK


def test_a_new_session_is_told_of_faults_that_are_older() -> None:
    bench, _host = running(reset_cause=RESET_WATCHDOG)
    bench.take()
    Host(bench, 99).greet()
    bench.step(5)
    assert [frame.payload[0] for frame in bench.take(0x44)] == [WATCHDOG]


def test_an_output_that_is_told_otherwise_has_its_time_anew() -> None:
    bench, host = ready()
    bench.read_back = True  # stays on, as if welded
    host.step(READBACK_MS - 5)
    host.arm()
    host.step(10)  # as wanted
    host.say(5)
    host.step(READBACK_MS)
    assert bench.state == READY
    host.step(2)
    assert bench.state == FAULT


def test_a_board_that_reboots_needs_everything_again() -> None:
    before, _ = running(seed=5)
    bench = Bench(seed=6)
    host = Host(bench, session=0x1234)
    bench.step(5)
    for data in before.raw:
        bench.turn(data)
    bench.turn(host.frame(4, before.read()["arm_nonce"]))
    bench.step(300)
    assert bench.state == TRIPPED
    assert not bench.ever_on
