"""The event list for the owner: the last lines in memory, every line in the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from app.clock import Clock
from app.engine.ports import Journal
from app.engine.records import Happened
from app.engine.settings import EVENTS_KEPT


class EventLog:
    """Adds lines; `recent` is newest first. `on_alarm` style consumers read the journal or the snapshot."""

    def __init__(self, clock: Clock, journal: Journal, account_id: int) -> None:
        self._clock, self._journal, self._account_id = clock, journal, account_id
        self.recent: deque[Happened] = deque(maxlen=EVENTS_KEPT)

    def recall(self, past: Iterable[Happened]) -> None:
        """Show the lines of earlier runs, newest first, behind this one's own. They are in the journal
        already.
        """
        self.recent.extend(islice(past, EVENTS_KEPT - len(self.recent)))

    def add(self, level: str, code: str, text: str, strategy: str = "") -> None:
        """`level` is info, warning or alarm; `code` is stable, `text` is for the owner."""
        line = Happened(level, code, text, self._clock.utc_ns(), self._account_id, strategy)
        self.recent.appendleft(line)
        self._journal.append([line])
