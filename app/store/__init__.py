"""Durable memory: two SQLite files, one writing connection each, group commit, recovery, read-only history.

Nothing outside this package knows SQL. `open_journal` is the service's door, `read_only`, `write_latch`
and `write_cleared` are for the command line when no service runs.
"""

from __future__ import annotations

from app.store.journal import Store, open_journal
from app.store.latch import write_cleared, write_latch
from app.store.lock import InstanceLock
from app.store.reader import StoreReader, read_only

__all__ = [
    "InstanceLock",
    "Store",
    "StoreReader",
    "open_journal",
    "read_only",
    "write_cleared",
    "write_latch",
]
