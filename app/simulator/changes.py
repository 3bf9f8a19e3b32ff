"""What an order would look like after a modify request, or why the venue refuses it. Pure; the order itself
is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from app.domain.instruments import Instrument
from app.simulator.checks import OFF_TICK, SIZE_LIMIT, TRAIL_LIMIT_TICKS, bad_stop, to_ticks
from app.simulator.feed import Tick
from app.simulator.orders import Order, Type


@dataclass(frozen=True, slots=True)
class Change:
    """The members of a modify request; None = unchanged."""

    size: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None


def changed(order: Order, change: Change, instrument: Instrument, tick: Tick) -> Order | str:
    """A changed copy of `order`, or the venue's text."""
    if change.size is not None and not order.filled < change.size <= SIZE_LIMIT:
        return f"Invalid order size ({change.size})."
    limit, stop = to_ticks(instrument, change.limit_price), to_ticks(instrument, change.stop_price)
    trail = to_ticks(instrument, change.trail_price)
    if change.limit_price is not None and (limit is None or order.limit_ticks is None):
        return "Invalid price." + OFF_TICK
    if change.stop_price is not None and (stop is None or order.stop_ticks is None):
        return "Invalid stop price." + OFF_TICK
    if change.trail_price is not None and (trail is None or order.type is not Type.TRAILING_STOP):
        return "Invalid stop price." + OFF_TICK
    new = replace(
        order,
        size=order.size if change.size is None else change.size,
        limit_ticks=order.limit_ticks if limit is None else limit,
        stop_ticks=order.stop_ticks if stop is None else stop,
    )
    if trail is not None:
        new.stop_ticks, new.trail_ticks = trail, trail - tick.price
    too_far = new.trail_ticks is not None and trail is not None and abs(new.trail_ticks) > TRAIL_LIMIT_TICKS
    moved = stop is not None or trail is not None
    return "Invalid stop price." if too_far else (bad_stop(new, tick) if moved else "") or new
