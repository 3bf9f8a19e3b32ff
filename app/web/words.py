"""Words for people: why trading is restricted, times of day, ages. Pure text, no HTML, no money."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from app.engine.snapshot import BoardView, GoalView, ReasonView, StorageView, UpdateView

NS = 1_000_000_000
NEW_YORK = ZoneInfo("America/New_York")  # the exchange's day as its traders say it

# One phrase for each code of the trading state's reasons; it follows "HALTED because ...".
PHRASES: Mapping[str, str] = {
    "not_armed": "it was not armed",
    "switch": "the switch was opened",
    "halt": "entries were stopped by hand",
    "flatten": "flatten and lock was ordered",
    "maximum_loss": "the maximum loss limit is reached",
    "difference": "the books and the venue differ",
    "reconciling": "a read of the account did not agree with the books yet",
    "journal": "the journal cannot be written",
    "silence_holds": "the board fell silent too often",
    "daily_loss": "the daily loss limit is reached",
    "loss_reducing": "a loss limit is nearly used up",
    "session_closed": "the session is closed",
    "start": "it has just started",
    "reconnect": "the venue is being reconnected",
    "link_silence": "the board is silent",
    "stale_feed": "the prices are stale",
    "clock": "the clock is not set",
    "pnl_unknown": "the result of an open position is not known",
    "floor_unknown": "the maximum loss floor was never stated",
    "account": "the account may not trade",
    "unprotected": "a position had no working stop",
    "both_filled": "both sides of an entry pair filled",
    "unknown_order": "the fate of an order is unknown",
    "twins": "a compiled module and its Python source disagree",
}
# What the board does, after the position of its switch.
BOARDS: Mapping[str, str] = {
    "run": "output on",
    "ready": "ready, output off",
    "tripped": "tripped",
    "fault": "fault",
    "silent": "",
}
STATES: Mapping[str, str] = {"active": "Active", "reducing": "Reducing", "halted": "Halted"}
SAID = frozenset({"", "confirmed"})  # details of a goal that only repeat what its sentence says
DOUBLED = re.compile(r"((?:[\w -]{1,40}: )+)\1+")
GOALS: Mapping[str, str] = {"no_entries": "cancel every entry order", "flat": "close every position"}


def phrase(code: str) -> str:
    """Why, in words; an unknown code is shown as it is."""
    return PHRASES.get(code, code.replace("_", " "))


def because(reason: ReasonView) -> str:
    """One reason as one sentence part: "the session is closed; ends 18:00 New York".

    What a condition waited for is not said again once it is over, nor a detail that only repeats the phrase.
    """
    said = reason.detail in ("", phrase(reason.code)) or _over(reason)
    detail = "" if said else f" ({once(reason.detail)})"
    ends = _ends(reason)
    return phrase(reason.code) + detail + (f"; {ends}" if ends else "")


def once(text: str) -> str:
    """A peer's words without the name that was put before them twice: "hub: hub: closed" is "hub: closed"."""
    return DOUBLED.sub(r"\1", text)


def _over(reason: ReasonView) -> bool:
    """A condition ends by itself; one that says anything else is over and waits for a person."""
    return reason.kind == "condition" and reason.ends not in ("", "by itself")


def _ends(reason: ReasonView) -> str:
    if reason.until_ns:
        return f"ends {_local(reason.until_ns).strftime('%a %H:%M')} New York"
    if _over(reason):
        return reason.ends if reason.ends.startswith("over") else "over; waits for a re-arm"
    if reason.ends.startswith("a person"):
        return f"ends when {reason.ends}"
    return f"ends {reason.ends}" if reason.ends else ""


def sentence(state: str, reasons: Iterable[ReasonView]) -> str:
    """The trading state with the reason that weighs most: "Halted because ..." or "Active"."""
    first = next(iter(reasons), None)
    name = STATES.get(state, state)
    return f"{name} because {because(first)}" if first else name


def pursuit(goal: GoalView) -> str:
    """What is being pursued, "" when nothing is."""
    if goal.goal not in GOALS:
        return ""
    doing = "working to " if goal.pending else "confirmed by the venue: "
    detail = "" if goal.detail in SAID else goal.detail.removeprefix("pending: ")
    return doing + GOALS[goal.goal] + (f" ({detail})" if detail else "")


def twins(modes: Mapping[str, str]) -> str:
    """How the native modules run: "compiled; shadow: market; pure (exception): wire"."""
    others: dict[str, list[str]] = {}
    for name, mode in modes.items():
        others.setdefault(mode, []).append(name)
    usual = others.pop("compiled", [])
    named = [f"{mode}: {', '.join(names)}" for mode, names in sorted(others.items())]
    return "; ".join(["compiled", *named] if usual or not named else named)


def switch(panel: str, board: BoardView) -> str:
    """The switch and its board: "closed, output on", "silent (no such device)", "open, tripped by switch".

    That its firmware is not this release's is said behind that.
    """
    if board.mode == "stand-in":
        return f"none: a stand-in in software, {panel}"
    did = BOARDS.get(board.state, board.state)
    did += f" by {board.cause}" if board.cause and did == "tripped" else ""
    kind = ", virtual board" if board.mode == "virtual" else ""
    why = "; ".join(filter(None, (*board.faults, board.detail if panel == "silent" else "")))
    old = "firmware out of date" if board.outdated else ""
    return ", ".join(filter(None, (panel, did))) + kind + (f" ({why})" if why else "") + (old and f"; {old}")


def update(view: UpdateView) -> str:
    """The updater: what it does, else why a release did not stay or has waited for days, else what its last
    look found amiss.
    """
    return view.doing or view.failed or view.waits or view.looked


def storage(view: StorageView) -> str:
    """The disk: what is wrong with it, else what is free and was written; "" before it was measured. What was
    written is counted by the process, so no more than since its start.
    """
    if view.troubles:
        return "; ".join(view.troubles.values())
    free = f"{view.free_bytes / 1e9:.1f} GB free" if view.free_bytes >= 0 else ""
    megabytes = f"{view.written_bytes / 1e6:.0f} MB"
    written = f"{megabytes} written (since the start, a day at most)" if view.written_bytes >= 0 else ""
    worn = f"{view.worn_percent} % worn" if view.worn_percent >= 0 else ""
    return ", ".join(filter(None, (free, written, worn)))


def time_of_day(utc_ns: int) -> str:
    """ "09:30:15" in New York."""
    return _local(utc_ns).strftime("%H:%M:%S")


def day_and_time(utc_ns: int) -> str:
    """ "Fri 20 Nov 09:30:15" in New York."""
    return _local(utc_ns).strftime("%a %d %b %H:%M:%S")


def _local(utc_ns: int) -> datetime:
    return datetime.fromtimestamp(utc_ns // NS, UTC).astimezone(NEW_YORK)


def age(age_ms: int) -> str:
    """ "0.2 s", "12 s", "3 min"; an em dash before the first quote."""
    if age_ms < 0:
        return "—"
    if age_ms < 10_000:
        return f"{age_ms / 1000:.1f} s"
    return f"{age_ms // 1000} s" if age_ms < 120_000 else f"{age_ms // 60_000} min"
