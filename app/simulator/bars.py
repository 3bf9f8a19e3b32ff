"""The fill model of a replay: what a one-minute bar does to orders that were there when it began.

A bar says where the price went, not in which order, so every doubt is settled against the account:

1. A market order fills at the next price, the open of the next bar, plus slippage against it (1 tick
   unless set).
2. A stop is triggered when the bar touches it and fills at the worse of its price and the open. Slippage
   of its own can be set on top (0 unless set: the rule above is the model, the setting is for those who
   want it darker).
3. A limit fills at its price, and only when the bar trades *through* it, strictly beyond. It never fills
   better.
4. Stops come before limits: a bar that reaches a position's stop and its target has stopped it.
5. Of several stops the one nearer to the open fills first; at the same distance the older one. So a bar
   that touches both entries of a pair fills the one nearer its open; the other lives on only until its
   cancel arrives.
6. In the bar in which an entry fills, its stop leg is live and its target is not: the stop is taken as
   touched if the bar's range holds it, whether before or after the entry. It fills at its own price, as
   the open came before it.
7. An order that arrives during a bar meets the next one. Orders fill whole: there is no size in the model.

Pure: orders and bars in, fills out. The engine may cancel between two fills of one bar, so the caller asks
again after
each: `first_fill` gives the next fill among the orders that are still there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from app.domain.market import Bar
from app.domain.orders import OrderType, Side
from native import matching

SLIPPAGE_TICKS = 1  # of a market order: half the usual spread of an index future, and half of what follows
STOP_SLIPPAGE_TICKS = 0
SLIPPAGE_LIMIT = 1_000  # ticks; more is a typing error


@dataclass(frozen=True, slots=True)
class Slippage:
    """Ticks against the order, each 0 to SLIPPAGE_LIMIT."""

    market_ticks: int = SLIPPAGE_TICKS
    stop_ticks: int = STOP_SLIPPAGE_TICKS


class Resting(Protocol):
    """What the model must know of a working order. `entered` = a leg whose entry filled in this very bar."""

    @property
    def venue_id(self) -> int: ...
    @property
    def side(self) -> Side: ...
    @property
    def type(self) -> OrderType: ...
    @property
    def limit_ticks(self) -> int | None: ...
    @property
    def stop_ticks(self) -> int | None: ...
    @property
    def entered(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class BarFill:
    venue_id: int
    price_ticks: int


def market_price(side: Side, open_ticks: int, slippage: Slippage) -> int:
    """Rule 1."""
    return matching.market_price(side, open_ticks, slippage.market_ticks)


def first_fill(orders: Iterable[Resting], bar: Bar, slippage: Slippage) -> BarFill | None:
    """The next fill within `bar` among the stops and limits of `orders`; None when nothing (more) fills."""
    hit = matching.first_fill(orders, bar.open_ticks, bar.high_ticks, bar.low_ticks, slippage.stop_ticks)
    return None if hit is None else BarFill(*hit)


def band(orders: Iterable[Resting]) -> tuple[int, int]:
    """(floor, ceiling): a bar that stays strictly between them fills none of `orders`, stops and limits that
    were there when it began.
    """
    floor, ceiling = matching.NO_FLOOR, matching.NO_CEILING
    for order in orders:
        if order.type is OrderType.STOP and order.stop_ticks is not None:
            level, below = order.stop_ticks, order.side < 0
        elif order.type is OrderType.LIMIT and order.limit_ticks is not None:
            level, below = order.limit_ticks - order.side, order.side > 0
        else:
            continue
        if below:
            floor = max(floor, level)
        else:
            ceiling = min(ceiling, level)
    return floor, ceiling
