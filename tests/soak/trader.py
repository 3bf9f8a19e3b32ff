"""The service as `app.compose` builds it, with one more strategy that keeps orders in flight.

`python -m tests.soak.trader --config FILE [--seed N] [--pace MS]`; SIGUSR1 sets the strategy going or lets it
rest, so that who started it can compare books in peace; SIGUSR2 writes a line with what the process holds.
Everything else, gate included, is the product's own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from app import compose
from app.clock import MS
from app.config import Settings, load_file
from app.demo import _arm
from app.domain.calendar import TradingCalendar
from app.domain.intents import Cancel, Close, Intent, Modify, Place
from app.domain.market import Quote
from app.domain.orders import Bracket, Order, OrderState, OrderType, Role, Side
from app.engine.ports import Strategy
from app.ops import logs
from app.strategies.quiet import Quiet

NAME = "restless"
PAIR_TICKS = 6  # of the resting pair from the market: near enough to fill now and then
BRACKET_TICKS = (8, 40)  # bounds of both legs

log = logging.getLogger("plimsoll.soak")


class Restless(Quiet):
    """Market entries, OCO pairs, moved stops, cancels and closes, one after the other.

    What it does next depends on its seed and on what it holds; no wish is ever worded twice.
    """

    name = NAME

    def __init__(self, symbol: str, seed: int, pace_ns: int) -> None:
        self.symbol, self.live = symbol, False
        self._random, self._pace_ns = Random(seed), pace_ns
        self._next_ns = self._wishes = 0

    def on_quote(self, quote: Quote) -> Sequence[Intent]:
        bid, ask, now = quote.bid_ticks, quote.ask_ticks, time.monotonic_ns()
        if not self.live or now < self._next_ns or bid is None or ask is None:
            return ()
        self._next_ns = now + self._pace_ns
        orders = [o for o in self._view.orders() if not o.cancel_requested]
        if self._view.net(self.symbol) and orders:
            return self._in_position(orders)
        if orders and all(o.role.protective and o.state is OrderState.WORKING for o in orders):
            return (Close(NAME, self._contract, "legs without a position"),)
        if orders:
            entries = [o for o in orders if o.role is Role.ENTRY and o.state is OrderState.WORKING]
            return self._cancel(entries) if self._random.random() < 0.4 else ()
        return self._enter(bid, ask)

    def _in_position(self, orders: Sequence[Order]) -> Sequence[Intent]:
        choice = self._random.random()
        if choice < 0.4:
            return (Close(NAME, self._contract, "restless"),)
        stops = [o for o in orders if o.role is Role.STOP and o.state is OrderState.WORKING]
        return [self._nearer(o) for o in stops] if choice < 0.8 else ()

    def _nearer(self, stop: Order) -> Intent:
        """One tick towards the market: the stop of a long position rises."""
        assert stop.stop_ticks is not None
        return Modify(NAME, stop.tag, stop_ticks=stop.stop_ticks - stop.side)

    def _cancel(self, entries: Sequence[Order]) -> Sequence[Intent]:
        return [Cancel(NAME, order.tag, "restless") for order in entries]

    def _enter(self, bid: int, ask: int) -> Sequence[Intent]:
        bracket = Bracket(self._random.randint(*BRACKET_TICKS), self._random.randint(*BRACKET_TICKS))
        if self._random.random() < 0.6:
            side = self._random.choice(list(Side))
            return (Place(NAME, self._contract, side, 1, OrderType.MARKET, self._ref(), bracket=bracket),)
        group = self._ref()
        prices = {Side.BUY: ask + PAIR_TICKS, Side.SELL: bid - PAIR_TICKS}
        return [
            Place(
                NAME, self._contract, side, 1, OrderType.STOP, self._ref(), stop_ticks=stop,
                bracket=bracket, oco=group,
            )
            for side, stop in prices.items()
        ]  # fmt: skip

    def _ref(self) -> str:
        self._wishes += 1
        return f"{self._view.utc_ns()}-{self._wishes}"

    def facts(self) -> Mapping[str, str]:
        return {"wishes": str(self._wishes)}

    def toggle(self) -> None:
        """Go, or rest."""
        self.live = not self.live


def _tell_holdings() -> None:
    """What may leak: tasks by name, objects by count."""
    names = sorted(task.get_name() for task in asyncio.all_tasks())
    objects = len(gc.get_objects())
    log.info("holds %s", json.dumps({"tasks": names, "objects": objects}))


async def _serve(file: Path, seed: int, pace_ns: int) -> None:
    settings = load_file(file)
    restless = Restless(settings.topstepx.symbols[0], seed, pace_ns)
    own = compose._strategies

    def with_restless(settings: Settings, calendar: TradingCalendar) -> list[Strategy]:
        return [*own(settings, calendar), restless]

    compose._strategies = with_restless
    arming: list[asyncio.Task[None]] = []

    def ready(service: compose.Service) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, restless.toggle)
        loop.add_signal_handler(signal.SIGUSR2, _tell_holdings)
        if not service.engine.snapshot().armed:  # the first start; afterwards the latch says so
            arming.append(loop.create_task(_arm(service)))

    await compose.serve(settings, ready)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=int, default=100, metavar="MS", help="real time between two acts")
    arguments = parser.parse_args()
    logs.set_up(logging.INFO, stamped=True)
    asyncio.run(_serve(arguments.config, arguments.seed, arguments.pace * MS))


if __name__ == "__main__":
    main()
