"""The store as the engine sees it: `ports.Journal` over both files, recovery, and the reader.

Which file a record belongs to is decided here. Only state.db is the journal: when market.db cannot be
written, measurements are lost and `market_failed` says so, but trading is not closed for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.clock import Clock
from app.engine.records import ArmedChanged, Record, Recovered
from app.errors import Ours, Refused
from app.store.database import open_database, open_reader
from app.store.lock import InstanceLock
from app.store.mark import ArmedMark
from app.store.reader import StoreReader
from app.store.retention import MARKET_DAYS, STATE_DAYS, stale
from app.store.rows import MARKET_ROWS, STATE_ROWS, Row
from app.store.schema import MARKET, STATE
from app.store.writer import Then, Writer

STATE_QUEUE_ROWS = 10_000  # one second of full speed, 5 MB; a disk that is further behind has stopped
MARKET_QUEUE_ROWS = 50_000  # a week of one-minute bars of five contracts, 10 MB


class _Both:
    """Calls `then` once, after both files answered; the first error wins."""

    def __init__(self, then: Then) -> None:
        self._then, self._left = then, 2
        self._error: Exception | None = None

    def __call__(self, error: Exception | None) -> None:
        self._left -= 1
        self._error = self._error or error
        if not self._left:
            self._then(self._error)


class Store:
    """Both files, open. Made by `open_journal`, ended by `close`."""

    def __init__(
        self, state: Writer, market: Writer, reader: StoreReader, mark: ArmedMark, stack: AsyncExitStack
    ) -> None:
        self._state, self._market, self._reader = state, market, reader
        self._mark, self._stack = mark, stack
        self._arming: set[asyncio.Task[None]] = set()

    def append(self, records: Sequence[Record], then: Then | None = None) -> None:
        """See `ports.Journal`. Copies every record to plain values before it returns."""
        state: list[Row] = []
        market: list[Row] = []
        for record in records:
            kind = type(record)
            if kind in STATE_ROWS:
                state += STATE_ROWS[kind](record)
            elif kind in MARKET_ROWS:
                market += MARKET_ROWS[kind](record)
            else:
                raise Ours(f"no table for {kind.__name__}")
        if any(isinstance(r, ArmedChanged) and r.armed for r in records):
            then = partial(self._begin_to_mark, then or _nobody)
        if state and market and then is not None:
            then = _Both(then)
        if state or not market:
            self._state.put(tuple(state), then)
        if market:
            self._market.put(tuple(market), then)

    def sweep(self, utc_ns: int) -> None:
        """Let one bite of rows go that are older at `utc_ns` than `retention` keeps; nobody waits for it."""
        for writer, days in ((self._state, STATE_DAYS), (self._market, MARKET_DAYS)):
            if rows := stale(days, utc_ns):
                writer.put(tuple(rows), None)

    def disarm(self) -> None:
        """See `ports.Journal`."""
        self._mark.remove()

    def _begin_to_mark(self, then: Then, error: Exception | None) -> None:
        if error is not None:
            then(error)
            return
        task = asyncio.get_running_loop().create_task(self._make_mark(then), name="armed mark")
        self._arming.add(task)
        task.add_done_callback(self._arming.discard)

    async def _make_mark(self, then: Then) -> None:
        error: Exception | None = None
        try:
            await self._mark.make()
        except Refused as refusal:
            error = refusal
        then(error)

    async def ping(self) -> None:
        """Return once the journal's writing connection has answered; a disk that hangs does not."""
        await self._state.ping()

    @property
    def failed(self) -> str:
        """ "" while the journal can be written, else why not."""
        return self._state.failed

    @property
    def market_failed(self) -> str:
        """ "" while bars and measurements can be written, else why not."""
        return self._market.failed

    @property
    def commits(self) -> int:
        """Transactions of state.db so far; each cost one flush."""
        return self._state.commits

    @property
    def rows(self) -> int:
        """Rows written to state.db so far."""
        return self._state.rows

    @property
    def reader(self) -> StoreReader:
        return self._reader

    async def recover(self, utc_ns: int) -> Recovered:
        """Everything the engine needs back at market time `utc_ns`. Raises Theirs for a damaged file."""
        found = await self._reader.recover(utc_ns)
        if found.latch is not None and found.latch.armed and not self._mark.exists():
            return replace(found, latch=replace(found.latch, armed=False))
        return found

    async def close(self) -> None:
        """Write what waits, close both files, free the folder. May be called twice."""
        await self._stack.aclose()
        if self._arming:  # the last commits may have armed
            await asyncio.wait(self._arming)
        await self._mark.settled()


def _nobody(error: Exception | None) -> None:
    """Waits for a record that nobody waits for."""


async def open_journal(data_dir: Path, clock: Clock) -> Store:
    """Take the instance lock of `data_dir`, open and migrate both files. Undoes itself when it raises.

    Raises Refused (folder in use or unusable) and Theirs (a file damaged, foreign or newer), all with exit
    code 1.
    """
    async with AsyncExitStack() as stack:
        stack.callback(InstanceLock(data_dir).release)
        writers = []
        for schema, queue_rows in ((STATE, STATE_QUEUE_ROWS), (MARKET, MARKET_QUEUE_ROWS)):
            writer = Writer(await open_database(data_dir, schema), clock, queue_rows)
            stack.push_async_callback(writer.close)
            writers.append(writer)
        path = data_dir / STATE.file
        reader = StoreReader(await open_reader(path), path)
        stack.push_async_callback(reader.close)
        return Store(writers[0], writers[1], reader, ArmedMark(data_dir), stack.pop_all())
    raise Ours("an exit stack swallowed an error")  # it never does; the type checker cannot know
