"""Contracts, orders and fills in the owner's words, for the event list and the picture."""

from __future__ import annotations

from app.domain.events import Fill
from app.domain.instruments import Instrument, by_contract, ticks_to_price
from app.domain.orders import Order, OrderType, Side
from app.errors import Refused

_DID = {Side.BUY: "bought", Side.SELL: "sold"}


def order(order: Order) -> str:
    """ "buy 1 ES stop 5790.00, entry of overnight_range"."""
    what = f"{order.side.name.lower()} {order.size} {symbol(order.contract)} {order.type}"
    ticks = order.limit_ticks if order.type is OrderType.LIMIT else order.stop_ticks
    return f"{what}{_at(order.contract, ticks)}, {order.role} of {order.strategy}"


def fill(fill: Fill, order: Order) -> str:
    """ "bought 1 ES at 5790.00, entry of overnight_range"."""
    what = f"{_DID[fill.side]} {fill.size} {symbol(fill.contract)}"
    return f"{what} at{_at(fill.contract, fill.price_ticks)}, {order.role} of {order.strategy}"


def instrument(contract: str) -> Instrument | None:
    try:
        return by_contract(contract)
    except Refused:
        return None


def symbol(contract: str) -> str:
    """The exchange ticker, or the contract itself when its product is unknown."""
    found = instrument(contract)
    return contract if found is None else found.symbol


def price(contract: str, ticks: int | None) -> str:
    """Decimal text, "" when there is no price or its product is unknown."""
    found = instrument(contract)
    return "" if ticks is None or found is None else ticks_to_price(found, ticks)


def _at(contract: str, ticks: int | None) -> str:
    text = price(contract, ticks)
    return f" {text}" if text else ""
