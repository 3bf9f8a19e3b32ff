"""Orders: what they are, and the one table of how their state may change.

The table is ours, not the venue's: it adds what the venue cannot see (not sent yet, sent without an answer,
lost). `diagram()` draws the table; a test holds the
README's picture and the table equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from app.errors import IllegalTransition

MANUAL = "manual"  # strategy of every order and fill that carries no tag of ours


class Side(IntEnum):
    """The sign of a position change."""

    BUY = 1
    SELL = -1

    @property
    def opposite(self) -> Side:
        return Side(-self.value)


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    TRAILING_STOP = "trailing_stop"
    JOIN_BID = "join_bid"
    JOIN_ASK = "join_ask"
    UNKNOWN = "unknown"

    @property
    def is_stop(self) -> bool:
        """Triggers when the market goes against it."""
        return self in (OrderType.STOP, OrderType.TRAILING_STOP)


class Role(StrEnum):
    """What an order is for. ENTRY may add exposure; the others only take it away."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"

    @property
    def protective(self) -> bool:
        return self in (Role.STOP, Role.TARGET)


class OrderState(StrEnum):
    PENDING = "pending"  # approved and journalled, no byte sent
    SENT = "sent"  # bytes handed to the kernel, no answer yet
    UNKNOWN = "unknown"  # the answer was ambiguous: it may or may not exist at the venue
    SUSPENDED = "suspended"  # a bracket leg that waits for its entry
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"  # stopped by us before a byte left
    LOST = "lost"  # proven absent by three complete reads

    @property
    def terminal(self) -> bool:
        return self in TERMINAL

    @property
    def live(self) -> bool:
        """May exist, or come to exist, at the venue."""
        return self not in TERMINAL


class OrderEvent(StrEnum):
    SEND = "send"
    ACCEPT = "accept"  # the venue answered with an id
    WORK = "work"
    SUSPEND = "suspend"
    PART = "part"  # part of the size is filled
    FILL = "fill"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    DOUBT = "doubt"  # time-out, 5xx, dropped link
    LOSE = "lose"


_S, _E = OrderState, OrderEvent
_FROM_VENUE: dict[OrderEvent, OrderState] = {
    _E.ACCEPT: _S.WORKING,
    _E.WORK: _S.WORKING,
    _E.SUSPEND: _S.SUSPENDED,
    _E.PART: _S.WORKING,
    _E.FILL: _S.FILLED,
    _E.CANCEL: _S.CANCELLED,
    _E.EXPIRE: _S.EXPIRED,
    _E.REJECT: _S.REJECTED,
}
TRANSITIONS: dict[OrderState, dict[OrderEvent, OrderState]] = {
    _S.PENDING: {_E.SEND: _S.SENT, _E.WITHDRAW: _S.WITHDRAWN, _E.DOUBT: _S.UNKNOWN},
    _S.SENT: {**_FROM_VENUE, _E.DOUBT: _S.UNKNOWN, _E.WITHDRAW: _S.WITHDRAWN},
    _S.UNKNOWN: {**_FROM_VENUE, _E.LOSE: _S.LOST, _E.DOUBT: _S.UNKNOWN},
    _S.SUSPENDED: {k: v for k, v in _FROM_VENUE.items() if k is not _E.ACCEPT},
    _S.WORKING: {k: v for k, v in _FROM_VENUE.items() if k is not _E.SUSPEND},
    # An order that surfaces after LOST is adopted and cancelled, or booked if it was filled.
    _S.LOST: _FROM_VENUE,
    _S.FILLED: {},
    _S.CANCELLED: {},
    _S.EXPIRED: {},
    _S.REJECTED: {},
    _S.WITHDRAWN: {},
}
TERMINAL = frozenset({_S.FILLED, _S.CANCELLED, _S.EXPIRED, _S.REJECTED, _S.WITHDRAWN, _S.LOST})


def next_state(state: OrderState, event: OrderEvent) -> OrderState:
    """The state after `event`. Raises IllegalTransition and changes nothing if the table has no such row."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition("order", state, event) from None


@dataclass(frozen=True, slots=True)
class Bracket:
    """Protective legs as positive distances in ticks from the entry's fill price. 0 = no such leg."""

    stop_ticks: int
    target_ticks: int = 0


@dataclass(slots=True)
class Order:
    """One order of the account, ours or the owner's. Mutable: only `app.engine` changes one.

    `tag` is ours for ever (the venue's customTag; `venue:<id>` for orders that carry no tag), `venue_id` is 0
    until the venue has told it. `filled` counts contracts. `strategy` is "manual" for orders without our tag.
    """

    tag: str
    strategy: str
    account_id: int
    contract: str
    side: Side
    size: int
    type: OrderType
    role: Role = Role.ENTRY
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    bracket: Bracket | None = None
    oco: str = ""  # orders with the same non-empty group: the first fill cancels the others
    parent_tag: str = ""
    state: OrderState = OrderState.PENDING
    venue_id: int = 0
    filled: int = 0
    created_ns: int = 0
    updated_ns: int = 0
    venue_updated_ns: int = field(
        default=0, compare=False
    )  # the venue's own stamp of its last word, compared only with its own
    reason: str = ""  # the venue's or our words for REJECTED, WITHDRAWN, LOST
    cancel_requested: bool = False
    ref: str = field(default="")  # the strategy's own name for it

    @property
    def remaining(self) -> int:
        return self.size - self.filled if self.state.live else 0

    def apply(self, event: OrderEvent, utc_ns: int) -> OrderState:
        """Move to the next state; raises IllegalTransition and changes nothing if the table forbids it."""
        self.state = next_state(self.state, event)
        self.updated_ns = max(self.updated_ns, utc_ns)
        return self.state


def diagram() -> str:
    """The table as a Mermaid state diagram, sorted, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> pending"]
    for state, row in TRANSITIONS.items():
        for target in sorted(set(row.values()), key=list(OrderState).index):
            events = ", ".join(e for e in OrderEvent if row.get(e) is target)
            lines.append(f"    {state} --> {target}: {events}")
    return "\n".join(lines)
