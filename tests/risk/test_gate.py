"""The gate: each rule from both sides, what reduces always passes, and nothing passes on ignorance."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import AccountReport
from app.domain.instruments import by_symbol
from app.domain.orders import Bracket, Order, OrderState, OrderType, Role, Side
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
    MCL,
    MES,
    MONO,
    MORNING,
    NQ,
    NS,
    SELL,
    at,
    entry,
    exit_of,
    gate,
    leg,
    limits,
    quote,
    refusal,
    rule,
    view,
    working,
)

BLIND: dict[str, Any] = {
    "state": TradingState.HALTED,
    "because": "switch",
    "armed": False,
    "journal_failed": "disk full",
    "unknown_orders": 2,
    "quote": None,
    "account": None,
    "day_net_micro": None,
    "balance_micro": None,
    "equity_micro": None,
    "floor_micro": None,
}

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
    if name == "gate.fee":  # a product without a fee in the table
        no_fee = "CON.F.US.NKD.Z26"
        broken_view = view(no_fee)
        assert rule(gate().place, entry(contract=no_fee), broken_view) == name
        return
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


def stop(ticks: int, side: Side = BUY) -> Order:
    return entry(side=side, type=OrderType.STOP, stop_ticks=ticks)


def limit(ticks: int, side: Side = BUY) -> Order:
    return entry(side=side, type=OrderType.LIMIT, limit_ticks=ticks)


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


# -- rate and repetition


def test_orders_a_minute_roll_on_monotonic_time() -> None:
    it = gate(orders_per_minute=3)
    for second in (0, 10, 20):
        assert rule(it.place, entry(f"{second}"), later(second)) == ""
    assert rule(it.place, entry("a"), later(59)) == "gate.order_rate"
    assert rule(it.place, entry("b"), later(60)) == ""
    assert rule(it.place, entry("c"), later(61)) == "gate.order_rate"


def later(seconds: int, **changes: Any) -> GateView:
    mono = MONO + seconds * NS
    return view(mono_ns=mono, quote=quote(recv_mono_ns=mono), **changes)


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
    held = {"CON.F.US.XXX.Z26": 1}
    assert rule(gate().place, entry(), view(positions=held)) == "instrument.unknown"


def test_legs_of_a_bracket_do_not_count() -> None:
    legs = [leg("s", Role.STOP, size=5, parent="p"), leg("t", Role.TARGET, size=5, parent="p", price=140)]
    rich = {"day_net_micro": 10_000 * MICRO, "equity_micro": 60_000 * MICRO}
    assert rule(gate().place, entry(size=1), view(orders=legs, positions={ES: 4}, **rich)) == ""
    assert rule(gate().place, entry(side=SELL), view(orders=legs, positions={ES: 5}, **rich)) == ""
    short = view(orders=legs, positions={ES: 0}, **rich)  # left over after the position: they would open one
    assert rule(gate().place, entry(side=SELL), short) == "gate.symbol_contracts"


# -- losses


def loss_of(size: int, stop_ticks: int) -> int:
    """20 ticks and 4 of slippage at 12.50 USD, and 3.78 USD of fees, a contract."""
    return size * ((stop_ticks + 4) * 12_500_000 + 3_780_000)


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
    assert modified(order, desk, stop=121)[0] == ""


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


def modified(order: Order, desk: GateView, **changes: int) -> tuple[str, bool]:
    """(refusing rule, exposing)."""
    it = gate()
    try:
        approved = it.modify(order, changes.get("limit"), changes.get("stop"), changes.get("size"), desk)
    except Refused as refused:
        return refused.rule, True
    assert (approved.action, approved.body, approved.order) == (Action.MODIFY, b"modify", order)
    return "", approved.exposing


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
