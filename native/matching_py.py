"""When an order fills and at which price: ticks for the simulator, one-minute bars for the replay.

Source of both twins: the build compiles this very file, typed by ``matching_c.pxd``, to
``native.matching_c``. The rules and their reasons stand in ``app.simulator.matching`` and
``app.simulator.bars``; here is their arithmetic, in integer ticks with sides +1 and -1. A price or a distance
beyond 2**40 ticks is refused with OverflowError, so that no sum below can overflow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_MOST = 1099511627776  # ticks, 2**40
NO_FLOOR, NO_CEILING = -_MOST, _MOST
# The words of ``type`` that a bar can fill. Market orders fill at an open, which is no question of matching.
STOP = "stop"
LIMIT = "limit"


def ticks(value: int) -> int:
    """Return ``value``; OverflowError beyond 2**40 either way, TypeError for a bool and for no integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"ticks are an integer, not {type(value).__name__}")
    try:
        number = value  # in C this is where it must fit, and compared are machine words
    except OverflowError:
        raise OverflowError("more than 2**40 ticks") from None
    if number > _MOST or number < -_MOST:
        raise OverflowError("more than 2**40 ticks")
    return number


def _sign(side: int) -> int:
    number = ticks(side)
    if number != 1 and number != -1:
        raise ValueError("a side is 1 or -1")
    return number


def market_price(side: int, touch: int, slippage: int) -> int:
    """What a market order pays: the far touch (or the open of a bar) and ``slippage`` against it."""
    return ticks(touch) + _sign(side) * ticks(slippage)


def limit_reaches(side: int, limit: int, touch: int) -> bool:
    """Whether a limit meets the far touch at once."""
    return (ticks(limit) - ticks(touch)) * _sign(side) >= 0


def limit_fills(side: int, limit: int, price: int, touch_is_enough: bool) -> bool:
    """Whether a trade at ``price`` fills a resting limit: beyond it, or at it when that is enough."""
    beyond = (ticks(limit) - ticks(price)) * _sign(side)
    return beyond > 0 or (beyond == 0 and bool(touch_is_enough))


def stop_fill(side: int, stop: int, price: int, touch: int, slippage: int) -> int | None:
    """The price of a stop that a trade at ``price`` triggers: the worse of its own and the far touch, plus
    slippage; None when it rests.
    """
    sign, level, far = _sign(side), ticks(stop), ticks(touch)
    if (ticks(price) - level) * sign < 0:
        return None
    worse = max(level, far) if sign > 0 else min(level, far)
    return worse + sign * ticks(slippage)


def trailed(side: int, stop: int, trail: int, price: int) -> int:
    """Where a trailing stop stands after a trade at ``price``: it only ever tightens."""
    sign, level = _sign(side), ticks(stop)
    following = ticks(price) + ticks(trail)
    return level if (following - level) * sign >= 0 else following


def first_fill(
    orders: Iterable[Any], opened: int, high: int, low: int, stop_slippage: int
) -> tuple[int, int] | None:
    """(venue id, price) of the next fill within a bar among the stops and limits of ``orders``; None = none.

    An order has ``venue_id, side, type, limit_ticks, stop_ticks, entered``. Stops come before limits, of
    equals the one nearer to the open, of those the older.
    """
    first, highest, lowest, slipped = ticks(opened), ticks(high), ticks(low), ticks(stop_slippage)
    best_id = best_price = best_away = 0
    found = best_is_limit = False
    for order in orders:
        sign, entered, is_limit = _sign(order.side), bool(order.entered), False
        if order.type == STOP and order.stop_ticks is not None:
            level = ticks(order.stop_ticks)
            if highest < level if sign > 0 else lowest > level:
                continue
            worse = max(level, first) if sign > 0 else min(level, first)
            price = (level if entered else worse) + sign * slipped
            away = abs(level - first) if entered else max(0, (level - first) * sign)
        elif order.type == LIMIT and order.limit_ticks is not None and not entered:
            is_limit, price = True, ticks(order.limit_ticks)
            if lowest >= price if sign > 0 else highest <= price:
                continue
            level = price if order.stop_ticks is None else ticks(order.stop_ticks)
            away = abs(level - first)
        else:
            continue
        number = order.venue_id
        if not found or _before(is_limit, away, number, best_is_limit, best_away, best_id):
            found, best_is_limit, best_away, best_id, best_price = True, is_limit, away, number, price
    return (best_id, best_price) if found else None


def _before(
    is_limit: bool, away: int, number: int, best_is_limit: bool, best_away: int, best_id: int
) -> bool:
    if is_limit != best_is_limit:
        return best_is_limit
    if away != best_away:
        return away < best_away
    return number < best_id


def untouched(lows: Any, highs: Any, begin: int, end: int, floor: int, ceiling: int) -> int:
    """The index after the bars from ``begin`` on, before ``end``, that stay above ``floor`` and below
    ``ceiling``.

    ``lows`` and ``highs`` are ``array('q')``. Raises IndexError for a range outside them.
    """
    if begin < 0 or end > len(lows) or end > len(highs):
        raise IndexError("a range outside the bars")
    index, last, bottom, top = begin, end, ticks(floor), ticks(ceiling)
    while index < last and lows[index] > bottom and highs[index] < top:
        index += 1
    return index
