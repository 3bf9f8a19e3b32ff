"""Is the appliance well? A pure verdict on one snapshot, for `/healthz` and whoever watches it."""

from __future__ import annotations

from typing import Any

from app.engine.snapshot import Snapshot
from app.web import words


def verdict(view: Snapshot) -> dict[str, Any]:
    """`ok` is False before the first clean comparison with the venue, while the venue is away, or when the
    journal fails.

    A halt is not ill: the appliance does what its owner asked. Ages in milliseconds, -1 = never.
    """
    problems = []
    if view.journal:
        problems.append(f"journal: {view.journal}")
    if not view.link_up:
        problems.append("venue: " + (words.once(view.link_detail) or "not connected"))
    if not view.synced:
        problems.append("books not compared with the venue yet")
    return {
        "ok": not problems,
        "problems": problems,
        "state": view.state,
        "reasons": [{"code": r.code, "text": words.because(r)} for r in view.reasons],
        "feed_age_ms": max((feed.age_ms for feed in view.feeds), default=-1),
        "journal": view.journal or "ok",
        "board": view.panel,
        "mode": view.mode,
        "version": view.version,
    }
