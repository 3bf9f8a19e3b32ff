"""A word to systemd: ready, what we do, and that the loop still turns. Silent where systemd is not there."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
STATUS_LIMIT = 300  # bytes of the status line that `systemctl status` shows: two lines of a terminal


def notify(*words: str) -> None:
    """Send "READY=1", "STATUS=..." or "WATCHDOG=1". Never raises: systemd's absence stops nothing."""
    address = os.environ.get(SOCKET, "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as link:
        try:
            link.sendto("\n".join(words).encode(), "\0" + address[1:] if address[0] == "@" else address)
        except OSError:
            return


def starting(step: str) -> None:
    """Say which step of the start is under way: where a start hangs, this is what one sees."""
    notify(status(f"starting: {step}"))


@asynccontextmanager
async def fed() -> AsyncIterator[None]:
    """Feed the watchdog because the loop turns, where there is nothing else to ask: before the engine is
    there, and where there is none.
    """
    feeding = asyncio.ensure_future(_keep_feeding(watchdog_ns()))
    try:
        yield
    finally:
        feeding.cancel()
        await asyncio.wait((feeding,))


async def _keep_feeding(period_ns: int) -> None:
    while period_ns:
        notify("WATCHDOG=1")
        await asyncio.sleep(period_ns / 1_000_000_000)


def status(text: str) -> str:
    return "STATUS=" + text.replace("\n", " ").encode()[:STATUS_LIMIT].decode(errors="ignore")


def listening() -> bool:
    """Whether systemd wants to hear from us."""
    return bool(os.environ.get(SOCKET))


def watchdog_ns() -> int:
    """How often WATCHDOG=1 is due: half of what systemd waits; 0 = it does not watch."""
    text = os.environ.get(WATCHDOG, "")
    return int(text) * 1_000 // 2 if text.isascii() and text.isdigit() else 0
