"""The venue's own idea of an order: its wire enums, the record, and the one table of how its status may
change.

This is the oracle's vocabulary; the client has its own (`app.domain.orders`), and the two share nothing but
the facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from app.errors import IllegalTransition


class Type(IntEnum):
    UNKNOWN = 0
    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3
    STOP = 4
    TRAILING_STOP = 5
    JOIN_BID = 6
    JOIN_ASK = 7

    @property
    def words(self) -> str:
        """As the venue's texts write it: "StopLimit"."""
        return "".join(part.capitalize() for part in self.name.split("_"))


class Status(IntEnum):
    NONE = 0
    OPEN = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5
    PENDING = 6
    PENDING_CANCELLATION = 7
    SUSPENDED = 8


_S = Status
TRANSITIONS: dict[Status, frozenset[Status]] = {
    _S.NONE: frozenset({_S.PENDING, _S.OPEN, _S.SUSPENDED, _S.REJECTED}),
    _S.PENDING: frozenset({_S.OPEN, _S.FILLED}),
    _S.SUSPENDED: frozenset({_S.OPEN, _S.CANCELLED, _S.EXPIRED}),
    _S.OPEN: frozenset({_S.OPEN, _S.FILLED, _S.CANCELLED, _S.EXPIRED}),
    **dict.fromkeys((_S.FILLED, _S.CANCELLED, _S.EXPIRED, _S.REJECTED, _S.PENDING_CANCELLATION), frozenset()),
}


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of a native bracket as asked for: signed ticks from the entry's fill price, and a wire order
    type.
    """

    ticks: int
    type: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request to place an order. Prices are decimals as received; `side` is +1 to buy, -1 to sell."""

    account_id: int
    contract: str
    type: int
    side: int
    size: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    tag: str | None = None
    stop_loss: Leg | None = None
    take_profit: Leg | None = None


@dataclass(slots=True)
class Order:
    """One order of one account. Prices and distances in ticks. Changed only by the exchange.

    `trail_ticks` is signed: for a leg of a bracket its distance from the fill, for a trailing stop the
    distance it keeps.
    """

    id: int
    account_id: int
    contract: str
    side: int
    size: int
    type: Type
    created_ns: int
    status: Status = Status.NONE
    updated_ns: int | None = None
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    trail_ticks: int | None = None
    filled: int = 0
    filled_ticks: int | None = None
    tag: str | None = None
    parent_id: int | None = None
    linked_id: int | None = None

    @property
    def working(self) -> bool:
        return self.status is Status.OPEN

    @property
    def live(self) -> bool:
        return self.status in (Status.OPEN, Status.SUSPENDED, Status.PENDING)

    def move(self, status: Status, utc_ns: int) -> None:
        """Change the status. Raises IllegalTransition and changes nothing when the table has no such row."""
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition("venue order", self.status.name, status.name)
        self.status, self.updated_ns = status, utc_ns
