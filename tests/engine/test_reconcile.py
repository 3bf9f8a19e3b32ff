"""Reconciliation: closed until everything agrees; a failed read is never flat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.events import Fill
from app.domain.orders import Side
from app.errors import Refused
from tests.engine.test_orders import entry, stop_pair
from tests.engine.test_state import codes
from tests.engine.world import ACCOUNT, ES, Faults, World


def test_adopts_orders_and_fills_that_happened_while_we_were_away() -> None:
    world = World().start()
    world.engine.submit(stop_pair(world))
    world.run(1)
    world.crash()
    world.exchange.move(world.exchange.price + 12)
    world.engine = world._engine(world.journal.recovered())
    world.begin()
    world.run(3)
    assert world.engine.book.positions() == {ES: 1}
    assert world.engine.book.protected(ES)
    world.agrees()


def test_cancels_entries_of_before_the_crash_and_keeps_protective_orders() -> None:
    world = World().start()
    world.engine.submit(stop_pair(world)[:1])
    world.run(1)
    world.restart()
    world.run(3)
    assert not [o for o in world.exchange.orders.values() if not o.state.terminal]
    assert world.engine.snapshot().state == "active"


def test_catches_fills_whose_events_were_lost() -> None:
    world = World().start()
    world.engine.submit(stop_pair(world))
    world.run(1)
    world.faults.lose_event = 1.0
    world.exchange.move(world.exchange.price + 12)
    world.run(1)
    assert world.engine.book.positions() == {}
    world.faults.lose_event = 0.0
    world.run(61)
    assert world.engine.book.positions() == {ES: 1}


def test_calls_a_difference_only_what_three_quiet_reads_agree_on() -> None:
    world = World().start()
    world.exchange.net[ES] = 1  # a position without any execution
    world.engine.reads.now()
    world.run(1)
    assert codes(world) == {"reconciling"} and world.engine.snapshot().state == "reducing"
    world.run(6)
    assert codes(world) == {"difference"} and world.engine.snapshot().state == "halted"
    assert "venue 1, fills 0" in world.engine.snapshot().reasons[0].detail


def test_ends_a_difference_when_the_next_complete_read_agrees() -> None:
    world = World().start()
    world.exchange.net[ES] = 1
    world.engine.reads.now()
    world.run(8)
    world.exchange.net[ES] = 0
    world.run(8)
    assert "difference" not in codes(world)


def test_finds_a_balance_that_moved_without_a_fill_and_accepts_it_only_with_a_reason() -> None:
    world = World().start()
    world.exchange.balance -= 100_000_000
    world.engine.reads.now()
    world.run(8)
    assert "balance" in world.engine.snapshot().reasons[0].detail
    with pytest.raises(Refused, match=r"rearm\.difference"):
        world.engine.rearm("test", "")
    with pytest.raises(Refused, match="say why"):
        world.engine.accept_difference("test", "")
    world.engine.accept_difference("test", "a payout")
    assert world.engine.money.baseline is None  # what was known of the balance before is void at once
    assert world.engine.money.flat_equity_micro() == world.exchange.balance
    world.run(2)
    assert "difference" not in codes(world)
    assert world.engine.money.baseline is not None


def test_refuses_to_accept_a_position_the_venue_still_shows() -> None:
    world = World().start()
    world.exchange.net[ES] = 1
    world.engine.reads.now()
    world.run(8)
    with pytest.raises(Refused, match="flatten it first"):
        world.engine.accept_difference("test", "whatever")


def test_never_takes_a_failed_read_for_flat() -> None:
    world = World().start()
    world.engine.submit([entry()])
    world.run(1)
    world.faults.read_fails = 1.0
    world.engine.on_link(False, "cut")
    world.engine.on_link(True, "")
    world.run(10)
    assert world.engine.book.positions() == {ES: 1}
    assert world.engine.snapshot().state == "halted"


def test_waits_for_the_order_of_an_execution_that_came_first() -> None:
    world = World().start()
    fill = Fill(999, 5_000, ACCOUNT, ES, Side.BUY, 1, 24_000, 1_890_000, world.clock.utc_ns())
    world.engine.on_fill(fill)
    assert world.engine.book.positions() == {}
    world.engine.submit([entry()])
    assert "unknown" in world.engine.snapshot().events[0].code


def test_books_each_fill_once_whatever_is_doubled_late_or_out_of_order() -> None:
    world = World(faults=Faults(duplicate_event=0.5, late_event=0.5)).start()
    for n in range(6):
        world.engine.submit([entry(f"e{n}")])
        world.run(4)
        world.exchange.move(world.exchange.price + 45)
        world.run(4)
    world.run(70)
    assert len(world.exchange.fills) >= 4
    world.agrees()


def test_never_mints_a_counter_the_venue_has_seen_on_an_older_disk() -> None:
    world = World().start()
    world.engine.submit(stop_pair(world))
    world.run(1)
    world.crash()
    recovered = world.journal.recovered()
    world.engine = world._engine(type(recovered)(recovered.latch))  # the disk lost orders, fills and counters
    world.begin()
    world.run(3)
    world.engine.submit([entry("fresh")])
    world.run(1)
    tags = [o.tag for o in world.exchange.orders.values() if o.tag]
    assert len(tags) == len(set(tags)) and world.engine.book.positions() == {ES: 1}


def test_ignores_what_the_journal_knows_of_other_accounts() -> None:
    world = World().start()
    world.engine.submit([entry()])
    world.run(1)
    world.crash()
    kept = world.journal.recovered()
    fills = tuple(replace(b, fill=replace(b.fill, account_id=8, id=10_000 + b.fill.id)) for b in kept.fills)
    world.engine = world._engine(replace(kept, fills=(*kept.fills, *fills)))
    world.begin()
    world.run(3)
    assert world.engine.book.positions() == {ES: 1}
    world.agrees()


def test_takes_no_balance_for_right_that_was_read_before_a_round_trip_was_heard() -> None:
    world = World()
    real, world.wire.read = world.wire.read, lambda since_ns: None  # type: ignore[method-assign]
    world.begin()
    first = world.wire._snapshot(0, world.clock.mono_ns())
    world.run(0.1)
    world.exchange.manual(Side.BUY, 1)
    world.exchange.manual(Side.SELL, 1)
    world.run(0.1)
    world.engine.on_snapshot(first)
    world.wire.read = real  # type: ignore[method-assign]
    assert world.engine.money.baseline is None and "start" in codes(world)
    world.run(2)
    assert world.engine.money.baseline is not None and world.engine.agreement.found == []
    assert world.engine.book.synced
