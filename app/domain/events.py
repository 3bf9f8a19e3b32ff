"""What a venue tells about our accounts, already decoded: plain values, no venue words left but the ids.

Pure data. Prices in ticks, money in micro-units, times UTC ns, `size` and `filled` in contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.orders import OrderState, OrderType, Side


@dataclass(frozen=True, slots=True)
class OrderReport:
    """The venue's word on one order. `state` is never PENDING, SENT, UNKNOWN, WITHDRAWN or LOST (those are
    ours).
    """

    venue_id: int
    account_id: int
    contract: str
    state: OrderState
    type: OrderType
    side: Side
    size: int
    filled: int
    limit_ticks: int | None
    stop_ticks: int | None
    tag: str  # "" when the venue sent none
    parent_id: int
    linked_id: int
    created_ns: int
    updated_ns: int


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of ours; `id` is the venue's and unique per account. Fees include commissions, >= 0.

    `gross_micro` is the venue's own gross P&L of a closing execution, None on an opening one (0 is a real
    result).
    """

    id: int
    order_id: int
    account_id: int
    contract: str
    side: Side
    size: int
    price_ticks: int
    fees_micro: int
    utc_ns: int
    gross_micro: int | None = None
    voided: bool = False


@dataclass(frozen=True, slots=True)
class PositionReport:
    """Signed net position of one contract. Averages are never parsed: they come from our own fills."""

    account_id: int
    contract: str
    net: int


@dataclass(frozen=True, slots=True)
class AccountReport:
    """`balance_micro` is realised, net of fees; the venue has no field for limits or unrealised P&L."""

    account_id: int
    name: str
    balance_micro: int
    can_trade: bool
    simulated: bool


class Outcome(StrEnum):
    """How a request to the venue ended. AMBIGUOUS = time-out, 5xx, 429 after sending, dropped link,
    unreadable answer.
    """

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    AMBIGUOUS = "ambiguous"
    WITHDRAWN = "withdrawn"  # the last check inside the write said no: not one byte of the body left


class Request(StrEnum):
    """What a `Reply` answers."""

    PLACE = "place"
    MODIFY = "modify"
    CANCEL = "cancel"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request.

    `ref` is the order's tag (place, modify, cancel) or the contract (close); `reason` is the venue's or our
    text; `venue_id` is the new order's id after an accepted place (and after a refused one when the venue
    gave one).
    """

    request: Request
    ref: str
    outcome: Outcome
    venue_id: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OpenSnapshot:
    """One quick complete read of what is open *now*: working orders and positions, nothing else (two
    requests).

    The halt lives on these: they fit the reserved part of the rate budget. Suspended legs are not in it.
    """

    account_id: int
    orders: tuple[OrderReport, ...]
    positions: tuple[PositionReport, ...]
    begun_mono_ns: int
    ended_mono_ns: int


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """One *complete* read of an account: every list was received whole, or the read failed and there is no
    snapshot.

    `orders` are all orders of the trading day in any state, bracket legs included; `fills` all executions
    since `fills_since_ns`. `begun_mono_ns` is when the first request was sent: anything heard later is newer
    than the read.
    """

    account: AccountReport
    orders: tuple[OrderReport, ...]
    positions: tuple[PositionReport, ...]
    fills: tuple[Fill, ...]
    fills_since_ns: int
    begun_mono_ns: int
    ended_mono_ns: int
