"""The halt as a goal: pursued until the venue confirms it, over failures, restarts and closed markets."""

from __future__ import annotations

import pytest

from app.clock import MS, NS
from app.domain.events import PositionReport
from app.domain.intents import Place
from app.domain.orders import Bracket, OrderType, Side
from app.engine.pursuit import MARKET_CLOSED
from tests.engine.test_orders import entry, stop_pair
from tests.engine.world import ACCOUNT, ES, World


@pytest.fixture
def world() -> World:
    return World().start()


def in_position(world: World) -> World:
    world.engine.submit([entry()])
    world.run(1)
    assert world.exchange.net[ES] == 1
    return world


def sent(world: World, what: str) -> list[int]:
    return [at for at, kind, _ in world.wire.sent if kind == what]


def test_stops_entries_and_keeps_stops_and_targets(world: World) -> None:
    in_position(world)
    up = Place(
        "manual",
        ES,
        Side.BUY,
        1,
        OrderType.STOP,
        "up",
        stop_ticks=world.exchange.price + 15,
        bracket=Bracket(20),
    )
    world.engine.submit([up])
    world.run(1)
    world.engine.halt("test", "enough")
    world.run(2)
    assert world.exchange.net[ES] == 1
    assert world.engine.book.protected(ES)
    assert not [o for o in world.engine.book.live_orders() if o.ref == "up"]
    assert world.engine.pursuit.done


def test_flattens_by_the_venues_close_call_and_sweeps_the_legs_afterwards(world: World) -> None:
    in_position(world)
    world.wire.sent.clear()
    world.engine.flatten("test", "out")
    assert sent(world, "close") and not sent(world, "cancel"), (
        "protective legs go only after the position reads flat"
    )
    world.run(3)
    assert world.exchange.net[ES] == 0
    assert not [o for o in world.exchange.orders.values() if not o.state.terminal]
    assert world.engine.pursuit.done and world.engine.snapshot().goal.detail == "confirmed"
    world.agrees()


def test_trips_within_the_call_itself(world: World) -> None:
    in_position(world)
    world.engine.submit(stop_pair(world)[:1])
    world.run(1)
    world.wire.sent.clear()
    world.engine.trip("switch opened")
    kinds = {kind for _, kind, _ in world.wire.sent}
    assert kinds == {"cancel", "close"}, "cancels and closes leave before trip() returns"


def test_never_waits_for_the_disk(world: World) -> None:
    in_position(world)
    world.journal.delay = 10**15
    world.journal.failing = "I/O error"
    world.engine.flatten("test", "out")
    world.run(3)
    assert world.exchange.net[ES] == 0


def test_repeats_after_fresh_reads_at_quarter_half_one_two_then_every_five_seconds(world: World) -> None:
    in_position(world)
    reads: list[int] = []
    real = world.wire.read_open
    # type: ignore[method-assign]
    world.wire.read_open = lambda: (reads.append(world.clock.mono_ns()), real())[1]
    world.exchange.close = lambda contract: "OrderRejected"  # type: ignore[method-assign]
    begun = world.clock.mono_ns()
    world.engine.flatten("test", "out")
    world.run(20, step_ms=50)
    gaps = [(b - a) // (10 * MS) * 10 for a, b in zip([begun, *reads], reads, strict=False)]
    assert gaps[:4] == [250, 500, 1000, 2000] or all(
        abs(g - w) <= 60 for g, w in zip(gaps, [250, 500, 1000, 2000, 5000], strict=False)
    ), gaps
    assert len(sent(world, "close")) == len(reads) + 1 - (1 if len(sent(world, "close")) <= len(reads) else 0)


def test_does_not_repeat_a_close_that_is_unanswered(world: World) -> None:
    in_position(world)
    world.faults.lose_request = 1.0
    world.engine.flatten("test", "out")
    world.run(4)
    assert len(sent(world, "close")) == 1
    world.faults.lose_request = 0.0
    world.run(10)
    assert world.exchange.net[ES] == 0


def test_sends_nothing_after_a_restart_before_positions_were_re_read(world: World) -> None:
    in_position(world)
    world.engine.flatten("test", "out")
    world.run(0.001, step_ms=1)
    world.wire.dead = True
    world.exchange.close = lambda contract: "OrderRejected"  # type: ignore[method-assign]
    world.run(0.2)
    world.faults.read_fails = 1.0
    world.wire.sent.clear()
    world.restart()
    world.run(10)
    assert world.wire.sent == []
    assert "not readable" in world.engine.snapshot().goal.detail


def test_finishes_a_flatten_that_a_crash_interrupted(world: World) -> None:
    in_position(world)
    # type: ignore[method-assign]
    real, world.exchange.close = world.exchange.close, lambda contract: "OrderRejected"
    world.engine.flatten("test", "out")
    world.run(1)
    world.exchange.close = real  # type: ignore[method-assign]
    world.restart()
    world.run(5)
    assert world.exchange.net[ES] == 0
    assert world.engine.snapshot().state == "halted"
    world.agrees()


def test_says_market_closed_and_finishes_at_the_open(world: World) -> None:
    in_position(world)
    world.exchange.open = False
    world.clock.advance_to(world.start_ns + int(5.25 * 3600 * NS))  # 15:15 Chicago: the venue is closed
    world.engine.flatten("test", "out")
    world.run(60)
    assert world.engine.snapshot().goal.detail == MARKET_CLOSED
    closes = len(sent(world, "close"))
    world.run(1800, step_ms=5000)
    assert len(sent(world, "close")) == closes, "no call while the market is closed"
    world.exchange.open = True
    world.clock.advance_to(world.start_ns + int(7 * 3600 * NS))  # 17:00
    world.run(10)
    assert world.exchange.net[ES] == 0


def test_flattens_the_owners_own_position_with_the_rest(world: World) -> None:
    world.engine.flatten("test", "out")
    world.run(2)
    world.exchange.manual(Side.SELL, 2)
    world.run(3)
    assert world.exchange.net[ES] == 0, "a click after the halt is flattened too"


def test_keeps_trying_while_the_venue_is_unreachable(world: World) -> None:
    in_position(world)
    world.faults.unreachable = True
    world.engine.flatten("test", "out")
    world.run(12)
    assert not world.engine.pursuit.done and "not readable" in world.engine.snapshot().goal.detail
    world.faults.unreachable = False
    world.run(15)
    assert world.exchange.net[ES] == 0 and world.engine.pursuit.done


def test_flattens_and_cancels_what_it_has_no_table_row_for(world: World) -> None:
    unknown = "CON.F.US.XYZ.Z26"
    order = world.exchange._new("", unknown, OrderType.LIMIT, Side.BUY, 1, None, None)
    world.exchange.net[unknown] = 2

    def close(contract: str) -> str:  # its execution cannot be read either, so none is told
        world.exchange.net[contract] = 0
        world.exchange.tell(PositionReport(ACCOUNT, contract, 0))
        return ""

    world.exchange.close = close  # type: ignore[method-assign]
    world.engine.reads.now()
    world.run(1)
    world.engine.flatten("test", "out")
    world.run(5)
    assert not world.exchange.net[unknown] and order.state.terminal
    assert world.engine.pursuit.done
    assert world.engine.snapshot().state == "halted"
