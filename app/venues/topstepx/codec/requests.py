"""Requests of the ProjectX Gateway as bytes (facts sections 1.3 to 1.7).

Pure. A place body is written once, before approval, and never touched again. Prices leave as exact decimal
numbers made from ticks. `linkedOrderId` is never sent: the venue may refuse an order for it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from app.domain.instruments import Instrument, by_contract, ticks_to_price
from app.domain.orders import Bracket, Order, OrderType, Side
from app.errors import Refused
from app.venues.topstepx.codec.entities import SIDE_CODES, TYPE_CODES
from app.venues.topstepx.codec.fields import MAX_SIZE, stamp_text
from native import orders

STOP_CODE = TYPE_CODES[OrderType.STOP]
LIMIT_CODE = TYPE_CODES[OrderType.LIMIT]
_MINUTES = 2  # the venue's unit code of minute bars

# Which prices each type needs. A trailing stop's `trailPrice` is its absolute first level, the order's stop.
_LIMIT_FIELD = {OrderType.LIMIT: "limitPrice"}
_STOP_FIELD = {OrderType.STOP: "stopPrice", OrderType.TRAILING_STOP: "trailPrice"}

_json = msgspec.json.Encoder().encode

# Writes what is usual, of the contracts it has met; the functions below write the rest, and refuse.
KINDS = {
    kind: (code, _LIMIT_FIELD.get(kind, ""), _STOP_FIELD.get(kind, "")) for kind, code in TYPE_CODES.items()
}
_NO_LEGS = Bracket(0)
_writer = orders.Writer(KINDS, STOP_CODE, LIMIT_CODE)


def renew() -> None:
    """Write with a new writer, of the twin that runs now; the contracts are met again."""
    global _writer
    _writer = orders.Writer(KINDS, STOP_CODE, LIMIT_CODE)


def place_body(order: Order) -> bytes:
    """The bytes of a place request. Raises Refused for what the venue cannot express."""
    legs = order.bracket or _NO_LEGS
    body = _writer.place(
        order.type, order.contract, order.account_id, order.side, order.size, order.limit_ticks,
        order.stop_ticks, legs.stop_ticks, legs.target_ticks, order.tag,
    )  # fmt: skip
    if body is None:
        body = formatted_place(order)
        instrument = by_contract(order.contract)
        _writer.know(order.contract, instrument.tick_nano, instrument.decimals)
    return body


def formatted_place(order: Order) -> bytes:
    """The same for any order, one member at a time."""
    code = TYPE_CODES.get(order.type)
    if code is None or not 1 <= order.size <= MAX_SIZE:
        raise Refused(
            "venue.order", f"{order.type} of {order.size}", f"a known type of 1 to {MAX_SIZE} contracts"
        )
    parts = [
        b'{"accountId":%d,"contractId":%b,"type":%d,"side":%d,"size":%d'
        % (order.account_id, _json(order.contract), code, SIDE_CODES[order.side], order.size),
        *_prices(order),
        *_brackets(order),
    ]
    if order.tag:
        parts.append(b'"customTag":' + _json(order.tag))
    return b",".join(parts) + b"}"


def _prices(order: Order) -> Iterable[bytes]:
    """The price members that the type needs, no other."""
    instrument = by_contract(order.contract)
    wanted = ((_LIMIT_FIELD, order.limit_ticks), (_STOP_FIELD, order.stop_ticks))
    for fields, ticks in wanted:
        name = fields.get(order.type)
        if (name is None) != (ticks is None):
            asked = f"{order.type} with limit {order.limit_ticks}, stop {order.stop_ticks}"
            raise Refused("venue.price", asked, "the prices its type needs")
        if name is not None and ticks is not None:
            yield _price(name, instrument, ticks)


def _price(name: str, instrument: Instrument, ticks: int) -> bytes:
    return f'"{name}":{ticks_to_price(instrument, ticks)}'.encode()


def _brackets(order: Order) -> Iterable[bytes]:
    """Signed offsets from the fill: a long's stop is negative, its target positive; a short mirrored."""
    if order.bracket is None:
        return
    sign = 1 if order.side is Side.BUY else -1
    legs = (
        (b"stopLossBracket", -sign, order.bracket.stop_ticks, STOP_CODE),
        (b"takeProfitBracket", sign, order.bracket.target_ticks, LIMIT_CODE),
    )
    for name, direction, ticks, code in legs:
        if ticks < 0:
            raise Refused("venue.bracket", ticks, "a distance in ticks, 0 for none")
        if ticks:
            yield b'"%b":{"ticks":%d,"type":%d}' % (name, direction * ticks, code)


