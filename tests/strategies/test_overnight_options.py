"""The optional parts of the overnight range breakout: breakeven, filters, zones and the daily ATR."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from app.domain.intents import Modify, Place
from app.domain.market import MINUTE_NS, Bar
from app.domain.orders import Bracket, Side
from tests.strategies.desk import Desk, flat_bars, new_york
from tests.strategies.nights import ENTRY, OPEN, night_desk, strategy, why

# -- breakeven


def breakeven_desk(side: Side, **settings: object) -> Desk:
    desk = night_desk(breakeven_points="2", **settings)
    desk.fill(desk.entry(side), desk.entry(side).stop_ticks or 0)
    return desk


@pytest.mark.parametrize(("side", "entry"), [(Side.BUY, 6609), (Side.SELL, 6599)])
def test_breakeven_moves_the_stop_to_the_entry_once_the_gain_is_there(side: Side, entry: int) -> None:
    desk = breakeven_desk(side, breakeven_offset_ticks=1)
    desk.price(entry + 7 * side)
    assert desk.all(Modify) == []
    desk.price(entry + 8 * side)
    (change,) = desk.all(Modify)
    leg = desk.live[change.tag]
    assert (change.stop_ticks, leg.side) == (entry + side, side.opposite)
    desk.price(entry + 9 * side)
    assert len(desk.all(Modify)) == 1
    leg.stop_ticks = change.stop_ticks
    desk.live_bars(flat_bars(ENTRY, 1, entry + 8 * side, entry + 8 * side))
    assert len(desk.all(Modify)) == 1


def test_breakeven_is_asked_again_a_bar_later_when_the_stop_did_not_move() -> None:
    desk = breakeven_desk(Side.BUY)
    desk.price(6617)
    desk.take(desk.strategy.on_refused(desk.all(Modify)[0], "order.change_pending", "one at a time"))
    desk.price(6617)
    assert len(desk.all(Modify)) == 1
    desk.live_bars(flat_bars(ENTRY, 1, 6617, 6617))
    desk.price(6617)
    assert len(desk.all(Modify)) == 2


def test_breakeven_never_loosens_a_stop() -> None:
    desk = breakeven_desk(Side.BUY)
    next(iter(desk.live.values())).stop_ticks = 6612
    desk.price(6640)
    assert desk.all(Modify) == []


def test_without_breakeven_the_stop_stays() -> None:
    desk = night_desk()
    desk.fill(desk.entry(Side.BUY), 6609)
    desk.price(7000)
    assert desk.all(Modify) == []


# -- filters and zones


@pytest.mark.parametrize(
    ("key", "passes", "refuses"),
    [
        ("range_min_points", "2", "2.25"),
        ("range_max_points", "2", "1.75"),
        ("atr_min_points", "2", "2.01"),
        ("atr_max_points", "2", "1.99"),
        ("gap_max_points", "1", "0.99"),
    ],
)
def test_filters_stay_out_beyond_their_limit(key: str, passes: str, refuses: str) -> None:
    def placed(value: str) -> int:
        desk = Desk(strategy(**{key: value}), OPEN)
        desk.history(flat_bars(new_york(date(2013, 10, 4), 15), 20, 6596, 6604))  # closes a point lower
        desk.live_bars(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
        return len(desk.all(Place))

    assert (placed(passes), placed(refuses)) == (2, 0)


def test_the_gap_filter_stays_out_when_the_last_close_is_unknown() -> None:
    desk = night_desk(gap_max_points="200")
    desk.until(ENTRY + 6 * MINUTE_NS)
    assert (desk.all(Place), why(desk)) == ([], "the last session's close is not known")


def zone_desk(sessions: int, high: int, switch: str = "zones") -> Desk:
    """Sessions of 100 ticks (daily ATR 100, half 50): zones from 25 ticks beside the night's open, 6604."""
    desk = Desk(strategy(**{switch: "true", "daily_atr_days": "3"}), OPEN)
    for back in range(sessions, 0, -1):
        day = date(2013, 10, 4) - timedelta(days=back - 1)
        desk.history([Bar(new_york(day, 12), 6604, 6654, 6554, 6604, 9)])
    desk.live_bars(flat_bars(ENTRY - 90 * MINUTE_NS, 90, 6600, high))
    desk.until(ENTRY + 6 * MINUTE_NS)
    return desk


def test_zones_set_the_targets_at_their_near_edges() -> None:
    desk = zone_desk(4, 6608)
    buy, sell = desk.all(Place)
    assert buy.bracket is not None
    assert sell.bracket is not None
    assert (buy.bracket.target_ticks, sell.bracket.target_ticks) == (6629 - 6609, 6599 - 6579)
    assert desk.strategy.facts()["zones"] == "1644.75 to 1643.275, 1657.25 to 1658.725"


def test_a_zone_inside_the_range_leaves_the_targets_to_the_atr() -> None:
    buy, sell = zone_desk(4, 6640).all(Place)  # the night opens at 6620: the zone above begins at 6645
    assert buy.bracket is not None
    assert sell.bracket is not None
    assert (buy.bracket.target_ticks, sell.bracket.target_ticks) == (6645 - 6641, 6599 - 6595)
    buy, sell = zone_desk(4, 6660).all(Place)  # opens at 6630, the zones lie inside
    assert buy.bracket is not None
    assert sell.bracket is not None
    assert (buy.bracket.target_ticks, sell.bracket.target_ticks) == (120, 120)


def test_the_daily_atr_can_size_stop_and_target() -> None:
    desk = zone_desk(4, 6608, "use_daily_atr")
    assert [p.bracket for p in desk.all(Place)] == [Bracket(125, 200)] * 2
    assert desk.strategy.facts()["atr"] == "25.00"


def test_zones_without_enough_sessions_stay_out() -> None:
    desk = zone_desk(3, 6608)
    assert desk.all(Place) == []
    assert why(desk) == "the daily ATR needs 3 whole sessions and the one before, 3 are known"
