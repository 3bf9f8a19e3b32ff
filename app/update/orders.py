"""What an operator ordered of the updater's unit: one small file that root writes and the unit takes away.

The unit does the work, so that a terminal that closes cannot leave an update half done; the order only says
what, and whether to wait while the service is exposed. It lasts as long as a fetch may take, in this boot:
what a power cut or a terminal left behind must not stop an exposed service days later.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app import durable

FILE = "order.json"
FILE_LIMIT = 1_000  # bytes
APPLY, ROLLBACK = "apply", "rollback"
LASTS_S = 4_200  # of uptime: a fetch may take 4,000

Moment = tuple[str, int]  # a boot's id and its age in seconds


@dataclass(frozen=True, slots=True)
class Order:
    """`now`: do not wait while the service is exposed."""

    what: str
    now: bool = False


def leave(folder: Path, order: Order, moment: Moment) -> None:
    """For the unit, which is started next. Raises OSError."""
    document = {**asdict(order), "boot": moment[0], "at_s": moment[1]}
    durable.write(folder / FILE, json.dumps(document).encode(), 0o600)


def take(folder: Path, moment: Moment) -> Order | None:
    """The order, once; None when there is none, or none that makes sense, or one whose time is over."""
    try:
        document = json.loads(durable.read(folder / FILE, FILE_LIMIT))
    except (OSError, ValueError, RecursionError):
        document = None
    (folder / FILE).unlink(missing_ok=True)
    if not isinstance(document, dict) or document.get("what") not in (APPLY, ROLLBACK):
        return None
    return Order(document["what"], document.get("now") is True) if _lasts(document, moment) else None


def _lasts(document: dict[str, Any], moment: Moment) -> bool:
    boot, now_s = moment
    at_s = document.get("at_s")
    return document.get("boot") == boot and isinstance(at_s, int) and 0 <= now_s - at_s <= LASTS_S
