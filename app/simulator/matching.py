"""When an order fills and at which price. Pure integers: one order, one tick, one answer.

The rules, chosen to flatter nobody: a market order takes the far touch plus slippage; a resting limit needs
the market to trade *through* its price (option: to touch it) and never gets a better one; a stop is
triggered by the last trade and fills at the worse of its price and the far touch of that moment, plus
slippage; a trailing stop only ever tightens.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.simulator.feed import Tick
from app.simulator.orders import Order, Type
from native import matching


class Fill(StrEnum):
    """What a resting limit needs: the last trade beyond its price, or at it."""

    THROUGH = "through"
    TOUCH = "touch"


@dataclass(frozen=True, slots=True)
class Matching:
    """The two choices of the fill model. `slippage_ticks` is paid by market and stop orders."""

    fill: Fill = Fill.THROUGH
    slippage_ticks: int = 0

    def on_arrival(self, order: Order, tick: Tick) -> int | None:
        """The price at which a new or changed order fills at once, None when it rests."""
        touch = far_touch(order.side, tick)
        if order.type is Type.MARKET:
            return matching.market_price(order.side, touch, self.slippage_ticks)
        limit = order.limit_ticks
        return touch if limit is not None and matching.limit_reaches(order.side, limit, touch) else None

    def on_tick(self, order: Order, tick: Tick) -> int | None:
        """The price at which a resting order fills on `tick`, None when it goes on resting."""
        if not tick.size:
            return None
        if order.stop_ticks is not None:
            touch = far_touch(order.side, tick)
            return matching.stop_fill(order.side, order.stop_ticks, tick.price, touch, self.slippage_ticks)
        limit, enough = order.limit_ticks, self.fill is Fill.TOUCH
        if limit is not None and matching.limit_fills(order.side, limit, tick.price, enough):
            return limit
        return None


def far_touch(side: int, tick: Tick) -> int:
    """What the aggressor pays: the ask for a buyer, the bid for a seller."""
    return tick.ask if side > 0 else tick.bid


def near_touch(side: int, tick: Tick) -> int:
    return tick.bid if side > 0 else tick.ask


def ratchet(order: Order, tick: Tick) -> bool:
    """Tighten a trailing stop behind `tick`; whether it moved."""
    if order.type is not Type.TRAILING_STOP or order.trail_ticks is None or order.stop_ticks is None:
        return False
    level = matching.trailed(order.side, order.stop_ticks, order.trail_ticks, tick.price)
    moved = level != order.stop_ticks
    order.stop_ticks = level
    return moved


def beyond_market(side: int, stop: int, tick: Tick) -> bool:
    """A stop belongs strictly beyond the market: a buy above it, a sell below it."""
    return (stop - max(tick.price, tick.ask)) > 0 if side > 0 else (min(tick.price, tick.bid) - stop) > 0
