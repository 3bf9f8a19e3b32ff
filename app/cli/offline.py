"""Without a service: read the journal's file, or write the halt into it. Nothing here can trade."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from app.cli import history, rights
from app.clock import SystemClock
from app.engine.records import FillBooked, Recovered
from app.engine.twins import check
from app.store import StoreReader, read_only, write_cleared, write_latch

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

    with rights.of(folder):
        return asyncio.run(ask())


def halt(folder: Path, why: str) -> dict[str, Any]:
    """Write the latch durably: the next start trades nothing until a person re-arms."""
    clock = SystemClock()
    by = f"cli {getpass.getuser()}"
    with rights.of(folder):
        asyncio.run(write_latch(folder, by=by, why=why or "plimsoll halt", clock=clock))
    return {"service": False, "done": "halt", "state": "halted"}


def clear_exception(folder: Path, module: str, reason: str) -> dict[str, Any]:
    """End the exception of a native module durably. Raises Refused when none stands."""

    by = f"cli {getpass.getuser()}"

    async def clear() -> None:
        async with read_only(folder) as reader:
            check(module, reason, [each.module for each in await reader.twin_exceptions()])
        await write_cleared(folder, by=by, module=module, why=reason, clock=SystemClock())

    with rights.of(folder):
        asyncio.run(clear())
    return {"service": False, "done": "native-clear"}


async def _status(reader: StoreReader) -> dict[str, Any]:
    kept = await reader.recover(SystemClock().wall_ns())
    exceptions = {each.module: each.why for each in await reader.twin_exceptions()}
    told = {"native_exceptions": exceptions, "events": await reader.events(10)}
    return {**_latch(kept), "positions": _net(kept.fills), **told}


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
