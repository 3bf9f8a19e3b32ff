"""The limits are watched, not only checked: alarm, reduce, flatten; the day, the floor and its memory."""

from __future__ import annotations

from datetime import date

from app.clock import NS
from app.domain.intents import Place
from app.domain.orders import Bracket, OrderType, Side
from tests.engine.test_state import codes
from tests.engine.world import ES, RULES, START_BALANCE, World

HOUR = 3600 * NS


def long(world: World, size: int = 2, stop: int = 30) -> World:
    """A position whose stop stands `stop` ticks away."""
    world.engine.submit([Place("manual", ES, Side.BUY, size, OrderType.MARKET, "a", bracket=Bracket(stop))])
    world.run(1)
    assert world.exchange.net[ES] == size
    return world


def lift_stop(world: World) -> None:
    """The venue's stop fails to trigger, so that only our own watch is left."""
    for order in world.exchange.orders.values():
        if order.type is OrderType.STOP:
            order.stop = world.exchange.price - 10_000


def test_alarms_at_75_reduces_at_90_and_goes_flat_before_the_daily_limit() -> None:
    world = long(World().start(), size=1, stop=60)
    lift_stop(world)
    start = world.exchange.price
    world.exchange.move(start - 61)  # marked at the bid, 62 x 12.50 = 775 and the entry's fee: past 75 %
    world.run(1)
    assert any(e.code == "watch.daily_loss" for e in world.engine.snapshot().events)
    assert world.engine.snapshot().state == "active"
    world.exchange.move(start - 72)  # 912.50 and the fee: past 90 %
    world.run(1)
    assert world.engine.snapshot().state == "reducing" and world.exchange.net[ES] == 1
    world.exchange.move(start - 75)  # 950 and the fee: within 4 ticks and a fee of the limit
    world.run(2)
    assert "daily_loss" in codes(world) and world.exchange.net[ES] == 0
    assert world.exchange.balance > START_BALANCE - 1_000_000_000


def test_keeps_the_daily_lock_over_a_restart_and_lifts_it_at_17_chicago() -> None:
    world = long(World().start(), size=2, stop=30)
    lift_stop(world)
    world.exchange.move(world.exchange.price - 38)
    world.run(2)
    world.restart()
    world.run(3)
    assert "daily_loss" in codes(world) and world.engine.trading.armed
    world.clock.advance_to(world.start_ns + 7 * HOUR)  # 17:00
    world.run(5)
    assert world.engine.snapshot().state == "active"


def test_goes_flat_before_the_floor_and_needs_a_person_afterwards() -> None:
    rules = type(RULES)(
        START_BALANCE, START_BALANCE - 500_000_000, date(2026, 10, 2), 2_000_000_000, START_BALANCE
    )
    world = long(World(rules=rules).start(), size=2, stop=15)
    lift_stop(world)
    world.exchange.move(world.exchange.price - 17)
    world.run(2)
    assert "maximum_loss" in codes(world) and world.exchange.net[ES] == 0
    assert not world.engine.trading.armed
    assert world.exchange.balance > START_BALANCE - 500_000_000


def test_opens_nothing_more_while_the_pnl_of_a_position_is_not_known() -> None:
    world = long(World().start(), size=1)
    world.quoting = False
    world.engine.book.quotes.clear()
    world.run(2)
    assert "pnl_unknown" in codes(world)
    world.quoting = True
    world.run(2)
    assert world.engine.snapshot().state == "active"


def test_stays_closed_without_a_stated_floor_and_says_so() -> None:
    world = World(rules=None)
    world.begin()
    world.run(2)
    world.engine.rearm("test", "")
    world.run(2)
    assert "floor_unknown" in codes(world) and world.engine.snapshot().state == "halted"
    assert any("floor" in r.detail for r in world.engine.snapshot().reasons)


def test_stops_entries_at_1505_and_is_flat_by_1508() -> None:
    world = long(World().start())
    world.clock.advance_to(world.start_ns + 5 * HOUR + 4 * 60 * NS + 50 * NS)
    world.quote()
    world.run(5)
    assert world.engine.snapshot().state == "active"
    world.run(6)
    assert "session_closed" in codes(world) and world.exchange.net[ES] == 2
    world.run(150)
    assert world.exchange.net[ES] == 0
    assert world.clock.utc_ns() < world.start_ns + 5 * HOUR + 8 * 60 * NS
    world.run(2 * 3600, step_ms=20_000)
    assert world.engine.snapshot().state == "active", "the session ends by the calendar"


def test_settles_the_day_and_raises_the_floor_durably() -> None:
    world = long(World().start(), size=2, stop=30)
    world.exchange.move(world.exchange.price + 40)
    world.engine.submit([])
    world.clock.advance_to(world.start_ns + 5 * HOUR + 7 * 60 * NS + 30 * NS)
    world.run(120, step_ms=1000)
    balance = world.exchange.balance
    assert balance > START_BALANCE
    world.run(2 * 3600, step_ms=20_000)
    day = world.engine.money.end_of_days[date(2026, 10, 5)]
    assert day.balance_micro == balance
    assert day.floor_micro == balance - 2_000_000_000 > RULES.floor_micro
    world.restart()
    world.run(3)
    assert world.engine.money.floor_micro() == day.floor_micro


def test_rebuilds_the_day_from_the_venue_on_a_mid_day_start() -> None:
    world = World()
    world.exchange.manual(Side.BUY, 2)
    world.exchange.move(world.exchange.price - 20)
    world.exchange.manual(Side.SELL, 2)
    world.begin()
    world.run(2)
    today = world.engine.snapshot().today
    assert today is not None and today.net == "-507.56" and today.trades == 1


def test_rebuilds_missed_end_of_days_from_executions_since_the_stated_floor() -> None:
    world = World()
    world.exchange.manual(Side.BUY, 2)
    world.exchange.move(world.exchange.price + 40)
    world.exchange.manual(Side.SELL, 2)
    won = world.exchange.balance
    world.clock.advance_to(world.start_ns + 24 * HOUR)
    world.exchange.manual(Side.BUY, 2)
    world.exchange.move(world.exchange.price - 30)
    world.exchange.manual(Side.SELL, 2)
    world.begin()
    world.run(2)
    assert world.engine.money.floor_micro() == won - 2_000_000_000


def test_stays_closed_when_the_days_executions_cannot_be_read() -> None:
    world = World()
    world.faults.read_fails = 1.0
    world.begin()
    world.run(30)
    view = world.engine.snapshot()
    assert view.today is None and view.state == "halted" and not view.synced
