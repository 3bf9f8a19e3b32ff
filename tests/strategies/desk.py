"""A desk of a few lines for strategies: it keeps time, hands over bars, and remembers what was asked for.

No gate, no venue, no ledger: what it reports as filled or cancelled is what the test says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from app.domain.events import Fill
from app.domain.intents import Cancel, Close, Intent, Modify, Place
from app.domain.market import MINUTE_NS, Bar, Quote
from app.domain.orders import Order, OrderState, OrderType, Role, Side
from app.engine.ports import Strategy

NEW_YORK = ZoneInfo("America/New_York")
CONTRACT = "CON.F.US.EP.Z13"
NS = 1_000_000_000
IntentT = TypeVar("IntentT", Place, Modify, Cancel, Close)


def new_york(day: date, hour: int, minute: int = 0, second: int = 0) -> int:
    """UTC ns of a New York wall clock."""
    local = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=NEW_YORK)
    return int(local.astimezone(UTC).timestamp()) * NS


def flat_bars(start_ns: int, count: int, low: int = 6600, high: int = 6608, volume: int = 10) -> list[Bar]:
    """One-minute bars of one height: the true range of any window is `high - low`."""
    middle = (low + high) // 2
    return [Bar(start_ns + i * MINUTE_NS, middle, high, low, middle, volume) for i in range(count)]


class Desk:
    """Implements `StrategyView` and drives one strategy."""

    def __init__(self, strategy: Strategy, now_ns: int, contract: str = CONTRACT) -> None:
        self.strategy, self.now_ns, self.contract = strategy, now_ns, contract
        self.asked: list[Intent] = []
        self.live: dict[str, Order] = {}
        self.position = 0
        self.last: Quote | None = None
        self.trading = True
        self._fills = 0
        strategy.start(contract, self)

    # -- StrategyView

    def utc_ns(self) -> int:
        return self.now_ns

    def quote(self, symbol: str) -> Quote | None:
        return self.last

    def net(self, symbol: str) -> int:
        return self.position

    def orders(self) -> Iterable[Order]:
        return list(self.live.values())

    def open(self) -> bool:
        return self.trading

    # -- the world

    def history(self, bars: Iterable[Bar]) -> None:
        for bar in bars:
            self.take(self.strategy.on_bar(bar))

    def live_bars(self, bars: Iterable[Bar]) -> None:
        """Each bar at its close, its close as the quote, and the timers on the way."""
        for bar in bars:
            end = bar.start_ns + MINUTE_NS
            self.until(end - 1)
            self.now_ns = end
            self.price(bar.close_ticks)
            self.take(self.strategy.on_bar(bar))
            self.until(end)

    def until(self, utc_ns: int) -> None:
        """Run the strategy's clock up to and including `utc_ns`."""
        while (due := max(self.strategy.next_time(self.now_ns), self.now_ns)) <= utc_ns:
            if not self.strategy.next_time(self.now_ns):
                break
            self.now_ns = due
            self.take(self.strategy.on_time(due))
        self.now_ns = utc_ns

    def price(self, bid: int, ask: int | None = None) -> None:
        self.last = Quote(self.contract, bid, bid if ask is None else ask, bid, self.now_ns, self.now_ns)
        self.take(self.strategy.on_quote(self.last))

    def take(self, intents: Sequence[Intent]) -> None:
        for intent in intents:
            self.asked.append(intent)
            if isinstance(intent, Place):
                self._accept(intent)
            elif isinstance(intent, Cancel):
                self.live[intent.tag].cancel_requested = True

    def all(self, kind: type[IntentT]) -> list[IntentT]:
        return [intent for intent in self.asked if isinstance(intent, kind)]

    # -- the venue's words, as the test wants them

    def _accept(self, place: Place) -> None:
        order = Order(
            tag=place.ref,
            strategy=place.strategy,
            account_id=1,
            contract=place.contract,
            side=place.side,
            size=place.size,
            type=place.type,
            stop_ticks=place.stop_ticks,
            bracket=place.bracket,
            oco=place.oco,
            state=OrderState.WORKING,
            created_ns=self.now_ns,
        )
        self.live[order.tag] = order
        self.take(self.strategy.on_order(order))

    def entry(self, side: Side) -> Order:
        return next(o for o in self.live.values() if o.role is Role.ENTRY and o.side is side)

    def fill(self, order: Order, price: int, cancel_other: bool = True) -> Order | None:
        """Fill an order whole. Of an entry the stop leg begins to work and is returned."""
        self.end(order, OrderState.FILLED, tell=False)
        self.position += order.side * order.size
        leg = self._leg(order, price) if order.bracket is not None else None
        self.take(self.strategy.on_order(order))
        self._fills += 1
        fill = Fill(self._fills, self._fills, 1, self.contract, order.side, order.size, price, 0, self.now_ns)
        self.take(self.strategy.on_fill(fill, order))
        if cancel_other:
            for other in [o for o in self.live.values() if o.oco and o.oco == order.oco]:
                self.end(other, OrderState.CANCELLED)
        return leg

    def end(self, order: Order, state: OrderState, reason: str = "", tell: bool = True) -> None:
        order.state, order.reason = state, reason
        del self.live[order.tag]
        if tell:
            self.take(self.strategy.on_order(order))

    def _leg(self, entry: Order, price: int) -> Order:
        assert entry.bracket is not None
        leg = Order(
            tag=f"{entry.tag}-SL",
            strategy=entry.strategy,
            account_id=1,
            contract=entry.contract,
            side=entry.side.opposite,
            size=entry.size,
            type=OrderType.STOP,
            role=Role.STOP,
            stop_ticks=price - entry.side * entry.bracket.stop_ticks,
            state=OrderState.WORKING,
        )
        self.live[leg.tag] = leg
        return leg
