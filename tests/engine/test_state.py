"""Trading state: computed from reasons; the latch survives everything; holds end as the design says."""

from __future__ import annotations

import pytest

from app.errors import Refused
from app.risk.state import Code
from tests.engine.test_orders import entry
from tests.engine.world import ES, World


def codes(world: World) -> set[str]:
    return {r.code for r in world.engine.snapshot().reasons}


def test_starts_halted_on_a_fresh_box_until_a_person_arms() -> None:
    world = World()
    world.begin()
    world.run(2)
    assert codes(world) >= {"not_armed"}
    world.engine.submit([entry()])
    world.run(1)
    assert not world.exchange.fills
    world.engine.rearm("test", "first")
    world.run(1)
    assert world.engine.snapshot().state == "active"


def test_treats_a_missing_latch_as_a_person_reason() -> None:
    world = World().start()
    world.crash()
    recovered = world.journal.recovered()
    world.engine = world._engine(type(recovered)(None, recovered.orders, recovered.fills, tags_reserved=999))
    world.begin()
    world.run(2)
    assert "not_armed" in codes(world) and not world.engine.trading.armed


@pytest.mark.parametrize("stop", ["halt", "flatten"])
def test_keeps_a_persons_halt_over_a_restart(stop: str) -> None:
    world = World().start()
    getattr(world.engine, stop)("test", "enough")
    world.run(1)
    world.restart()
    world.run(5)
    assert stop in codes(world) and not world.engine.trading.armed
    world.engine.submit([entry()])
    world.run(1)
    assert not world.exchange.fills


def test_trades_again_by_itself_after_a_restart_when_armed_and_resume() -> None:
    world = World(resume=True).start()
    world.restart()
    world.run(3)
    assert world.engine.snapshot().state == "active"


def test_waits_for_a_person_after_a_restart_without_resume() -> None:
    world = World(resume=False).start()
    world.restart()
    world.run(3)
    view = world.engine.snapshot()
    assert view.state == "halted" and view.synced
    assert view.reasons[0].code == "start" and "re-arm" in view.reasons[0].ends
    world.engine.rearm("test", "go on")
    world.run(1)
    assert world.engine.snapshot().state == "active"


def test_holds_on_a_lost_link_and_resumes_after_a_clean_read() -> None:
    world = World().start()
    world.engine.on_link(False, "closed")
    assert world.engine.snapshot().state == "halted"
    world.engine.submit([entry()])
    world.run(1)
    assert not world.exchange.fills
    world.engine.on_link(True, "")
    world.run(2)
    assert world.engine.snapshot().state == "active"


def test_holds_on_a_silent_feed_and_resumes_with_the_next_quote() -> None:
    world = World().start()
    world.quoting = False
    world.run(40)
    assert "stale_feed" in codes(world)
    world.quoting = True
    world.run(2)
    assert world.engine.snapshot().state == "active"


def test_lets_a_halt_win_over_a_rearm_that_waits_for_the_disk() -> None:
    world = World().start()
    world.engine.halt("test", "one")
    world.run(1)
    world.engine.rearm("test", "go")
    world.engine.halt("test", "two")
    world.run(1)
    assert world.engine.snapshot().state == "halted" and not world.engine.trading.armed
    assert world.journal.recovered().latch is not None and not world.journal.recovered().latch.armed


def test_does_not_open_when_the_rearm_cannot_be_written() -> None:
    world = World().start()
    world.engine.halt("test", "one")
    world.run(1)
    world.engine.rearm("test", "go")
    world.journal.failing = "disk full"
    world.run(1)
    assert world.engine.snapshot().state == "halted"


def test_refuses_to_rearm_with_the_switch_open() -> None:
    world = World().start()
    world.engine.on_panel(True, False)
    world.run(1)
    with pytest.raises(Refused, match=r"rearm\.switch"):
        world.engine.rearm("test", "")
    world.engine.on_panel(True, True)
    world.run(3)
    assert world.engine.snapshot().state == "halted", "closing the contact alone never re-arms"
    world.engine.rearm("test", "")
    world.run(1)
    assert world.engine.snapshot().state == "active"


def test_holds_on_silence_of_the_board_and_needs_a_person_after_more_than_three_in_an_hour() -> None:
    world = World().start()
    for _ in range(3):
        world.engine.on_panel(False, True)
        assert "link_silence" in codes(world)
        world.run(1)
        world.engine.on_panel(True, True)
        world.run(2)
        assert world.engine.snapshot().state == "active"
    world.engine.on_panel(False, True)
    world.engine.on_panel(True, True)
    world.run(2)
    assert "silence_holds" in codes(world) and not world.engine.trading.armed


def test_acts_as_a_trip_when_the_board_is_silent_too_long() -> None:
    world = World().start()
    world.engine.submit([entry()])
    world.run(1)
    world.engine.on_panel(False, True)
    world.run(29)
    assert world.exchange.net[ES] == 1
    world.run(5)
    assert world.exchange.net[ES] == 0 and "switch" in codes(world)


def test_keeps_the_reason_first_given_and_shows_who_ends_it() -> None:
    world = World().start()
    world.engine.halt("page", "lunch")
    since = world.engine.snapshot().reasons[0].since_ns
    world.run(2)
    world.engine.halt("page", "again")
    view = world.engine.snapshot().reasons[0]
    assert (view.since_ns, view.detail, view.ends) == (since, "lunch", "a person re-arms")


def test_holds_when_the_clock_goes_backwards() -> None:
    world = World().start()
    world.clock.step_wall(-3600 * 10**9)
    world.run(2)
    assert str(Code.CLOCK) in codes(world)


def test_holds_and_does_not_crash_on_a_board_that_woke_up_in_1970() -> None:
    world = World(start_ns=5 * 10**9)
    world.begin()
    world.run(3)
    view = world.engine.snapshot()
    assert view.state == "halted" and "clock" in codes(world) and view.today is None
    world.clock.now_utc = World.start_ns  # the network tells the time
    world.run(10)
    world.engine.rearm("test", "")
    world.run(1)
    assert world.engine.snapshot().state == "active"


def test_beats_to_the_board_every_50_ms() -> None:
    world = World(heartbeat_ns=50 * 10**6).start()
    before = world.panel.beats
    world.run(1)
    assert world.panel.beats - before == 20
