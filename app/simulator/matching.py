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
        if order.type is Type.MARKET:
            return far_touch(order.side, tick) + order.side * self.slippage_ticks
        if order.limit_ticks is not None and _reaches(
            order.side, order.limit_ticks, far_touch(order.side, tick)
        ):
            return far_touch(order.side, tick)
        return None

    def on_tick(self, order: Order, tick: Tick) -> int | None:
        """The price at which a resting order fills on `tick`, None when it goes on resting."""
        if order.stop_ticks is not None:
            return self._stop(order, order.stop_ticks, tick)
        if order.limit_ticks is not None and tick.size:
            return self._limit(order, order.limit_ticks, tick)
        return None

    def _stop(self, order: Order, stop: int, tick: Tick) -> int | None:
        if not tick.size or (tick.price - stop) * order.side < 0:
            return None
        touch = far_touch(order.side, tick)
        worse = max(stop, touch) if order.side > 0 else min(stop, touch)
        return worse + order.side * self.slippage_ticks

    def _limit(self, order: Order, limit: int, tick: Tick) -> int | None:
        beyond = (limit - tick.price) * order.side
        return limit if beyond > 0 or (beyond == 0 and self.fill is Fill.TOUCH) else None


def far_touch(side: int, tick: Tick) -> int:
    """What the aggressor pays: the ask for a buyer, the bid for a seller."""
    return tick.ask if side > 0 else tick.bid


def near_touch(side: int, tick: Tick) -> int:
    return tick.bid if side > 0 else tick.ask


def ratchet(order: Order, tick: Tick) -> bool:
    """Tighten a trailing stop behind `tick`; whether it moved."""
    if order.type is not Type.TRAILING_STOP or order.trail_ticks is None or order.stop_ticks is None:
        return False
    level = tick.price + order.trail_ticks
    if (level - order.stop_ticks) * order.side >= 0:
        return False
    order.stop_ticks = level
    return True


def beyond_market(side: int, stop: int, tick: Tick) -> bool:
    """A stop belongs strictly beyond the market: a buy above it, a sell below it."""
    return (stop - max(tick.price, tick.ask)) > 0 if side > 0 else (min(tick.price, tick.bid) - stop) > 0


def _reaches(side: int, limit: int, touch: int) -> bool:
    return (limit - touch) * side >= 0
