"""The crossing of two averages, against a plain calculation of both."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.intents import Close, Place
from app.domain.market import MINUTE_NS, Bar
from app.domain.orders import OrderState, Side
from app.errors import SettingsError
from app.strategies import build
from tests.strategies.desk import Desk

START = 1_381_140_000_000_000_000


def desk_after(closes: list[int], **settings: object) -> Desk:
    desk = Desk(build("sma_cross", {"fast": 2, "slow": 4, **settings}), START)
    for i, close in enumerate(closes):
        begin = START + i * MINUTE_NS
        desk.now_ns = begin + MINUTE_NS
        desk.take(desk.strategy.on_bar(Bar(begin, close, close, close, close, 1)))
    return desk


def signs(closes: list[int], fast: int, slow: int) -> list[int]:
    """The side of the fast average after each close, the slow way."""
    result, last = [], 0
    for end in range(slow, len(closes) + 1):
        gap = sum(closes[end - fast : end]) * slow - sum(closes[end - slow : end]) * fast
        last = (gap > 0) - (gap < 0) or last
        result.append(last)
    return result


@given(st.lists(st.integers(6000, 6020), min_size=4, max_size=60))
def test_enters_on_the_first_cross_of_the_averages(closes: list[int]) -> None:
    sides = signs(closes, 2, 4)
    crosses = [b for a, b in itertools.pairwise(sides) if a and b != a]
    placed = desk_after(closes).all(Place)
    assert [p.side for p in placed] == crosses[:1]


def test_closes_when_the_averages_cross_back() -> None:
    desk = desk_after([10, 9, 8, 7, 9, 12])
    (entry,) = desk.all(Place)
    assert entry.side is Side.BUY
    desk.live.clear()
    desk.position = 1
    for i, close in enumerate([8, 5, 4], start=6):
        begin = START + i * MINUTE_NS
        desk.now_ns = begin + MINUTE_NS
        desk.take(desk.strategy.on_bar(Bar(begin, close, close, close, close, 1)))
    assert len(desk.all(Close)) == 1
    assert len(desk.all(Place)) == 1


def test_history_makes_no_orders_and_a_bar_counts_once() -> None:
    desk = Desk(build("sma_cross", {"fast": 2, "slow": 4}), START + 1000 * MINUTE_NS)
    bars = [Bar(START + i * MINUTE_NS, c, c, c, c, 1) for i, c in enumerate([10, 9, 8, 7, 9, 12, 5, 4, 3])]
    desk.history([*bars, *bars])
    assert desk.asked == []
    assert desk.strategy.facts() == {"fast": "below", "bars": "5"}


def test_its_ref_is_unique_and_its_entry_protected() -> None:
    desk = desk_after([10, 9, 8, 7, 9, 12])
    desk.end(next(iter(desk.live.values())), OrderState.CANCELLED)
    for i, close in enumerate([5, 4, 9, 14, 3, 2], start=6):
        begin = START + i * MINUTE_NS
        desk.now_ns = begin + MINUTE_NS
        desk.take(desk.strategy.on_bar(Bar(begin, close, close, close, close, 1)))
        desk.live.clear()
    refs = [p.ref for p in desk.all(Place)]
    assert len(refs) == len(set(refs)) > 1
    assert all(p.bracket is not None and p.bracket.stop_ticks == 16 for p in desk.all(Place))


def test_rejects_a_fast_average_that_is_not_faster() -> None:
    with pytest.raises(SettingsError, match="fast; must be less than slow"):
        build("sma_cross", {"fast": 30, "slow": 30})
