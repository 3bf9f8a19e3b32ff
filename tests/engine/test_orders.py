"""From an intent to the venue and back: the gate, the journal, the bytes, the reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.intents import Cancel, Close, Modify, Place
from app.domain.orders import Bracket, OrderState, OrderType, Role, Side
from app.errors import Refused
from app.risk.state import Code
from tests.engine.world import ES, Faults, World

BRACKET = Bracket(20, 40)


def entry(ref: str = "a", side: Side = Side.BUY, **more: object) -> Place:
    return Place("manual", ES, side, 1, OrderType.MARKET, ref, bracket=BRACKET, **more)


def stop_pair(world: World, oco: str = "day") -> tuple[Place, Place]:
    price = world.exchange.price
    up = Place(
        "manual", ES, Side.BUY, 1, OrderType.STOP, "up", stop_ticks=price + 10, bracket=BRACKET, oco=oco
    )
    down = Place(
        "manual", ES, Side.SELL, 1, OrderType.STOP, "down", stop_ticks=price - 10, bracket=BRACKET, oco=oco
    )
    return up, down


@pytest.fixture
def world() -> World:
    return World().start()


def states(world: World) -> dict[str, OrderState]:
    return {o.ref or o.tag.rsplit("-", 1)[-1]: o.state for o in world.engine.book.orders.values()}


def test_fills_a_market_entry_and_holds_its_working_legs(world: World) -> None:
    world.engine.submit([entry()])
    world.run(1)
    assert world.engine.book.positions() == {ES: 1}
    assert states(world) == {"a": OrderState.FILLED, "SL": OrderState.WORKING, "TP": OrderState.WORKING}
    assert world.engine.book.protected(ES)
    world.agrees()


def test_keeps_the_order_back_until_it_is_durable(world: World) -> None:
    world.engine.submit([entry()])
    assert not [s for s in world.wire.sent if s[1] == "place"]
    world.run(0.5)
    assert len([s for s in world.wire.sent if s[1] == "place"]) == 1


def test_shares_one_commit_between_both_entries_of_an_oco_pair(world: World) -> None:
    world.run(5)
    before = world.journal.commits
    world.engine.submit(stop_pair(world))
    world.run(1)
    assert world.journal.commits == before + 1
    assert len([s for s in world.wire.sent if s[1] == "place"]) == 2


def test_cancels_the_other_side_on_the_first_fill(world: World) -> None:
    world.engine.submit(stop_pair(world))
    world.run(1)
    world.exchange.move(world.exchange.price + 12)
    world.run(1)
    assert world.engine.book.positions() == {ES: 1}
    found = states(world)
    assert found["down"] is OrderState.CANCELLED and found["up"] is OrderState.FILLED
    world.agrees()


def test_goes_flat_when_both_sides_fill_before_the_cancel(world: World) -> None:
    world.engine.submit(stop_pair(world))
    world.run(1)
    world.exchange.move(world.exchange.price + 12)
    world.exchange.move(world.exchange.price - 25)
    world.run(5)
    assert world.exchange.positions() == ()
    assert not [o for o in world.exchange.orders.values() if not o.state.terminal]
    assert world.engine.snapshot().reasons[0].code == "both_filled"
    world.agrees()


def test_withdraws_the_intent_when_a_halt_comes_before_the_bytes(world: World) -> None:
    world.engine.submit([entry()])
    world.engine.halt("test", "now")
    world.run(1)
    assert not [s for s in world.wire.sent if s[1] == "place"]
    assert states(world)["a"] is OrderState.WITHDRAWN


def test_withdraws_the_intent_when_the_journal_is_slower_than_its_life(world: World) -> None:
    world.journal.delay = 600_000_000
    world.engine.submit([entry()])
    world.run(2)
    assert states(world)["a"] is OrderState.WITHDRAWN
    assert not world.exchange.fills


def test_sends_nothing_when_the_journal_fails_and_closes_trading(world: World) -> None:
    world.journal.failing = "disk full"
    world.engine.submit([entry()])
    world.run(2)
    assert not world.exchange.fills
    assert "journal" in {r.code for r in world.engine.snapshot().reasons}


def test_reports_the_refusal_with_rule_value_and_limit(world: World) -> None:
    world.engine.submit([Place("manual", ES, Side.BUY, 50, OrderType.MARKET, "big", bracket=BRACKET)])
    line = world.engine.snapshot().events[0]
    assert line.code.startswith("gate.") and "50" in line.text


def test_moves_a_stop_closer_without_waiting_for_the_disk(world: World) -> None:
    world.engine.submit([entry()])
    world.run(1)
    stop = next(o for o in world.engine.book.live_orders() if o.role is Role.STOP)
    world.journal.delay = 10**12
    world.engine.submit([Modify("manual", stop.tag, stop_ticks=stop.stop_ticks + 5)])
    world.run(1)
    assert stop.stop_ticks == world.exchange.price - 15
    assert world.exchange.orders[stop.venue_id].stop == stop.stop_ticks


def test_cancels_an_order_of_the_same_strategy_only(world: World) -> None:
    world.engine.submit(stop_pair(world))
    world.run(1)
    tag = next(o.tag for o in world.engine.book.live_orders() if o.ref == "up")
    world.engine.submit([Cancel("other", tag)])
    world.run(1)
    assert states(world)["up"] is OrderState.WORKING
    world.engine.submit([Cancel("manual", tag)])
    world.run(1)
    assert states(world)["up"] is OrderState.CANCELLED


def test_closes_one_contract_for_a_strategy_and_sweeps_its_legs(world: World) -> None:
    world.engine.submit([entry()])
    world.run(1)
    world.engine.submit([Close("manual", ES)])
    world.run(3)
    assert world.exchange.positions() == ()
    assert not [o for o in world.exchange.orders.values() if not o.state.terminal]
    assert world.engine.snapshot().state == "active"
    assert {b.strategy for b in world.engine.book.ledger.fills()} == {"manual"}
    world.agrees()


def test_books_the_owners_own_clicks_under_manual(world: World) -> None:
    world.exchange.manual(Side.BUY, 1)
    world.run(0.5)
    assert world.engine.book.ledger.net_of("manual", ES) == 1


def test_the_owners_click_takes_a_strategys_position_from_it_for_good(world: World) -> None:
    world.engine.submit([replace(entry(), strategy="alpha", size=2)])
    world.run(1)
    ledger = world.engine.book.ledger
    assert ledger.net_of("alpha", ES) == 2
    world.exchange.manual(Side.SELL, 1)
    world.run(0.5)
    assert (ledger.net_of("alpha", ES), ledger.net_of("manual", ES)) == (1, 0)
    world.exchange.manual(Side.SELL, 1)
    world.run(70)
    world.restart()
    world.run(3)
    ledger = world.engine.book.ledger
    assert [b.strategy for b in ledger.fills()] == ["alpha", "manual", "manual"]
    assert (ledger.net_of("alpha", ES), ledger.net_of("manual", ES)) == (0, 0)
    assert {t.strategy for t in ledger.trades()} == {"alpha"}
    world.agrees()


def test_a_flatten_leaves_none_of_two_strategies_a_position(world: World) -> None:
    world.engine.submit([replace(entry(), strategy="alpha"), replace(entry("r2"), strategy="beta")])
    world.run(1)
    assert world.exchange.net[ES] == 2
    world.engine.flatten("test", "out")
    world.run(10)
    ledger = world.engine.book.ledger
    assert [ledger.net_of(name, ES) for name in ledger.strategies()] == [0, 0]
    assert {t.strategy: t.size for t in ledger.trades()} == {"alpha": 1, "beta": 1}
    world.agrees()


def test_goes_flat_when_a_position_has_no_working_stop_two_seconds_after_its_fill(world: World) -> None:
    world.exchange.manual(Side.BUY, 1)
    world.run(1.5)
    assert world.exchange.net[ES] == 1
    world.run(2)
    assert world.exchange.net[ES] == 0
    assert "unprotected" in {r.code for r in world.engine.snapshot().reasons}


def test_goes_flat_when_a_working_stop_disappears(world: World) -> None:
    world.engine.submit([entry()])
    world.run(1)
    stop = next(o for o in world.exchange.orders.values() if o.type is OrderType.STOP)
    world.exchange.cancel(stop.id)
    world.run(4)
    assert world.exchange.net[ES] == 0


def test_looks_an_ambiguous_order_up_and_never_sends_it_again(world: World) -> None:
    world.faults.lose_reply = 1.0
    world.wire.exchange.tell = lambda event: None  # the hub is silent too
    world.engine.submit([entry()])
    world.run(4)
    world.faults.lose_reply = 0.0
    world.run(5)
    assert len([s for s in world.wire.sent if s[1] == "place"]) == 1
    assert world.engine.book.positions() == {ES: 1}
    assert states(world)["a"] is OrderState.FILLED


def test_refuses_new_exposure_while_an_order_is_unknown(world: World) -> None:
    world.faults.lose_request = 1.0
    world.engine.submit([entry()])
    world.run(6)
    world.faults.lose_request = 0.0
    assert states(world)["a"] is OrderState.UNKNOWN
    world.engine.submit([entry("b")])
    seen = world.engine.snapshot()
    assert seen.events[0].code == "gate.state" and "unknown_order" in seen.events[0].text
    assert (seen.state, [r.code for r in seen.reasons]) == ("reducing", ["unknown_order"])
    assert seen.goal.goal == "none"
    world.run(20)
    assert states(world)["a"] is OrderState.UNKNOWN
    world.run(20)
    assert states(world)["a"] is OrderState.LOST
    assert world.engine.snapshot().state == "active"
    world.engine.submit([entry("c")])
    world.run(1)
    assert world.engine.book.positions() == {ES: 1}


def test_ends_the_doubt_when_the_order_is_found_without_a_person() -> None:
    world = World(resume=False).start()
    world.faults.lose_reply = world.faults.lose_event = world.faults.read_fails = 1.0
    world.engine.submit([entry()])
    world.run(7)
    assert world.engine.trading.reasons.get(Code.UNKNOWN_ORDER) is not None
    world.faults.lose_reply = world.faults.lose_event = world.faults.read_fails = 0.0
    world.run(10)
    assert world.engine.book.positions() == {ES: 1}
    assert world.engine.snapshot().state == "active"


def test_cancels_an_order_that_surfaces_after_it_was_lost(world: World) -> None:
    world.faults.lose_request = 1.0
    up, _ = stop_pair(world)
    world.engine.submit([up])
    world.run(45)
    world.faults.lose_request = 0.0
    order = next(o for o in world.engine.book.orders.values() if o.ref == "up")
    assert order.state is OrderState.LOST
    world.exchange.place(order)
    world.run(2)
    assert order.state is OrderState.CANCELLED


def test_stops_the_desk_when_the_venue_says_the_account_is_stopped(world: World) -> None:
    world.exchange.auto_oco = False
    world.engine.submit([entry()])
    world.run(1)
    assert world.engine.snapshot().state == "active"  # a wrong setting stops the strategy, not the account
    world.exchange.refusal = "Account has hit the daily loss limit"
    world.engine.submit([entry("b")])
    world.run(1)
    assert world.engine.snapshot().reasons[0].code == "account"


def test_tells_the_owner_what_works_and_what_filled(world: World) -> None:
    world.engine.submit(stop_pair(world))
    world.run(1)
    world.exchange.move(world.exchange.price + 12)
    world.run(1)
    told = [e.text for e in world.engine.snapshot().events]
    assert "buy 1 ES stop 6002.50, entry of manual" in told
    assert "bought 1 ES at 6002.50, entry of manual" in told


def test_sends_nothing_at_all_in_shadow_mode() -> None:
    world = World(mode="shadow").start()
    world.engine.submit([entry()])
    world.exchange.manual(Side.BUY, 1)
    world.run(3)
    world.engine.flatten("test", "out")
    world.run(3)
    assert world.wire.sent == [] and world.exchange.net[ES] == 1
    assert states(world)["a"] is OrderState.WITHDRAWN


def test_refuses_rearm_before_the_account_was_read() -> None:
    world = World(faults=Faults(read_fails=1.0))
    world.begin()
    world.run(3)
    with pytest.raises(Refused, match=r"rearm\.not_synced"):
        world.engine.rearm("test", "")


def test_adds_nothing_while_an_updater_is_about_to_stop_it() -> None:
    """Promise 15 of updates: what takes exposure away is never kept back."""
    calm = True
    world = World(may_expose=lambda: calm).start()
    world.engine.submit([entry("a")])
    world.run(1)
    calm = False
    world.engine.submit([entry("b")])
    world.engine.submit([Close("manual", ES)])
    world.run(3)
    assert world.exchange.positions() == () and "b" not in states(world)
    assert [e.code for e in world.engine.log.recent].count("update.lock") == 1
    calm = True
    world.engine.submit([entry("c")])
    world.run(1)
    assert world.engine.book.positions() == {ES: 1}
