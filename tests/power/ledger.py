"""A desk that only journals: the real store, the engine's own records, a line outside for each answer.

`python -m tests.power.ledger FOLDER [--steps N] [--synchronous MODE]`. Lines go to standard output, which is
a pipe to somebody whom the power cut does not reach: what will be tried before it is given to the journal,
what is durable after the journal said so. `--synchronous NORMAL` is the planted fault: a journal that answers
before its flush.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

from app.clock import SystemClock
from app.domain.events import Fill
from app.domain.market import Bar
from app.domain.orders import Order, OrderState, OrderType, Side
from app.engine.records import ArmedChanged, BarClosed, FillBooked, OrderChanged, Record, TagsReserved
from app.errors import PlimsollError
from app.store import Store, database, journal, open_journal

ACCOUNT, CONTRACT, STRATEGY, DAY = 7, "CON.F.US.EP.Z26", "overnight_range", date(2026, 11, 20)
DESKS = 3  # order side by side, so that commits are shared
BLOCK = 8  # tag counters reserved at a time
ARM_EVERY = 2  # orders of the first desk between two changes of the latch
FOR_EVER = 10**9


def side_of(number: int) -> Side:
    """Of order and fill `number`: a position that wanders."""
    return Side.BUY if number * 2_654_435_761 % 7 < 4 else Side.SELL


def size_of(number: int) -> int:
    return 1 + number % 3


def tag_of(number: int) -> str:
    return f"tag-{number}"


class Ledger:
    """Orders, fills, tag counters and the latch, as the engine journals them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._used = self._reserved = 0
        self._reserving = asyncio.Lock()
        self._now_ns = 0

    async def trade(self, desk: int, steps: int) -> None:
        """Order after order; ends early when the journal does."""
        for step in range(1, steps + 1):
            if not await self._order():
                return
            if desk == 0 and step % ARM_EVERY == 0 and not await self._latch(armed=step % 4 != 0):
                return

    async def _order(self) -> bool:
        number = await self._number()
        if not number:
            return False
        order = Order(
            tag_of(number), STRATEGY, ACCOUNT, CONTRACT, side_of(number), size_of(number), OrderType.MARKET
        )
        pending = OrderChanged(replace(order, state=OrderState.PENDING), "send", self._tick())
        if not await self._durable(pending, {"order": number}):
            return False  # never sent
        filled = OrderChanged(
            replace(order, state=OrderState.FILLED, venue_id=number, filled=order.size), "fill", self._tick()
        )
        fill = Fill(
            number, number, ACCOUNT, CONTRACT, order.side, order.size, 20_000, 1_890_000, self._tick()
        )
        booked = FillBooked(fill, order.tag, STRATEGY, DAY)
        bar = Bar(number * 60 * 10**9, 1, 2, 1, 2, 3)
        self._store.append([BarClosed(CONTRACT, 1, bar)])
        return await self._durable(filled, booked, {"fill": number})

    async def _number(self) -> int:
        """The next tag counter, from a block that is durable; 0 = there is none any more."""
        async with self._reserving:
            if self._used == self._reserved:
                up_to = self._reserved + BLOCK
                if not await self._durable(TagsReserved(up_to), {"tags": up_to}):
                    return 0
                self._reserved = up_to
            self._used += 1
            return self._used

    async def _latch(self, armed: bool) -> bool:
        if not armed:
            self._store.disarm()
        return await self._durable(ArmedChanged(armed, "ledger", "", self._tick()), {"armed": armed})

    async def _durable(self, *what: Record | dict[str, int | bool]) -> bool:
        """Journal the records and say the last member before and after."""
        *records, word = what
        say({"try": word})
        answer: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._store.append(records, answer.set_result)  # type: ignore[arg-type]
        error = await answer
        say({"ack": word} if error is None else {"failed": str(error)})
        return error is None

    def _tick(self) -> int:
        self._now_ns += 1_000
        return self._now_ns


def say(what: object) -> None:
    """One write of one line: it is outside, or it is not."""
    os.write(1, json.dumps(what).encode() + b"\n")


async def main(folder: Path, steps: int) -> None:
    try:
        store = await open_journal(folder, SystemClock())
    except PlimsollError as error:
        say({"refused": str(error)})
        return
    say({"open": True})
    ledger = Ledger(store)
    await asyncio.gather(*(ledger.trade(desk, steps) for desk in range(DESKS)))
    say({"ended": store.failed})
    await store.close()
    say({"closed": True})


def weaken(synchronous: str) -> None:
    """Plant the fault: the journal's own file is opened with another mode."""
    journal.STATE = replace(journal.STATE, synchronous=synchronous)


def fold_every(pages: int) -> None:
    """Fold the log into the file after so many pages: no short ledger reaches the number of the product."""
    now = f"wal_autocheckpoint = {database.CHECKPOINT_PAGES}"
    database.WRITER_PRAGMAS = database.WRITER_PRAGMAS.replace(now, f"wal_autocheckpoint = {pages}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=FOR_EVER, help="orders of each desk")
    parser.add_argument("--synchronous", default="FULL")
    parser.add_argument("--checkpoint", type=int, default=database.CHECKPOINT_PAGES, help="pages of the log")
    parser.add_argument("--unarmed", action="store_true", help="leave the latch alone")
    asked = parser.parse_args()
    weaken(asked.synchronous)
    fold_every(asked.checkpoint)
    if asked.unarmed:
        ARM_EVERY = FOR_EVER
    asyncio.run(main(asked.folder, asked.steps))
