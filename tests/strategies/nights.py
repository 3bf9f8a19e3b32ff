"""Nights of one height before 2013-10-07, and a desk that stands at 09:30 after one."""

from __future__ import annotations

from datetime import date

from app.domain.market import MINUTE_NS
from app.strategies import build
from app.strategies.overnight_range import OvernightRange
from tests.strategies.desk import Desk, flat_bars, new_york

MONDAY = date(2013, 10, 7)
SUNDAY = date(2013, 10, 6)
OPEN = new_york(SUNDAY, 18)
ENTRY = new_york(MONDAY, 9, 30)
END = new_york(MONDAY, 15, 45)
NIGHT = (ENTRY - OPEN) // MINUTE_NS  # minutes


def strategy(**settings: object) -> OvernightRange:
    built = build("overnight_range", settings)
    assert isinstance(built, OvernightRange)
    return built


def night_desk(count: int = 90, low: int = 6600, high: int = 6608, **settings: object) -> Desk:
    """A desk at 09:30 after `count` minutes of a flat night, the last decision taken."""
    desk = Desk(strategy(**settings), OPEN)
    desk.live_bars(flat_bars(ENTRY - count * MINUTE_NS, count, low, high))
    return desk


def phase(desk: Desk) -> str:
    return desk.strategy.facts()["phase"]


def why(desk: Desk) -> str:
    return desk.strategy.facts()["why"]
