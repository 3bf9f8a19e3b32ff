"""The real engine, gate, adapter and journal in this process, without page, command port and signals.

Composed as `app.compose` does it. What a measurement needs besides: the limits on order rate lifted, records
kept as they pass, and the desk armed once its books agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import native
from app.clock import Clock, SystemClock
from app.compose import limits, rules
from app.config import Settings, load_accounts, load_file
from app.domain.calendar import TradingCalendar
from app.engine.engine import Engine, Parts
from app.engine.ports import Journal, Panel, Strategy
from app.engine.records import Record, Recovered
from app.engine.settings import EngineSettings
from app.errors import Refused
from app.mcu.link import Link
from app.mcu.stand_in import StandIn
from app.store import open_journal
from app.venues.topstepx.adapter import TopstepX
from app.venues.topstepx.limiter import Lane, Limiter
from app.venues.topstepx.simclock import SimulatorClock
from tests.bench.appliance import until

NO_LIMIT = 1_000_000  # orders; the venue's own budget is lifted in the same breath


class Unlimited(Limiter):
    """Grants everything."""

    def take(self, now_ns: int, lane: Lane = Lane.GENERAL) -> int:
        return 0

    def take_history(self, now_ns: int) -> int:
        return 0


class Kept:
    """A journal that also shows each record to `seen` as it is appended; without a store it is memory and
    durable at once.
    """

    def __init__(self, store: Journal | None, seen: Callable[[Record], None]) -> None:
        self._store, self._seen = store, seen

    @property
    def failed(self) -> str:
        return self._store.failed if self._store is not None else ""

    def disarm(self) -> None:
        """Nothing outlives a benchmark."""

    def append(
        self, records: Sequence[Record], then: Callable[[Exception | None], None] | None = None
    ) -> None:
        for record in records:
            self._seen(record)
        if self._store is not None:
            self._store.append(records, then)
        elif then is not None:
            then(None)


@dataclass(slots=True)
class Desk:
    """A running desk, its books in agreement and armed."""

    clock: Clock
    venue: TopstepX
    engine: Engine


@asynccontextmanager
async def desk(
    file: Path, strategies: Sequence[Strategy], seen: Callable[[Record], None], *, durable: bool,
    limiter: Limiter | None = None, panel: Link | None = None,
) -> AsyncIterator[Desk]:  # fmt: skip
    """The desk of the settings in `file`; `durable` False keeps its journal in memory. Without a `panel` the
    stand-in takes its place.
    """
    settings = load_file(file)
    async with AsyncExitStack() as stack:
        clock, following = await _clock(settings, stack)
        journal, recovered = await _journal(settings, stack, seen, clock, durable)
        venue = TopstepX(settings.topstepx, clock)
        venue._limiter = limiter or Unlimited()
        venue.connect(_Silent())  # type: ignore[arg-type]  # until the engine exists
        await venue.start()
        stack.push_async_callback(venue.stop)
        board = panel or StandIn()
        engine = _engine(settings, clock, journal, venue, board, strategies, recovered)
        venue.connect(engine)
        engine.begin(venue.contracts)
        board.connect(engine)
        stack.callback(engine.stop)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(venue.run()), group.create_task(following.run())]
        if panel is not None:
            tasks.append(group.create_task(panel.run()))
        try:
            await arm(engine)
            yield Desk(clock, venue, engine)
        finally:
            for task in tasks:
                task.cancel()


class _Silent:
    def on_called(self, record: Record) -> None:
        """Calls before the start are nobody's."""


async def arm(engine: Engine) -> None:
    """Re-arm as soon as the engine lets us, and wait until trading is open."""

    def armed() -> bool:
        try:
            engine.rearm("bench", "a measurement")
        except Refused:
            return False
        return True

    await until(armed, "books agree")
    await until(lambda: not engine.trading.state, "trading is open")


async def _clock(settings: Settings, stack: AsyncExitStack) -> tuple[Clock, SimulatorClock]:
    simulated = SimulatorClock(settings.topstepx.rest_url)
    stack.push_async_callback(simulated.close)
    return await simulated.open(), simulated


async def _journal(
    settings: Settings, stack: AsyncExitStack, seen: Callable[[Record], None], clock: Clock, durable: bool
) -> tuple[Kept, Recovered]:
    if not durable:
        return Kept(None, seen), Recovered()
    store = await open_journal(settings.data_dir, SystemClock())
    stack.push_async_callback(store.close)
    return Kept(store, seen), await store.recover(clock.utc_ns())


def _engine(
    settings: Settings,
    clock: Clock,
    journal: Kept,
    venue: TopstepX,
    panel: Panel,
    strategies: Sequence[Strategy],
    recovered: Recovered,
) -> Engine:
    accounts = load_accounts(settings.account_file)
    stated = accounts.of(venue.account_id) if accounts else None
    lifted = limits(settings.risk, stated, {})
    for name in ("orders_per_minute", "orders_per_day"):
        object.__setattr__(lifted, name, NO_LIMIT)
    return Engine(
        Parts(
            clock=clock,
            calendar=TradingCalendar(),
            journal=journal,
            venue=venue,
            panel=panel,
            settings=EngineSettings(account_id=venue.account_id, clock=settings.clock, resume=True),
            limits=lifted,
            rules=rules(stated),
            strategies=strategies,
            recovered=recovered,
            native=native.active(),
        )
    )
