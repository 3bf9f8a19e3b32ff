"""Without a service: read the journal's file, or write the halt into it. Nothing here can trade."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from app.cli import history
from app.clock import SystemClock
from app.engine.records import FillBooked, Recovered
from app.store import StoreReader, read_only, write_latch

ROWS = 500  # executions or orders of one answer


def read(folder: Path, command: str) -> dict[str, Any]:
    """The answer to a reading command, marked `"service": False`."""
    answers: dict[str, Callable[[StoreReader], Awaitable[dict[str, Any]]]] = {
        "status": _status,
        "orders": _orders,
        "positions": _positions,
        "trades": _trades,
    }

    async def ask() -> dict[str, Any]:
        async with read_only(folder) as reader:
            return {"service": False, **await answers[command](reader)}

    return asyncio.run(ask())


def halt(folder: Path, why: str) -> dict[str, Any]:
    """Write the latch durably: the next start trades nothing until a person re-arms."""
    clock = SystemClock()
    asyncio.run(write_latch(folder, by=f"cli {getpass.getuser()}", why=why or "plimsoll halt", clock=clock))
    return {"service": False, "done": "halt", "state": "halted"}


async def _status(reader: StoreReader) -> dict[str, Any]:
    kept = await reader.recover(SystemClock().wall_ns())
    return {**_latch(kept), "positions": _net(kept.fills), "events": await reader.events(10)}


def _latch(kept: Recovered) -> dict[str, Any]:
    latch = kept.latch
    reasons = latch.reasons if latch else ()
    return {
        "armed": bool(latch and latch.armed),
        "reasons": [{"code": str(r.code), "detail": r.detail, "since_ns": r.since_ns} for r in reasons],
    }


async def _orders(reader: StoreReader) -> dict[str, Any]:
    return {"orders": [history.order(row) for row in await reader.orders(ROWS)]}


async def _trades(reader: StoreReader) -> dict[str, Any]:
    return {"trades": await reader.trades(ROWS)}


async def _positions(reader: StoreReader) -> dict[str, Any]:
    return {"positions": _net((await reader.recover(SystemClock().wall_ns())).fills)}


def _net(fills: Iterable[FillBooked]) -> list[dict[str, Any]]:
    """What the journal's executions add up to; only the venue knows whether it is still so."""
    net: dict[str, int] = {}
    for booked in fills:
        fill = booked.fill
        if not fill.voided:
            net[fill.contract] = net.get(fill.contract, 0) + fill.side * fill.size
    return [{"contract": contract, "net": size} for contract, size in sorted(net.items()) if size]
