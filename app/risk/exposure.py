"""What could be held and lost in the worst case: pure counting over positions and live orders, no limits.

Every live order may fill, in any order, whether it is working, in doubt or not yet sent. Two exceptions,
both kept by the venue itself: of the two legs of one bracket only one fills, and they work no earlier than
their entry fills. Orders that only we cancel for each other (`Order.oco`) are no exception: both may fill
before the cancel arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from app.domain.instruments import Instrument
from app.domain.market import Quote
from app.domain.orders import Order, Role

Pending = dict[str, list[int]]  # contract -> [contracts that may be bought, contracts that may be sold]

_ENTRY = Role.ENTRY
_NONE_RAISED: Mapping[str, int] = {}


def pending(orders: Iterable[Order], candidate: Order, raised: Mapping[str, int] = _NONE_RAISED) -> Pending:
    """What may still be bought and sold, with `candidate` added, or in place of the live order that has its
    tag.

    `raised` holds sizes, by tag, that were approved but that the venue has not answered yet.
    """
    found: Pending = {candidate.contract: [0, 0]}
    legs: dict[str, list[tuple[int, Order]]] = {}
    left: dict[str, int] = {}
    seen = False
    for order in orders:
        if order.tag == candidate.tag:
            order, seen = candidate, True
        remaining = order.remaining
        if raised and remaining:
            remaining += max(0, raised.get(order.tag, 0) - order.size)
        if order.parent_tag and order.role is not _ENTRY:
            legs.setdefault(order.parent_tag, []).append((remaining, order))
        else:
            left[order.tag] = remaining
            _add(found, order, remaining)
    if not seen:
        _add(found, candidate, candidate.remaining)
    for parent_tag, group in legs.items():
        remaining, order = max(group, key=_first)
        _add(found, order, remaining - left.get(parent_tag, 0))
    return found


def worst(net: int, buys: int, sells: int) -> int:
    """The largest |net| that can come of it."""
    return max(net + buys, sells - net)


def only_reduces(candidate: Order, positions: Mapping[str, int], found: Pending) -> bool:
    """Whatever fills, `candidate` never takes |net| up: all on its side together is at most the position."""
    net = positions.get(candidate.contract, 0)
    buys, sells = found[candidate.contract]
    return sells <= net if candidate.side < 0 else buys <= -net


def loss_at_stops_micro(
    candidate: Order,
    orders: Iterable[Order],
    positions: Mapping[str, int],
    quote: Quote | None,
    instrument_of: Callable[[str], Instrument],
    slippage_ticks: int,
) -> int:
    """What is lost if every live entry fills and is stopped out with slippage, and what is held is closed
    now.

    Micro-USD >= 0, fees included. Of the entries of one `oco` group the dearest counts: the first fill
    cancels the others. A position counts from its mark: its own way to the stop is watched, not approved
    again.
    """
    total = 0
    groups: dict[str, int] = {}
    for order in (*(o for o in orders if o.role is _ENTRY and o.tag != candidate.tag), candidate):
        loss = _loss_at_stop(order, quote, instrument_of, slippage_ticks)
        if order.oco and order.role is _ENTRY:
            counted = groups.get(order.oco, 0)
            total += max(0, loss - counted)
            groups[order.oco] = max(loss, counted)
        else:
            total += loss
    for contract, net in positions.items():
        if net:
            product = instrument_of(contract)
            total += abs(net) * (product.tick_value_micro * slippage_ticks + one_way_fee_micro(product))
    return total


def one_way_fee_micro(product: Instrument) -> int:
    """Half a round turn, rounded up. An unknown fee is refused earlier, wherever it matters."""
    return ((product.fee_round_turn_micro or 0) + 1) // 2


def _loss_at_stop(
    order: Order, quote: Quote | None, instrument_of: Callable[[str], Instrument], slippage_ticks: int
) -> int:
    product = instrument_of(order.contract)
    ticks = slippage_ticks + _distance(order, quote)
    return order.remaining * (ticks * product.tick_value_micro + (product.fee_round_turn_micro or 0))


def _distance(order: Order, quote: Quote | None) -> int:
    """Ticks from where the loss begins to the stop: an entry's bracket, a stop leg's way from the market."""
    if order.role is _ENTRY:
        return order.bracket.stop_ticks if order.bracket is not None else 0
    if order.stop_ticks is None or quote is None or quote.contract != order.contract:
        return 0
    market = quote.ask_ticks if order.side > 0 else quote.bid_ticks
    return 0 if market is None else max(0, (order.stop_ticks - market) * order.side)


def _first(pair: tuple[int, Order]) -> int:
    return pair[0]


def _add(found: Pending, order: Order, size: int) -> None:
    if size > 0:
        both = found.get(order.contract)
        if both is None:
            both = found[order.contract] = [0, 0]
        both[order.side < 0] += size
