"""The board's policy: a trip does what the settings say, silence is a hold, a long silence is a trip."""

from __future__ import annotations

import pytest

from app.domain.orders import OrderState
from app.engine.settings import SHOW_NS
from app.risk.state import Goal
from tests.engine.test_orders import entry
from tests.engine.world import ES, World

SECOND = 10**9


def codes(world: World) -> set[str]:
    return {reason.code for reason in world.engine.snapshot().reasons}


def state(world: World) -> str:
    return world.engine.snapshot().state


def in_position(**settings: object) -> World:
    world = World(**settings).start()  # type: ignore[arg-type]
    world.engine.submit([entry()])
    world.run(1)
    assert world.exchange.net[ES] == 1
    return world


def powered_up(world: World) -> None:
    """After a power cut, an update or the watchdog: everything is back but the board."""
    world.crash()
    world.engine = world._engine(world.journal.recovered())
    world.engine.begin({"ES": ES})
    world.quote()
    world.engine.on_link(True, "")
    world.run(2)


@pytest.mark.parametrize(("goal", "left"), [(Goal.FLAT, 0), (Goal.NO_ENTRIES, 1)])
def test_does_on_a_trip_what_the_settings_say(goal: Goal, left: int) -> None:
    world = in_position(on_trip=goal)
    world.engine.trip("switch opened")
    world.run(3)
    assert world.exchange.net[ES] == left
    stops = [o for o in world.engine.book.live_orders(ES) if o.type.is_stop and o.state is OrderState.WORKING]
    assert bool(stops) is bool(left), "stops stay with their position"
    assert state(world) == "halted" and not world.engine.trading.armed


@pytest.mark.parametrize(("goal", "left"), [(Goal.FLAT, 0), (Goal.NO_ENTRIES, 1)])
def test_takes_a_long_silence_for_a_trip(goal: Goal, left: int) -> None:
    world = in_position(on_trip=goal)
    world.engine.on_panel(False, True)
    world.run(29)
    assert world.exchange.net[ES] == 1 and world.engine.trading.armed
    world.run(4)
    assert world.exchange.net[ES] == left and not world.engine.trading.armed
    (reason,) = [r for r in world.engine.snapshot().reasons if r.code == "switch"]
    assert reason.detail == "the board was silent for 30 s" and reason.kind == "person"


def test_takes_a_board_that_never_spoke_for_a_trip() -> None:
    world = World().start()
    powered_up(world)
    world.run(27)
    assert "switch" not in codes(world) and world.engine.trading.armed
    world.run(3)
    assert "switch" in codes(world) and not world.engine.trading.armed


def test_counts_no_silence_time_while_the_board_is_heard() -> None:
    world = World().start()
    for _ in range(2):
        world.engine.on_panel(False, True)
        world.run(20)
        world.engine.on_panel(True, True)
        world.run(20)
    assert state(world) == "active"


def test_ends_the_silence_only_when_books_and_venue_agree() -> None:
    world = World().start()
    world.engine.on_panel(False, True)
    world.engine.on_link(False, "cut")
    world.engine.on_panel(True, True)
    world.run(5)
    assert "link_silence" in codes(world), "the board is back, the venue is not"
    world.engine.on_link(True, "")
    world.run(3)
    assert state(world) == "active"


def test_ends_the_silence_only_when_the_venue_confirmed_that_no_entry_is_left() -> None:
    world = World().start()
    world.engine.on_panel(False, True)
    world.engine.on_panel(True, True)
    assert "link_silence" in codes(world), "nothing was read since"
    world.run(3)
    assert state(world) == "active"


def test_keeps_the_hold_when_the_switch_is_open_after_the_silence() -> None:
    world = World().start()
    world.engine.on_panel(False, True)
    world.engine.on_panel(True, False)
    world.run(3)
    assert codes(world) >= {"link_silence", "switch"}
    world.engine.on_panel(True, True)
    world.run(3)
    assert state(world) == "halted" and not world.engine.trading.armed, "closing the contact never re-arms"


def test_waits_for_a_person_after_a_silence_without_resume_and_says_so() -> None:
    world = World(resume=False).start()
    world.engine.rearm("test", "holds of the start are over")
    world.run(1)
    world.engine.on_panel(False, True)
    world.engine.on_panel(True, True)
    world.run(3)
    (reason,) = [r for r in world.engine.snapshot().reasons if r.code == "link_silence"]
    assert state(world) == "halted" and world.engine.trading.armed
    assert "over; waits for a re-arm" in reason.ends
    world.engine.rearm("test", "go on")
    world.run(1)
    assert state(world) == "active"


def test_trades_again_by_itself_after_a_power_cut_once_switch_session_and_books_are_clean() -> None:
    world = World(resume=True).start()
    powered_up(world)
    assert state(world) == "halted" and codes(world) == {"link_silence"}, "books agree, the board is silent"
    world.engine.on_panel(True, True)
    world.run(1)
    assert state(world) == "active"


def test_waits_after_a_power_cut_without_resume_and_says_so() -> None:
    world = World(resume=False).start()
    powered_up(world)
    world.engine.on_panel(True, True)
    world.run(3)
    view = world.engine.snapshot()
    assert view.state == "halted" and view.armed
    assert all("over; waits for a re-arm" in reason.ends for reason in view.reasons)


def test_stays_halted_after_a_power_cut_with_the_switch_open() -> None:
    world = World(resume=True).start()
    powered_up(world)
    world.engine.on_panel(True, False)
    world.engine.on_panel(True, True)
    world.run(3)
    assert state(world) == "halted" and not world.engine.trading.armed


def test_forgets_silences_after_an_hour() -> None:
    world = World().start()
    for minutes in (0, 25, 25, 25):
        world.run(minutes * 60, step_ms=10_000)
        world.engine.on_panel(False, True)
        world.engine.on_panel(True, True)
        world.run(3)
    assert state(world) == "active"


def test_leaves_no_change_unshown_however_fast_it_follows_another() -> None:
    world = World(show_ns=SHOW_NS).start()
    world.clock.advance(SECOND + SHOW_NS // 2)
    world.engine.halt("test", "one")
    world.engine.trip("two")
    world.clock.advance(SHOW_NS)
    assert {reason.code for reason in world.panel.shown.reasons} >= {"halt", "switch"}


def test_shows_at_most_ten_pictures_a_second() -> None:
    world = World(show_ns=SHOW_NS).start()
    seen = []
    world.panel.show = seen.append  # type: ignore[method-assign, assignment]
    for _ in range(100):
        world.clock.advance(SECOND // 100)
        world.engine.telling.show()
    assert 9 <= len(seen) <= 11
