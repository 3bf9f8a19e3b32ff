"""Rate budgets: never over the venue's limit, never into the reserve, and sensible after a 429."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.venues.topstepx.limiter import (
    HISTORY_LIMIT,
    NS,
    RESERVE,
    REST_LIMIT,
    Lane,
    Limiter,
    retry_after_ns,
)

STEPS = st.lists(
    st.tuples(st.sampled_from(list(Lane)), st.integers(0, 2 * NS), st.integers(1, 60)), max_size=60
)


@given(STEPS)
def test_no_window_ever_holds_more_than_the_venue_allows(steps: list[tuple[Lane, int, int]]) -> None:
    limiter, now, granted = Limiter(), NS, []
    for lane, pause, count in steps:
        now += pause
        granted += [now for _ in range(count) if limiter.take(now, lane) == 0]
    for moment in granted:
        assert sum(1 for other in granted if moment - 60 * NS < other <= moment) <= REST_LIMIT


@given(STEPS)
def test_general_traffic_always_leaves_the_reserve_whole(steps: list[tuple[Lane, int, int]]) -> None:
    limiter, now, granted = Limiter(), NS, list[int]()
    for lane, pause, count in steps:
        now += pause
        for _ in range(count):
            if limiter.take(now, lane) == 0:
                granted.append(now)
                in_window = sum(1 for moment in granted if moment > now - 60 * NS)
                assert lane is not Lane.GENERAL or in_window <= REST_LIMIT - RESERVE


@given(STEPS)
def test_the_wait_is_exact(steps: list[tuple[Lane, int, int]]) -> None:
    limiter, now = Limiter(), NS
    for lane, pause, count in steps:
        now += pause
        for _ in range(count):
            wait = limiter.take(now, lane)
            if wait > 0:
                assert limiter.take(now + wait - 1, lane) == 1
                now += wait
                assert limiter.take(now, lane) == 0


def spend(limiter: Limiter, lane: Lane, now: int) -> int:
    count = 0
    while limiter.take(now, lane) == 0:
        count += 1
    return count


def test_each_lane_reaches_its_own_end() -> None:
    limiter = Limiter()
    assert spend(limiter, Lane.GENERAL, NS) == 160
    assert spend(limiter, Lane.KILL_READ, NS) == 25
    assert spend(limiter, Lane.KILL, NS) == 15
    assert spend(limiter, Lane.GENERAL, 62 * NS) == 160


def test_a_window_is_whole_and_a_second_longer_than_the_venues() -> None:
    limiter = Limiter()
    assert spend(limiter, Lane.KILL, NS) == REST_LIMIT
    assert limiter.take(62 * NS - 1, Lane.KILL) == 1
    assert spend(limiter, Lane.KILL, 62 * NS) == REST_LIMIT


def test_history_has_a_budget_of_its_own() -> None:
    limiter = Limiter()
    spend(limiter, Lane.KILL, NS)
    assert [limiter.take_history(NS) for _ in range(HISTORY_LIMIT)] == [0] * HISTORY_LIMIT
    assert limiter.take_history(NS) == 31 * NS


def test_a_429_to_general_traffic_leaves_kill_traffic_alone() -> None:
    limiter = Limiter()
    limiter.refused(NS, 60 * NS)
    assert limiter.take(2 * NS) == 59 * NS
    assert limiter.take(2 * NS, Lane.KILL) == 0
    assert limiter.take(61 * NS) == 0


def test_a_429_to_kill_traffic_lets_it_try_once_a_second() -> None:
    limiter = Limiter()
    limiter.refused(NS, 60 * NS, Lane.KILL)
    assert limiter.take(NS, Lane.KILL) == NS
    assert limiter.take(2 * NS, Lane.KILL) == 0
    assert limiter.take(2 * NS) == 59 * NS


def test_a_429_to_history_holds_history_only() -> None:
    limiter = Limiter()
    limiter.refused_history(NS, 5 * NS)
    assert limiter.take_history(2 * NS) == 4 * NS and limiter.take(2 * NS) == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 60),
        ("", 60),
        ("7", 7),
        (" 7 ", 7),
        ("0", 1),
        ("999999", 600),
        ("9999999999999", 60),
        ("-5", 60),
        ("soon", 60),
        ("Fri, 20 Nov 2026 19:00:30 GMT", 30),
        ("Fri, 20 Nov 2026 18:00:00 GMT", 1),
        ("Fri, 20 Nov 2027 18:00:00 GMT", 600),
    ],
)
def test_reads_both_forms_of_retry_after(header: str | None, seconds: int) -> None:
    assert retry_after_ns(header, 1_795_201_200 * NS) == seconds * NS


@given(st.text(max_size=40))
def test_any_retry_after_is_a_bounded_wait(header: str) -> None:
    assert NS <= retry_after_ns(header, 1_795_201_200 * NS) <= 600 * NS
