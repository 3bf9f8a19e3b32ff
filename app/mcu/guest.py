"""Guest mode: the link's frames carried by Arduino's router, one RPC method each way, each frame a `bin`.

The router stays the owner of the serial port and other programs keep their place on it. It adds its own delay
and its own limits (256 bytes a message, no promise of delivery), which the frames were made to survive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.errors import Later, Refused
from app.mcu.router import Router

TO_BOARD = "plimsoll/down"  # provided by the sketch
FROM_BOARD = "plimsoll/up"  # registered by us
CHUNK = 200  # bytes of a message: within the router's 256 with method and envelope; a frame has at most 128
WRITE_LIMIT = 4096  # bytes the router may be behind; more means that it has stopped


class Guest:
    """An open transport through the router. See `open_guest`."""

    def __init__(self, router: Router, gone: Callable[[str], None]) -> None:
        self._router, self._gone = router, gone

    def write(self, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            self._router.notify(TO_BOARD, data[at : at + CHUNK])
        if self._router.waiting() > WRITE_LIMIT:
            self._router.close()
            self._gone("the router takes no messages")

    def close(self) -> None:
        self._router.close()


async def open_guest(path: Path, received: Callable[[bytes], None], lost: Callable[[str], None]) -> Guest:
    """Connect to the router at `path` and take the board's messages. Raises Later."""

    def called(method: str, params: list[Any]) -> None:
        if method == FROM_BOARD and params and isinstance(params[0], bytes):
            received(params[0])

    router = Router(called, lost)
    await router.open(path)
    try:
        await router.call("$/register", FROM_BOARD)
    except Refused as refusal:
        router.close()
        raise Later("router", refusal) from None
    except (Later, asyncio.CancelledError):
        router.close()
        raise
    return Guest(router, lost)
