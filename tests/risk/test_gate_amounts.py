"""How often, how much, and how much may be lost: rate, repetition, contracts, losses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.orders import Bracket, OrderState, OrderType, Role
from app.domain.units import MICRO
from tests.risk.views import (
    ES,
    MCL,
    MES,
    MORNING,
    NQ,
    SELL,
    at,
    entry,
    exit_of,
    gate,
    later,
    leg,
    refusal,
    rule,
    stop,
    view,
    working,
)

# -- rate and repetition


def test_orders_a_minute_roll_on_monotonic_time() -> None:
    it = gate(orders_per_minute=3)
    for second in (0, 10, 20):
        assert rule(it.place, entry(f"{second}"), later(second)) == ""
    assert rule(it.place, entry("a"), later(59)) == "gate.order_rate"
    assert rule(it.place, entry("b"), later(60)) == ""
    assert rule(it.place, entry("c"), later(61)) == "gate.order_rate"


def test_orders_a_day_end_at_17_00_chicago_and_not_when_the_clock_is_set_back() -> None:
    it = gate(orders_per_day=2)
    assert rule(it.place, entry("1"), later(0)) == ""
    assert rule(it.place, entry("2"), later(100)) == ""
    assert rule(it.place, entry("3"), later(200)) == "gate.order_rate"
    assert rule(it.place, entry("4"), later(300, utc_ns=at("2026-11-19T10:00"))) == "gate.order_rate"
    assert rule(it.place, entry("5"), later(400, utc_ns=at("2026-11-22T17:00"))) == ""


def test_orders_sent_while_the_clock_was_set_back_count_today() -> None:
    it = gate(orders_per_day=2)
    assert rule(it.place, entry("1"), later(0)) == ""
    assert rule(it.place, entry("2"), later(100, utc_ns=at("2026-11-18T10:00"))) == ""
    assert rule(it.place, entry("3"), later(200)) == "gate.order_rate"


def test_a_restart_goes_on_counting_the_day() -> None:
    it = gate(orders_per_day=2)
    it.resume(1, MORNING)
    assert rule(it.place, entry("1"), later(0)) == ""
    assert rule(it.place, entry("2"), later(100)) == "gate.order_rate"


def test_exits_are_counted_but_never_rate_limited() -> None:
    it = gate(orders_per_minute=2)
    held = {ES: 5}
    assert [rule(it.place, exit_of(f"{n}"), later(n, positions=held)) for n in range(5)] == [""] * 5
    assert rule(it.place, entry(), later(6, positions=held)) == "gate.order_rate"


def test_the_same_intent_within_the_window_is_a_duplicate() -> None:
    it = gate()
    assert rule(it.place, entry("a", ref="x"), later(0)) == ""
    assert rule(it.place, entry("b", ref="x"), later(9)) == "gate.duplicate"
    assert rule(it.place, entry("c", ref="x"), later(10)) == ""


def test_repeated_exits_keep_no_other_intent_in_the_window() -> None:
    it = gate()
    held = {ES: 5}
    answers = [
        rule(it.place, exit_of("x"), later(0, positions=held)),
        rule(it.place, entry("a"), later(1)),
        rule(it.place, exit_of("x"), later(9, positions=held)),
        rule(it.place, entry("a"), later(11)),
    ]
    assert answers == [""] * 4


@pytest.mark.parametrize(
    "changes",
    [{"ref": "y"}, {"side": SELL}, {"size": 2}, {"strategy": "other"}, {"type": OrderType.JOIN_BID}],
)
def test_another_intent_is_no_duplicate(changes: dict[str, Any]) -> None:
    it = gate()
    it.place(entry("a", ref="x"), view())
    assert rule(it.place, entry("b", **{"ref": "x", **changes}), view()) == ""


def test_a_refused_order_leaves_no_trace() -> None:
    it = gate(orders_per_minute=1)
    for _ in range(5):
        assert rule(it.place, entry("a", ref="x"), view(armed=False)) == "gate.not_armed"
        assert rule(it.place, entry("a", ref="x", size=9), view()) == "gate.symbol_contracts"
    assert rule(it.place, entry("a", ref="x"), view()) == ""


def loss_of(size: int, stop_ticks: int) -> int:
    """20 ticks and 4 of slippage at 12.50 USD, and 3.78 USD of fees, a contract."""
    return size * ((stop_ticks + 4) * 12_500_000 + 3_780_000)


# -- contracts


@pytest.mark.parametrize(("size", "name"), [(2, ""), (3, "gate.symbol_contracts")])
def test_positions_count_in_the_symbol(size: int, name: str) -> None:
    it = gate(daily_loss_limit_micro=None, maximum_loss_limit_micro=10_000 * MICRO)
    assert rule(it.place, entry(size=size), view(positions={ES: 3})) == name
    assert rule(it.place, entry("h", size=size), view(positions={"CON.F.US.EP.H27": -3})) == name


def test_working_orders_count_on_their_side_in_the_worst_case() -> None:
    live = [working(entry("w", size=4))]
    rich = {"equity_micro": 60_000 * MICRO, "day_net_micro": 10_000 * MICRO}
    assert rule(gate().place, entry(size=1), view(orders=live, **rich)) == ""
    assert rule(gate().place, entry(size=2), view(orders=live, **rich)) == "gate.symbol_contracts"
    assert rule(gate().place, entry(side=SELL, size=5), view(orders=live, **rich)) == ""
    assert rule(gate().place, entry(side=SELL, size=5), view(orders=live, positions={ES: -1}, **rich)) == (
        "gate.symbol_contracts"
    )


@pytest.mark.parametrize("state", [s for s in OrderState if s.live])
def test_orders_count_in_every_live_state(state: OrderState) -> None:
    live = [entry("w", size=5, state=state)]
    assert rule(gate().place, entry(), view(orders=live, day_net_micro=10**10)) == "gate.symbol_contracts"


def test_micros_weigh_a_tenth_of_a_mini() -> None:
    it = gate(max_contracts_symbol={"MES": 50, "ES": 5}, max_order_contracts=50)
    held = {ES: 4}
    small = {"contract": MES, "bracket": Bracket(4)}
    assert rule(it.place, entry(size=10, **small), view(MES, positions=held)) == ""
    assert rule(it.place, entry(size=11, **small), view(MES, positions=held)) == "gate.account_contracts"
    refused = refusal(it.place, entry(size=11, **small), view(MES, positions=held))
    assert refused is not None
    assert (refused.value, refused.limit) == ("5.1 minis in the worst case", "5.0 minis")


def test_long_and_short_products_do_not_offset_each_other() -> None:
    assert rule(gate().place, entry(side=SELL, size=2), view(positions={NQ: 4})) == "gate.account_contracts"


def test_an_unknown_product_held_by_the_owner_refuses_entries() -> None:
    held = {"CON.F.US.NONE.Z26": 1}
    assert rule(gate().place, entry(), view(positions=held)) == "instrument.unknown"


def test_legs_of_a_bracket_do_not_count() -> None:
    legs = [leg("s", Role.STOP, size=5, parent="p"), leg("t", Role.TARGET, size=5, parent="p", price=140)]
    rich = {"day_net_micro": 10_000 * MICRO, "equity_micro": 60_000 * MICRO}
    assert rule(gate().place, entry(size=1), view(orders=legs, positions={ES: 4}, **rich)) == ""
    assert rule(gate().place, entry(side=SELL), view(orders=legs, positions={ES: 5}, **rich)) == ""
    short = view(orders=legs, positions={ES: 0}, **rich)  # left over after the position: they would open one
    assert rule(gate().place, entry(side=SELL), short) == "gate.symbol_contracts"


# -- losses


@given(st.integers(1, 5), st.integers(4, 60), st.integers(-1_000 * MICRO, 1_000 * MICRO))
def test_an_entry_that_could_breach_the_daily_limit_is_refused(size: int, ticks: int, day: int) -> None:
    it = gate(maximum_loss_limit_micro=10**10)
    desk = view(day_net_micro=day, equity_micro=10**12)
    breaches = day - loss_of(size, ticks) <= -1_000 * MICRO
    assert (rule(it.place, entry(size=size, bracket=Bracket(ticks)), desk) == "gate.daily_loss") is breaches


@given(st.integers(1, 5), st.integers(4, 60), st.integers(0, 4_000 * MICRO))
def test_an_entry_that_could_breach_the_floor_is_refused(size: int, ticks: int, room: int) -> None:
    it = gate(daily_loss_limit_micro=None)
    desk = view(day_net_micro=-(10**12), equity_micro=48_000 * MICRO + room)
    breaches = room <= loss_of(size, ticks)
    assert (rule(it.place, entry(size=size, bracket=Bracket(ticks)), desk) == "gate.maximum_loss") is breaches


def test_the_limit_itself_is_a_breach() -> None:
    risk = loss_of(1, 20)
    for room, name in ((risk, "gate.maximum_loss"), (risk + 1, "")):
        assert rule(gate().place, entry(), view(equity_micro=48_000 * MICRO + room)) == name
    for room, name in ((risk, "gate.daily_loss"), (risk + 1, "")):
        assert rule(gate().place, entry(), view(day_net_micro=-1_000 * MICRO + room)) == name


def test_a_changed_entry_counts_once_in_the_loss() -> None:
    order = working(stop(120))
    desk = view(orders=[order], day_net_micro=-1_000 * MICRO + loss_of(1, 20) + 1)
    assert rule(gate().modify, order, None, 121, None, desk) == ""


def test_other_entries_count_in_the_loss_but_one_oco_group_once() -> None:
    one, other = entry("a", oco="pair"), entry("b", side=SELL, oco="pair")
    day = -1_000 * MICRO + loss_of(1, 20) + 1
    assert rule(gate().place, other, view(orders=[one], day_net_micro=day)) == ""
    assert (
        rule(gate().place, replace(other, oco=""), view(orders=[one], day_net_micro=day)) == "gate.daily_loss"
    )
    dearer = replace(one, bracket=Bracket(21))
    assert rule(gate().place, other, view(orders=[dearer], day_net_micro=day)) == "gate.daily_loss"


def test_closing_what_is_held_counts_in_the_loss() -> None:
    closing = 4 * 1_000_000 + 760_000
    day = -1_000 * MICRO + loss_of(1, 20) + closing
    assert rule(gate().place, entry(), view(positions={MCL: -1}, day_net_micro=day)) == "gate.daily_loss"
    assert rule(gate().place, entry(), view(positions={MCL: -1}, day_net_micro=day + 1)) == ""
