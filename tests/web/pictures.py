"""Hand-made snapshots for the page's tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.engine.snapshot import (
    AccountView,
    EventView,
    FeedView,
    GoalView,
    OrderView,
    PositionView,
    ReasonView,
    Snapshot,
    StrategyLine,
    TodayView,
)

S = 1_000_000_000
NOW = 1_795_185_075 * S  # 2026-11-20 09:31:15 New York
CONTRACT = "CON.F.US.EP.Z26"

NO_GOAL = GoalView("none", False, "", 0)
ACCOUNT = AccountView(
    1001, "SIM-50K-1001", "50000.00", "50087.50", True, "48000.00", "2087.50", 12, "1000.00", 4
)
TODAY = TodayView("2026-11-20", "125.00", "7.56", "87.50", "204.94", 2, 2)


def order(
    tag: str = "Plimsoll-v1.0-strategy-overnight_range-entry-17-1795185000", **changes: Any
) -> OrderView:
    values: dict[str, Any] = {
        "tag": tag, "venue_id": 9001, "strategy": "overnight_range", "contract": CONTRACT, "symbol": "ES",
        "side": "buy", "size": 1, "filled": 0, "type": "stop", "role": "entry", "limit": "",
        "stop": "6012.50", "state": "working", "reason": "",
        "created_ns": NOW - 60 * S, "updated_ns": NOW - 60 * S,
    }  # fmt: skip
    return OrderView(**(values | changes))


POSITION = PositionView(CONTRACT, "ES", 1, "6012.50", "87.50", "6001.25", "6030.50", {"overnight_range": 1})
FEED = FeedView("ES", CONTRACT, "6014.25", "6014.50", "6014.25", 180, False)
FACTS = {
    "phase": "in position",
    "high": "6012.25",
    "low": "5991.50",
    "atr": "9.00",
    "buy_stop": "6012.50",
    "sell_stop": "5991.25",
}
STRATEGY = StrategyLine("overnight_range", "ES", CONTRACT, True, "117.44", 1, FACTS)
CLOSED = ReasonView(
    "session_closed", "time", "*", "halted", "no_entries", NOW - S, 1_795_215_600 * S, "", "by the calendar"
)
STOPPED = ReasonView(
    "halt", "person", "*", "halted", "no_entries", NOW, 0, "stop entries", "a person re-arms"
)

ACTIVE = Snapshot(
    version="0.1.0",
    mode="simulate",
    clock="simulator",
    utc_ns=NOW,
    state="active",
    armed=True,
    synced=True,
    link_up=True,
    link_detail="",
    session_open=True,
    journal="",
    panel="closed",
    reasons=(),
    goal=NO_GOAL,
    account=ACCOUNT,
    today=TODAY,
    positions=(POSITION,),
    orders=(
        order("stop", side="sell", role="stop", stop="6001.25", venue_id=9003),
        order("target", side="sell", role="target", type="limit", stop="", limit="6030.50", venue_id=9004),
        order("b", side="sell", stop="5991.25", state="cancelled", venue_id=9002),
        order("a", filled=1, state="filled"),
    ),
    strategies=(STRATEGY,),
    feeds=(FEED,),
    events=(
        EventView(NOW - 2 * S, "info", "order.filled", "bought 1 ES at 6,012.50 for overnight range"),
        EventView(NOW - 60 * S, "warning", "feed.slow", "quotes of ES were 1.2 s old"),
        EventView(NOW - 75 * S, "info", "armed", "armed by demo"),
    ),
)
HALTED = replace(
    ACTIVE,
    state="halted",
    reasons=(STOPPED, CLOSED),
    goal=GoalView("no_entries", True, "2 cancels pending, market closed", 0),
)
FRESH = replace(
    ACTIVE, state="halted", armed=False, synced=False, link_up=False, account=None, today=None, positions=(),
    orders=(), strategies=(), feeds=(), events=(), reasons=(CLOSED,),
)  # fmt: skip


class FakeEngine:
    """The part of the engine that the page and the command port touch; remembers what was asked of it."""

    def __init__(self, view: Snapshot = ACTIVE) -> None:
        self.view = view
        self.asked: list[tuple[str, str, str]] = []
        self.refuse: Exception | None = None

    def snapshot(self) -> Snapshot:
        return self.view

    def _ask(self, what: str, by: str, why: str) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.asked.append((what, by, why))

    def halt(self, by: str, why: str) -> None:
        self._ask("halt", by, why)

    def flatten(self, by: str, why: str) -> None:
        self._ask("flatten", by, why)

    def rearm(self, by: str, why: str) -> None:
        self._ask("rearm", by, why)

    def accept_difference(self, by: str, why: str) -> None:
        self._ask("accept-difference", by, why)

    def audit(self, by: str, command: str, detail: str, outcome: str) -> None:
        pass
