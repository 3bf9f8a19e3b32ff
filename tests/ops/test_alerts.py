"""Who is told what, once, and when it is over."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from app.clock import NS
from app.engine.snapshot import GoalView, ReasonView, Snapshot, StorageView, UpdateView
from app.ops.alerts import AGAIN_NS, CAUGHT_UP_NS, FEED_NS, HIGH, PENDING_NS, Alerts
from tests.web.pictures import ACTIVE

FINE = replace(ACTIVE, mode="live", clock="system", account=None, positions=(), orders=())


def because(*codes: str, kind: str = "person") -> tuple[ReasonView, ...]:
    return tuple(
        ReasonView(code, kind, "*", "halted", "flat", 0, 0, f"detail of {code}", "") for code in codes
    )


def seen(**changes: Any) -> Snapshot:
    return replace(FINE, **changes)


def told(alerts: Alerts, view: Snapshot, at_s: float) -> list[str]:
    return [alert.code for alert in alerts.look(view, "the sentence", int(at_s * NS))]


@pytest.mark.parametrize(
    ("view", "code", "wait_ns"),
    [
        (seen(reasons=because("switch")), "halted", 0),
        (seen(reasons=because("maximum_loss")), "halted", 0),
        (seen(goal=GoalView("flat", True, "venue closed", 0)), "flat_pending", PENDING_NS),
        (seen(reasons=because("difference")), "difference", 0),
        (seen(journal="disk full", reasons=because("journal")), "storage", 0),
        (seen(storage=StorageView(troubles={"storage_wear": "90 % spent"})), "storage_wear", 0),
        (seen(storage=StorageView(troubles={"storage_slow": "no answer"})), "storage_slow", 0),
        (seen(storage=StorageView(troubles={"backup_failed": "no space"})), "backup_failed", 0),
        (seen(storage=StorageView(troubles={"backup_late": "26 hours"})), "backup_late", CAUGHT_UP_NS),
        (seen(reasons=because("stale_feed", kind="condition")), "feed", FEED_NS),
        (seen(link_up=False), "feed", FEED_NS),
        (seen(update=UpdateView(failed="0.2.0 was taken back")), "update_failed", 0),
        (seen(update=UpdateView(waits="for 3 days")), "update_waits", 0),
    ],
)
def test_tells_each_condition_once_after_its_time_and_its_end(
    view: Snapshot, code: str, wait_ns: int
) -> None:
    alerts, wait = Alerts(), wait_ns / NS
    if wait:
        assert told(alerts, view, 0) == [] == told(alerts, view, wait - 0.001)
    assert told(alerts, view, wait) == [code]
    assert told(alerts, view, wait + 1) == [] == told(alerts, view, wait + 100_000)
    assert told(alerts, FINE, wait + 100_001) == ["normal"]
    assert told(alerts, FINE, wait + 100_002) == []


def test_says_nothing_about_a_box_that_is_well_or_was_never_armed() -> None:
    alerts = Alerts()
    assert told(alerts, FINE, 0) == [] == told(alerts, seen(reasons=because("not_armed")), 1)
    assert told(alerts, seen(reasons=because("session_closed", kind="time")), 2) == []
    assert told(alerts, seen(link_up=False, session_open=False), 2) == []
    assert told(alerts, seen(link_up=False, session_open=False), 10_000) == [], "the venue closes every night"
    assert told(alerts, FINE, 10_001) == [], "nothing was told, so nothing ended"


def test_forgets_a_feed_that_came_back_in_time() -> None:
    alerts, down = Alerts(), seen(link_up=False)
    for minute in range(0, 3_000, 60):
        assert told(alerts, down if minute % 240 else FINE, minute) == []


def test_a_condition_that_comes_and_goes_is_told_at_most_every_ten_minutes() -> None:
    alerts, broken = Alerts(), seen(journal="disk full")
    tellings = []
    for second in range(0, 3_600, 5):
        if "storage" in told(alerts, broken if second % 10 else FINE, second):
            tellings.append(second)
    assert len(tellings) == 6
    assert all(b - a >= AGAIN_NS // NS for a, b in pairwise(tellings))


def test_is_normal_only_when_nothing_that_was_told_stands() -> None:
    alerts = Alerts()
    both = seen(journal="disk full", reasons=because("switch"))
    assert sorted(told(alerts, both, 0)) == ["halted", "storage"]
    assert told(alerts, seen(reasons=because("switch")), 1) == []
    assert told(alerts, FINE, 2) == ["normal"]


def test_tells_of_a_failed_update() -> None:
    (alert,) = Alerts().look(seen(update=UpdateView(failed="0.2.0 did not get ready")), "Active", 0)
    assert (alert.code, alert.text) == ("update_failed", "0.2.0 did not get ready")


def test_tells_every_trouble_of_the_disk_by_itself() -> None:
    alerts = Alerts()
    full = seen(storage=StorageView(troubles={"storage_free": "1 MB are free"}))
    assert told(alerts, full, 0) == ["storage_free"]
    both = seen(storage=StorageView(troubles={"storage_free": "1 MB are free", "storage_wear": "90 % spent"}))
    (alert,) = alerts.look(both, "Active", NS)
    assert (alert.code, alert.text, alert.priority) == ("storage_wear", "90 % spent", HIGH)
