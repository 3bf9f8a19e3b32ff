"""The journal of a replay: in memory, never failing, durable at once. It keeps what the report needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.domain.orders import Order
from app.engine.records import FillBooked, Happened, OrderChanged, Record


class MemoryJournal:
    """Implements `ports.Journal`. Orders by tag in the order of their first word, fills, and the event lines.
    The orders are the engine's own, not copies: they are read when it has ended, as they ended.

    Other records (bars, states, latencies) are facts for a restart, and a replay never restarts.
    """

    failed = ""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.fills: list[FillBooked] = []
        self.events: list[Happened] = []

    def disarm(self) -> None:
        """Nothing of a replay outlives it."""

    def append(
        self, records: Sequence[Record], then: Callable[[Exception | None], None] | None = None
    ) -> None:
        for record in records:
            if isinstance(record, OrderChanged):
                self.orders[record.order.tag] = record.order
            elif isinstance(record, Happened):
                self.events.append(record)
            elif isinstance(record, FillBooked):
                self.fills.append(record)
        if then is not None:
            then(None)
