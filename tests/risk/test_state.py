"""Trading state is the most restrictive open reason; opening one again never weakens it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.risk.state import Code, Goal, Kind, Reason, Reasons, TradingState

reasons = st.builds(
    Reason,
    st.sampled_from([Code.HALT, Code.DAILY_LOSS, Code.START]),
    st.sampled_from(list(Kind)),
    st.sampled_from(["*", "1", "2"]),
    st.integers(0, 9),
    st.sampled_from(["", "why"]),
    st.sampled_from([TradingState.REDUCING, TradingState.HALTED]),
    st.sampled_from(list(Goal)),
    st.integers(0, 9),
)


def reason(code: Code = Code.HALT, scope: str = "*", state: TradingState = TradingState.HALTED) -> Reason:
    return Reason(code, Kind.PERSON, scope, 5, state=state, goal=Goal.FLAT)


def test_trading_is_open_without_a_reason() -> None:
    assert Reasons().state("1") is TradingState.ACTIVE
    assert Reasons().goal("1") is Goal.NONE


def test_a_scope_binds_its_account_and_a_star_binds_all() -> None:
    it = Reasons([reason(Code.HALT, "1"), reason(Code.START, "*", TradingState.REDUCING)])
    assert it.state("1") is TradingState.HALTED
    assert it.state("2") is TradingState.REDUCING
    assert [r.code for r in it.of("1")] == [Code.HALT, Code.START]


def test_closing_ends_exactly_one() -> None:
    it = Reasons([reason(), reason(Code.START)])
    assert it.close(Code.START) == reason(Code.START)
    assert it.close(Code.START) is None
    assert it.get(Code.HALT) is not None
    assert it.state("1") is TradingState.HALTED


@given(st.lists(reasons, max_size=12))
def test_opening_is_never_a_way_to_weaken(opened: list[Reason]) -> None:
    it = Reasons()
    for each in opened:
        before = it.get(each.code, each.scope)
        states = {scope: (it.state(scope), it.goal(scope)) for scope in ("1", "2")}
        news = it.open(each)
        now = it.get(each.code, each.scope)
        assert now is not None
        assert news is (now != before)
        assert (now.state, now.goal, now.until_ns) >= (each.state, each.goal, 0)
        assert now.goal >= each.goal
        if before is not None:
            assert now.since_ns == before.since_ns
            assert min(now.state - before.state, now.goal - before.goal, now.until_ns - before.until_ns) >= 0
            assert before.kind is not Kind.PERSON or now.kind is Kind.PERSON
        assert not it.open(each)
        for scope, (state, goal) in states.items():
            assert it.state(scope) >= state
            assert it.goal(scope) >= goal
    assert it.all() == sorted(it.all(), key=lambda r: (-r.state, -r.goal, r.since_ns, r.code))
