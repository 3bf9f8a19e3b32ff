"""Races, losses and late words: what a careless engine would get wrong, one scenario a test."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from app.clock import MS, NS
from app.domain.events import AccountReport, Fill, Outcome, PositionReport, Reply, Request
from app.domain.intents import Close
from app.domain.market import Quote
from app.domain.orders import OrderState, OrderType, Side
from app.engine.records import FillBooked
from tests.engine.exchange import VenueOrder
from tests.engine.test_orders import entry, states, stop_pair
from tests.engine.test_runner import Recorder
from tests.engine.test_state import codes
from tests.engine.world import ACCOUNT, ES, LIMITS, RULES, World

HOUR = 3600 * NS
NQ = "CON.F.US.ENQ.Z26"


@pytest.fixture
def world() -> World:
    return World().start()


def live(world: World) -> list[VenueOrder]:
    return [o for o in world.exchange.orders.values() if not o.state.terminal]


def held(world: World, **more: Any) -> World:
    world.engine.submit([entry(**more)])
    world.run(1)
    return world


# -- cancels that must arrive


def test_cancels_the_other_side_though_its_id_comes_late(world: World) -> None:
    up, down = stop_pair(world)
    world.engine.submit([up])
    world.run(0.5)
    world.faults.lose_reply, tell = 1.0, world.exchange.tell
    world.exchange.tell = lambda event: None
    world.engine.submit([down])
    world.run(0.1)
    world.exchange.tell, world.faults.lose_reply = tell, 0.0
    world.exchange.move(world.exchange.price + 12)
    world.run(15)
    assert states(world)["down"] is OrderState.CANCELLED


def test_repeats_the_cancel_of_the_other_side_until_it_is_gone(world: World) -> None:
    world.engine.submit(stop_pair(world))
    world.run(0.5)
    world.faults.lose_request = 1.0
    world.exchange.move(world.exchange.price + 12)
    world.run(6)
    world.faults.lose_request = 0.0
    world.run(12)
    assert states(world)["down"] is OrderState.CANCELLED


def test_repeats_the_cancel_of_an_order_that_surfaced(world: World) -> None:
    world.faults.lose_request = 1.0
    world.engine.submit(stop_pair(world)[:1])
    world.run(45)
    order = next(o for o in world.engine.book.orders.values() if o.ref == "up")
    world.exchange.place(order)
    world.run(6)
    world.faults.lose_request = 0.0
    world.run(15)
    assert order.state is OrderState.CANCELLED


# -- closes that must happen once, and must happen


def test_sends_no_second_close_while_the_first_ones_order_works(world: World) -> None:
    exchange = held(world).exchange

    def slow(contract: str) -> str:
        net = exchange.net.get(contract, 0)
        if not net:
            return "PositionNotFound"
        side = Side.SELL if net > 0 else Side.BUY
        order = exchange._new("", contract, OrderType.MARKET, side, abs(net), None, None)
        exchange._report(order)
        world.clock.call_later(NS, exchange._execute, order, exchange.price)
        return ""

    exchange.close = slow  # type: ignore[method-assign]
    world.engine.flatten("test", "out")
    world.run(12)
    assert len(exchange.fills) == 2 and exchange.net[ES] == 0


@pytest.mark.parametrize("why", ["unreachable", "refused", "crashed"])
def test_finishes_the_flatten_of_the_day_after_17_chicago(world: World, why: str) -> None:
    held(world)
    world.faults.unreachable = why == "unreachable"
    world.exchange.open = why == "unreachable"
    world.clock.advance_to(world.start_ns + 5 * HOUR + 4 * 60 * NS)
    world.run(600, step_ms=1000)
    if why == "crashed":
        world.crash()
        world.engine.stop()
    world.clock.advance_to(world.start_ns + 7 * HOUR + 30 * NS)
    world.faults.unreachable, world.exchange.open = False, True
    if why == "crashed":
        world.engine = world._engine(world.journal.recovered())
        world.begin()
    world.run(60)
    assert world.exchange.net[ES] == 0
    assert world.engine.snapshot().state == "active"


def test_sweeps_the_legs_soon_after_a_flatten_while_the_hub_is_dead(world: World) -> None:
    held(world)
    world.run(62)
    world.faults.lose_event = 1.0
    world.engine.flatten("test", "out")
    world.run(8)
    assert not live(world)


def test_sweeps_the_legs_of_a_position_closed_by_hand(world: World) -> None:
    held(world)
    world.exchange.manual(Side.SELL, 1)
    world.run(70)
    assert not live(world)


def test_sweeps_the_legs_of_a_position_closed_before_a_crash(world: World) -> None:
    held(world)
    world.engine.submit([Close("manual", ES, "out")])
    world.run(0.05, step_ms=10)
    world.restart()
    world.run(10)
    assert not live(world) and world.exchange.net[ES] == 0


def test_books_a_close_that_a_crash_overtook_under_the_strategy_that_asked_for_it(world: World) -> None:
    world.engine.submit([replace(entry(), strategy="alpha")])
    world.run(1)
    real, world.exchange.close = world.exchange.close, lambda contract: ""  # type: ignore[method-assign]
    world.engine.submit([Close("alpha", ES, "out")])
    world.run(0.02, step_ms=5)
    world.crash()
    real(ES)
    world.engine = world._engine(world.journal.recovered())
    world.begin()
    world.run(5)
    assert world.engine.book.ledger.net_of("alpha", ES) == 0


def test_reads_at_once_when_the_position_is_gone_and_sweeps_its_legs(world: World) -> None:
    held(world)
    world.engine.flatten("test", "out")
    world.run(0.2, step_ms=10)
    assert not live(world)


# -- the board and the latch


def test_holds_with_a_board_that_never_spoke(world: World) -> None:
    world.crash()
    world.engine = world._engine(world.journal.recovered())
    world.engine.begin({"ES": ES})
    world.quote()
    world.engine.on_link(True, "")
    world.run(5)
    assert "link_silence" in codes(world) and world.engine.snapshot().state == "halted"


@pytest.mark.parametrize("what", ["board", "link"])
def test_keeps_a_hold_that_comes_back_while_a_rearm_waits_for_the_disk(what: str) -> None:
    world = World(resume=False).start()

    def lose() -> None:
        world.engine.on_panel(False, True) if what == "board" else world.engine.on_link(False, "cut")

    lose()
    world.run(1)
    world.engine.on_panel(True, True) if what == "board" else world.engine.on_link(True, "")
    world.run(2)
    world.engine.rearm("test", "go")
    lose()
    world.run(2)
    assert world.engine.snapshot().state == "halted"


def test_remembers_a_halt_that_was_said_while_the_disk_was_full(world: World) -> None:
    world.journal.failing = "disk full"
    world.engine.halt("owner", "stop")
    world.run(3)
    world.restart()
    world.run(5)
    assert world.engine.snapshot().state == "halted"


def test_shows_a_reason_whenever_it_is_not_armed(world: World) -> None:
    world.exchange.net[ES] = 1
    world.engine.reads.now()
    world.run(8)
    world.exchange.net[ES] = 0
    world.run(8)
    view = world.engine.snapshot()
    assert view.state == "active" and view.armed


# -- two voices


def test_protects_a_position_of_which_only_the_venue_spoke(world: World) -> None:
    world.run(3)
    tell = world.exchange.tell
    world.exchange.tell = lambda event: tell(event) if isinstance(event, PositionReport) else None
    world.exchange.manual(Side.BUY, 1)
    world.run(5)
    assert world.exchange.net[ES] == 0


def test_refuses_entries_while_the_venue_shows_another_position() -> None:
    world = World(limits=replace(LIMITS, max_contracts_tenths=20)).start()
    tell = world.exchange.tell
    world.exchange.tell = lambda event: tell(event) if isinstance(event, PositionReport) else None
    world.exchange.manual(Side.BUY, 2)
    world.run(0.05, step_ms=10)
    world.engine.submit([entry()])
    world.run(0.1, step_ms=10)
    assert world.exchange.net[ES] == 2


def test_gives_a_second_fill_its_own_two_seconds(world: World) -> None:
    exchange = world.exchange

    def stop() -> None:
        order = exchange._new("", ES, OrderType.STOP, Side.SELL, 1, None, exchange.price - 20)
        exchange._report(order)

    exchange.manual(Side.BUY, 1)
    world.run(0.25)
    stop()
    world.run(1.5)
    exchange.manual(Side.BUY, 1)
    world.run(0.5)
    stop()
    world.run(3)
    assert "unprotected" not in codes(world)


def test_measures_the_equity_by_the_ledger_when_the_account_event_is_lost(world: World) -> None:
    held(world)
    tell = world.exchange.tell
    world.exchange.tell = lambda event: None if isinstance(event, AccountReport) else tell(event)
    world.exchange.move(world.exchange.price - 25)
    world.run(2)
    assert world.engine.money.equity_micro(world.engine.money.today()) == world.exchange.balance


def test_keeps_what_the_hub_said_after_a_read_began(world: World) -> None:
    old = world.wire._snapshot(world.engine.reads._since_ns() or 0, world.clock.mono_ns())
    world.run(0.1)
    world.engine.on_account(AccountReport(ACCOUNT, "TEST-50K", world.exchange.balance, False, True))
    world.engine.on_snapshot(old)
    assert "account" in codes(world)


def test_keeps_the_word_of_the_later_read_when_the_earlier_one_ends_last(world: World) -> None:
    """A complete read waits for its longest list; a read of what is open overtakes it and reads flat."""
    held(world)
    earlier = world.wire._snapshot(world.engine.reads._since_ns() or 0, world.clock.mono_ns())
    world.run(0.1)
    world.engine.submit([Close("manual", ES, "out")])
    world.run(1)
    world.engine.submit(stop_pair(world)[:1])
    world.run(0.5)
    world.wire.read = lambda since_ns: None  # type: ignore[method-assign]  # the next one takes long as well
    world.engine.on_snapshot(earlier)
    world.exchange.cancel(live(world)[0].id)  # a stop that ends: is what we hold protected?
    world.run(3)
    assert codes(world) == set() and world.engine.book.disputed() == []


def test_waits_with_a_strangers_fill_for_a_read_that_began_later(world: World) -> None:
    old = world.wire._snapshot(world.engine.reads._since_ns() or 0, world.clock.mono_ns())
    events: list[Any] = []
    tell = world.exchange.tell
    world.exchange.tell = events.append
    world.faults.lose_reply = 1.0
    world.engine.submit([replace(entry(), strategy="overnight")])
    world.run(0.2, step_ms=50)
    world.engine.on_fill(next(e for e in events if isinstance(e, Fill)))
    world.engine.on_snapshot(old)
    world.exchange.tell, world.faults.lose_reply = tell, 0.0
    for event in events:
        tell(event)
    world.run(10)
    assert world.engine.book.ledger.net_of("overnight", ES) == 1


def test_knows_the_parent_of_a_leg_that_was_heard_first(world: World) -> None:
    tell, dropped = world.wire.event, []

    def without_the_first(event: Any) -> None:
        if not dropped:
            dropped.append(event)
        else:
            tell(event)

    world.exchange.tell = without_the_first
    world.engine.submit(stop_pair(world)[:1])
    world.run(0.5, step_ms=10)
    legs = [o for o in world.engine.book.live_orders() if o.tag.endswith(("SL", "TP"))]
    assert legs and all(o.parent_tag for o in legs)


# -- days


def test_reads_back_the_days_of_a_long_outage(world: World) -> None:
    world.run(5)
    world.faults.unreachable, world.faults.lose_event = True, 1.0
    world.engine.on_link(False, "cut")
    world.run(60, step_ms=1000)
    world.exchange.manual(Side.BUY, 1)
    world.exchange.move(world.exchange.price + 8)
    world.exchange.manual(Side.SELL, 1)
    world.clock.advance_to(world.start_ns + 7 * HOUR + 360 * NS)
    world.run(2)
    world.faults.unreachable, world.faults.lose_event = False, 0.0
    world.engine.on_link(True, "")
    world.run(30)
    assert world.engine.book.synced
    world.agrees()


def test_rebuilds_the_floor_from_a_stated_day_without_a_session() -> None:
    world = World(rules=replace(RULES, as_of=date(2026, 9, 26)))  # a Saturday
    world.begin()
    world.run(1)
    friday = world.calendar.session(date(2026, 9, 25))
    assert friday is not None and world.engine.reads.history_from_ns == friday.close_ns


def test_settles_no_day_on_the_word_of_a_clock_that_jumped(world: World) -> None:
    world.exchange.balance += 500_000_000
    stamp = world.clock.utc_ns()
    world.quoting = False

    def quote() -> None:
        world.engine.on_quote(Quote(ES, 23_999, 24_001, 24_000, stamp), world.clock.mono_ns())

    world.clock.step_wall(24 * HOUR)
    for _ in range(8):
        quote()
        world.run(0.5)
    world.clock.step_wall(-24 * HOUR)
    world.run(2)
    assert not world.engine.money.end_of_days


def test_counts_the_silence_of_the_feed_from_the_open() -> None:
    world = World(resume=False, start_ns=World.start_ns + 5 * HOUR + 20 * 60 * NS)  # 15:20: closed
    world.quoting = False
    world.start()
    world.clock.advance_to(World.start_ns + 7 * HOUR + 1500 * MS)
    world.quoting = True
    world.run(5)
    assert "stale_feed" not in codes(world)


# -- words to the wisher, and small things


def test_tells_the_strategy_of_an_order_that_was_withdrawn() -> None:
    recorder = Recorder()
    recorder.name, heard = "overnight", []
    recorder.on_order = lambda order: heard.append((order.ref, order.state)) or ()  # type: ignore[method-assign]
    world = World(strategies=[recorder]).start()
    real = world.wire.submit

    def submit(approved: Any) -> None:
        if approved.order.ref != "down":
            real(approved)
            return
        reply = Reply(Request.PLACE, approved.order.tag, Outcome.WITHDRAWN, 0, "rate budget spent")
        world.clock.call_later(0, world.engine.on_reply, reply)

    world.wire.submit = submit  # type: ignore[method-assign]
    world.engine.submit([replace(p, strategy="overnight") for p in stop_pair(world)])
    world.run(1)
    assert ("down", OrderState.WITHDRAWN) in heard


def test_starts_no_second_complete_read_when_a_read_of_what_is_open_failed(world: World) -> None:
    begun: list[int] = []
    world.wire.read = lambda since_ns: begun.append(since_ns)  # type: ignore[method-assign]
    world.engine.reads.now()
    world.engine.on_read_failed(ACCOUNT, "time-out", False)
    world.run(12)
    assert len(begun) == 1


def test_writes_off_two_contracts_under_two_ids(world: World) -> None:
    world.engine.on_quote(Quote(NQ, 80_000, 80_002, 80_001, 0), world.clock.mono_ns())
    world.exchange.manual(Side.BUY, 1)
    world.exchange.manual(Side.BUY, 1, NQ)
    world.run(0.5)
    world.exchange.net.clear()
    world.exchange.orders.clear()
    world.exchange.tell = lambda event: None
    for contract in (ES, NQ):
        world.engine.on_position(PositionReport(ACCOUNT, contract, 0))
    world.run(20)
    world.engine.accept_difference("test", "a lost fill each")
    world.clock.advance(NS)
    ids = [r.fill.id for r in world.journal.committed if isinstance(r, FillBooked) and r.fill.id < 0]
    assert len(set(ids)) == 2 and not world.engine.book.positions()


def test_journals_a_report_that_changes_nothing_only_once(world: World) -> None:
    held(world)
    rows = len(world.journal.committed)
    for _ in range(5):
        world.engine.reads.now()
        world.run(1)
    assert len(world.journal.committed) == rows


def test_forgets_ended_orders_of_past_days(world: World) -> None:
    world.engine.submit(stop_pair(world)[:1])
    world.run(1)
    world.engine.halt("test", "out")
    world.run(1)
    assert world.engine.book.orders
    world.engine.book.forget_before(world.clock.utc_ns() + NS)
    assert not world.engine.book.orders and not world.engine.book.by_id
