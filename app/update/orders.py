"""What an operator ordered of the updater's unit: one small file that root writes and the unit takes away.

The unit does the work, so that a terminal that closes cannot leave an update half done; the order only says
what, and whether to wait while the service is exposed. Nothing is decided here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from app import durable

FILE = "order.json"
FILE_LIMIT = 1_000  # bytes
APPLY, ROLLBACK = "apply", "rollback"


@dataclass(frozen=True, slots=True)
class Order:
    """`now`: do not wait while the service is exposed."""

    what: str
    now: bool = False


def leave(folder: Path, order: Order) -> None:
    """For the unit, which is started next. Raises OSError."""
    durable.write(folder / FILE, json.dumps(asdict(order)).encode(), 0o600)


def take(folder: Path) -> Order | None:
    """The order, once; None when there is none, or none that makes sense."""
    try:
        document = json.loads(durable.read(folder / FILE, FILE_LIMIT))
    except (OSError, ValueError, RecursionError):
        document = None
    (folder / FILE).unlink(missing_ok=True)
    if not isinstance(document, dict) or document.get("what") not in (APPLY, ROLLBACK):
        return None
    return Order(document["what"], document.get("now") is True)
