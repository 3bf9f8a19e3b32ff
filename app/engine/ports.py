"""The Protocols through which the engine meets the world. Adapters implement them and meet only in
`app.compose`.

The engine is synchronous: every call returns at once and nothing here is awaited. Answers come back as calls
of the `Sink`, on the loop that owns the engine. That makes one engine serve the live desk, the replay and the
simulation tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from app.domain.events import (
    AccountReport,
    AccountSnapshot,
    Fill,
    OpenSnapshot,
    OrderReport,
    PositionReport,
    Reply,
)
from app.domain.intents import Intent
from app.domain.market import Bar, MarketTrade, Quote
from app.domain.orders import Order
from app.engine.records import Record
from app.engine.snapshot import BoardView, Snapshot
from app.risk.approved import Action, Approved

__all__ = [
    "Action",
    "Approved",
    "Journal",
    "Panel",
    "Reader",
    "Sink",
    "Strategy",
    "StrategyView",
    "Trips",
    "Venue",
]


class Sink(Protocol):
    """What a venue adapter may tell the engine. Calls never raise for bad data: the adapter decoded it
    already.
    """

    def on_quote(self, quote: Quote, received_mono_ns: int) -> None: ...
    def on_market_trade(self, trade: MarketTrade) -> None: ...
    def on_order(self, report: OrderReport) -> None: ...
    def on_fill(self, fill: Fill) -> None: ...
    def on_position(self, report: PositionReport) -> None: ...
    def on_account(self, report: AccountReport) -> None: ...
    def on_reply(self, reply: Reply) -> None:
        """The answer to one request. AMBIGUOUS comes only after the connection that carried it is closed."""

    def on_snapshot(self, snapshot: AccountSnapshot) -> None: ...
    def on_open(self, snapshot: OpenSnapshot) -> None: ...
    def on_read_failed(self, account_id: int, reason: str, complete: bool = True) -> None:
        """A read (`complete`, or of what is open) failed. A failed read is never "flat"."""

    def on_bars(self, contract: str, bars: Sequence[Bar]) -> None:
        """History, oldest first, completed one-minute bars only."""

    def on_bars_failed(self, contract: str, reason: str) -> None: ...
    def on_link(self, up: bool, reason: str) -> None:
        """Both hubs are up and subscribed (True), or one was lost (False). After True the engine re-reads
        REST.
        """

    def on_sent(self, approved: Approved) -> None:
        """The bytes were handed to the transport."""

    def may_send(self, approved: Approved) -> str:
        """The last check, inside the write, no await before the bytes: "" = go, else why not (reply
        WITHDRAWN).
        """

    def on_called(self, record: Record) -> None:
        """A `VenueCalled` for the journal."""


class Venue(Protocol):
    """One account at one venue. All calls return at once; none raises for a network reason."""

    def encode_place(self, order: Order) -> bytes:
        """The place body of `order`. Raises Refused for what the venue cannot express."""

    def encode_modify(
        self, order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None
    ) -> bytes:
        """The modify body of a working order; None = unchanged."""

    def submit(self, approved: Approved) -> None:
        """Send a place or modify exactly once. Never retried."""

    def cancel(self, order: Order) -> None:
        """Ask to cancel. Idempotent; uses the reserved budget and the warm connection."""

    def close(self, contract: str) -> None:
        """Close the whole position; it computes the size. Reserved budget, warm connection."""

    def read(self, since_ns: int) -> None:
        """Begin one complete read; fills since `since_ns`. Ends in `on_snapshot` or `on_read_failed`."""

    def read_open(self) -> None:
        """Begin a read of open orders and positions only, on the reserved budget and the warm connection.

        Ends in `on_open` or `on_read_failed`.
        """

    def read_bars(self, contract: str, start_ns: int, end_ns: int) -> None:
        """Begin a history read of one-minute bars in [start, end). Ends in `on_bars` or `on_bars_failed`."""


class Journal(Protocol):
    """Durable memory. `append` copies the records before it returns."""

    def append(
        self, records: Sequence[Record], then: Callable[[Exception | None], None] | None = None
    ) -> None:
        """Write; with `then`, call it on the loop after the commit is on disk (None) or has failed (the
        error).

        Records without `then` are written in the same order, soon, and nobody waits. Many appends share one
        commit.
        """

    def disarm(self) -> None:
        """A person's reason stands: no start from now on counts as armed, whatever rows the disk takes.

        Returns at once, never raises, needs no free space.
        """

    @property
    def failed(self) -> str:
        """ "" while the journal can be written, else why not. Trading is closed on anything else."""


class Panel(Protocol):
    """The board, or its stand-in: the physical switch in, the lights out.

    The adapter calls `engine.trip(cause)` directly, ahead of every queue, when the switch opens, and
    `engine.on_panel(fresh, closed)` when its session becomes fresh, silent, or the contact changes.
    """

    def show(self, snapshot: Snapshot) -> None:
        """Show the state; called at most 10 times a second, never blocks."""

    def heartbeat(self, mono_ns: int) -> None:
        """The work loop turns; called every 50 ms by the engine's own timer."""

    def view(self) -> BoardView:
        """What is known of the board itself, for people. The trading state never rests on it."""


class Trips(Protocol):
    """The part of the engine that a board may call, ahead of every queue."""

    def trip(self, cause: str) -> None:
        """The switch opened."""

    def latched(self) -> bool:
        """Whether every trip so far is on disk: until then the board must go on telling it."""

    def on_panel(self, fresh: bool, closed: bool) -> None:
        """The session became fresh or silent, or the contact moved."""


class StrategyView(Protocol):
    """What a strategy may see. Read only."""

    def utc_ns(self) -> int: ...
    def quote(self, symbol: str) -> Quote | None: ...
    def net(self, symbol: str) -> int:
        """Signed contracts this strategy holds (its own sub-book)."""

    def orders(self) -> Iterable[Order]:
        """This strategy's live orders."""

    def open(self) -> bool:
        """Trading is active and the book agrees with the venue. False may pass in seconds (a reconnect)."""


class Strategy(Protocol):
    """Pure: events in, intents out. Every hook may return intents; none may keep time, threads or files.

    `symbol` is resolved to the active contract by the engine; the intents carry the contract.
    """

    name: str
    symbol: str

    def start(self, contract: str, view: StrategyView) -> None: ...
    def wants_bars_from(self, utc_ns: int) -> int:
        """Market time from which one-minute history is needed now; 0 = none."""

    def next_time(self, utc_ns: int) -> int:
        """The next instant at which `on_time` must run, 0 = none. Asked again after every hook."""

    def on_bar(self, bar: Bar) -> Sequence[Intent]: ...
    def on_quote(self, quote: Quote) -> Sequence[Intent]: ...
    def on_time(self, utc_ns: int) -> Sequence[Intent]: ...
    def on_order(self, order: Order) -> Sequence[Intent]: ...
    def on_fill(self, fill: Fill, order: Order) -> Sequence[Intent]: ...
    def on_refused(self, intent: Intent, rule: str, text: str) -> Sequence[Intent]: ...
    def state(self) -> str:
        """JSON text of what must survive a restart; compared after each hook, journalled when it changed."""

    def restore(self, text: str) -> None: ...
    def facts(self) -> Mapping[str, str]:
        """What to show of it on page and in reports (range, ATR, prices, phase)."""


class Reader(Protocol):
    """Read-only history for page and CLI, from the journal's own read connection."""

    async def trades(self, limit: int) -> list[dict[str, Any]]: ...
    async def events(self, limit: int) -> list[dict[str, Any]]: ...
    async def orders(self, limit: int) -> list[dict[str, Any]]: ...
