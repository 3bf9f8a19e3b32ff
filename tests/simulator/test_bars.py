"""The fill model of bars: each rule of its list from both sides."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.market import Bar
from app.domain.orders import OrderType, Side
from app.simulator.bars import BarFill, Slippage, first_fill, market_price

NONE = Slippage(0, 0)
BAR = Bar(0, 100, 110, 90, 105, 1)  # open 100, high 110, low 90


@dataclass
class Resting:
    venue_id: int
    side: Side
    type: OrderType
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    entered: bool = False


def stop(side: Side, price: int, venue_id: int = 1, entered: bool = False) -> Resting:
    return Resting(venue_id, side, OrderType.STOP, stop_ticks=price, entered=entered)


def limit(side: Side, price: int, venue_id: int = 1, entered: bool = False) -> Resting:
    return Resting(venue_id, side, OrderType.LIMIT, limit_ticks=price, entered=entered)


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 101), (Side.SELL, 99)])
def test_a_market_order_pays_one_tick_beyond_the_open(side: Side, price: int) -> None:
    assert market_price(side, 100, Slippage()) == price
    assert market_price(side, 100, NONE) == 100


@pytest.mark.parametrize(
    ("order", "price"),
    [
        (stop(Side.BUY, 110), 110),  # touched
        (stop(Side.BUY, 111), None),
        (stop(Side.SELL, 90), 90),
        (stop(Side.SELL, 89), None),
        (stop(Side.BUY, 100), 100),
        (stop(Side.BUY, 97), 100),  # the open has passed it: the worse of stop and open
        (stop(Side.SELL, 103), 100),
        (limit(Side.BUY, 90), None),  # touched is not traded through
        (limit(Side.BUY, 91), 91),
        (limit(Side.SELL, 110), None),
        (limit(Side.SELL, 109), 109),
        (limit(Side.BUY, 104), 104),  # never better than its price
        (limit(Side.SELL, 96), 96),
    ],
)
def test_where_a_lone_order_fills(order: Resting, price: int | None) -> None:
    assert first_fill([order], BAR, Slippage()) == (None if price is None else BarFill(1, price))


def test_stops_slip_only_when_asked_to() -> None:
    assert first_fill([stop(Side.BUY, 105)], BAR, Slippage(5, 0)) == BarFill(1, 105)
    assert first_fill([stop(Side.BUY, 105)], BAR, Slippage(0, 2)) == BarFill(1, 107)
    assert first_fill([stop(Side.SELL, 95)], BAR, Slippage(0, 2)) == BarFill(1, 93)


def test_a_limit_never_slips() -> None:
    assert first_fill([limit(Side.BUY, 95)], BAR, Slippage(9, 9)) == BarFill(1, 95)


def test_a_stop_comes_before_a_target_even_when_the_target_is_nearer() -> None:
    orders = [limit(Side.SELL, 101, 1), stop(Side.SELL, 91, 2)]
    assert first_fill(orders, BAR, NONE) == BarFill(2, 91)


@pytest.mark.parametrize(("buy", "sell", "first"), [(104, 95, 1), (105, 96, 2), (105, 95, 1), (99, 96, 1)])
def test_the_entry_nearer_to_the_open_fills_first(buy: int, sell: int, first: int) -> None:
    orders = [stop(Side.SELL, sell, 2), stop(Side.BUY, buy, 1)]
    hit = first_fill(orders, BAR, NONE)
    assert hit is not None
    assert hit.venue_id == first


def test_the_stop_leg_is_live_in_the_entry_bar_and_the_target_is_not() -> None:
    assert first_fill([stop(Side.SELL, 95, entered=True)], BAR, NONE) == BarFill(1, 95)
    assert first_fill([stop(Side.SELL, 89, entered=True)], BAR, NONE) is None
    assert first_fill([limit(Side.SELL, 105, entered=True)], BAR, NONE) is None
    assert first_fill([limit(Side.SELL, 105)], BAR, NONE) == BarFill(1, 105)


def test_a_stop_leg_in_its_entry_bar_fills_at_its_own_price_as_the_open_came_before_it() -> None:
    assert first_fill([stop(Side.SELL, 103, entered=True)], BAR, NONE) == BarFill(1, 103)


@given(
    sides=st.lists(st.tuples(st.sampled_from(Side), st.booleans(), st.integers(80, 120)), max_size=6),
    high=st.integers(100, 115),
    low=st.integers(85, 100),
)
def test_no_fill_is_ever_better_than_the_bar_allows(
    sides: list[tuple[Side, bool, int]], high: int, low: int
) -> None:
    bar = Bar(0, 100, high, low, 100, 1)
    orders = [(stop if is_stop else limit)(side, price, i) for i, (side, is_stop, price) in enumerate(sides)]
    hit = first_fill(orders, bar, NONE)
    if hit is None:
        return
    order = orders[hit.venue_id]
    asked = order.stop_ticks if order.type is OrderType.STOP else order.limit_ticks
    assert asked is not None
    if order.type is OrderType.STOP:
        assert low <= hit.price_ticks <= high
        assert (hit.price_ticks - asked) * order.side >= 0
    else:
        assert hit.price_ticks == asked
