"""The whole engine under a hostile world: one seed replays everything. Invariants are asserted at every step.

Replies and requests are lost, events doubled, late, reordered or lost, reads fail, links drop, the process
dies and comes back, people halt, flatten and re-arm, the owner clicks. Then the faults stop and the account
must agree with the venue.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from app.clock import NS
from app.domain.intents import Place
from app.domain.orders import Bracket, OrderType, Side
from app.errors import Refused
from tests.engine.world import ES, Faults, World

FAULTS = Faults(
    lose_reply=0.08, lose_request=0.05, lose_event=0.1, duplicate_event=0.15, late_event=0.15, read_fails=0.1,
    slow_read=0.2,
)  # fmt: skip
SEEDS = range(60)
HOUR = 3600 * NS


class Hostile(World):
    """Adds what must hold at every step under faults."""

    halted_at: int | None = None

    def check(self) -> None:
        super().check()
        if self.halted_at is not None:
            late = [s for s in self.wire.sent if s[1] == "place" and s[0] > self.halted_at]
            assert not late, f"placed after the halt: {late}"


def place(world: Hostile, rng: random.Random) -> None:
    side, price = rng.choice([Side.BUY, Side.SELL]), world.exchange.price
    kind = rng.choice([OrderType.MARKET, OrderType.STOP])
    stop = price + side * rng.randrange(4, 15) if kind is OrderType.STOP else None
    ref = f"r{world.clock.mono_ns()}"
    intent = Place(
        "manual", ES, side, 1, kind, ref, stop_ticks=stop, bracket=Bracket(rng.randrange(5, 20), 30)
    )
    world.engine.submit([intent])


def pair(world: Hostile, rng: random.Random) -> None:
    price, oco = world.exchange.price, f"oco{world.clock.mono_ns()}"
    world.engine.submit(
        [
            Place("manual", ES, side, 1, OrderType.STOP, f"{oco}{side}", stop_ticks=price + 6 * side,
                  bracket=Bracket(10, 20), oco=oco)
            for side in (Side.BUY, Side.SELL)
        ]
    )  # fmt: skip


def move(world: Hostile, rng: random.Random) -> None:
    world.exchange.move(world.exchange.price + rng.randrange(-12, 13))


def drop_link(world: Hostile, rng: random.Random) -> None:
    world.engine.on_link(False, "cut")
    world.clock.call_later(rng.randrange(1, 4) * NS, world.engine.on_link, True, "")


def die(world: Hostile, rng: random.Random) -> None:
    world.restart()


def halt(world: Hostile, rng: random.Random) -> None:
    act = rng.choice([world.engine.halt, world.engine.flatten])
    act("sim", "because")
    world.halted_at = world.clock.mono_ns()


def rearm(world: Hostile, rng: random.Random) -> None:
    try:
        world.engine.rearm("sim", "go")
        world.halted_at = None
    except Refused:
        pass


def click(world: Hostile, rng: random.Random) -> None:
    world.exchange.manual(rng.choice([Side.BUY, Side.SELL]), 1)


def silence(world: Hostile, rng: random.Random) -> None:
    world.engine.on_panel(False, True)
    world.clock.call_later(rng.randrange(1, 3) * NS, world.engine.on_panel, True, True)


def fill_the_disk(world: Hostile, rng: random.Random) -> None:
    world.journal.failing = "disk full"
    world.run(2)
    world.restart()  # space was made and the appliance started anew


ACTS: list[tuple[Callable[[Hostile, random.Random], None], int]] = [
    (move, 40), (place, 15), (pair, 10), (rearm, 10), (drop_link, 4), (die, 5), (halt, 4), (click, 2),
    (silence, 2),
    (fill_the_disk, 1),
]  # fmt: skip


def hostile(seed: int, start_ns: int = World.start_ns) -> Hostile:
    world = Hostile(seed=seed, start_ns=start_ns)
    world.start()
    world.faults = world.wire.faults = Faults(**vars(FAULTS))
    return world


def act(world: Hostile, rng: random.Random) -> None:
    acts, weights = zip(*ACTS, strict=True)
    rng.choices(acts, weights)[0](world, rng)
    world.run(rng.choice([0.01, 0.1, 0.5, 2.0]), step_ms=100)


def calm(world: Hostile) -> None:
    """The faults stop. Within two minutes doubts, orphans and goals are settled by evidence."""
    world.faults = world.wire.faults = Faults()
    world.engine.on_link(False, "last cut")
    world.engine.on_link(True, "")
    world.run(130, step_ms=1000)


@pytest.mark.parametrize("seed", SEEDS)
def test_agrees_with_the_venue_after_every_storm(seed: int) -> None:
    world, rng = hostile(seed), random.Random(seed)
    for _ in range(40):
        act(world, rng)
    calm(world)
    world.agrees()
    assert not world.engine.book.in_flight()
    assert world.engine.book.synced


@pytest.mark.parametrize("seed", range(12))
def test_is_flat_over_the_break_and_agrees_after_a_storm_around_the_close(seed: int) -> None:
    world, rng = hostile(seed, World.start_ns + 5 * HOUR), random.Random(seed)  # 15:00 Chicago
    for _ in range(12):
        act(world, rng)
    calm(world)
    world.clock.advance_to(max(world.clock.utc_ns(), World.start_ns + 5 * HOUR + 9 * 60 * NS))
    world.run(10)
    assert not world.exchange.positions()
    world.clock.advance_to(World.start_ns + 7 * HOUR + 60 * NS)  # 17:01
    world.run(70, step_ms=500)
    world.agrees()


@pytest.mark.parametrize("seed", range(15))
def test_reads_flat_after_a_flatten_in_any_storm(seed: int) -> None:
    world, rng = hostile(seed), random.Random(seed)
    for _ in range(15):
        act(world, rng)
    world.engine.flatten("sim", "end")
    calm(world)
    assert not world.exchange.positions()
    assert not [o for o in world.exchange.orders.values() if not o.state.terminal]
    world.agrees()


@pytest.mark.parametrize("seed", range(10))
def test_accepts_a_valid_wish_again_once_the_storm_is_over(seed: int) -> None:
    world, rng = hostile(seed), random.Random(seed)
    for _ in range(15):
        act(world, rng)
    world.engine.flatten("sim", "end")
    calm(world)
    world.engine.accept_difference("sim", "storm") if world.engine.agreement.found else None
    closed = {r.code for r in world.engine.snapshot().reasons}
    if closed & {"unprotected", "both_filled", "daily_loss", "maximum_loss", "loss_reducing"}:
        return  # closed until the next day, rightly
    world.engine.rearm("sim", "go")
    world.halted_at = None
    world.run(2)
    place(world, rng)
    world.run(2)
    assert [s for s in world.wire.sent if s[1] == "place" and s[0] > world.clock.mono_ns() - 3 * NS]


def test_replays_a_storm_from_its_seed() -> None:
    def story(seed: int) -> list[tuple[int, str, str]]:
        world, rng = hostile(seed), random.Random(seed)
        for _ in range(25):
            act(world, rng)
        return world.wire.sent

    assert story(3) == story(3)
