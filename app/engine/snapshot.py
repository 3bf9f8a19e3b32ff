"""The engine as others may see it: frozen values, exact decimal texts, ready for JSON. No behaviour.

Page, CLI, lights and health all read this one picture. Money is decimal text in USD, prices decimal text,
times UTC ns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class ReasonView:
    """Why trading is restricted. `ends` says in words who or what ends it."""

    code: str
    kind: str  # person, time, condition
    scope: str  # "*" or the account id
    state: str  # reducing, halted
    goal: str  # none, no_entries, flat
    since_ns: int
    until_ns: int
    detail: str
    ends: str


@dataclass(frozen=True, slots=True)
class GoalView:
    """The halt goal being pursued. `pending` True until the venue confirmed it; `detail` says what it waits
    for.
    """

    goal: str
    pending: bool
    detail: str
    next_try_ns: int  # monotonic ns until the next try, 0 = none scheduled


@dataclass(frozen=True, slots=True)
class AccountView:
    """`floor` and `daily_limit` are "" when unknown or absent; percentages are 0..100 of the limit used."""

    id: int
    name: str
    balance: str
    equity: str
    can_trade: bool
    floor: str
    floor_distance: str
    maximum_loss_used: int
    daily_limit: str
    daily_loss_used: int


@dataclass(frozen=True, slots=True)
class TodayView:
    """The trading day's P&L: gross and fees of today's fills, unrealised at the pessimistic side of the
    quote.
    """

    trade_date: str
    gross: str
    fees: str
    unrealised: str  # "" = unknown (position open, no quote)
    net: str  # gross - fees + unrealised; "" = unknown
    trades: int
    contracts: int


@dataclass(frozen=True, slots=True)
class PositionView:
    contract: str
    symbol: str
    net: int
    average: str
    unrealised: str
    stop: str  # price of the working stop the venue confirmed, "" = none
    target: str
    by_strategy: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OrderView:
    tag: str
    venue_id: int
    strategy: str
    contract: str
    symbol: str
    side: str  # buy, sell
    size: int
    filled: int
    type: str
    role: str
    limit: str
    stop: str
    state: str
    reason: str
    created_ns: int
    updated_ns: int


@dataclass(frozen=True, slots=True)
class StrategyLine:
    name: str
    symbol: str
    contract: str
    ready: bool
    net_today: str  # realised today under this strategy
    trades_today: int
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FeedView:
    symbol: str
    contract: str
    bid: str
    ask: str
    last: str
    age_ms: int  # -1 = no quote yet
    stale: bool


@dataclass(frozen=True, slots=True)
class EventView:
    utc_ns: int
    level: str  # info, warning, alarm
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class BoardView:
    """The board with the kill switch, as last heard. `latency_ms`: how late its frames come, -1 = unknown."""

    mode: str = "none"  # owner, guest, serial, virtual, stand-in, none
    state: str = "silent"  # silent, tripped, ready, run, fault
    contacts: str = ""  # closed, open, "a open", "b open"; "" = not known
    cause: str = ""  # what tripped it
    faults: tuple[str, ...] = ()
    detail: str = ""  # why there is no session, "" with one
    target: str = ""
    firmware: str = ""  # hash of what runs there
    foreign: bool = False  # what answers there speaks another version of the protocol
    outdated: bool = False  # this release carries another firmware for it
    reset: str = ""  # why it last began: unknown, power, pin, watchdog, software
    boot_id: int = 0
    sessions: int = 0  # begun since the start
    latency_ms: int = -1
    counters: Mapping[str, int] = field(default_factory=dict)  # the board's own, of frames


@dataclass(frozen=True, slots=True)
class UpdateView:
    """The updater, in its own words; "" = nothing. `failed`: why the last release did not stay; `looked`:
    what the last look for one found in the way; `waits`: for what a release has waited for days.
    """

    doing: str = ""
    failed: str = ""
    looked: str = ""
    waits: str = ""


@dataclass(frozen=True, slots=True)
class StorageView:
    """The disk under the journal, as last measured; -1 = not known here. `written_bytes` are the service's
    of the last 24 hours (or since its start), `device_written_bytes` the whole machine's. `worn_percent` and
    `spare` (1 good, 2 most used, 3 nearly gone) are what an eMMC says of itself. `troubles`: code to words.
    """

    free_bytes: int = -1
    used_bytes: int = -1
    written_bytes: int = -1
    device_written_bytes: int = -1
    worn_percent: int = -1
    spare: int = -1
    troubles: Mapping[str, str] = field(default_factory=dict)

    def troubled(self, code: str, words: str) -> StorageView:
        """The same with one more trouble."""
        return replace(self, troubles={**self.troubles, code: words})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent picture, taken between two calls of the engine."""

    version: str
    mode: str  # simulate, shadow, live
    clock: str  # system, simulator, virtual
    utc_ns: int
    state: str  # active, reducing, halted
    armed: bool
    synced: bool
    link_up: bool
    link_detail: str
    session_open: bool
    journal: str  # "" = fine, else why it cannot be written
    panel: str  # closed, open, silent
    reasons: tuple[ReasonView, ...]
    goal: GoalView
    account: AccountView | None
    today: TodayView | None
    positions: tuple[PositionView, ...]
    orders: tuple[OrderView, ...]  # live ones, then the day's others, newest first, at most 50
    strategies: tuple[StrategyLine, ...]
    feeds: tuple[FeedView, ...]
    events: tuple[EventView, ...]  # newest first, at most 50
    native: Mapping[str, str] = field(default_factory=dict)
    board: BoardView = BoardView()
    update: UpdateView = UpdateView()
    storage: StorageView = StorageView()
