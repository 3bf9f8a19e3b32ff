"""Group commit: many appends, one transaction, one flush.

While a commit is in flight whatever arrives waits; the next commit takes all of it. No timer delays a
waiting writer. What nobody waits for rides along, or is flushed after LAZY_NS. What is on disk is always a
prefix of what was appended: the first failure ends writing for good, because a journal with a hole would be
worse than none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from app.clock import MS, Clock, Timer
from app.errors import Refused, clean
from app.store.database import Batch, Database
from app.store.rows import Rows

LAZY_NS = 50 * MS  # longest wait of rows nobody waits for: one flush for a burst, nothing lost that matters
BATCH_APPENDS = 500  # appends of one transaction: their callbacks run in one turn of the loop
LAZY_ROWS = (
    1_000  # rows nobody waits for that are flushed at once, so that a backfill does not fill the queue
)

Then: TypeAlias = Callable[[Exception | None], None]


def group(appends: list[tuple[Rows, Then | None]]) -> Batch:
    """The rows of `appends` as runs of one statement; order is kept within each table, where it matters."""
    tables: dict[str, list[tuple[str, list[tuple[Any, ...]]]]] = {}
    for rows, _ in appends:
        for (table, sql), row in rows:
            runs = tables.setdefault(table, [])
            if not runs or runs[-1][0] is not sql:
                runs.append((sql, []))
            runs[-1][1].append(row)
    return [run for runs in tables.values() for run in runs]


class Writer:
    """Owns a `Database` and the one task that writes to it. `failed` is "" until writing ended, then why."""

    def __init__(self, database: Database, clock: Clock, queue_rows: int) -> None:
        self.failed = ""
        self.commits = 0
        self.rows = 0
        self._database, self._clock, self._queue_rows = database, clock, queue_rows
        self._queue: deque[tuple[Rows, Then | None]] = deque()
        self._waiting_rows = 0
        self._wake = asyncio.Event()
        self._lazy: Timer | None = None
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), name=f"{database.path.name} writer")

    def put(self, rows: Rows, then: Then | None) -> None:
        """Queue `rows`; `then` is called on the loop after the commit (None) or failure, not in here."""
        if not self.failed and self._waiting_rows + len(rows) > self._queue_rows:
            self.failed = f"more than {self._queue_rows} rows wait for the disk"
        if self.failed:
            if then is not None:
                self._loop.call_soon(then, self._error())
            return
        self._queue.append((rows, then))
        self._waiting_rows += len(rows)
        if then is not None or self._waiting_rows >= LAZY_ROWS:
            self._wake.set()
        elif self._lazy is None:
            self._lazy = self._clock.call_later(LAZY_NS, self._wake.set)

    async def ping(self) -> None:
        """Return once the writing connection has answered, be it with an error."""
        await self._database.ping()

    async def close(self) -> None:
        """Write what waits, fold the log and close the file. May be called twice."""
        self._closing = True
        self.failed = self.failed or "closed"
        self._wake.set()
        try:
            await self._task
        finally:
            await self._database.close()

    async def _run(self) -> None:
        try:
            while self._queue or not self._closing:
                await self._wake.wait()
                self._wake.clear()
                self._stop_timer()
                await self._flush()
        finally:
            self._stop_timer()
            self._give_up("the writer was stopped")

    async def _flush(self) -> None:
        appends = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_APPENDS))]
        rows = sum(len(rows) for rows, _ in appends)
        self._waiting_rows -= rows
        if self._queue:
            self._wake.set()
        try:
            if rows:
                await self._database.write(group(appends))
                self.commits += 1
                self.rows += rows
        except Exception as error:
            self.failed = f"{self._database.path.name}: {clean(error)}"
            self._tell(appends, self._error())
            self._give_up(self.failed)
        except BaseException:
            self.failed = f"{self._database.path.name}: interrupted"
            self._tell(appends, self._error())
            raise
        else:
            self._tell(appends, None)

    def _give_up(self, why: str) -> None:
        """Refuse everything that still waits."""
        appends = list(self._queue)
        self._queue.clear()
        self._waiting_rows = 0
        if appends:
            self.failed = self.failed or why
            self._tell(appends, self._error())

    def _tell(self, appends: list[tuple[Rows, Then | None]], error: Exception | None) -> None:
        """Call every `then` once, in order; one that raises stops no other."""
        for _, then in appends:
            if then is not None:
                try:
                    then(error)
                except Exception as problem:
                    context = {"message": "a journal callback raised", "exception": problem}
                    self._loop.call_exception_handler(context)

    def _error(self) -> Refused:
        hint = "" if self._closing else "free or replace the disk, then restart plimsoll"
        return Refused("journal.failed", self.failed, hint=hint)

    def _stop_timer(self) -> None:
        if self._lazy is not None:
            self._lazy.cancel()
            self._lazy = None
