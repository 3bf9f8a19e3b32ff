"""Both twins of native.gate against the rules of `app.risk.checks`, which decide, and against each other."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.orders import Bracket, Order, OrderState, OrderType, Role
from app.errors import Refused
from app.risk import checks
from app.risk.checks import EXPOSING_PLACE, Desk, GateView
from app.risk.state import TradingState
from native import gate_py
from tests.risk.views import (
    BUY,
    CALENDAR,
    ES,
    MES,
    MONO,
    NQ,
    SELL,
    entry,
    leg,
    limits,
    quote,
    view,
    working,
)

gate_c = importlib.import_module("native.gate_c")
TWINS = pytest.mark.parametrize("twin", [gate_py, gate_c], ids=["pure", "compiled"])

NS = 1_000_000_000
CONTRACTS = [ES, MES, NQ]
BROKEN = "CON.F.US.NONE.Z26"
HUGE = 2**62
# What may be broken about a view, each with what the rules must then notice.
FAULTS: dict[str, Any] = {
    "listed": False, "synced": False, "state": TradingState.REDUCING, "armed": False, "unknown_orders": 1,
    "journal_failed": "disk full", "account": None, "instrument": None, "quote": None, "day_net_micro": None,
    "balance_micro": None, "equity_micro": None, "floor_micro": None,
}  # fmt: skip
prices = st.integers(80, 120) | st.none() | st.sampled_from([-HUGE, HUGE])
brackets = st.builds(Bracket, st.sampled_from([0, 3, 4, 20, 500, HUGE]), st.sampled_from([0, 3, 4, 32]))


def orders(tag: st.SearchStrategy[str]) -> st.SearchStrategy[Order]:
    return st.builds(
        Order,
        tag=tag,
        strategy=st.just("s"),
        account_id=st.sampled_from([1, 1, 1, 2]),
        contract=st.sampled_from([ES, ES, MES, NQ]),
        side=st.sampled_from([BUY, SELL]),
        size=st.integers(0, 6) | st.just(HUGE),
        type=st.sampled_from([OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.UNKNOWN]),
        role=st.sampled_from([Role.ENTRY, Role.ENTRY, Role.STOP, Role.TARGET]),
        limit_ticks=prices,
        stop_ticks=prices,
        bracket=brackets | st.none(),
        oco=st.sampled_from(["", "", "pair"]),
        parent_tag=st.sampled_from(["", "", "a", "b"]),
        state=st.sampled_from([OrderState.WORKING, OrderState.SENT, OrderState.FILLED]),
        filled=st.integers(0, 2),
    )


def shaped(order: Order) -> Order:
    """Prices as its type wants them, so that later rules are reached."""
    wanted = checks.PRICES.get(order.type, (False, False))
    limit, stop = (98 if has else None for has in wanted)
    return replace(order, limit_ticks=limit, stop_ticks=105 if stop and order.side > 0 else stop)


candidates = orders(st.just("new")) | orders(st.just("new")).map(shaped) | orders(st.just("a")).map(shaped)
live = st.lists(orders(st.sampled_from("abcdefgh")), max_size=8, unique_by=lambda order: order.tag)
views = st.builds(
    lambda held, rest, day, equity, bid, last, age, late: view(
        positions=held, orders=rest, day_net_micro=day, equity_micro=equity, utc_ns=view().utc_ns + late,
        quote=quote(bid_ticks=bid, last_ticks=last, recv_mono_ns=MONO - age),
    ),
    st.dictionaries(st.sampled_from(CONTRACTS), st.integers(-3, 3) | st.just(HUGE), max_size=2),
    live,
    st.sampled_from([0, -600_000_000, -990_000_000, 10**9, -HUGE * 2]),
    st.sampled_from([50_000_000_000, 48_100_000_000, HUGE]),
    st.sampled_from([100, 101, 102, -400]),
    st.sampled_from([100, 99, 900, None]),
    st.sampled_from([0, 2 * NS, 2 * NS + 1, -1]),
    st.sampled_from([0, 7 * 3600 * NS, 20 * 3600 * NS]),
)  # fmt: skip
desks = st.builds(
    lambda tenths, daily, need: limits(
        max_contracts_tenths=tenths, daily_loss_limit_micro=daily, require_bracket=need
    ),
    st.sampled_from([50, 5, 150]),
    st.sampled_from([None, 1_000_000_000]),
    st.booleans(),
)


def told(twin: ModuleType, made: Any, raised: dict[str, int]) -> tuple[Desk, Any]:
    """A desk whose rules have told the twin about contracts, hours and rates."""
    desk = Desk(made, CALENDAR)
    desk.raised.update(raised)
    desk._native = twin.Gate(made, checks._WORDS, desk.raised, checks._KINDS)
    calm = view()
    with patch.object(checks, "gate", twin):  # a compiled gate takes compiled products only
        for contract in CONTRACTS:
            desk.instrument(contract)
            checks.entry_hours(desk, entry(contract=contract), calm)
        checks.order_rate(desk, entry(), calm)
    return desk, desk._native


def first_refused(desk: Desk, order: Order, seen: GateView) -> int:
    """The place of the first rule that refuses, len(EXPOSING_PLACE) when none does."""
    for place, rule in enumerate(EXPOSING_PLACE):
        try:
            rule(desk, order, seen)
        except Refused:
            return place
    return len(EXPOSING_PLACE)


def verdict(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except (OverflowError, TypeError) as error:
        return type(error), str(error)


@given(desks, candidates, views, st.sampled_from(["", "", "", *FAULTS]), st.sampled_from([{}, {"a": 4}]))
def test_twins_agree_and_pass_nothing_that_a_rule_refuses(
    made: Any, order: Order, seen: GateView, fault: str, raised: dict[str, int]
) -> None:
    if fault:
        setattr(seen, fault, FAULTS[fault])
    seen.instrument = seen.instrument and Desk(made, CALENDAR).instrument(order.contract)
    if seen.quote is not None:
        seen.quote.contract = order.contract
    found = []
    for twin in (gate_py, gate_c):
        desk, native = told(twin, made, raised)
        found.append((verdict(native.check, order, seen), native.value, native.limit))
        refused = first_refused(desk, order, seen)
        place = desk.first_doubt(order, seen)
        assert place <= refused
        decided = type(found[-1][0]) is int and place != EXPOSING_PLACE.index(checks.reduce_only)
        assert not decided or place == refused
    assert found[0] == found[1]


@TWINS
def test_passes_an_order_on_which_everything_is_in_order(twin: ModuleType) -> None:
    assert told(twin, limits(), {})[1].check(entry(), view()) == -1


@TWINS
@pytest.mark.parametrize("fault", FAULTS)
def test_names_the_rule_of_every_fault(twin: ModuleType, fault: str) -> None:
    desk, native = told(twin, limits(), {})
    broken = view(**{fault: FAULTS[fault]})
    assert native.check(entry(), broken) == first_refused(desk, entry(), broken) >= 0


@TWINS
def test_leaves_what_it_was_not_told_to_the_rules(twin: ModuleType) -> None:
    native = twin.Gate(limits(), checks._WORDS, {}, checks._KINDS)
    assert EXPOSING_PLACE[native.check(entry(), view())] is checks.instrument
    known = told(twin, limits(), {})[1]
    foreign = view(positions={BROKEN: 1})
    assert EXPOSING_PLACE[known.check(entry(), foreign)] is checks.contracts
    late = view(utc_ns=view().utc_ns + 24 * 3600 * NS)
    assert EXPOSING_PLACE[known.check(entry(), late)] is checks.entry_hours
    known.counted(0, 0, 0, 0)
    assert EXPOSING_PLACE[known.check(entry(), view())] is checks.order_rate
    known.counted(0, 0, 2**62, MONO + 1)
    assert EXPOSING_PLACE[known.check(entry(), view())] is checks.duplicate


@TWINS
def test_tells_value_and_limit(twin: ModuleType) -> None:
    native = told(twin, limits(), {})[1]
    assert EXPOSING_PLACE[native.check(entry(size=11), view())] is checks.order_size
    assert (native.value, native.limit) == (11, 10)
    assert EXPOSING_PLACE[native.check(entry(), view(positions={ES: 5}))] is checks.contracts
    assert (native.value, native.limit) == (6, 5)


@TWINS
def test_refuses_amounts_beyond_64_bits(twin: ModuleType) -> None:
    native = told(twin, limits(), {})[1]
    for broken in (view(equity_micro=2**63), view(positions={NQ: 2**62}), view(day_net_micro=-(2**63))):
        with pytest.raises(OverflowError):
            native.check(entry(), broken)


@TWINS
def test_leaves_more_orders_than_it_counts_to_the_rules(twin: ModuleType) -> None:
    native = told(twin, limits(), {})[1]
    done = [entry(f"t{number}", size=2, filled=2) for number in range(twin.MOST_LINES + 1)]
    assert native.check(entry(), view(orders=done[:-1])) == -1
    assert EXPOSING_PLACE[native.check(entry(), view(orders=done))] is checks.contracts


@TWINS
def test_counts_the_larger_leg_of_a_pair_less_what_its_entry_still_buys(twin: ModuleType) -> None:
    native = told(twin, limits(), {})[1]
    legs = [leg("sl", Role.STOP, size=3, parent="e"), leg("tp", Role.TARGET, size=4, parent="e")]
    parent = working(entry("e", size=1))
    for live_orders, of_symbol in ((legs, 4), ([*legs, parent], 3), ([parent, *reversed(legs)], 3)):
        told_to, asked = limits(max_contracts_symbol_default=of_symbol - 1), entry(size=1)
        native = told(twin, told_to, {})[1]
        assert EXPOSING_PLACE[native.check(asked, view(orders=live_orders))] is checks.contracts
        assert (native.value, native.limit) == (of_symbol, of_symbol - 1)


@TWINS
def test_forgets_what_it_knew_of_a_contract(twin: ModuleType) -> None:
    native = told(twin, limits(), {})[1]
    assert native.check(entry(), view()) == -1 and native.product(ES) is not None
    native.forget()
    assert native.product(ES) is None
    assert EXPOSING_PLACE[native.check(entry(), view())] is checks.instrument


class Lookalike(Order):
    """Where another class keeps its attributes is not known."""


@TWINS
@pytest.mark.parametrize(
    "broken",
    [
        {"orders": [Lookalike("x", "s", 1, ES, BUY, 1, OrderType.MARKET)]},
        {"orders": [entry("x", bracket=(20, 32))]},
        {"positions": [(ES, 1)]},
        {"quote": (100, 101)},
        {"account": "SIM-50K"},
        {"utc_ns": "now"},
    ],
)
def test_refuses_objects_of_other_classes(twin: ModuleType, broken: dict[str, Any]) -> None:
    native = told(twin, limits(), {})[1]
    with pytest.raises(TypeError):
        native.check(entry(), view(**broken))
    for order, seen in ((Lookalike("x", "s", 1, ES, BUY, 1, OrderType.MARKET), view()), (entry(), entry())):
        with pytest.raises(TypeError):
            native.check(order, seen)


@TWINS
def test_refuses_an_attribute_that_was_taken_away(twin: ModuleType) -> None:
    native = told(twin, limits(), {})[1]
    for name in ("state", "size"):
        broken = entry("x")
        delattr(broken, name)
        with pytest.raises(AttributeError):
            native.check(entry(), view(orders=[broken]))


@TWINS
def test_reads_slots_alone(twin: ModuleType) -> None:
    class Loose:
        tag = "t"

    with pytest.raises(TypeError, match="is not a slot"):
        twin.Gate(limits(), checks._WORDS, {}, (Loose, *checks._KINDS[1:]))
