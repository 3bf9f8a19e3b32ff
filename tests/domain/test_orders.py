"""The order table: every row, not samples."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.orders import (
    TERMINAL,
    TRANSITIONS,
    Order,
    OrderEvent,
    OrderState,
    OrderType,
    Role,
    Side,
    diagram,
    next_state,
)
from app.errors import IllegalTransition

README = Path(__file__).parents[2] / "README.md"
MARKER = "<!-- order-states -->"

ENDS_FOR_GOOD = TERMINAL - {OrderState.LOST}  # a lost order may surface after all


def order(state: OrderState = OrderState.PENDING, size: int = 3, filled: int = 0) -> Order:
    return Order(
        "tag", "manual", 1, "CON.F.US.EP.Z26", Side.BUY, size, OrderType.MARKET, state=state, filled=filled
    )


def reachable(state: OrderState) -> set[OrderState]:
    seen: set[OrderState] = set()
    todo = [state]
    while todo:
        for target in TRANSITIONS[todo.pop()].values():
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(OrderState)


def test_terminal_rows_are_empty_but_for_the_lost_order_that_surfaces() -> None:
    assert {state for state, row in TRANSITIONS.items() if not row} == ENDS_FOR_GOOD
    assert OrderEvent.ACCEPT in TRANSITIONS[OrderState.LOST]


@pytest.mark.parametrize("state", [s for s in OrderState if s not in ENDS_FOR_GOOD])
def test_every_other_state_reaches_an_end(state: OrderState) -> None:
    assert reachable(state) & ENDS_FOR_GOOD


@pytest.mark.parametrize("state", list(OrderState))
def test_every_state_is_reached_from_pending(state: OrderState) -> None:
    assert state is OrderState.PENDING or state in reachable(OrderState.PENDING)


def test_nothing_returns_to_pending() -> None:
    assert OrderState.PENDING not in {t for row in TRANSITIONS.values() for t in row.values()}


@pytest.mark.parametrize("state", list(OrderState))
@pytest.mark.parametrize("event", list(OrderEvent))
def test_an_illegal_event_raises_and_changes_nothing(state: OrderState, event: OrderEvent) -> None:
    it = order(state)
    before = dataclasses.asdict(it)
    if event in TRANSITIONS[state]:
        assert it.apply(event, 7) is it.state is next_state(state, event)
        assert it.updated_ns == 7
        return
    with pytest.raises(IllegalTransition) as caught:
        it.apply(event, 7)
    assert (caught.value.state, caught.value.event) == (state, event)
    assert dataclasses.asdict(it) == before


def test_only_evidence_ends_doubt() -> None:
    """UNKNOWN never becomes WITHDRAWN or goes back to sent: it is found at the venue or proven absent."""
    targets = set(TRANSITIONS[OrderState.UNKNOWN].values())
    assert not targets & {OrderState.PENDING, OrderState.SENT, OrderState.WITHDRAWN}
    assert OrderState.LOST in targets


def test_only_an_unanswered_order_can_be_withdrawn_or_lost() -> None:
    withdraw = {s for s, row in TRANSITIONS.items() if OrderEvent.WITHDRAW in row}
    lose = {s for s, row in TRANSITIONS.items() if OrderEvent.LOSE in row}
    assert withdraw == {OrderState.PENDING, OrderState.SENT}
    assert lose == {OrderState.UNKNOWN}


@pytest.mark.parametrize("state", list(OrderState))
def test_live_is_what_may_be_at_the_venue(state: OrderState) -> None:
    assert state.live is not state.terminal
    assert order(state).remaining == (3 if state.live else 0)


def test_remaining_counts_what_is_not_filled() -> None:
    assert order(OrderState.WORKING, 3, 2).remaining == 1


@given(st.lists(st.tuples(st.sampled_from(list(OrderEvent)), st.integers(0, 100)), max_size=30))
def test_any_history_keeps_the_order_in_the_table(events: list[tuple[OrderEvent, int]]) -> None:
    it = order()
    newest = 0
    for event, when in events:
        legal = event in TRANSITIONS[it.state]
        try:
            it.apply(event, when)
        except IllegalTransition:
            assert not legal
        else:
            newest = max(newest, when)
    assert it.updated_ns == newest
    assert it.state in OrderState


def test_sides_and_roles() -> None:
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY
    assert [role for role in Role if role.protective] == [Role.STOP, Role.TARGET]


def test_diagram_draws_every_transition_of_the_table() -> None:
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> pending"]
    drawn = set()
    for line in lines[2:]:
        state, rest = line.strip().split(" --> ")
        target, events = rest.split(": ")
        drawn |= {(state, event, target) for event in events.split(", ")}
    assert drawn == {(s, e, t) for s, row in TRANSITIONS.items() for e, t in row.items()}


def test_readme_shows_the_diagram_of_the_table() -> None:
    """Between two markers; nothing to compare while there is no README."""
    if README.exists():
        parts = README.read_text(encoding="utf-8").split(MARKER)
        assert len(parts) == 3, f"README.md needs the diagram between two {MARKER}"
        assert parts[1].strip() == f"```mermaid\n{diagram()}\n```"
