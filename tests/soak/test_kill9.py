"""SIGKILL at random moments, with orders in flight: after each restart the books agree with the venue.

The simulator, the service and the comparison are three parties: two processes and the auditor here. One seed
replays strategy and moments (not the machine's own timing).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.bench.appliance import (
    SPECIAL,
    Child,
    simulator,
    spawn,
    status,
    synced,
    until_async,
    write_settings,
)
from tests.conftest import SEED
from tests.soak.auditor import Books, Venue, differences, read_journal, read_venue

pytestmark = pytest.mark.long

ACCOUNT = 1001
KILLS = 50
LATE_MS = "150"  # from an order to its answer and first event: many moments fall in between
PACE_MS = "40"  # between two acts of the strategy
SOON_S, LATER_S = (0.0, 0.3), (0.3, 2.0)  # from the word to go to the kill, half of the times each
EARLY_S = (0.02, 0.7)  # from the start of the process to a kill before or while it compares its books
EARLY_SHARE = 0.2
AGREE_S = 30.0  # for events under way to arrive; well before the next routine read, which would mend books
DOUBT_S = 120.0  # an order that may or may not have left is proven absent by three reads over 30 s
RISK = """\
default_max_contracts = 5
orders_per_minute = 160
orders_per_day = 100000
duplicate_window_ms = 100
"""
UNANSWERED = ("pending", "sent", "unknown")


class Desk:
    """The service on one data folder, killed and started again."""

    def __init__(self, home: Path, url: str, rng: Random) -> None:
        self.home, self.url, self.rng = home, url, rng
        self.data = home / "data"
        self.file = write_settings(home, url, ("MES",), risk=RISK, strategy=False)
        self.child: Child | None = None
        self.in_flight = Counter[str]()

    async def start(self) -> Child:
        command = (sys.executable, "-m", "tests.soak.trader", "--config", self.file)
        seed = str(self.rng.getrandbits(32))
        self.child = await spawn(self.home / "service.log", *command, "--seed", seed, "--pace", PACE_MS)
        return self.child

    async def kill(self) -> None:
        assert self.child is not None
        assert self.child.alive, f"the service ended by itself:\n{self.child.said()}"
        await self.child.kill()
        with suppress(sqlite3.Error):  # killed before the file was made
            for order in read_journal(self.data / "state.db")[0]:
                if order["state"] in UNANSWERED:
                    self.in_flight[order["state"]] += 1
                elif order["cancel_requested"] and order["state"] == "working":
                    self.in_flight["cancel"] += 1

    async def compared(self) -> dict[str, Any]:
        """The snapshot once the service trades again and everything agrees. Fails with what does not."""
        assert self.child is not None
        snapshot = await synced(self.child, self.data)
        found: list[str] = ["not compared"]

        async def agrees() -> bool:
            snapshot.clear()
            found[:] = await self._differences(snapshot)
            return not found

        with suppress(TimeoutError):
            await until_async(agrees, "agreement", AGREE_S)
        assert not found, self._told("after the restart", found)
        return snapshot

    async def _differences(self, snapshot: dict[str, Any]) -> list[str]:
        """Between two equal answers of the venue, so that its own moves are no difference."""
        before = await read_venue(self.url, ACCOUNT)
        snapshot.update(await status(self.data))
        books = Books(snapshot, *read_journal(self.data / "state.db"))
        after: Venue = await read_venue(self.url, ACCOUNT)
        if before != after or not snapshot:
            return ["the venue did not stand still"]
        return differences(after, books)

    async def trades_again(self) -> None:
        """Trading reopens by itself: the latch was armed, the books agree, the switch is closed."""
        reasons: list[dict[str, Any]] = []

        async def active() -> bool:
            snapshot = await status(self.data)
            reasons[:] = snapshot.get("reasons", [])
            waits = any(order["state"] == "unknown" for order in snapshot.get("orders", []))
            return snapshot.get("state") == "active" and not waits

        with suppress(TimeoutError):
            await until_async(active, "trading is open", DOUBT_S)
            return
        pytest.fail(self._told("trading stayed closed", [f"{r['code']}: {r['detail']}" for r in reasons]))

    def _told(self, what: str, lines: list[str]) -> str:
        said = self.child.said(15) if self.child else ""
        return "\n  ".join([f"seed {SEED}, {what}:", *lines[:20]]) + f"\n{said}"


async def _kill_repeatedly(home: Path, kills: int, rng: Random) -> Desk:
    async with simulator(home, "--late", LATE_MS, "--quotes-per-second", "50", script=SPECIAL) as url:
        desk = Desk(home, url, rng)
        try:
            for _ in range(kills):
                child = await desk.start()
                if rng.random() < EARLY_SHARE:
                    await asyncio.sleep(rng.uniform(*EARLY_S))
                else:
                    await desk.compared()
                    await desk.trades_again()
                    os.kill(child.pid, signal.SIGUSR1)
                    await asyncio.sleep(rng.uniform(*rng.choice((SOON_S, LATER_S))))
                await desk.kill()
            await desk.start()
            await desk.compared()
            await desk.trades_again()
        finally:
            if desk.child is not None and desk.child.alive:
                await desk.child.kill()
    return desk


async def test_books_agree_with_the_venue_after_each_of_50_kills(tmp_path: Path, rng: Random) -> None:
    desk = await _kill_repeatedly(tmp_path, KILLS, rng)
    executions = len(read_journal(desk.data / "state.db")[1])
    print(f"seed {SEED}: {executions} executions, in flight at {KILLS} kills: {dict(desk.in_flight)}")
    assert executions > KILLS // 2, "nothing was tested"
    assert sum(desk.in_flight.values()) > KILLS // 5, "orders were seldom in flight"
