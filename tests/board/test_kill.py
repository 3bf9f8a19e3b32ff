"""The switch: trips on the first open sample, debounces only the release, does not believe one channel."""

from __future__ import annotations

import pytest

from tests.board.rig import (
    BOTH,
    CAUSE_FAULT,
    DISCREPANCY,
    FAULT,
    READBACK,
    READY,
    RUN,
    SWITCH,
    TRIP,
    TRIPPED,
    A,
    B,
    Bench,
    Host,
    ready,
    running,
)

RELEASE_MS, DISCREPANCY_MS = 100, 50


@pytest.mark.parametrize("contacts", [0, A, B])
def test_trips_on_the_first_open_sample_of_any_channel(contacts: int) -> None:
    bench, _ = running()
    bench.take()
    bench.contacts = contacts
    bench.now += 1
    bench.sample()
    assert not bench.c.core_output(bench.core)
    assert (bench.state, bench.cause) == (TRIPPED, SWITCH)
    bench.contacts = BOTH  # closed again at once: still tripped
    bench.turn()
    assert not bench.output
    (trip,) = bench.take(TRIP)
    assert trip.payload[1:] == (SWITCH, bench.now)


def test_the_interrupt_alone_turns_the_output_off_and_trips() -> None:
    bench, _ = running()
    bench.interrupt()
    assert not bench.c.core_output(bench.core)
    bench.step()  # every sample is closed
    assert (bench.state, bench.cause) == (TRIPPED, SWITCH)


def test_refuses_to_arm_between_the_interrupt_and_the_next_sample() -> None:
    bench, host = ready()
    bench.interrupt()
    bench.receive(host.frame(4, bench.read()["arm_nonce"]))
    assert bench.state != RUN
    bench.step(50)
    assert not bench.ever_on


def test_the_trip_comes_before_everything_else_that_is_due() -> None:
    bench, _ = running()
    bench.step(60)
    bench.take()
    bench.contacts = A
    bench.step()
    assert bench.sent[0].type == TRIP


def test_repeats_the_trip_every_50_ms_until_its_ack() -> None:
    bench, host = running()
    host.acknowledging = False
    bench.take()
    bench.contacts = 0
    host.step(160)
    trips = bench.take(TRIP)
    assert [trip.t_ms - trips[0].t_ms for trip in trips] == [0, 50, 100, 150]
    assert len({trip.payload for trip in trips}) == 1
    host.say(3, trips[0].payload[0])
    host.step(200)
    assert bench.take(TRIP) == []


def test_keeps_tripped_without_the_ack() -> None:
    bench, host = running()
    host.acknowledging = False
    bench.contacts = 0
    host.step(5)
    bench.contacts = BOTH
    host.step(1000)
    assert bench.state == TRIPPED
    host.acknowledging = True
    host.until(READY)


def test_an_ack_of_another_trip_is_no_ack() -> None:
    bench, host = running()
    host.acknowledging = False
    bench.contacts = 0
    host.step(5)
    bench.contacts = BOTH
    for wrong in (bench.read()["trip_id"] - 1, bench.read()["trip_id"] + 1, 0):
        host.say(3, wrong)
    host.step(300)
    assert bench.state == TRIPPED


def test_the_release_takes_100_ms_without_an_open_sample() -> None:
    bench, host = running()
    bench.contacts = 0
    host.step(20)
    bench.contacts = BOTH
    bench.step()
    closed_at = bench.now
    while bench.state == TRIPPED:
        host.step()
    assert bench.now - closed_at == RELEASE_MS


@pytest.mark.parametrize("bounce", [1, 50, 99])
def test_a_bounce_starts_the_release_again(bounce: int) -> None:
    bench, host = running()
    bench.contacts = 0
    host.step(20)
    bench.contacts = BOTH
    host.step(bounce)
    bench.contacts = B
    host.step()
    bench.contacts = BOTH
    host.step(RELEASE_MS)
    assert bench.state == TRIPPED
    host.step(2)
    assert bench.state == READY


def test_an_interrupt_starts_the_release_again() -> None:
    bench, host = running()
    bench.contacts = 0
    host.step(20)
    bench.contacts = BOTH
    host.step(90)
    bench.interrupt()
    host.step(RELEASE_MS - 1)
    assert bench.state == TRIPPED


def test_time_when_nobody_looked_is_not_time_closed() -> None:
    bench, host = running()
    bench.contacts = 0
    host.step(20)
    bench.contacts = BOTH
    host.step(5)
    bench.now += 150  # the loop stood still; the contact may have done anything
    bench.turn()
    assert bench.state == TRIPPED
    host.step(60)
    assert bench.state == TRIPPED
    host.until(READY)


