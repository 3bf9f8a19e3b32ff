"""The only door to time: virtual time fires in order, simulated time follows, monotonic time never does."""

from __future__ import annotations

import asyncio

import pytest

from app.clock import NS, FollowingClock, SystemClock, VirtualClock
from tests.guards import PATIENCE


def test_fires_virtual_timers_in_the_order_of_time_then_of_setting() -> None:
    clock, seen = VirtualClock(0), []
    clock.call_later(2, seen.append, "late")
    clock.call_later(1, seen.append, "first")
    clock.call_later(1, seen.append, "second")
    clock.call_later(1, seen.append, "cancelled").cancel()
    clock.advance(5)
    assert seen == ["first", "second", "late"]


def test_shows_each_timer_its_own_time() -> None:
    clock, seen = VirtualClock(100), []

    def again() -> None:
        seen.append(clock.utc_ns())
        if len(seen) < 3:
            clock.call_later(10, again)

    clock.call_at(110, again)
    clock.advance_to(200)
    assert seen == [110, 120, 130] and clock.utc_ns() == 200


def test_never_moves_virtual_time_back() -> None:
    clock = VirtualClock(100)
    clock.advance_to(50)
    assert clock.utc_ns() == 100


def test_keeps_monotonic_time_when_the_wall_clock_is_corrected() -> None:
    clock = VirtualClock(100 * NS)
    before = clock.mono_ns()
    clock.step_wall(-50 * NS)
    assert clock.mono_ns() == before and clock.utc_ns() == 50 * NS


class Hand(FollowingClock):
    """Monotonic time by hand."""

    now = 0

    def mono_ns(self) -> int:
        return self.now


def test_follows_a_simulator_at_its_rate() -> None:
    clock = Hand(1_000 * NS, 60)
    Hand.now = 2 * NS
    assert clock.utc_ns() == 1_120 * NS
    clock.follow(5_000 * NS, 1)
    Hand.now = 3 * NS
    assert clock.utc_ns() == 5_001 * NS
    Hand.now = 0


@pytest.mark.parametrize("rate", [0, -1, 100_001])
def test_rejects_a_rate_outside_its_bounds(rate: int) -> None:
    with pytest.raises(ValueError, match="rate"):
        FollowingClock(0, rate)


async def test_re_arms_market_timers_when_the_simulator_jumps() -> None:
    clock, done = FollowingClock(0, 1), asyncio.Event()
    clock.call_at(3_600 * NS, done.set)
    clock.follow(3_600 * NS, 1)
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    assert not clock.timers


async def test_cancels_a_market_timer_twice_without_harm() -> None:
    clock = FollowingClock(0, 1)
    timer = clock.call_at(3_600 * NS, lambda: None)
    timer.cancel()
    timer.cancel()
    assert not clock.timers


async def test_calls_at_once_what_is_already_past() -> None:
    clock, done = SystemClock(), asyncio.Event()
    clock.call_at(1, done.set)
    async with asyncio.timeout(PATIENCE):
        assert await done.wait()
