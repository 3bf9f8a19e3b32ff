"""One order from the hub frame that caused it to its bytes, and to the venue's acknowledgement.

A probing strategy answers a quote with a resting stop order and cancels it at the next; the engine's own
`LatencyMeasured` stamps are the figures. With the journal in memory the engine's own overhead shows, with the
real one the disk's.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from app.domain.intents import Cancel, Intent, Place
from app.domain.market import Quote
from app.domain.orders import Bracket, Order, OrderState, OrderType, Side
from app.engine.records import LatencyMeasured, Record
from app.strategies.quiet import Quiet
from tests.bench.appliance import SPECIAL, simulator, until, write_settings
from tests.bench.desk import desk
from tests.bench.figures import Row, measured, most

JOB = "order_path"
ROUNDS = 5  # of each journal, in turn
ORDERS = 80  # of one round; the first WARM are not counted
WARM = 10
QUOTES = "50"  # a second and symbol
SYMBOLS = ("ES", "NQ", "YM")  # as much market data as the service is promised to carry; orders in the first
DISTANCE_TICKS, SPREAD_TICKS = 100, 200  # above the market, within the collar, a new price each time
ROUND_S = 60.0
STAGES = ("frame", "strategy", "gate", "journal", "send", "acknowledge")


class Prober(Quiet):
    """A buy stop far above the market, cancelled at the next quote, and again."""

    name, symbol = "prober", "ES"
    live = False  # set once trading is open
    _count = 0

    def on_quote(self, quote: Quote) -> Sequence[Intent]:
        if not self.live:
            return ()
        orders = list(self._view.orders())
        if orders:
            return self._cancel(orders)
        if quote.ask_ticks is None:
            return ()
        self._count += 1
        stop = quote.ask_ticks + DISTANCE_TICKS + self._count % SPREAD_TICKS
        bracket = Bracket(20, 40)
        place = Place(
            self.name, self._contract, Side.BUY, 1, OrderType.STOP, f"probe-{self._count}",
            stop_ticks=stop, bracket=bracket,
        )  # fmt: skip
        return (place,)

    def _cancel(self, orders: Iterable[Order]) -> Sequence[Intent]:
        waiting = [
            o for o in orders if o.state is OrderState.WORKING and not o.cancel_requested and o.venue_id
        ]
        return [Cancel(self.name, o.tag, "measured") for o in waiting if o.parent_tag == ""]

    def on_refused(self, intent: Intent, rule: str, text: str) -> Sequence[Intent]:
        raise RuntimeError(f"the gate refused a probe: {text}")


def measure() -> list[Row]:
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    memory: list[LatencyMeasured] = []
    durable: list[LatencyMeasured] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a temporary folder may be memory
        home = Path(folder)
        async with simulator(home, "--quotes-per-second", QUOTES, script=SPECIAL, pinned=True) as url:
            for turn in range(ROUNDS):
                memory += await _round(home / f"memory-{turn}", url, durable=False)
                durable += await _round(home / f"durable-{turn}", url, durable=True)
    return [*_rows("journal in memory", memory, most(150, "p50"), most(1_000, "p99")),
            *_rows("durable journal", durable, most(5_000, "p95"))]  # fmt: skip


async def _round(home: Path, url: str, *, durable: bool) -> list[LatencyMeasured]:
    rows: list[LatencyMeasured] = []

    def seen(record: Record) -> None:
        if isinstance(record, LatencyMeasured) and record.frame_ns:
            rows.append(record)

    file = write_settings(home, url, SYMBOLS, strategy=False)
    prober = Prober()
    async with desk(file, [prober], seen, durable=durable):
        prober.live = True
        await until(lambda: len(rows) >= ORDERS + WARM, f"{ORDERS} orders", ROUND_S)
    return rows[WARM : WARM + ORDERS]


def _rows(journal: str, rows: list[LatencyMeasured], *goals: Row) -> list[Row]:
    def stage(first: str, last: str) -> list[float]:
        return [(getattr(row, f"{last}_ns") - getattr(row, f"{first}_ns")) / 1_000 for row in rows]

    stages = [measured(JOB, f"{journal}: {a} -> {b}", "us", stage(a, b)) for a, b in pairwise(STAGES)]
    whole = measured(JOB, f"{journal}: frame -> bytes", "us", stage("frame", "send"), *goals)
    goal = most(20_000, "p95")
    answer = measured(JOB, f"{journal}: place -> acknowledgement", "us", stage("send", "acknowledge"), goal)
    return [whole, answer, *stages[:4]]
