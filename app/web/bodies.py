"""Reading the bodies of changes: how large, how slow, how many at a time. What is in one is not known here.

A body that is still coming holds a place. Whoever sends many of them slowly must keep nobody out, so over a
limit nobody is refused: the one that has been coming longest makes room, of the address that holds most.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from aiohttp import StreamReader

from app.errors import Refused

BODY_LIMIT = 64 * 1024  # bytes of a request's body; the largest we know is a password
BODY_SECONDS = 10  # to send it: Wi-Fi needs 1-2 s at worst
BODIES_OF_ONE = 4  # read at a time from one address: a browser sends one, a household behind a router some
BODIES_MAX = 16  # read at a time in all: 1 MB


class Bodies:
    """Those that are being read now, oldest first, each with the address it comes from."""

    def __init__(self) -> None:
        self._coming: dict[asyncio.Timeout, str] = {}

    async def read(self, content: StreamReader, source: str) -> bytes:
        """The whole body, coming from the address `source`. Raises Refused when it is too large, TimeoutError
        when it is too slow, or slow while others wait.
        """
        self._make_room(source)
        async with asyncio.timeout(BODY_SECONDS) as limit:
            self._coming[limit] = source
            try:
                return await _whole(content)
            finally:
                self._coming.pop(limit, None)

    def _make_room(self, source: str) -> None:
        held = Counter(self._coming.values())
        if held[source] >= BODIES_OF_ONE:
            self._end_oldest(source)
        elif len(self._coming) >= BODIES_MAX:
            self._end_oldest(held.most_common(1)[0][0])

    def _end_oldest(self, source: str) -> None:
        oldest = next(limit for limit, address in self._coming.items() if address == source)
        del self._coming[oldest]
        if not oldest.expired():
            oldest.reschedule(0)  # long ago: it is over


async def _whole(content: StreamReader) -> bytes:
    data = bytearray()
    async for chunk in content.iter_any():
        data += chunk
        if len(data) > BODY_LIMIT:
            raise Refused("body.size", f"over {BODY_LIMIT}", f"{BODY_LIMIT} bytes")
    return bytes(data)
