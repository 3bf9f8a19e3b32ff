"""REST replies of the ProjectX Gateway as values (facts sections 1.1 to 1.7), and what an answer proves.

Pure. HTTP 200 is not success: the envelope is. Requests are in `requests`, hub records in `signalr`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import msgspec
from msgspec import Struct

from app.domain.events import Outcome
from app.errors import LoginRefused, Refused, Theirs, clean
from app.venues.topstepx.codec.entities import (
    WireAccount,
    WireBar,
    WireContract,
    WireOrder,
    WirePosition,
    WireTrade,
)
from app.venues.topstepx.codec.fields import SOURCE, Code, decode


class Endpoint(StrEnum):
    """Every path of facts section 1 that a key holder may call."""

    LOGIN = "/api/Auth/loginKey"
    VALIDATE = "/api/Auth/validate"
    LOGOUT = "/api/Auth/logout"
    PING = "/api/Status/ping"
    ACCOUNTS = "/api/Account/search"
    CONTRACT_SEARCH = "/api/Contract/search"
    CONTRACT_BY_ID = "/api/Contract/searchById"
    CONTRACTS = "/api/Contract/available"
    BARS = "/api/History/retrieveBars"
    ORDERS = "/api/Order/search"
    OPEN_ORDERS = "/api/Order/searchOpen"
    ORDER_BY_ID = "/api/Order/searchById"
    ORDER_QUERY = "/api/Order/v2/query"
    PLACE = "/api/Order/place"
    MODIFY = "/api/Order/modify"
    CANCEL = "/api/Order/cancel"
    POSITIONS = "/api/Position/searchOpen"
    CLOSE = "/api/Position/closeContract"
    PARTIAL_CLOSE = "/api/Position/partialCloseContract"
    TRADES = "/api/Trade/search"


class Envelope(Struct, rename="camel"):
    """What every reply carries. HTTP 200 is not success; this is."""

    success: bool
    error_code: Code
    error_message: str | None = None


class TokenReply(Envelope):
    token: str | None = None


class NewTokenReply(Envelope):
    new_token: str | None = None


class AccountsReply(Envelope):
    accounts: list[WireAccount] | None = None


class ContractsReply(Envelope):
    contracts: list[WireContract] | None = None


class ContractReply(Envelope):
    contract: WireContract | None = None


class BarsReply(Envelope):
    bars: list[WireBar] | None = None


class OrdersReply(Envelope):
    orders: list[WireOrder] | None = None


class OrderReply(Envelope):
    order: WireOrder | None = None


class PositionsReply(Envelope):
    positions: list[WirePosition] | None = None


class TradesReply(Envelope):
    trades: list[WireTrade] | None = None


class PlacedReply(Envelope):
    order_id: int | None = None


E = TypeVar("E", bound=Envelope)
_REPLIES = {
    Endpoint.LOGIN: TokenReply,
    Endpoint.VALIDATE: NewTokenReply,
    Endpoint.LOGOUT: Envelope,
    Endpoint.ACCOUNTS: AccountsReply,
    Endpoint.CONTRACT_SEARCH: ContractsReply,
    Endpoint.CONTRACT_BY_ID: ContractReply,
    Endpoint.CONTRACTS: ContractsReply,
    Endpoint.BARS: BarsReply,
    Endpoint.ORDERS: OrdersReply,
    Endpoint.OPEN_ORDERS: OrdersReply,
    Endpoint.ORDER_BY_ID: OrderReply,
    Endpoint.ORDER_QUERY: OrdersReply,
    Endpoint.PLACE: PlacedReply,
    Endpoint.MODIFY: Envelope,
    Endpoint.CANCEL: Envelope,
    Endpoint.POSITIONS: PositionsReply,
    Endpoint.CLOSE: Envelope,
    Endpoint.PARTIAL_CLOSE: Envelope,
    Endpoint.TRADES: TradesReply,
}
_DECODERS = {endpoint: msgspec.json.Decoder(kind) for endpoint, kind in _REPLIES.items()}


def decode_reply(endpoint: Endpoint, body: bytes, kind: type[E]) -> E:
    """The reply of `endpoint`, success or not. Raises Theirs for bytes that are none, or contradictory."""
    reply = decode(_DECODERS[endpoint], body, endpoint)
    if not isinstance(reply, kind) or reply.success != (reply.error_code == 0):
        raise Theirs(f"{SOURCE} {endpoint}", f"success {reply.success} with error code {reply.error_code}")
    return reply


def check(endpoint: Endpoint, reply: Envelope) -> None:
    """Raises LoginRefused or Refused with the venue's own words when the reply is not a success."""
    if reply.success:
        return
    if endpoint is Endpoint.LOGIN:
        raise login_refused(reply.error_code, clean(reply.error_message or ""))
    words = clean(reply.error_message or "no reason given")
    raise Refused(f"topstepx {endpoint}", f"error {reply.error_code}", "", words)


