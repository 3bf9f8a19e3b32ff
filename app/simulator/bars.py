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
    return open_ticks + side * slippage.market_ticks


def first_fill(orders: Iterable[Resting], bar: Bar, slippage: Slippage) -> BarFill | None:
    """The next fill within `bar` among the stops and limits of `orders`; None when nothing (more) fills."""
    best: tuple[tuple[bool, int, int], int] | None = None
    for order in orders:
        price = _price(order, bar, slippage)
        if price is None:
            continue
        level = order.limit_ticks if order.stop_ticks is None else order.stop_ticks
        rank = order.stop_ticks is None, _distance(order.side, level or 0, order, bar), order.venue_id
        if best is None or rank < best[0]:
            best = rank, price
    return None if best is None else BarFill(best[0][2], best[1])


def _price(order: Resting, bar: Bar, slippage: Slippage) -> int | None:
    if order.type is OrderType.STOP and order.stop_ticks is not None:
        return _stop_price(order.side, order.stop_ticks, order.entered, bar, slippage)
    if order.type is OrderType.LIMIT and order.limit_ticks is not None and not order.entered:
        through = bar.low_ticks < order.limit_ticks if order.side > 0 else bar.high_ticks > order.limit_ticks
        return order.limit_ticks if through else None
    return None


def _stop_price(side: Side, stop: int, entered: bool, bar: Bar, slippage: Slippage) -> int | None:
    """Rules 2 and 6."""
    reached = bar.high_ticks >= stop if side > 0 else bar.low_ticks <= stop
    if not reached:
        return None
    worse = max(stop, bar.open_ticks) if side > 0 else min(stop, bar.open_ticks)
    return (stop if entered else worse) + side * slippage.stop_ticks


def _distance(side: Side, level: int, order: Resting, bar: Bar) -> int:
    """Ticks from the open to where the order fills; a stop that the open has passed is reached at once."""
    if order.type is OrderType.STOP and not order.entered:
        return max(0, (level - bar.open_ticks) * side)
    return abs(level - bar.open_ticks)
