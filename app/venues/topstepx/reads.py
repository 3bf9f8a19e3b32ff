"""The reads the engine asks for: the complete account, what is open now, and bars. One of each at a time.

A list that is missing or null on success is not an empty list but a failed read. Requests made while a read
runs are served by one that starts afterwards: an answer that was under way when the question came proves
nothing about it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from app.clock import Clock
from app.domain.events import AccountReport, AccountSnapshot, Fill, OpenSnapshot, OrderReport, PositionReport
from app.domain.market import MINUTE_NS, Bar
from app.engine.ports import Sink
from app.errors import PlimsollError, Refused, Theirs
from app.venues.topstepx.codec import entities, requests
from app.venues.topstepx.codec.entities import LIVE_STATUSES, WireOrder, WirePosition, WireTrade
from app.venues.topstepx.codec.fields import SOURCE, instrument_of
from app.venues.topstepx.codec.replies import (
    AccountsReply,
    BarsReply,
    Endpoint,
    OrderReply,
    OrdersReply,
    PositionsReply,
    TradesReply,
)
from app.venues.topstepx.limiter import Lane
from app.venues.topstepx.rest import MISSING, Rest

log = logging.getLogger(__name__)

BATCH = 500  # rows converted before the loop gets a turn
QUERY_PAGE = 500  # orders a page of Order/v2/query: live orders only, so one page is the rule
QUERY_PAGES = 20  # 10,000 live orders: a venue that pages for ever must not keep us
BARS_PAGE = 5_000  # bars asked at once, of 20,000 possible: half a megabyte is decoded in one go
BARS_PAGES = 100  # a year of minutes is about 70 pages
MAX_WAITING = 64  # history requests waiting; an engine asks once per strategy and start

TICK_NS = 100  # the resolution of the venue's time stamps

Row = TypeVar("Row")
OwnedRow = TypeVar("OwnedRow", WireOrder, WirePosition, WireTrade)
Value = TypeVar("Value")


def proven(rows: list[Row] | None, endpoint: Endpoint) -> list[Row]:
    """The rows of a successful reply. Raises Theirs when the list is missing: that is not proof of "none"."""
    if rows is None:
        raise Theirs(f"{SOURCE} {endpoint}", "no list, which does not prove an empty one")
    return rows


async def converted(convert: Callable[[Row], Value], rows: Sequence[Row]) -> list[Value]:
    """All rows converted, in batches with a turn of the loop between them."""
    values: list[Value] = []
    for start in range(0, len(rows), BATCH):
        if start:
            await asyncio.sleep(0)
        values += map(convert, rows[start : start + BATCH])
    return values


def merged(orders: Iterable[OrderReport]) -> tuple[OrderReport, ...]:
    """One report per id: the newest, and of two equally old ones the one that has ended."""
    newest: dict[int, OrderReport] = {}
    for order in orders:
        old = newest.get(order.venue_id)
        if old is None or _rank(order) > _rank(old):
            newest[order.venue_id] = order
    return tuple(newest[key] for key in sorted(newest))


def _rank(order: OrderReport) -> tuple[int, bool, int]:
    return order.updated_ns, order.state.terminal, order.filled


class Reads:
    """Serves the engine's questions about one account, each kind in a task of its own (`run_*`)."""

    def __init__(
        self,
        rest: Rest,
        clock: Clock,
        sink: Callable[[], Sink],
        live_data: bool,
        on_positions: Callable[[Iterable[PositionReport]], None],
    ) -> None:
        self._rest, self._clock, self._sink, self._on_positions = rest, clock, sink, on_positions
        self.account_id = 0  # known once the account was found
        self._live_data = live_data
        self._since_ns: int | None = None
        self._asked = asyncio.Event()
        self._asked_open = asyncio.Event()
        self._bars: deque[tuple[str, int, int]] = deque()
        self._asked_bars = asyncio.Event()

    # -- questions ---------------------------------------------------------------------------------

    def read(self, since_ns: int) -> None:
        """A complete read; several questions become one read from the earliest time."""
        self._since_ns = since_ns if self._since_ns is None else min(self._since_ns, since_ns)
        self._asked.set()

    def read_open(self) -> None:
        self._asked_open.set()

    def read_bars(self, contract: str, start_ns: int, end_ns: int) -> None:
        if len(self._bars) >= MAX_WAITING:
            problem = f"{MAX_WAITING} history reads are waiting already"
            asyncio.get_running_loop().call_soon(self._sink().on_bars_failed, contract, problem)
            return
        self._bars.append((contract, start_ns, end_ns))
        self._asked_bars.set()

    # -- the tasks ---------------------------------------------------------------------------------

    async def run_complete(self) -> None:
        """Until cancelled: serve `read`."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            since, self._since_ns = self._since_ns or 0, None
            await self._told(self._complete(since), lambda snapshot: self._sink().on_snapshot(snapshot), True)

    async def run_open(self) -> None:
        """Until cancelled: serve `read_open`."""
        while True:
            await self._asked_open.wait()
            self._asked_open.clear()
            await self._told(self._open(), lambda snapshot: self._sink().on_open(snapshot), False)

    async def run_bars(self) -> None:
        """Until cancelled: serve `read_bars`, in order."""
        while True:
            await self._asked_bars.wait()
            self._asked_bars.clear()
            while self._bars:
                await self._one_history(*self._bars.popleft())

    async def _told(self, read: Awaitable[Value], tell: Callable[[Value], None], complete: bool) -> None:
        try:
            snapshot = await read
        except PlimsollError as error:
            self._sink().on_read_failed(self.account_id, str(error), complete)
        else:
            tell(snapshot)

    # -- the account -------------------------------------------------------------------------------

    async def _complete(self, since_ns: int) -> AccountSnapshot:
        """Six reads side by side; the first failure fails the whole and stops the others."""
        begun = self._clock.mono_ns()
        since = requests.since_body(self.account_id, since_ns)
        try:
            async with asyncio.TaskGroup() as group:
                account = group.create_task(self.account())
                past = group.create_task(self._orders(Endpoint.ORDERS, since, Lane.GENERAL))
                working = group.create_task(self._working(Lane.GENERAL))
                live = group.create_task(self._queried())
                positions = group.create_task(self._positions(Lane.GENERAL))
                fills = group.create_task(self._fills(since))
        except ExceptionGroup as error:
            raise _first(error) from None
        orders = merged([*past.result(), *working.result(), *live.result()])
        ended = self._clock.mono_ns()
        return AccountSnapshot(
            account.result(), orders, positions.result(), fills.result(), since_ns, begun, ended
        )

    async def _open(self) -> OpenSnapshot:
        """Two reads on the reserved budget and the warm connections."""
        begun = self._clock.mono_ns()
        try:
            async with asyncio.TaskGroup() as group:
                working = group.create_task(self._working(Lane.KILL_READ))
                positions = group.create_task(self._positions(Lane.KILL_READ))
        except ExceptionGroup as error:
            raise _first(error) from None
        orders, ended = merged(working.result()), self._clock.mono_ns()
        return OpenSnapshot(self.account_id, orders, positions.result(), begun, ended)

    async def account(self) -> AccountReport:
        """The account itself. Raises Refused when the venue does not show it."""
        rows = await self.accounts()
        for row in rows:
            if row.account_id == self.account_id:
                return row
        raise Refused("topstepx.account", self.account_id, "", "the venue does not show this account")

    async def accounts(self) -> list[AccountReport]:
        """Every active account of the login."""
        reply = await self._rest.call(Endpoint.ACCOUNTS, requests.accounts_body(), AccountsReply)
        return [entities.account_report(row) for row in proven(reply.accounts, Endpoint.ACCOUNTS)]

    async def _orders(self, endpoint: Endpoint, body: bytes, lane: Lane) -> list[OrderReport]:
        reply = await self._rest.call(endpoint, body, OrdersReply, lane)
        rows = self._own(proven(reply.orders, endpoint), endpoint)
        return await converted(entities.order_report, rows)

    async def order(self, order_id: int) -> OrderReport:
        """One order of the account, live or ended. Raises Refused for an id the venue does not know."""
        endpoint = Endpoint.ORDER_BY_ID
        reply = await self._rest.call(endpoint, requests.order_body(self.account_id, order_id), OrderReply)
        if reply.order is None:
            raise Theirs(f"{SOURCE} {endpoint}", f"found order {order_id} and does not show it")
        return entities.order_report(*self._own([reply.order], endpoint))

    async def _working(self, lane: Lane) -> list[OrderReport]:
        return await self._orders(Endpoint.OPEN_ORDERS, requests.account_body(self.account_id), lane)

    async def _queried(self) -> list[OrderReport]:
        """Live orders with the suspended legs, page by page. An endpoint that is not there adds nothing."""
        found: list[OrderReport] = []
        try:
            for page in range(QUERY_PAGES):
                body = requests.query_body(self.account_id, LIVE_STATUSES, QUERY_PAGE, page * QUERY_PAGE)
                rows = await self._orders(Endpoint.ORDER_QUERY, body, Lane.GENERAL)
                found += rows
                if len(rows) < QUERY_PAGE:
                    return found
        except Refused as error:
            if error.value != MISSING:
                raise
            log.info(
                "the venue has no %s: suspended bracket legs are known from its events only",
                Endpoint.ORDER_QUERY,
            )
            return found
        raise Theirs(f"{SOURCE} {Endpoint.ORDER_QUERY}", f"more than {QUERY_PAGES} pages of live orders")

    async def _positions(self, lane: Lane) -> tuple[PositionReport, ...]:
        body = requests.account_body(self.account_id)
        reply = await self._rest.call(Endpoint.POSITIONS, body, PositionsReply, lane)
        rows = self._own(proven(reply.positions, Endpoint.POSITIONS), Endpoint.POSITIONS)
        positions = tuple(await converted(entities.position_report, rows))
        self._on_positions(positions)
        return positions

    async def _fills(self, since: bytes) -> tuple[Fill, ...]:
        reply = await self._rest.call(Endpoint.TRADES, since, TradesReply)
        rows = self._own(proven(reply.trades, Endpoint.TRADES), Endpoint.TRADES)
        return tuple(await converted(entities.fill, rows))

    def _own(self, rows: list[OwnedRow], endpoint: Endpoint) -> list[OwnedRow]:
        """The rows, all of our account. Raises Theirs for another's: it answers another question."""
        for row in rows:
            if row.account_id != self.account_id:
                raise Theirs(f"{SOURCE} {endpoint}", f"a row of account {row.account_id}")
        return rows

    # -- bars --------------------------------------------------------------------------------------

    async def _one_history(self, contract: str, start_ns: int, end_ns: int) -> None:
        try:
            bars = await self.history(contract, start_ns, end_ns)
        except PlimsollError as error:
            self._sink().on_bars_failed(contract, str(error))
        else:
            self._sink().on_bars(contract, bars)

    async def history(self, contract: str, start_ns: int, end_ns: int) -> list[Bar]:
        """Completed one-minute bars in [start, end), oldest first.

        The venue answers newest first and cuts long answers silently, at a figure it does not tell, so pages
        go backwards until one brings nothing new. A last bar whose minute is not over is dropped (facts 1.5).
        """
        found: dict[int, Bar] = {}
        until = end_ns
        for _ in range(BARS_PAGES):
            page = await self._page(contract, start_ns, until)
            new = [bar for bar in page if start_ns <= bar.start_ns < until]
            if not new:
                break
            found.update((bar.start_ns, bar) for bar in new)
            until = min(bar.start_ns for bar in new)
            if until <= start_ns:
                break
        else:
            raise Theirs(f"{SOURCE} {Endpoint.BARS}", f"more than {BARS_PAGES} pages")
        closed = self._clock.utc_ns() - MINUTE_NS
        return [found[start] for start in sorted(found) if start <= closed]

    async def _page(self, contract: str, start_ns: int, until_ns: int) -> list[Bar]:
        """The newest bars that open in [start, until), in any order."""
        last = until_ns - TICK_NS  # whether the venue's end is inclusive is not known
        body = requests.bars_body(contract, self._live_data, start_ns, last, BARS_PAGE)
        reply = await self._rest.call(Endpoint.BARS, body, BarsReply)
        instrument = instrument_of(contract)
        return await converted(lambda row: entities.bar(row, instrument), proven(reply.bars, Endpoint.BARS))


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The first cause when all are of our tree; a bug keeps its whole group."""
    first = group.exceptions[0]
    return first if isinstance(first, PlimsollError) else group