def test_closing_alone_never_arms() -> None:
    bench, host = running()
    bench.contacts = 0
    host.step(20)
    bench.contacts = BOTH
    bench.ever_on = False
    host.step(2000)
    assert bench.state == READY
    assert not bench.ever_on


def test_every_opening_is_heard_also_when_tripped() -> None:
    bench, host = ready()
    host.beating = False
    host.step(300)
    assert bench.state == TRIPPED
    before = bench.read()["trip_id"]
    bench.contacts = A
    host.step(2)
    assert (bench.cause, bench.read()["trip_id"]) == (SWITCH, before + 1)


def test_bounces_before_the_ack_are_one_trip() -> None:
    bench, host = running()
    host.acknowledging = False
    before = bench.read()["trip_id"]
    for contacts in (0, BOTH, 0, BOTH, A, BOTH, 0):
        bench.contacts = contacts
        host.step()
    assert bench.read()["trip_id"] == before + 1


def test_trip_ids_go_round_without_zero() -> None:
    bench, host = running()
    bench.c.probe_set_trip_id(bench.core, 0xFFFE)
    for wanted in (0xFFFF, 1, 2):
        bench.contacts = 0
        host.step(5)
        assert bench.read()["trip_id"] == wanted
        bench.contacts = BOTH
        host.step(5)


def test_an_open_switch_at_boot_keeps_the_board_tripped() -> None:
    bench = Bench()
    bench.contacts = 0
    host = Host(bench)
    host.greet()
    host.step(1000)
    assert bench.state == TRIPPED
    assert bench.last[0x42].payload[3] == 0


@pytest.mark.parametrize("contacts", [A, B])
def test_channels_that_differ_for_more_than_50_ms_are_a_fault(contacts: int) -> None:
    bench, host = running()
    bench.contacts = contacts
    bench.step()
    first = bench.now
    while bench.state != FAULT:
        assert bench.now - first <= DISCREPANCY_MS
        host.step()
    assert bench.now - first == DISCREPANCY_MS + 1
    assert (bench.cause, bench.read()["faults"]) == (CAUSE_FAULT, DISCREPANCY)


def test_channels_may_differ_for_50_ms() -> None:
    bench, host = running()
    bench.contacts = A
    host.step(DISCREPANCY_MS)
    bench.contacts = 0
    host.step(DISCREPANCY_MS * 4)
    assert (bench.state, bench.cause) == (TRIPPED, SWITCH)


def faulty() -> tuple[Bench, Host]:
    bench, host = running()
    bench.contacts = A
    host.step(60)
    assert bench.state == FAULT
    return bench, host


def test_a_discrepancy_ends_only_when_both_were_open() -> None:
    bench, host = faulty()
    bench.contacts = BOTH
    host.step(500)
    assert bench.state == FAULT
    bench.contacts = B
    host.step(40)
    assert bench.state == FAULT
    bench.contacts = 0
    host.step(10)
    assert (bench.state, bench.read()["faults"]) == (TRIPPED, 0)
    bench.contacts = BOTH
    host.until(READY)


def test_a_welded_channel_never_gets_the_board_ready() -> None:
    bench, host = faulty()
    for _ in range(10):
        bench.contacts = BOTH
        host.step(200)
        bench.contacts = A
        host.step(200)
        assert bench.state == FAULT


def test_an_opening_is_heard_in_fault_too() -> None:
    bench, host = faulty()
    bench.contacts = BOTH
    host.step(200)
    before = bench.read()["trip_id"]
    bench.contacts = A
    host.step(3)
    assert bench.state == FAULT
    assert bench.read()["trip_id"] == before + 1
    assert bench.cause == SWITCH


def test_a_discrepancy_does_not_lift_a_stuck_output() -> None:
    bench, host = faulty()
    bench.read_back = True
    host.step(30)
    bench.contacts = 0
    host.step(300)
    assert (bench.state, bench.read()["faults"]) == (FAULT, READBACK)


def test_a_board_with_one_channel_ignores_the_other() -> None:
    bench, host = running(two_channels=False)
    for contacts in (BOTH, A):
        bench.contacts = contacts
        host.step(200)
        assert bench.state == RUN
    assert bench.last[0x42].payload[3] == A
    assert bench.last[0x41].payload[5] == 0
    bench.contacts = B
    host.step()
    assert (bench.state, bench.cause) == (TRIPPED, SWITCH)
    host.step(200)
    assert bench.state == TRIPPED
