"""How much of a contract could be held and lost in the worst case: pure counting over positions and live orders, no limits.

Every live order may fill, in any order, whether it is working, in doubt or not yet sent. Two exceptions, both kept by the
venue itself: of the two legs of one bracket only one fills, and they work no earlier than the entry they belong to.
Orders that only we cancel for each other (`Order.oco`) are no exception: both may fill before the cancel arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from app.domain.instruments import Instrument
from app.domain.market import Quote
from app.domain.orders import Order, Role

Pending = dict[str, list[int]]  # contract -> [contracts that may be bought, contracts that may be sold]

_ENTRY = Role.ENTRY


def pending(orders: Iterable[Order], candidate: Order) -> Pending:
    """What may still be bought and sold, `candidate` included (in place of the live order with its tag, if there is one)."""
    found: Pending = {candidate.contract: [0, 0]}
    legs: dict[str, list[Order]] = {}
    left: dict[str, int] = {}
    seen = False
    for order in orders:
        if order.tag == candidate.tag:
            order, seen = candidate, True
        remaining = order.remaining
        if remaining <= 0:
            continue
        if order.parent_tag and order.role is not _ENTRY:
            legs.setdefault(order.parent_tag, []).append(order)
            continue
        left[order.tag] = remaining
        _add(found, order, remaining)
    if not seen:
        _add(found, candidate, candidate.remaining)
    for parent_tag, group in legs.items():
        largest = max(group, key=_remaining)
        _add(found, largest, largest.remaining - left.get(parent_tag, 0))
    return found


def worst(net: int, buys: int, sells: int) -> int:
    """The largest |net| that can come of it."""
    return max(net + buys, sells - net)


def only_reduces(candidate: Order, positions: Mapping[str, int], found: Pending) -> bool:
    """No order of fills lets `candidate` take |net| up: all that works on its side together is at most the position."""
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
    """What is lost if every live entry fills and is stopped out, each stop slips, and what is held is closed; micro-USD >= 0.

    Of the entries of one `oco` group the dearest counts: two filled ones are closed at once. A held position counts from
    its present mark with slippage and fee only: its own way to the stop is watched, not approved again.
    """
    total = 0
    groups: dict[str, int] = {}
    for order in (*(o for o in orders if o.tag != candidate.tag), candidate):
        loss = _loss_at_stop(order, quote, instrument_of, slippage_ticks)
        if order.oco and order.role is _ENTRY:
            total += max(0, loss - groups.get(order.oco, 0))
            groups[order.oco] = max(loss, groups.get(order.oco, 0))
        elif order.role is _ENTRY or order is candidate:
            total += loss
    for contract, net in positions.items():
        if net:
            product = instrument_of(contract)
            total += abs(net) * (product.tick_value_micro * slippage_ticks + one_way_fee_micro(product))
    return total


def one_way_fee_micro(product: Instrument) -> int:
    """Half a round turn, rounded up. An unknown fee is refused earlier, wherever it matters."""
    return ((product.fee_round_turn_micro or 0) + 1) // 2


def _loss_at_stop(order: Order, quote: Quote | None, instrument_of: Callable[[str], Instrument], slippage_ticks: int) -> int:
    remaining = order.remaining
    if remaining <= 0:
        return 0
    product = instrument_of(order.contract)
    ticks = slippage_ticks + _distance(order, quote)
    return remaining * (ticks * product.tick_value_micro + (product.fee_round_turn_micro or 0))


def _distance(order: Order, quote: Quote | None) -> int:
    """Ticks from where the loss begins to the stop: an entry's bracket, a protective stop's way from the market."""
    if order.role is _ENTRY:
        return order.bracket.stop_ticks if order.bracket is not None else 0
    if order.stop_ticks is None or quote is None or quote.contract != order.contract:
        return 0
    market = quote.ask_ticks if order.side > 0 else quote.bid_ticks
    return 0 if market is None else max(0, (order.stop_ticks - market) * order.side)


def _remaining(order: Order) -> int:
    return order.remaining


def _add(found: Pending, order: Order, size: int) -> None:
    if size <= 0:
        return
    both = found.get(order.contract)
    if both is None:
        both = found[order.contract] = [0, 0]
    both[order.side < 0] += size
