"""The SignalR JSON protocol and the hubs' events (facts section 2), as bytes in and values out.

Pure: no socket, no timer. Records end with byte 0x1E; `native.frames` cuts them from the stream and reads the
usual ones whole (see `scanned`), the decoder here reads any and judges what the scanner leaves. Events arrive
wrapped (`{action, data}`) or flat, single or as arrays. What cannot be understood raises Theirs and changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from app.domain.events import AccountReport, Fill, OrderReport, PositionReport
from app.domain.market import MarketTrade, Quote
from app.errors import Theirs
from app.venues.topstepx.codec import entities
from app.venues.topstepx.codec.fields import (
    ABSENT,
    SOURCE,
    Text,
    decode,
    instrument_of,
    known_price,
    price_ticks,
    stamp_ns,
)
from native import frames

SEPARATOR = b"\x1e"
MAX_RECORD = 4 * 1024 * 1024  # bytes of one record: snapshots over 1 MiB are possible, 4 MiB were never seen
MAX_ELEMENTS = 5_000  # elements of one event array: market depth has tens

HANDSHAKE = b'{"protocol":"json","version":1}' + SEPARATOR
PING = b'{"type":6}' + SEPARATOR

INVOCATION, COMPLETION, PING_TYPE, CLOSE = 1, 3, 6, 7

T = TypeVar("T")


def feed(reader: frames.Reader, data: bytes) -> int:
    """Hand a frame to `reader`; the kind of its first record. Raises Theirs when one outgrows its limit."""
    try:
        return reader.feed(data)
    except OverflowError as error:
        raise Theirs(f"{SOURCE} hub", error) from None


class Message(Struct, rename="camel"):
    """Any record after the handshake. `invocation_id` is set on completions of our own invocations."""

    type: int
    target: str | None = None
    arguments: list[Raw] | None = None
    invocation_id: str | None = None
    error: str | None = None


class _Handshake(Struct):
    error: str | None = None


class _Negotiated(Struct, rename="camel"):
    connection_id: str | None = None
    connection_token: str | None = None
    error: str | None = None


_message = msgspec.json.Decoder(Message)
_handshake = msgspec.json.Decoder(_Handshake)
_negotiated = msgspec.json.Decoder(_Negotiated)


def decode_message(record: bytes) -> Message:
    return decode(_message, record, "hub record")


def check_handshake(record: bytes) -> None:
    """Raises Theirs when the hub refuses our protocol."""
    error = decode(_handshake, record, "hub handshake").error
    if error:
        raise Theirs(f"{SOURCE} hub", error)


def connection_key(body: bytes) -> str:
    """What to send as `id` after a negotiation: version 1's token or version 0's id. Raises Theirs."""
    reply = decode(_negotiated, body, "hub negotiation")
    key = reply.connection_token or reply.connection_id
    if reply.error or not key:
        raise Theirs(f"{SOURCE} hub", reply.error or "negotiation without a connection id")
    return key


def invocation(target: str, arguments: Sequence[object], invocation_id: str) -> bytes:
    """A call of a hub method whose completion we want to hear."""
    body = {"type": INVOCATION, "invocationId": invocation_id, "target": target, "arguments": list(arguments)}
    return msgspec.json.encode(body) + SEPARATOR


# -- the user hub ----------------------------------------------------------------------------------

UserEvent = AccountReport | OrderReport | PositionReport | Fill

CREATED, UPDATED, DELETED = 0, 1, 2


class _Wrapped(Struct):
    action: int = UPDATED
    data: Raw = ABSENT


_wrapped = msgspec.json.Decoder(_Wrapped)
_many = msgspec.json.Decoder(list[Raw])
_order = msgspec.json.Decoder(entities.WireOrder)
_trade = msgspec.json.Decoder(entities.WireTrade)
_position = msgspec.json.Decoder(entities.WirePosition)
_account = msgspec.json.Decoder(entities.WireAccount)


def _decode_order(action: int, data: Raw) -> UserEvent:
    return entities.order_report(decode(_order, data, "order event"))


def _decode_trade(action: int, data: Raw) -> UserEvent:
    if action == DELETED:
        raise Theirs(SOURCE, "a deleted execution is not understood")
    return entities.fill(decode(_trade, data, "trade event"))


def _decode_position(action: int, data: Raw) -> UserEvent:
    report = entities.position_report(decode(_position, data, "position event"))
    if action == DELETED and report.net:
        raise Theirs(SOURCE, f"a closed position of {report.net} is not understood")
    return report


def _decode_account(action: int, data: Raw) -> UserEvent:
    return entities.account_report(decode(_account, data, "account event"))


_USER: dict[str, Callable[[int, Raw], UserEvent]] = {
    "GatewayUserOrder": _decode_order,
    "GatewayUserTrade": _decode_trade,
    "GatewayUserPosition": _decode_position,
    "GatewayUserAccount": _decode_account,
}
USER_TARGETS = frozenset(_USER)
LOGOUT = "GatewayLogout"  # undocumented, on either hub: the session was ended elsewhere


def user_events(target: str, arguments: Sequence[Raw]) -> list[UserEvent]:
    """The events of one user-hub invocation, in order. Raises Theirs; `target` is one of USER_TARGETS."""
    if len(arguments) != 1:
        raise Theirs(f"{SOURCE} {target}", f"{len(arguments)} arguments instead of 1")
    return [_user_event(_USER[target], raw) for raw in _elements(arguments[0])]


def _user_event(convert: Callable[[int, Raw], UserEvent], raw: Raw) -> UserEvent:
    wrapped = decode(_wrapped, raw, "user event")
    if wrapped.action not in (CREATED, UPDATED, DELETED):
        raise Theirs(SOURCE, f"action {wrapped.action} is not understood")
    return convert(wrapped.action, wrapped.data if bytes(wrapped.data) else raw)


def _elements(raw: Raw) -> Sequence[Raw]:
    """The elements of an array, or the single object itself."""
    if not bytes(raw).startswith(b"["):
        return (raw,)
    many = decode(_many, raw, "event array")
    if len(many) > MAX_ELEMENTS:
        raise Theirs(SOURCE, f"{len(many)} events in one record")
    return many


# -- the market hub --------------------------------------------------------------------------------


class _QuoteDelta(Struct, rename="camel"):
    last_price: Raw = ABSENT
    best_bid: Raw = ABSENT
    best_ask: Raw = ABSENT
    last_updated: str | None = None
    timestamp: str | None = None


class _TapeTrade(Struct):
    timestamp: str
    volume: int
    price: Raw = ABSENT


_contract = msgspec.json.Decoder(Text)
_quote = msgspec.json.Decoder(_QuoteDelta)
_tape = msgspec.json.Decoder(_TapeTrade)

QUOTE, TRADE = "GatewayQuote", "GatewayTrade"
QuoteDelta = tuple[int | None, int | None, int | None, int]
MAX_VOLUME = 10_000_000  # contracts in one execution of the tape


def market_contract(arguments: Sequence[Raw]) -> str:
    """The contract of a market-hub invocation `(contractId, payload)`. Raises Theirs."""
    if len(arguments) != 2:
        raise Theirs(f"{SOURCE} market hub", f"{len(arguments)} arguments instead of 2")
    return decode(_contract, arguments[0], "market event")


def tape(contract: str, payload: Raw) -> list[MarketTrade]:
    """The executions of one `GatewayTrade` payload, in order. Raises Theirs."""
    instrument = instrument_of(contract)
    rows = [decode(_tape, raw, "tape") for raw in _elements(payload)]
    if any(not 0 <= row.volume <= MAX_VOLUME for row in rows):
        raise Theirs(f"{SOURCE} tape", "volume out of bounds")
    return [
        MarketTrade(contract, known_price(row.price, instrument, "tape"), row.volume, stamp_ns(row.timestamp))
        for row in rows
    ]


class QuoteBook:
    """Quotes merged from sparse deltas: a member that is missing or null keeps its last value, it is never 0.

    Holds only contracts that the caller lets through, so it is bounded by the subscriptions.
    """

    def __init__(self) -> None:
        self._quotes: dict[str, Quote] = {}

    def merge(self, contract: str, payload: Raw, received_mono_ns: int) -> Quote:
        """The whole quote after this delta, as a new object. Raises Theirs and keeps the old one."""
        delta = decode(_quote, payload, "quote")
        instrument = instrument_of(contract)
        bid, ask, last = (
            price_ticks(raw, instrument) for raw in (delta.best_bid, delta.best_ask, delta.last_price)
        )
        stamp = delta.last_updated or delta.timestamp
        return self.update(contract, (bid, ask, last, stamp_ns(stamp) if stamp else 0), received_mono_ns)

    def update(self, contract: str, delta: QuoteDelta, received_mono_ns: int) -> Quote:
        """The same for a delta that was read already: bid, ask and last in ticks, the stamp; 0 = no stamp."""
        bid, ask, last, utc_ns = delta
        old = self._quotes.get(contract) or Quote(contract)
        quote = self._quotes[contract] = Quote(
            contract,
            old.bid_ticks if bid is None else bid,
            old.ask_ticks if ask is None else ask,
            old.last_ticks if last is None else last,
            utc_ns or old.utc_ns,
            received_mono_ns,
        )
        return quote

    def clear(self) -> None:
        """Forget everything: after a reconnect the old half of a quote says nothing about now."""
        self._quotes.clear()