CHECK_USER, CHECK_KEY = "check topstepx.user_name", "check topstepx.api_key_file"
CHECK_LOGIN = f"{CHECK_USER} and topstepx.api_key_file"
# What each code means, and what the owner can do about it.
_LOGIN_ERRORS = {
    1: ("user not found", CHECK_USER),
    2: ("wrong password", CHECK_KEY),
    3: ("invalid credentials", CHECK_LOGIN),
    6: ("invalid device", ""),
    7: ("agreements not signed", "sign them on the platform"),
    9: ("no API subscription", "subscribe on the platform"),
    10: ("API key authentication is disabled", "switch it on on the platform"),
}


def login_refused(code: int, words: str) -> LoginRefused:
    """The refusal with what to do; the venue's own `words` only when they say something else."""
    meaning, remedy = _LOGIN_ERRORS.get(code, ("", ""))
    said = "" if words.rstrip(".").casefold() == meaning.casefold() else words
    hint = "; ".join(filter(None, (remedy, said)))
    found = f"error {code}, {meaning}" if meaning else f"error {code}"
    return LoginRefused("topstepx.login", found, "", hint)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the answer to a writing request proves."""

    outcome: Outcome
    venue_id: int = 0
    reason: str = ""
    error_code: int = 0


# Statuses that prove that nothing was executed: turned away before it reached the trading system.
_TURNED_AWAY = frozenset({400, 401, 403, 404, 405, 411, 413, 414, 415, 431})
# Error codes that prove a refusal. Pending and UnknownError are left out on purpose: they may still execute.
_PROVEN: dict[Endpoint, frozenset[int]] = {
    Endpoint.PLACE: frozenset({1, 2, 3, 4, 5, 8, 9, 10}),
    Endpoint.MODIFY: frozenset({1, 2, 3, 6, 7}),
    Endpoint.CANCEL: frozenset({1, 2, 3, 6}),
    Endpoint.CLOSE: frozenset({1, 2, 3, 4, 5, 8}),
    Endpoint.PARTIAL_CLOSE: frozenset({1, 2, 3, 4, 5, 6, 9}),
}


def judge(endpoint: Endpoint, status: int, body: bytes) -> Verdict:
    """The verdict on a whole answer to a writing request. What is not proof is AMBIGUOUS. Never raises."""
    if status in _TURNED_AWAY:
        return Verdict(Outcome.REJECTED, reason=f"HTTP {status}")
    if status != 200:
        return Verdict(Outcome.AMBIGUOUS, reason=f"HTTP {status}")
    try:
        reply = decode_reply(endpoint, body, Envelope)
    except Theirs as error:
        return Verdict(Outcome.AMBIGUOUS, reason=str(error))
    return _judge_reply(endpoint, reply)


def _judge_reply(endpoint: Endpoint, reply: Envelope) -> Verdict:
    venue_id = max(0, reply.order_id or 0) if isinstance(reply, PlacedReply) else 0
    if reply.success:
        if endpoint is Endpoint.PLACE and not 0 < venue_id < 2**63:
            return Verdict(Outcome.AMBIGUOUS, reason="accepted without an order id")
        return Verdict(Outcome.ACCEPTED, venue_id)
    proven = reply.error_code in _PROVEN[endpoint]
    words = clean(reply.error_message or f"error code {reply.error_code}")
    return Verdict(Outcome.REJECTED if proven else Outcome.AMBIGUOUS, venue_id, words, reply.error_code)
