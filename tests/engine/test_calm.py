"""The bound that spares the watch from judging: at it nothing is said, one tick beyond everything is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import AccountReport, Fill
from app.domain.instruments import by_contract
from app.domain.market import Quote
from app.domain.orders import Side
from app.engine import stillness
from app.engine.money import Money
from app.risk.watch import Level, assess_both
from tests.engine.world import ACCOUNT, ES, START_BALANCE, World

TICK_MICRO = by_contract(ES).tick_value_micro


def held(side: Side, size: int, entry: int) -> World:
    """A position that the engine knows of; the world itself is not asked."""
    world = World().start()
    book, day = world.engine.book, world.engine.money.trade_date()
    assert day is not None
    fill = Fill(7, 7, ACCOUNT, ES, side, size, entry, 0, world.clock.utc_ns())
    assert book.ledger.book(fill, "manual", day)
    return world


def levels(world: World, mark: int) -> list[Level]:
    """Judged the long way."""
    engine = world.engine
    engine.book.quotes[ES] = Quote(ES, mark, mark, mark, world.clock.utc_ns(), world.clock.mono_ns())
    today, money = engine.money.today(), engine.money
    assert today is not None
    positions = [(by_contract(ES), engine.book.net(ES))]
    verdicts = assess_both(
        engine.limits, today.net_micro, money.equity_micro(today), money.floor_micro(), positions
    )
    return [verdict.level for verdict in verdicts]


@given(st.sampled_from(list(Side)), st.integers(1, 5), st.integers(0, 1_900_000_000), st.integers(-2, 2))
def test_is_calm_exactly_where_both_limits_say_nothing(side: Side, size: int, lost: int, more: int) -> None:
    world = held(side, size, 26_000)
    world.engine.book.account = AccountReport(ACCOUNT, "A", START_BALANCE - lost, True, True)
    floor, ceiling = stillness._calm_band(world.engine, ES)
    edge = floor + 1 if side > 0 else ceiling - 1
    inside = more * side >= 0  # a higher mark is the long's gain and the short's loss
    assert (levels(world, edge + more) == [Level.OK, Level.OK]) is inside
    assert world.engine.money._is_calm() is inside


def test_finds_the_bound_anew_when_fills_account_or_day_change(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int | None] = []
    find = Money._find_calm
    monkeypatch.setattr(Money, "_find_calm", lambda money, day: found.append(find(money, day)) or found[-1])
    world = held(Side.BUY, 1, 26_000)
    money, book = world.engine.money, world.engine.book
    before = money.calm_open_micro()
    found.clear()
    assert money.calm_open_micro() == before and not found
    book.account = AccountReport(ACCOUNT, "A", START_BALANCE - 1_500_000_000, True, True)
    assert money.calm_open_micro() != before
    assert book.ledger.void(7)
    money.calm_open_micro()
    money.day_known = False
    assert money.calm_open_micro() is None
    assert len(found) == 3


def test_is_never_calm_with_a_position_in_an_unknown_product(monkeypatch: pytest.MonkeyPatch) -> None:
    world = held(Side.BUY, 1, 26_000)
    monkeypatch.setattr(world.engine.book, "positions", lambda: {"CON.F.US.NOPE.Z26": 1})
    assert not world.engine.money._is_calm()
    world.engine.money.watch()
    assert "account" in [r.code for r in world.engine.trading.reasons.all()]
