"""What the engine tells the journal: one small type a fact. The store maps each to SQL; the engine knows no
SQL.

A record may hold live objects (an `Order`): `Journal.append` copies what it needs before it returns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from app.domain.events import AccountReport, Fill
from app.domain.market import Bar
from app.domain.orders import Order
from app.risk.state import Goal, Reason


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """The order is now like this (upsert by tag) and `event` brought it there (kept as history)."""

    order: Order
    event: str
    utc_ns: int


@dataclass(frozen=True, slots=True)
class FillBooked:
    """An execution was booked once, under `tag` and `strategy`, on `trade_date`. Unique by (account, fill
    id).
    """

    fill: Fill
    tag: str
    strategy: str
    trade_date: date


@dataclass(frozen=True, slots=True)
class FillVoided:
    """The venue took an execution back."""

    account_id: int
    fill_id: int
    utc_ns: int


@dataclass(frozen=True, slots=True)
class AccountSeen:
    report: AccountReport
    utc_ns: int


@dataclass(frozen=True, slots=True)
class EndOfDay:
    """The balance at the end of `trade_date` and the maximum-loss floor that holds from then on."""

    account_id: int
    trade_date: date
    balance_micro: int
    floor_micro: int


@dataclass(frozen=True, slots=True)
class ReasonOpened:
    reason: Reason


@dataclass(frozen=True, slots=True)
class ReasonClosed:
    reason: Reason
    by: str
    utc_ns: int


@dataclass(frozen=True, slots=True)
class ArmedChanged:
    """The durable latch: `armed` False until a person re-arms. Set on every arm and every PERSON reason."""

    armed: bool
    by: str
    why: str
    utc_ns: int


@dataclass(frozen=True, slots=True)
class GoalChanged:
    """The halt goal of an account; `done` once the venue confirmed it."""

    account_id: int
    goal: Goal
    done: bool
    detail: str
    utc_ns: int


@dataclass(frozen=True, slots=True)
class TagsReserved:
    """Tag counters up to and including `up_to` may have been used."""

    up_to: int


@dataclass(frozen=True, slots=True)
class StrategyState:
    """What a strategy must remember over a restart, as JSON text."""

    strategy: str
    account_id: int
    text: str
    utc_ns: int


@dataclass(frozen=True, slots=True)
class Happened:
    """A line of the event list for the owner. `level` is "info", "warning" or "alarm"; `code` is stable."""

    level: str
    code: str
    text: str
    utc_ns: int
    account_id: int = 0
    strategy: str = ""


@dataclass(frozen=True, slots=True)
class Audited:
    """A command by a person: who, what, why, and how it ended."""

    actor: str
    command: str
    detail: str
    outcome: str
    utc_ns: int


@dataclass(frozen=True, slots=True)
class TwinsDiffered:
    """The compiled and the pure twin of a native module gave different answers. Texts are bounded."""

    module: str
    function: str
    arguments: str
    compiled: str
    pure: str
    utc_ns: int


@dataclass(frozen=True, slots=True)
class TwinException:
    """A native module runs on its pure twin from now on, or (`standing` False) no longer has to."""

    module: str
    standing: bool
    by: str
    why: str
    utc_ns: int


@dataclass(frozen=True, slots=True)
class LatencyMeasured:
    """Monotonic stamps (ns) of one order on its way; 0 = stage not passed."""

    tag: str
    frame_ns: int
    strategy_ns: int
    gate_ns: int
    journal_ns: int
    send_ns: int
    acknowledge_ns: int
    utc_ns: int


@dataclass(frozen=True, slots=True)
class VenueCalled:
    """One REST call: HTTP status (0 = no answer), envelope error code, duration, attempts."""

    endpoint: str
    status: int
    error_code: int
    duration_ns: int
    attempts: int
    utc_ns: int


@dataclass(frozen=True, slots=True)
class BarClosed:
    """A completed bar of `contract`; `minutes` is its length."""

    contract: str
    minutes: int
    bar: Bar


Record = (
    OrderChanged
    | FillBooked
    | FillVoided
    | AccountSeen
    | EndOfDay
    | ReasonOpened
    | ReasonClosed
    | ArmedChanged
    | GoalChanged
    | TagsReserved
    | StrategyState
    | Happened
    | Audited
    | TwinsDiffered
    | TwinException
    | LatencyMeasured
    | VenueCalled
    | BarClosed
)


@dataclass(frozen=True, slots=True)
class Latch:
    """What the journal knows of the latch. `armed` is True only if the last word on disk is a person's re-
    arm.
    """

    armed: bool
    reasons: tuple[Reason, ...] = ()  # open PERSON and TIME reasons


@dataclass(frozen=True, slots=True)
class Recovered:
    """Everything the engine needs back after a restart. `latch` is None when it is missing or unreadable."""

    latch: Latch | None = None
    orders: tuple[Order, ...] = ()  # every order that is not terminal, and all of the last 5 trading days
    fills: tuple[
        FillBooked, ...
    ] = ()  # from the last moment every position was flat, at least the last 5 trading days
    end_of_days: tuple[EndOfDay, ...] = ()
    goals: tuple[GoalChanged, ...] = ()  # not done
    tags_reserved: int = 0
    strategy_states: dict[str, str] = field(default_factory=dict)
