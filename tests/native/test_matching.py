"""Both twins of native.matching against the rules written out again, and against each other on anything."""

from __future__ import annotations

import importlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native import matching_py

matching_c = importlib.import_module("native.matching_c")
TWINS = pytest.mark.parametrize("twin", [matching_py, matching_c], ids=["pure", "compiled"])

MOST = 2**40
near = st.integers(-40, 40)
prices = near | st.sampled_from([MOST, -MOST, MOST + 1, -MOST - 1, 2**63, -(2**63), 2**70])
anything = prices | st.sampled_from([None, 1.5, "7", True])
sides = st.sampled_from([1, -1])


@dataclass
class Resting:
    venue_id: int
    side: int
    type: str
    limit_ticks: int | None
    stop_ticks: int | None
    entered: bool


orders = st.builds(
    Resting,
    venue_id=st.integers(1, 9) | st.just(2**70),
    side=sides,
    type=st.sampled_from(["stop", "limit", "market"]),
    limit_ticks=near | st.none(),
    stop_ticks=near | st.none(),
    entered=st.booleans(),
)


def verdict(function: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    try:
        return (function(*arguments),)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    ("name", "count"),
    [("market_price", 3), ("limit_reaches", 3), ("stop_fill", 5), ("trailed", 4), ("ticks", 1)],
)
@given(data=st.data())
def test_twins_agree_on_anything(name: str, count: int, data: st.DataObject) -> None:
    first = data.draw(sides | anything) if count > 1 else data.draw(anything)
    arguments = [first, *(data.draw(anything) for _ in range(count - 1))]
    assert verdict(getattr(matching_c, name), *arguments) == verdict(getattr(matching_py, name), *arguments)


@given(sides | anything, anything, anything, st.booleans())
def test_twins_agree_on_resting_limits(side: Any, limit: Any, price: Any, enough: bool) -> None:
    arguments = (side, limit, price, enough)
    assert verdict(matching_c.limit_fills, *arguments) == verdict(matching_py.limit_fills, *arguments)


def fill_oracle(rest: list[Resting], bar: tuple[int, int, int], slippage: int) -> tuple[int, int] | None:
    """The rules of `app.simulator.bars`, one list of candidates, sorted."""
    opened, high, low = bar
    found: list[tuple[tuple[bool, int, int], int]] = []
    for o in rest:
        if o.type == "stop" and o.stop_ticks is not None:
            stop = o.stop_ticks
            if (high >= stop) if o.side > 0 else (low <= stop):
                worse = max(stop, opened) if o.side > 0 else min(stop, opened)
                away = abs(stop - opened) if o.entered else max(0, (stop - opened) * o.side)
                found.append(((False, away, o.venue_id), (stop if o.entered else worse) + o.side * slippage))
        elif o.type == "limit" and o.limit_ticks is not None and not o.entered:
            level = o.limit_ticks if o.stop_ticks is None else o.stop_ticks
            if (low < o.limit_ticks) if o.side > 0 else (high > o.limit_ticks):
                found.append(((True, abs(level - opened), o.venue_id), o.limit_ticks))
    if not found:
        return None
    rank, price = min(found, key=lambda each: each[0])
    return rank[2], price


@TWINS
@given(st.lists(orders, max_size=6, unique_by=lambda o: o.venue_id), st.tuples(near, near, near), near)
def test_the_first_fill_of_a_bar_follows_the_rules(
    twin: ModuleType, rest: list[Resting], bar: tuple[int, int, int], slippage: int
) -> None:
    assert twin.first_fill(rest, *bar, slippage) == fill_oracle(rest, bar, slippage)


@given(st.lists(orders, max_size=3), anything, anything, anything, anything, anything)
def test_twins_agree_on_bars_and_orders_that_make_no_sense(
    rest: list[Resting], opened: Any, high: Any, low: Any, slippage: Any, level: Any
) -> None:
    for order in rest[:1]:
        order.stop_ticks = level
    arguments = (rest, opened, high, low, slippage)
    assert verdict(matching_c.first_fill, *arguments) == verdict(matching_py.first_fill, *arguments)


@TWINS
@given(st.lists(st.tuples(near, st.integers(0, 9)), max_size=20), prices, prices, st.data())
def test_untouched_stops_at_the_first_bar_outside(
    twin: ModuleType, bars: list[tuple[int, int]], floor: int, ceiling: int, data: st.DataObject
) -> None:
    lows, highs = array("q", [low for low, _ in bars]), array("q", [low + more for low, more in bars])
    begin, end = data.draw(st.integers(-2, 22)), data.draw(st.integers(-2, 22))
    found = verdict(twin.untouched, lows, highs, begin, end, floor, ceiling)
    if begin < 0 or end > len(bars):
        assert found[0] is IndexError
    elif max(abs(floor), abs(ceiling)) > MOST:
        assert found[0] is OverflowError
    else:
        outside = [i for i in range(begin, end) if not floor < lows[i] <= highs[i] < ceiling]
        assert found == (outside[0] if outside else max(begin, end) if begin < end else begin,)


@TWINS
def test_untouched_counts_a_touch_of_either_bound(twin: ModuleType) -> None:
    lows, highs = array("q", [5, 5, 4, 5]), array("q", [8, 9, 8, 8])
    assert twin.untouched(lows, highs, 0, 4, 4, 9) == 1
    assert twin.untouched(lows, highs, 0, 4, 4, 10) == 2
    assert twin.untouched(lows, highs, 0, 4, 3, 10) == 4


@TWINS
@pytest.mark.parametrize(("value", "error"), [(MOST + 1, OverflowError), (True, TypeError), (1.0, TypeError)])
def test_rejects_what_is_no_price(twin: ModuleType, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        twin.market_price(1, value, 0)


@TWINS
def test_rejects_what_is_no_side(twin: ModuleType) -> None:
    for side in (0, 2, -2):
        with pytest.raises(ValueError, match="a side is 1 or -1"):
            twin.trailed(side, 1, 1, 1)
