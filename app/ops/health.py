"""Whether systemd's watchdog is fed, and the line that `systemctl status` shows. Pure: facts in, verdict out.

The service is fed while it could still do the one thing it must always be able to do: halt. That is: its loop
turns (the feeding itself proves it), its journal answers, and the kill check passes. Everything else that can
be wrong (feed, venue, network, board, a full disk, the clock) closes trading and is told; a restart would not
mend it, and would take the page away from who could.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.clock import NS
from app.engine.snapshot import Snapshot

JOURNAL_LIMIT_NS = 2 * NS  # for one answer: flash cards pause for a second when they tidy up
SHOWN = 4  # further troubles in the line; the page has them all


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found. Times are monotonic; `asked_ns` is when the question that the journal has not answered
    was put, 0 = it answered all of them. `kill` is "" while the kill check passes.
    """

    mono_ns: int
    asked_ns: int
    kill: str
    doing: str  # the trading state in words
    troubles: tuple[str, ...] = ()
    update: str = ""  # what the updater is doing, "" = nothing


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to feed the watchdog, and what to say."""

    feed: bool
    words: str


def judge(facts: Facts) -> Verdict:
    """Starve the watchdog only for what a restart can mend, or what must not live on."""
    ill = []
    waited_ns = facts.mono_ns - facts.asked_ns if facts.asked_ns else 0
    if waited_ns >= JOURNAL_LIMIT_NS:
        ill.append(f"the journal has not answered for {waited_ns // NS} s")
    if facts.kill:
        ill.append(f"the kill check failed: {facts.kill}")
    told = [*ill, *([f"update: {facts.update}"] if facts.update else []), facts.doing, *facts.troubles]
    return Verdict(not ill, "; ".join(told))


def troubles(view: Snapshot, phrase: Callable[[str], str], measurements: str = "") -> tuple[str, ...]:
    """What is wrong besides the first reason, which the sentence of the trading state tells already.

    `phrase` says a reason's code in words; `measurements` is why bars and metrics cannot be written.
    """
    codes = [reason.code for reason in view.reasons]
    found = [phrase(code) for code in codes[1:]]
    if view.journal and "journal" not in codes:
        found.append(phrase("journal"))
    if not view.link_up and "reconnect" not in codes:
        found.append(phrase("reconnect"))
    if measurements:
        found.append(f"measurements are not written: {measurements}")
    return tuple(dict.fromkeys(found))[:SHOWN]