def modify_body(order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None) -> bytes:
    """The bytes of a modify request; None leaves a member as it is. Raises Refused."""
    body = _writer.modify(
        order.type, order.contract, order.account_id, order.venue_id, limit_ticks, stop_ticks, size
    )
    return body or formatted_modify(order, limit_ticks, stop_ticks, size)


def formatted_modify(
    order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None
) -> bytes:
    """The same for any order, one member at a time."""
    if not order.venue_id or (limit_ticks, stop_ticks, size) == (None, None, None):
        raise Refused("venue.modify", order.tag, "an order with a venue id and something to change")
    parts = [b'{"accountId":%d,"orderId":%d' % (order.account_id, order.venue_id)]
    if size is not None:
        if not 1 <= size <= MAX_SIZE:
            raise Refused("venue.order", size, f"1 to {MAX_SIZE} contracts")
        parts.append(b'"size":%d' % size)
    parts += _changed(order, (_LIMIT_FIELD, limit_ticks), (_STOP_FIELD, stop_ticks))
    return b",".join(parts) + b"}"


def _changed(order: Order, *wanted: tuple[dict[OrderType, str], int | None]) -> Iterable[bytes]:
    instrument = by_contract(order.contract)
    for fields, ticks in wanted:
        if ticks is None:
            continue
        if order.type not in fields:
            raise Refused("venue.price", f"{order.type} has no such price", "the prices its type needs")
        yield _price(fields[order.type], instrument, ticks)


def order_body(account_id: int, order_id: int) -> bytes:
    """For a cancel, or the search for one order."""
    return _writer.cancel(account_id, order_id) or b'{"accountId":%d,"orderId":%d}' % (account_id, order_id)


def close_body(account_id: int, contract: str) -> bytes:
    return b'{"accountId":%d,"contractId":%b}' % (account_id, _json(contract))


def partial_close_body(account_id: int, contract: str, size: int) -> bytes:
    """Raises Refused for a size that is none."""
    if not 1 <= size <= MAX_SIZE:
        raise Refused("venue.order", size, f"1 to {MAX_SIZE} contracts")
    return b'{"accountId":%d,"contractId":%b,"size":%d}' % (account_id, _json(contract), size)


def account_body(account_id: int) -> bytes:
    """For the open orders and the open positions of one account."""
    return b'{"accountId":%d}' % account_id


def since_body(account_id: int, since_ns: int) -> bytes:
    """For order and trade searches. The venue ignores unknown members silently, so the name matters."""
    return _json({"accountId": account_id, "startTimestamp": stamp_text(since_ns)})


def query_body(account_id: int, statuses: Iterable[int], page_size: int, page_offset: int) -> bytes:
    """For Order/v2/query, which alone shows suspended legs; oldest id first, so that paging is stable."""
    body = {
        "filter": {"accountId": account_id, "statuses": list(statuses)},
        "pageSize": page_size,
        "pageOffset": page_offset,
        "sortBy": 1,
        "sortDirection": 0,
    }
    return _json(body)


def bars_body(contract: str, live: bool, start_ns: int, end_ns: int, limit: int) -> bytes:
    """One-minute bars, completed ones only."""
    body = {
        "contractId": contract,
        "live": live,
        "startTime": stamp_text(start_ns),
        "endTime": stamp_text(end_ns),
        "unit": _MINUTES,
        "unitNumber": 1,
        "limit": limit,
        "includePartialBar": False,
    }
    return _json(body)


def login_body(user_name: str, api_key: str) -> bytes:
    return _json({"userName": user_name, "apiKey": api_key})


def accounts_body() -> bytes:
    return b'{"onlyActiveAccounts":true}'


def available_body(live: bool) -> bytes:
    return _json({"live": live})


def search_body(text: str, live: bool) -> bytes:
    return _json({"searchText": text, "live": live})


def contract_body(contract: str) -> bytes:
    return _json({"contractId": contract})
