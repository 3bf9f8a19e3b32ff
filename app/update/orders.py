"""What an operator ordered of the updater's unit: one small file that root writes and the unit takes away.

The unit does the work, so that a terminal that closes cannot leave an update half done; the order only says
what, and whether to wait while the service is exposed. It lasts as long as a fetch may take, by both clocks:
what a power cut or a terminal left behind must not stop an exposed service days later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app import durable
from app.clock import NS, Clock

FILE = "order.json"
FILE_LIMIT = 1_000  # bytes
APPLY, ROLLBACK = "apply", "rollback"
LASTS_S = 4_200  # a fetch may take 4,000


@dataclass(frozen=True, slots=True)
class Order:
    """`now`: do not wait while the service is exposed."""

    what: str
    now: bool = False


def leave(folder: Path, order: Order, clock: Clock) -> None:
    """For the unit, which is started next. Raises OSError."""
    document = {**asdict(order), "wall_s": clock.wall_ns() // NS, "mono_s": clock.mono_ns() // NS}
    durable.write(folder / FILE, json.dumps(document).encode(), 0o600)


def take(folder: Path, clock: Clock) -> Order | None:
    """The order, once; None when there is none, or none that makes sense, or one whose time is over."""
    try:
        document = json.loads(durable.read(folder / FILE, FILE_LIMIT))
    except (OSError, ValueError, RecursionError):
        document = None
    (folder / FILE).unlink(missing_ok=True)
    if not isinstance(document, dict) or document.get("what") not in (APPLY, ROLLBACK):
        return None
    lasts = all(0 <= age_s <= LASTS_S for age_s in _ages_s(document, clock))
    return Order(document["what"], document.get("now") is True) if lasts else None


def _ages_s(document: dict[str, Any], clock: Clock) -> Iterator[int]:
    """By each clock: one of them began anew with the machine, the other may have been set."""
    for key, now_ns in (("wall_s", clock.wall_ns()), ("mono_s", clock.mono_ns())):
        at_s = document.get(key)
        yield now_ns // NS - at_s if isinstance(at_s, int) else -1
