"""How a server stops without losing anybody: who was accepted a moment ago is let in, then nobody more.

asyncio (3.11 to 3.13) accepts a connection on one pass of the loop and gives it its protocol two passes
later; a server that is closed in between forgets it, open, and its peer waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

ACCEPT_PASSES = 2  # of the loop


async def close(listeners: Iterable[asyncio.Server]) -> None:
    """Close them. Afterwards every connection that was accepted is known to its protocol."""
    held = list(listeners)
    try:
        for each in held:
            for listening in each.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(ACCEPT_PASSES):
            await asyncio.sleep(0)
    finally:
        for each in held:
            each.close()
