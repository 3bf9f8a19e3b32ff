"""What was sent was journalled before: the venue, which no power cut reaches, against a journal after one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from tests.power.checking import LOST
from tests.soak.auditor import Venue, read_journal


def unjournalled(file: Path, venue: Venue, trades: Iterable[int] = ()) -> list[str]:
    """What the journal in `file` must know and does not: every order of ours at the venue, for its intent was
    durable before it was sent, and the executions `trades`. The legs of a bracket are the venue's own.
    """
    try:
        orders, fills = read_journal(file)
    except sqlite3.Error as error:
        return [f"{LOST}the journal: {error}"]
    sent = {order["customTag"] for order in venue.orders.values() if order["customTag"]}
    unknown = sorted(sent - {order["tag"] for order in orders})
    missing = sorted(set(trades) - {fill["id"] for fill in fills})
    tags = [f"{LOST}{tag}" for tag in unknown if not tag.endswith(("-SL", "-TP"))]
    return tags + [f"{LOST}execution {number}" for number in missing]
