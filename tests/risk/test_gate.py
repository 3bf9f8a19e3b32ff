"""The gate: what is wrong or unknown refuses, when and at which price an entry may be sent."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import AccountReport
from app.domain.instruments import by_symbol
from app.domain.orders import Bracket, Order, OrderState, OrderType, Side
from app.domain.units import MICRO
from app.errors import Ours, Refused
from app.risk import checks
from app.risk.approved import Action, Approved
from app.risk.gate import GateView
from app.risk.limits import MS
from app.risk.state import TradingState
from tests.risk.views import (
    BUY,
    ES,
    LIMITS,
    MONO,
    MORNING,
    NQ,
    NS,
    SELL,
    at,
    entry,
    exit_of,
    gate,
    later,
    limit,
    limits,
    quote,
    refusal,
    rule,
    stop,
    view,
)

# -- an approval


def test_approves_an_entry_with_its_bytes_epoch_and_expiry() -> None:
    order = entry()
    approved = gate().place(order, view())
    assert (approved.order, approved.action, approved.body) == (order, Action.PLACE, b"place")
    assert (approved.epoch, approved.exposing) == (3, True)
    assert approved.expires_mono_ns == MONO + 500 * MS
    assert approved.max_quote_age_ns == LIMITS.max_quote_age_ns


def test_approves_an_exit_without_asking_for_a_quote() -> None:
    approved = gate().place(exit_of(), view(positions={ES: 1}))
    assert (approved.exposing, approved.max_quote_age_ns) == (False, 0)


def test_what_the_venue_cannot_express_is_refused_last_and_counts_nothing() -> None:
    def encode(order: Order) -> bytes:
        raise Refused("venue.size", order.size, 0)

    it = gate(encode, orders_per_day=1)
    assert [rule(it.place, entry(f"{n}"), view()) for n in range(3)] == ["venue.size"] * 3
    assert rule(it.place, entry(), view(state=TradingState.HALTED)) == "gate.halted"


def test_only_the_gate_can_make_an_approval() -> None:
    with pytest.raises(Ours):
        Approved(
            object(),
            Action.PLACE,
            entry(),
            b"",
            epoch=1,
            expires_mono_ns=1,
            max_quote_age_ns=0,
            exposing=True,
        )


# -- what is broken or not known refuses an entry, and names itself

REFUSING: list[tuple[str, dict[str, Any]]] = [
    ("gate.account", {"listed": False}),
    ("gate.account", {"account": None}),
    ("gate.account", {"account": AccountReport(2, "other", 0, True, True)}),
    ("gate.account", {"account": AccountReport(1, "SIM-50K", 0, False, True)}),
    ("gate.not_synced", {"synced": False}),
    ("gate.halted", {"state": TradingState.HALTED, "because": "switch: opened"}),
    ("gate.state", {"state": TradingState.REDUCING, "because": "loss_reducing"}),
    ("gate.not_armed", {"armed": False}),
    ("gate.unknown_order", {"unknown_orders": 1}),
    ("gate.journal", {"journal_failed": "disk full"}),
    ("gate.instrument", {"instrument": None}),
    ("gate.instrument", {"instrument": by_symbol("NQ")}),
    ("gate.fee", {"instrument": replace(by_symbol("ES"), fee_round_turn_micro=None)}),
    ("gate.quote_missing", {"quote": None}),
    ("gate.quote_missing", {"quote": quote(bid_ticks=None)}),
    ("gate.quote_missing", {"quote": quote(ask_ticks=None)}),
    ("gate.quote_missing", {"quote": quote(NQ)}),
    ("gate.quote_stale", {"quote": quote(recv_mono_ns=MONO - 2 * NS - 1)}),
    ("gate.quote_stale", {"quote": quote(recv_mono_ns=MONO + 1)}),  # from the future: not a quote to trust
    ("gate.daily_loss", {"day_net_micro": None}),
    ("gate.maximum_loss", {"balance_micro": None}),
    ("gate.maximum_loss", {"equity_micro": None}),
    ("gate.maximum_loss", {"floor_micro": None}),
    ("calendar.coverage", {"utc_ns": at("2031-01-02T10:00")}),
    ("calendar.coverage", {"utc_ns": 0}),
]


@pytest.mark.parametrize(("name", "broken"), REFUSING)
def test_rejects_an_entry_for_each_thing_that_is_wrong_or_unknown(name: str, broken: dict[str, Any]) -> None:
    refused = refusal(gate().place, entry(), view(**broken))
    assert refused is not None
    assert refused.rule == name
    assert refused.value
    assert refused.limit
    assert rule(gate().place, entry(), view()) == ""


def test_a_view_that_nobody_filled_refuses() -> None:
    it = gate()
    assert rule(it.place, entry(), GateView())
    assert rule(it.place, exit_of(), GateView())


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(GateView)])
def test_every_field_of_the_view_left_at_its_default_either_refuses_or_says_nothing_is_there(
    name: str,
) -> None:
    nothing_there = {"epoch", "because", "unknown_orders", "positions", "orders", "mono_ns"}
    fresh = getattr(GateView(), name)
    it = view(**{name: fresh})
    assert (rule(gate().place, entry(), it) == "") is (name in nothing_there - {"mono_ns"})


def test_a_refusal_says_value_and_limit_in_units() -> None:
    refused = refusal(gate().place, entry(), view(quote=quote(recv_mono_ns=MONO - 3 * NS)))
    assert str(refused) == "gate.quote_stale: quote 3000 ms old; limit 2000 ms"
    refused = refusal(gate().place, entry(), view(day_net_micro=-800 * MICRO))
    assert str(refused) == ("gate.daily_loss: -800.00 USD today and 303.78 at risk; limit -1000.00 USD")


# -- shape


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gate.size", {"size": 0}),
        ("gate.size", {"size": -1}),
        ("gate.size", {"size": True}),
        ("gate.size", {"size": 11}),
        ("gate.price", {"type": OrderType.UNKNOWN}),
        ("gate.price", {"type": OrderType.LIMIT}),
        ("gate.price", {"type": OrderType.LIMIT, "limit_ticks": 100, "stop_ticks": 101}),
        ("gate.price", {"type": OrderType.STOP, "limit_ticks": 100}),
        ("gate.price", {"limit_ticks": 100}),
        ("gate.price", {"stop_ticks": 120}),
        ("gate.order_state", {"state": OrderState.WORKING}),
        ("gate.order_state", {"filled": 1, "size": 2}),
        ("gate.bracket", {"bracket": None}),
        ("gate.bracket", {"bracket": Bracket(3, 8)}),
        ("gate.bracket", {"bracket": Bracket(0, 8)}),
        ("gate.bracket", {"bracket": Bracket(4, 3)}),
        ("gate.bracket", {"bracket": Bracket(4, -8)}),
        ("gate.bracket", {"bracket": Bracket(-4)}),
    ],
)
def test_rejects_an_entry_of_the_wrong_shape(name: str, changes: dict[str, Any]) -> None:
    it = gate(max_contracts_tenths=1_000, max_contracts_symbol_default=100)
    assert rule(it.place, entry(**changes), view()) == name


@pytest.mark.parametrize("bracket", [Bracket(4), Bracket(4, 4)])
def test_keeps_the_smallest_bracket_the_venue_takes(bracket: Bracket) -> None:
    assert rule(gate().place, entry(bracket=bracket), view()) == ""


def test_a_bracket_may_be_left_out_only_where_the_owner_says_so_and_is_checked_if_given() -> None:
    it = gate(require_bracket=False)
    assert rule(it.place, entry(bracket=None), view()) == ""
    assert rule(it.place, entry(bracket=Bracket(3)), view()) == "gate.bracket"
    assert rule(it.place, entry(bracket=Bracket(-1)), view()) == "gate.bracket"
    assert rule(it.place, entry("2", bracket=Bracket(0, 8)), view()) == ""


# -- hours


@pytest.mark.parametrize(
    ("when", "contract", "name"),
    [
        ("2026-11-19T16:59:59", ES, "gate.hours"),
        ("2026-11-19T17:00:00", ES, ""),
        ("2026-11-20T15:04:59", ES, ""),
        ("2026-11-20T15:05:00", ES, "gate.hours"),
        ("2026-11-20T15:10:00", ES, "gate.hours"),
        ("2026-11-22T16:59:59", ES, "gate.hours"),  # Sunday
        ("2026-11-27T11:39:59", ES, ""),  # early close, flat by 11:45
        ("2026-11-27T11:40:00", ES, "gate.hours"),
    ],
)
def test_enters_only_inside_the_session_less_its_margin(when: str, contract: str, name: str) -> None:
    assert rule(gate().place, entry(contract=contract), view(contract, utc_ns=at(when))) == name


@pytest.mark.parametrize(
    ("when", "name"),
    [
        ("2026-11-20T15:09:59", ""),
        ("2026-11-20T15:10:00", "gate.hours"),
        ("2026-11-22T12:00:00", "gate.hours"),
    ],
)
def test_exits_as_long_as_the_venue_trades(when: str, name: str) -> None:
    assert rule(gate().place, exit_of(), view(utc_ns=at(when), positions={ES: 1})) == name


def test_hours_are_those_of_the_product() -> None:
    grain, pause = "CON.F.US.ZCE.Z26", at("2026-11-20T08:00")
    sell = replace(exit_of(), contract=grain)
    assert rule(gate().place, sell, view(grain, utc_ns=pause, positions={grain: 1})) == "gate.hours"
    assert rule(gate().place, sell, view(grain, utc_ns=MORNING, positions={grain: 1})) == ""


# -- prices


@pytest.mark.parametrize(
    ("order", "name"),
    [
        (stop(102), ""),
        (stop(101), "gate.price"),  # at the ask: not above the market
        (stop(501), ""),
        (stop(502), "gate.collar"),
        (stop(99, SELL), ""),
        (stop(100, SELL), "gate.price"),
        (stop(-300, SELL), ""),
        (stop(-301, SELL), "gate.collar"),
        (limit(501), ""),  # crosses by as much as the collar
        (limit(502), "gate.collar"),
        (limit(-299), ""),
        (limit(-300), "gate.collar"),
        (limit(-300, SELL), ""),
        (limit(-301, SELL), "gate.collar"),
        (limit(500, SELL), ""),
        (limit(501, SELL), "gate.collar"),
        (entry(type=OrderType.TRAILING_STOP, stop_ticks=101), "gate.price"),
        (entry(type=OrderType.TRAILING_STOP, stop_ticks=102), ""),
        (entry(type=OrderType.JOIN_BID), ""),
    ],
)
def test_keeps_prices_near_the_market_and_stops_beyond_it(order: Order, name: str) -> None:
    assert rule(gate().place, order, view()) == name


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"bid_ticks": 102}, "gate.collar"),  # crossed
        ({"bid_ticks": 101}, ""),
        ({"ask_ticks": 500}, ""),
        ({"ask_ticks": 501}, "gate.collar"),
        ({"last_ticks": None}, ""),
        ({"last_ticks": 501}, ""),
        ({"last_ticks": 502}, "gate.collar"),
        ({"last_ticks": -300}, "gate.collar"),
    ],
)
def test_a_market_that_makes_no_sense_refuses_market_orders_too(changes: dict[str, Any], name: str) -> None:
    assert rule(gate().place, entry(), view(quote=quote(**changes))) == name


@pytest.mark.parametrize(("age", "name"), [(0, ""), (2 * NS, ""), (2 * NS + 1, "gate.quote_stale")])
def test_quote_age_counts_from_our_receipt(age: int, name: str) -> None:
    assert rule(gate().place, entry(), view(quote=quote(recv_mono_ns=MONO - age))) == name


# -- the tables


def test_every_rule_stands_in_a_table() -> None:
    used = {*checks.REDUCING, *checks.EXPOSING_PLACE}
    written = {
        value
        for name, value in vars(checks).items()
        if callable(value)
        and getattr(value, "__module__", "") == checks.__name__
        and getattr(value, "__annotations__", {}).get("desk") == "Desk"
        and not name.startswith("_")
    }
    assert used == written
    assert set(checks.EXPOSING) >= set(checks.ALWAYS)


@given(
    st.lists(
        st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 4), st.integers(0, 30), st.booleans()),
        max_size=30,
    )
)
def test_the_same_calls_give_the_same_answers(calls: list[tuple[Side, int, int, bool]]) -> None:
    def run() -> list[str]:
        it, now = gate(orders_per_minute=4, orders_per_day=9), 0
        answers = []
        for side, size, wait, reduce in calls:
            now += wait
            order = exit_of("x", side, size) if reduce else entry("x", side, size)
            answers.append(rule(it.place, order, later(now, positions={ES: 2})))
        return answers

    assert run() == run()


def test_limits_are_those_given() -> None:
    assert gate(collar_ticks=5).limits == limits(collar_ticks=5)
