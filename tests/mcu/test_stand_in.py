"""The software board: what it tells the engine and shows."""

from __future__ import annotations

from app.mcu.stand_in import StandIn
from tests.mcu.rig import Listener
from tests.web.pictures import ACTIVE, HALTED


def test_begins_fresh_and_closed() -> None:
    engine = Listener()
    StandIn().connect(engine)
    assert engine.heard == [(True, True)]


def test_trips_first_then_tells_the_contact() -> None:
    engine, panel = Listener(), StandIn()
    panel.connect(engine)
    panel.open("hit")
    panel.close()
    assert engine.heard[1:] == [("trip", "hit"), (True, False), (True, True)]


def test_keeps_an_open_switch_open_for_a_later_engine() -> None:
    engine, panel = Listener(), StandIn()
    panel.open()
    panel.connect(engine)
    assert engine.heard == [(True, False)]


def test_shows_the_state_in_colour_and_counts_beats() -> None:
    panel = StandIn()
    assert panel.light == "red"
    panel.show(ACTIVE)
    panel.heartbeat(1)
    assert (panel.light, panel.beats) == ("green", 1)
    panel.show(HALTED)
    assert panel.light == "red"
