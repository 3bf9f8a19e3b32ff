"""The worst case against every way in which orders can fill."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from app.domain.orders import Order, OrderState, Role, Side
from app.errors import Refused
from app.risk import exposure
from app.risk.state import TradingState
from tests.risk.views import BUY, ES, NQ, SELL, entry, exit_of, gate, leg, view, working

sides = st.sampled_from([BUY, SELL])
sizes = st.integers(1, 4)
LIVE = [s for s in OrderState if s.live]


@st.composite
def brackets(draw: st.DrawFn, name: str) -> list[Order]:
    """An entry, working or filled, with the legs the venue made of it, of its full size."""
    side, size = draw(sides), draw(sizes)
    filled = draw(st.integers(0, size))
    state = OrderState.WORKING if filled < size else OrderState.FILLED
    parent = working(entry(name, side, size), state=state, filled=filled)
    kept = draw(st.sets(st.sampled_from(["SL", "TP"]), min_size=1))
    legs = []
    for kind in sorted(kept):
        role = Role.STOP if kind == "SL" else Role.TARGET
        made = leg(f"{name}-{kind}", role, side.opposite, size, name)
        legs.append(replace(made, state=OrderState.WORKING if filled else OrderState.SUSPENDED))
    return [parent, *legs] if state.live else legs


@st.composite
def loose(draw: st.DrawFn, name: str) -> Order:
    """An order of its own: an entry of a strategy or the owner, or an exit."""
    make = draw(st.sampled_from([entry, exit_of]))
    size = draw(sizes)
    state = draw(st.sampled_from(LIVE))
    filled = draw(st.integers(0, size - 1)) if state is OrderState.WORKING else 0
    return make(name, draw(sides), size, state=state, filled=filled)


@st.composite
def desks(draw: st.DrawFn) -> tuple[int, list[Order]]:
    """(net, live orders) of one contract."""
    orders = [draw(loose(f"o{n}")) for n in range(draw(st.integers(0, 3)))]
    for n in range(draw(st.integers(0, 2))):
        orders += draw(brackets(f"b{n}"))
    return draw(st.integers(-6, 6)), orders


@dataclass
class Market:
    """Fills one contract at a time, in any order the venue allows."""

    net: int
    orders: list[Order]

    def __post_init__(self) -> None:
        self.left = {o.tag: o.remaining for o in self.orders}

    def may_fill(self, order: Order) -> bool:
        left = self.left[order.tag]
        if order.parent_tag:
            left -= self.left.get(order.parent_tag, 0)  # a leg works no earlier than its entry fills
        return left > 0

    def fill(self, order: Order) -> None:
        self.left[order.tag] -= 1
        self.net += order.side
        for other in self.orders:
            if order.parent_tag and other.parent_tag == order.parent_tag and other is not order:
                # One leg's fill takes the other down; what is left of the entry keeps its own share of it.
                self.left[other.tag] = min(self.left[other.tag], self.left[order.tag])

    def run(self, rng: random.Random) -> list[tuple[Order, int, int]]:
        """(order, net before, net after) of every fill until chance stops or nothing is left."""
        told = []
        for _ in range(rng.randint(0, 30)):
            able = [o for o in self.orders if self.may_fill(o)]
            if not able:
                break
            order, before = rng.choice(able), self.net
            self.fill(order)
            told.append((order, before, self.net))
        return told


@given(desks(), sides, sizes, st.sampled_from([Role.EXIT, Role.STOP, Role.TARGET]), st.randoms())
def test_what_passes_as_reducing_never_takes_the_position_up(
    desk: tuple[int, list[Order]], side: Side, size: int, role: Role, rng: random.Random
) -> None:
    net, orders = desk
    candidate = exit_of("candidate", side, size, role=role)
    seen = view(positions={ES: net}, orders=orders, state=TradingState.HALTED)
    it = gate()
    if it.exposing(candidate, seen):
        try:
            it.place(candidate, seen)
        except Refused as refused:
            assert refused.rule == "gate.halted"
            return
        raise AssertionError("an exposing order passed a halt")
    assert not it.place(candidate, seen).exposing
    for _ in range(20):
        for order, before, after in Market(net, [*orders, candidate]).run(rng):
            assert order is not candidate or abs(after) < abs(before)


@given(desks(), sides, sizes, st.randoms())
def test_no_order_of_fills_leaves_the_worst_case(
    desk: tuple[int, list[Order]], side: Side, size: int, rng: random.Random
) -> None:
    net, orders = desk
    candidate = entry("candidate", side, size)
    found = exposure.pending(orders, candidate)
    worst = exposure.worst(net, *found[ES])
    for _ in range(20):
        for _order, _before, after in Market(net, [*orders, candidate]).run(rng):
            assert abs(after) <= worst


@given(desks(), sides, sizes)
def test_an_exit_is_never_refused_for_less_than_what_nothing_else_takes_away(
    desk: tuple[int, list[Order]], side: Side, size: int
) -> None:
    """From the other side: with no other order against the position, all of it may be closed."""
    net, orders = desk
    alone = [o for o in orders if o.side is not side]
    held = max(0, -side * net)
    seen = view(positions={ES: net}, orders=alone)
    assert gate().exposing(exit_of("candidate", side, size), seen) is (size > held)


def test_counts_a_replaced_order_once() -> None:
    old = working(entry("a", size=2))
    assert exposure.pending([old], replace(old, size=3))[ES] == [3, 0]
    assert exposure.pending([old], entry("b", size=3))[ES] == [5, 0]


def test_counts_a_leg_with_its_sibling_when_it_is_raised() -> None:
    legs = [leg("s", Role.STOP, size=2, parent="p"), leg("t", Role.TARGET, size=2, parent="p")]
    assert exposure.pending(legs, legs[0])[ES] == [0, 2]
    assert exposure.pending(legs, replace(legs[0], size=3))[ES] == [0, 3]


def test_counts_the_larger_leg_whichever_comes_first() -> None:
    legs = [leg("s", Role.STOP, size=1, parent="p"), leg("t", Role.TARGET, size=3, parent="p")]
    for group in (legs, legs[::-1]):
        assert exposure.pending(group, entry("b"))[ES] == [1, 3]


def test_legs_wait_for_their_entry_and_then_count_what_it_filled() -> None:
    parent = working(entry("p", size=3))
    legs = [leg("p-SL", Role.STOP, size=3, parent="p"), leg("p-TP", Role.TARGET, size=3, parent="p")]
    assert exposure.pending([parent, *legs], entry("b"))[ES] == [3 + 1, 0]
    parent.filled = 2
    assert exposure.pending([parent, *legs], entry("b"))[ES] == [1 + 1, 2]


def test_counts_a_raise_that_the_venue_has_not_answered() -> None:
    old = working(entry("a", size=2, filled=1, state=OrderState.WORKING))
    assert exposure.pending([old], entry("b"), {"a": 4})[ES] == [1 + 3, 0]


def test_keeps_contracts_apart() -> None:
    found = exposure.pending([working(entry("a", SELL, 2, contract=NQ))], entry("b"))
    assert found == {ES: [1, 0], NQ: [0, 2]}
