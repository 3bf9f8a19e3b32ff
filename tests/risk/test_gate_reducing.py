"""What only takes exposure away passes everything; a change that adds some does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.orders import Bracket, Order, OrderState, OrderType, Role
from app.domain.units import MICRO
from app.errors import Refused
from app.risk.approved import Action
from app.risk.gate import GateView
from app.risk.state import TradingState
from tests.risk.views import (
    BLIND,
    BUY,
    ES,
    SELL,
    entry,
    exit_of,
    gate,
    leg,
    rule,
    stop,
    view,
    working,
)


def modified(order: Order, desk: GateView, **changes: int) -> tuple[str, bool]:
    """(refusing rule, exposing)."""
    it = gate()
    try:
        approved = it.modify(order, changes.get("limit"), changes.get("stop"), changes.get("size"), desk)
    except Refused as refused:
        return refused.rule, True
    assert (approved.action, approved.body, approved.order) == (Action.MODIFY, b"modify", order)
    return "", approved.exposing


# -- what only reduces


@pytest.mark.parametrize("role", [Role.EXIT, Role.STOP, Role.TARGET])
@pytest.mark.parametrize("state", list(TradingState))
def test_an_exit_passes_in_every_state_blind_and_without_a_disk(role: Role, state: TradingState) -> None:
    blind = view(positions={ES: 2}, **{**BLIND, "state": state})
    approved = gate().place(exit_of(size=2, role=role), blind)
    assert not approved.exposing


@pytest.mark.parametrize(
    ("name", "broken"),
    [("gate.account", {"listed": False}), ("gate.not_synced", {"synced": False})],
)
def test_an_exit_needs_a_named_account_and_a_known_position(name: str, broken: dict[str, Any]) -> None:
    assert rule(gate().place, exit_of(), view(positions={ES: 1}, **broken)) == name


@pytest.mark.parametrize(
    ("size", "net", "live"),
    [
        (2, 1, []),
        (1, 0, []),
        (1, -1, []),
        (1, 1, [working(exit_of("other"))]),  # two exits of the full size
        (1, 1, [leg("s", Role.STOP, parent="p")]),  # the stop may fill first
        (1, 1, [working(entry("e", side=SELL))]),
        (1, 1, [exit_of("other", state=OrderState.UNKNOWN)]),
    ],
)
def test_rejects_an_exit_of_more_than_what_is_left_to_take_away(
    size: int, net: int, live: list[Order]
) -> None:
    desk = view(positions={ES: net}, orders=live)
    order = exit_of(size=size)
    assert gate().exposing(order, desk)
    assert rule(gate().place, order, desk) == "gate.reduce_only"


def test_rejects_an_exit_that_brings_a_bracket() -> None:
    desk = view(positions={ES: 1})
    assert rule(gate().place, exit_of(bracket=Bracket(20)), desk) == "gate.reduce_only"


def test_an_entry_against_the_position_is_exposing_all_the_same() -> None:
    desk = view(positions={ES: 1}, state=TradingState.REDUCING)
    assert rule(gate().place, entry(side=SELL), desk) == "gate.state"


# -- modifications


@pytest.mark.parametrize(
    ("order", "net", "changes", "exposing"),
    [
        (leg("s", Role.STOP, SELL, price=80), 1, {"stop": 81}, False),
        (leg("s", Role.STOP, SELL, price=80), 1, {"stop": 79}, True),
        (leg("s", Role.STOP, BUY, price=120), -1, {"stop": 119}, False),
        (leg("s", Role.STOP, BUY, price=120), -1, {"stop": 121}, True),
        (leg("t", Role.TARGET, SELL, price=140), 1, {"limit": 139}, False),
        (leg("t", Role.TARGET, SELL, price=140), 1, {"limit": 141}, True),
        (leg("t", Role.TARGET, BUY, price=60), -1, {"limit": 61}, False),
        (leg("t", Role.TARGET, BUY, price=60), -1, {"limit": 59}, True),
        (leg("t", Role.TARGET, SELL, 2, price=140), 2, {"size": 1}, False),
        (leg("s", Role.STOP, SELL, 2, price=80), 2, {"size": 1}, True),  # it would cover too little
        (leg("s", Role.STOP, SELL, 2, price=80), 1, {"size": 1}, False),
        (leg("s", Role.STOP, SELL, 2, price=80), 1, {"size": 1, "stop": 79}, True),
        (leg("s", Role.STOP, SELL, 1, price=80), 2, {"size": 2}, True),
        (leg("s", Role.STOP, SELL, 2, price=80), 0, {"size": 1}, False),
        (working(stop(120)), 0, {"stop": 121}, True),
        (working(stop(120)), 0, {"stop": 119}, True),
        (working(entry(size=2, type=OrderType.STOP, stop_ticks=120)), 0, {"size": 1}, False),
        (working(stop(120)), 0, {"size": 2}, True),
    ],
)
def test_tells_a_change_that_adds_risk_from_one_that_takes_it_away(
    order: Order, net: int, changes: dict[str, int], exposing: bool
) -> None:
    desk = view(positions={ES: net}, orders=[order])
    assert modified(order, desk, **changes) == ("", exposing)
    blind = view(positions={ES: net}, orders=[order], **BLIND)
    assert modified(order, blind, **changes) == (("gate.halted", True) if exposing else ("", False))


@pytest.mark.parametrize(
    ("name", "order", "changes"),
    [
        ("gate.unchanged", working(stop(120)), {}),
        ("gate.unchanged", working(stop(120)), {"stop": 120, "size": 1}),
        ("gate.price", working(stop(120)), {"limit": 100}),
        ("gate.price", working(stop(120)), {"stop": 101}),
        ("gate.collar", working(stop(120)), {"stop": 502}),
        ("gate.size", working(stop(120)), {"size": 0}),
        ("gate.size", working(entry(size=3, type=OrderType.STOP, stop_ticks=120), filled=2), {"size": 2}),
        ("gate.symbol_contracts", working(stop(120)), {"size": 6}),
        ("gate.reduce_only", leg("s", Role.STOP, SELL, 1, price=80), {"size": 2}),
        ("gate.order_state", stop(120), {"stop": 121}),
        ("gate.order_state", working(stop(120), venue_id=0), {"stop": 121}),
        ("gate.order_state", working(stop(120), cancel_requested=True), {"stop": 121}),
        ("gate.order_state", working(stop(120), state=OrderState.UNKNOWN), {"stop": 121}),
    ],
)
def test_rejects_a_change_that_makes_no_sense(name: str, order: Order, changes: dict[str, int]) -> None:
    desk = view(positions={ES: 1}, orders=[order], day_net_micro=10**10)
    assert modified(order, desk, **changes)[0] == name


@pytest.mark.parametrize("net", [0, -1])
def test_an_exit_that_nothing_is_held_for_is_not_moved(net: int) -> None:
    order = leg("s", Role.STOP, SELL, price=80)
    assert modified(order, view(positions={ES: net}, orders=[order]), stop=81)[0] == "gate.reduce_only"


def test_a_stop_is_tightened_though_another_entry_works_on_its_side() -> None:
    order = leg("s", Role.STOP, SELL, price=80)
    other = working(entry("other", SELL, 3, strategy="other"))
    assert modified(order, view(positions={ES: 1}, orders=[order, other]), stop=81) == ("", False)


def test_a_wider_stop_must_still_fit_the_loss_limits() -> None:
    order = leg("s", Role.STOP, SELL, price=80)
    room = (100 - 60 + 4) * 12_500_000 + 3_780_000 + 4 * 12_500_000 + 1_890_000
    for day, name in ((-1_000 * MICRO + room + 1, ""), (-1_000 * MICRO + room, "gate.daily_loss")):
        desk = view(positions={ES: 1}, orders=[order], day_net_micro=day)
        assert modified(order, desk, stop=60)[0] == name


def test_a_size_raised_at_the_venue_counts_before_the_venue_answered() -> None:
    it = gate()
    order = working(stop(120))
    rich = {"day_net_micro": 10**10, "equity_micro": 10**12}
    it.modify(order, None, None, 5, view(orders=[order], **rich))
    assert order.size == 1
    assert rule(it.place, entry("b"), view(orders=[order], **rich)) == "gate.symbol_contracts"
    other = working(replace(stop(130), tag="other", side=SELL, stop_ticks=90))
    it.modify(other, None, 91, None, view(orders=[order, other], **rich))
    assert rule(it.place, entry("b"), view(orders=[order], **rich)) == "gate.symbol_contracts"
    gone = view(orders=[], **rich)
    assert rule(it.place, entry("c"), gone) == ""


def test_a_refused_change_counts_nothing() -> None:
    it = gate(orders_per_minute=1)
    order = working(stop(120))
    for _ in range(3):
        assert rule(it.modify, order, None, 100, None, view(orders=[order])) == "gate.price"
    assert rule(it.modify, order, None, 121, None, view(orders=[order])) == ""
    assert rule(it.modify, order, None, 122, None, view(orders=[order])) == "gate.order_rate"
