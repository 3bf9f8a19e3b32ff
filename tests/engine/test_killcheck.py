"""The kill check passes in every state of a desk, changes nothing, and sees each way a halt can fail."""

from __future__ import annotations

import pytest

from app.clock import NS
from app.engine.pursuit import Pursuit
from app.engine.trading import Trading
from app.risk.state import Goal, Reasons, TradingState
from tests.engine.test_halt import in_position
from tests.engine.world import World


@pytest.fixture
def world() -> World:
    return World().start()


def test_passes_while_trading_halting_and_flat(world: World) -> None:
    engine = world.engine
    assert engine.snapshot().state == "active" and engine.kill_check() == ""
    in_position(world)
    assert engine.kill_check() == ""
    engine.trip("switch open")
    assert not engine.pursuit.done and engine.kill_check() == ""
    world.run(5)
    assert engine.pursuit.done and engine.kill_check() == ""


def test_passes_before_anything_is_known() -> None:
    world = World().start()
    world.engine.on_link(False, "gone")
    assert world.engine.kill_check() == ""


def test_changes_nothing(world: World) -> None:
    in_position(world)
    engine, clock, journal, wire = world.engine, world.clock, world.journal, world.wire

    def everything() -> tuple[object, ...]:
        return engine.snapshot(), list(wire.sent), len(journal.committed), len(clock._heap)

    before = everything()
    for _ in range(3):
        assert engine.kill_check() == ""
    assert everything() == before
    clock.advance(NS)
    assert engine.trading.state is TradingState.ACTIVE


def test_sees_reasons_that_stop_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reasons, "state", lambda self, scope: TradingState.ACTIVE)
    assert world.engine.kill_check() == "the switch would make the state ACTIVE with goal FLAT"


def test_sees_a_goal_that_closes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reasons, "goal", lambda self, scope: Goal.NONE)
    assert world.engine.kill_check() == "the switch would make the state HALTED with goal NONE"


def test_sees_a_halt_that_nobody_pursues(world: World) -> None:
    world.engine.trading._changed = lambda: None
    world.engine.flatten("test", "out")
    assert world.engine.kill_check() == "goal FLAT is wanted and NONE is pursued"


def test_sees_a_pursuit_that_lost_its_timer(world: World) -> None:
    in_position(world)
    world.engine.flatten("test", "out")
    assert world.engine.pursuit._timer is not None
    world.engine.pursuit._timer.cancel()
    world.engine.pursuit._timer = None
    assert world.engine.kill_check() == "nobody goes on pursuing FLAT"


def test_sees_a_pursuit_that_does_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pursuit, "_act", lambda self, left: True)
    assert world.engine.kill_check() == "a halt would close [] and cancel []"


def test_sees_a_pursuit_that_forgets_positions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pursuit, "_to_close", lambda self: ())
    assert world.engine.kill_check() == "a halt would close [] and cancel ['kill-check-1']"


def test_sees_a_pursuit_that_never_looks_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pursuit, "_schedule", lambda self, delay_ns=None: None)
    assert world.engine.kill_check() == "a halt would not look whether it was done"


def test_sees_a_halt_that_leaves_approvals_valid(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    restrict = Trading.restrict

    def forgetful(self: Trading, *given: object, **named: object) -> bool:
        epoch = self.epoch
        done = restrict(self, *given, **named)  # type: ignore[arg-type]
        self.epoch = epoch
        return done

    monkeypatch.setattr(Trading, "restrict", forgetful)
    assert world.engine.kill_check() == "a halt would leave earlier approvals valid"
