"""What the owner must be told when nobody looks at the page. Pure: snapshots in, alerts out, no sending.

A condition is told once when it has stood long enough to matter, not again while it stands, and not more
often than AGAIN_NS when it comes and goes. When none that was told stands any more, that is told too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.clock import NS
from app.engine.snapshot import Snapshot

FEED_NS = 300 * NS  # a feed that is down for less repairs itself several times a week
PENDING_NS = 15 * NS  # a flatten takes about a second; after this long the venue does not answer
CAUGHT_UP_NS = 3_600 * NS  # after days without power a backup is made once the clock is right
AGAIN_NS = 600 * NS  # between two tellings of one condition: a flapping link is one message, not forty

URGENT, HIGH, NORMAL = 5, 4, 3  # priorities as ntfy has them: 5 rings through a silent phone
BACKUPS = {
    "backup_failed": "Plimsoll: the daily backup failed",
    "backup_late": "Plimsoll: the daily backup is missing",
}
FEED_CODES = frozenset({"stale_feed", "reconnect"})


@dataclass(frozen=True, slots=True)
class Alert:
    """One message. `code` is stable; `title` and `text` are for a person."""

    code: str
    title: str
    text: str
    priority: int


@dataclass(slots=True)
class _Standing:
    """One condition: since when (monotonic), whether it was told, and when last."""

    since_ns: int
    told: bool = False


class Alerts:
    """Compares each picture with what was told before."""

    def __init__(self) -> None:
        self._standing: dict[str, _Standing] = {}
        self._told_ns: dict[str, int] = {}
        self._owed = False  # something was told and its end was not

    def look(self, view: Snapshot, sentence: str, mono_ns: int) -> list[Alert]:
        """Alerts due at `mono_ns`. `sentence` is the trading state in words."""
        found = {alert.code: (alert, wait) for alert, wait in _conditions(view, sentence)}
        self._standing = {
            code: self._standing.get(code) or _Standing(mono_ns) for code in found
        }  # what stands no more is forgotten, so that it is told when it comes back
        due = [alert for alert, wait in found.values() if self._due(alert.code, wait, mono_ns)]
        self._owed |= bool(due)
        if self._owed and not any(each.told for each in self._standing.values()):
            self._owed = False
            due.append(Alert("normal", "Plimsoll: back to normal", sentence, NORMAL))
        return due

    def _due(self, code: str, wait_ns: int, mono_ns: int) -> bool:
        standing = self._standing[code]
        if standing.told or mono_ns - standing.since_ns < wait_ns:
            return False
        if code in self._told_ns and mono_ns - self._told_ns[code] < AGAIN_NS:
            return False
        standing.told = True
        self._told_ns[code] = mono_ns
        return True


def _conditions(view: Snapshot, sentence: str) -> Iterator[tuple[Alert, int]]:
    """What is wrong now, with how long each must have been so before it is told."""
    codes = {reason.code for reason in view.reasons}
    people = [reason for reason in view.reasons if reason.kind == "person" and reason.code != "not_armed"]
    if any(reason.code not in ("difference", "journal") for reason in people):
        yield Alert("halted", "Plimsoll: trading is halted", sentence, URGENT), 0
    if view.goal.goal == "flat" and view.goal.pending:
        text = view.goal.detail or "the venue has not confirmed yet"
        yield Alert("flat_pending", "Plimsoll: positions are not closed yet", text, URGENT), PENDING_NS
    if "difference" in codes:
        detail = next(reason.detail for reason in view.reasons if reason.code == "difference")
        yield Alert("difference", "Plimsoll: books and venue differ", detail or sentence, URGENT), 0
    if view.journal:
        yield Alert("storage", "Plimsoll: the journal cannot be written", view.journal, URGENT), 0
    for code, words in view.storage.troubles.items():
        title = BACKUPS.get(code, "Plimsoll: the disk needs attention")
        yield Alert(code, title, words, HIGH), CAUGHT_UP_NS if code == "backup_late" else 0
    if view.session_open and (codes & FEED_CODES or not view.link_up):
        text = view.link_detail or "no fresh prices"
        yield Alert("feed", "Plimsoll: no prices for five minutes", text, HIGH), FEED_NS
    if view.update.failed:
        yield Alert("update_failed", "Plimsoll: an update failed", view.update.failed, HIGH), 0
    if view.update.waits:
        yield Alert("update_waits", "Plimsoll: an update cannot be installed", view.update.waits, HIGH), 0
