"""Builds the service from its settings, starts it in order, stops it in reverse. Nobody receives it whole.

Start: settings' own rules, compiled modules, instance lock and journal, market time, venue (login, account,
contracts), engine, board, page, command port. The engine is synchronous; the venue and the page own the
tasks. The root holds the links of venue and board, the journal and the engine's timers: when one of them
breaks, the process ends and systemd starts it anew, halted until it has compared its books. Side jobs run
under a restarting supervisor.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

import native
from app.clock import MS, NS, Clock, SystemClock
from app.config import AccountStatement, Settings, load_accounts
from app.config.settings import Risk
from app.domain import instruments
from app.domain.calendar import TradingCalendar, trade_date
from app.domain.overrides import Overrides
from app.domain.products import Products
from app.engine import twins
from app.engine.commands import Commands
from app.engine.engine import Engine, Parts
from app.engine.ports import Panel, Strategy
from app.engine.records import Happened, Record
from app.engine.settings import EVENTS_KEPT, EngineSettings
from app.engine.snapshot import Snapshot, StorageView, UpdateView
from app.errors import Ours, Refused, SettingsError
from app.mcu import boards
from app.mcu.link import Link
from app.ops import exposure, progress, sockets, storage
from app.ops.exposure import UpdateLock
from app.ops.memory import return_large_buffers
from app.ops.notifier import Notifier, Target
from app.ops.notify import fed, notify, starting, status
from app.ops.supervisor import keep_running
from app.risk.limits import MICRO, Limits
from app.risk.rules import AccountRules
from app.risk.state import Goal
from app.store import Store, open_journal
from app.store.retention import SWEEP_NS
from app.strategies import build
from app.venues.topstepx.adapter import TopstepX
from app.watchdog import keep_telling
from app.web import words
from app.web.claim import CODE_FILE, SetupCode
from app.web.command_port import CommandPort
from app.web.front import Place
from app.web.login import PASSWORD_FILE, PasswordFile
from app.web.server import Web, check_place

VERSION = "0.1.0"  # as in pyproject.toml; a test holds them equal
CALENDAR_FILE = "calendar.toml"  # beside the account file: the owner's dated entries, see domain.overrides
PRODUCTS_FILE = "products.toml"  # the same for fees and caps of products, see domain.products

log = logging.getLogger("plimsoll")

Job = tuple[str, Callable[[], Coroutine[Any, Any, None]]]  # a name and what to run


@dataclass(frozen=True, slots=True)
class Service:
    """A started service, for who runs it: the command line, the demo, a test."""

    clock: Clock
    store: Store
    venue: TopstepX
    engine: Engine
    commands: Commands
    web: Web


async def serve(
    settings: Settings, ready: Callable[[Service], None], stop: asyncio.Event | None = None
) -> None:
    """Run the service until SIGTERM, SIGINT or `stop`. Raises the first fatal cause, everything closed."""
    return_large_buffers()
    stop = stop or asyncio.Event()
    async with AsyncExitStack() as stack:
        async with fed():
            service, jobs = await _start(settings, stack)
        _stop_on_signals(stop)  # until here a signal simply ends the process: nothing was sent yet
        broken = _watch_loop()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(service.venue.run(), name="venue")]
            tasks += [group.create_task(job(), name=name) for name, job in jobs]
            telling = keep_telling(service.engine, service.store, service.clock)
            tasks.append(group.create_task(telling, name="telling"))
            tasks += [group.create_task(job(), name=name) for name, job in _notifying(settings, service)]
            tasks.append(group.create_task(_keep_sweeping(service), name="retention"))
            notify("READY=1", status("started"))
            log.info("ready: %s, account %d", service.web.address, service.venue.account_id)
            ready(service)
            await _either(stop, broken)
            notify("STOPPING=1", status("stopping; protective orders stay at the venue"))
            for task in tasks:
                task.cancel()


async def _start(settings: Settings, stack: AsyncExitStack) -> tuple[Service, list[Job]]:
    """Every part, started; `stack` undoes them in reverse. The jobs run beside it."""
    starting("checking the settings")
    lock = UpdateLock.adopt()
    stack.callback(lock.close)
    lock.take()  # until the books are compared nobody knows what is open
    passwords = PasswordFile(settings.data_dir / PASSWORD_FILE)
    codes = SetupCode(settings.data_dir / CODE_FILE, SystemClock())
    place = Place(settings.web.host, settings.web.port, settings.web.allowed_hosts, sockets.adopt())
    stack.callback(place.close)
    check_place(place, passwords, codes)
    _check(settings)
    calendar = TradingCalendar(_overrides(settings.account_file))
    starting("opening the journal")
    store = await open_journal(settings.data_dir, SystemClock())
    stack.push_async_callback(store.close)
    exceptions = await store.reader.twin_exceptions()
    twins.take_up(exceptions)
    strategies = _strategies(settings, calendar)
    starting("setting the clock")
    clock, jobs = await _clock(settings, stack)
    venue = TopstepX(settings.topstepx, clock)
    venue.connect(_OnlyJournal(store))  # type: ignore[arg-type]  # nothing but calls happens before `run`
    starting("logging in at the venue")
    await venue.start()
    stack.push_async_callback(venue.stop)
    starting("opening the board")
    panel = boards.build(settings.board, clock, stack)
    starting("reading the journal")
    engine = await _engine(settings, clock, calendar, strategies, store, venue, panel, lock)
    stack.callback(engine.stop)
    engine.begin(venue.contracts)
    watch = twins.Twins(clock, store, engine.log, engine.trading)
    stack.callback(native.listen, None)
    watch.begin(exceptions, native.listen(watch.differed))
    panel.connect(engine)
    if isinstance(panel, Link):
        jobs.append(("board", panel.run))
    watching = partial(progress.watch, partial(_tell_update, engine, panel), clock)
    jobs.append(("update progress", partial(keep_running, "update progress", watching, clock)))
    reading, measured = storage.Source(settings.data_dir), partial(_tell_storage, engine)
    measuring = partial(storage.watch, reading.read, measured, clock)
    jobs.append(("storage", partial(keep_running, "storage", measuring, clock)))
    locking = partial(exposure.watch, lock, engine.snapshot, clock)
    jobs.append(("update lock", partial(keep_running, "update lock", locking, clock)))
    commands = Commands(engine, watch)
    starting("opening the page")
    web = Web(clock, commands, engine.snapshot, passwords, place, codes)
    stack.push_async_callback(web.stop)
    await web.start()
    port = CommandPort(settings.data_dir, commands, store.reader)
    stack.push_async_callback(port.stop)
    await port.start()
    return Service(clock, store, venue, engine, commands, web), jobs


def _tell_update(engine: Engine, panel: Panel, update: UpdateView) -> None:
    """What the updater says belongs into the engine's picture, and into the board's lights."""
    engine.update = update
    if isinstance(panel, Link):
        panel.updating(bool(update.doing))


def _tell_storage(engine: Engine, disk: StorageView) -> None:
    """Into the engine's picture; what is new of trouble also into the owner's list and the log."""
    known, engine.storage = engine.storage.troubles, disk
    for code in disk.troubles.keys() - known.keys():
        engine.log.add("warning", code, disk.troubles[code])
        log.warning("%s: %s", code, disk.troubles[code])


class _OnlyJournal:
    """The venue's listener until the engine exists: its calls are measured, nothing else happens yet."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def on_called(self, record: Record) -> None:
        self._store.append([record])


def _check(settings: Settings) -> None:
    """What the settings ask for must exist. Raises SettingsError."""
    boards.check(settings.board)
    modes = asdict(settings.native)
    twins.select(modes, modes.pop("shadow_every"), settings.dev)


async def _clock(settings: Settings, stack: AsyncExitStack) -> tuple[Clock, list[Job]]:
    if settings.clock != "simulator":
        return SystemClock(), []
    from app.venues.topstepx.simclock import SimulatorClock

    simulated = SimulatorClock(settings.topstepx.rest_url)
    stack.push_async_callback(simulated.close)
    clock = await simulated.open()
    return clock, [("simulator clock", partial(keep_running, "simulator clock", simulated.run, clock))]


async def _engine(
    settings: Settings,
    clock: Clock,
    calendar: TradingCalendar,
    strategies: Sequence[Strategy],
    store: Store,
    venue: TopstepX,
    panel: Panel,
    lock: UpdateLock,
) -> Engine:
    accounts = load_accounts(settings.account_file)
    caps = _products(settings.account_file, clock.utc_ns())
    stated = accounts.of(venue.account_id) if accounts else None
    if stated is None:
        log.warning("%s", unstated(settings.account_file, venue.account_id, there=accounts is not None))
    past = [Happened(**row) for row in await store.reader.events(EVENTS_KEPT)]
    engine = Engine(
        Parts(
            clock=clock,
            calendar=calendar,
            journal=store,
            venue=venue,
            panel=panel,
            settings=_engine_settings(settings, venue.account_id),
            limits=limits(settings.risk, stated, caps),
            rules=rules(stated),
            strategies=strategies,
            recovered=await store.recover(clock.utc_ns()),
            native=native.active(),
            may_expose=lock.take,
        )
    )
    engine.log.recall(past)
    venue.connect(engine)
    return engine


def _engine_settings(settings: Settings, account_id: int) -> EngineSettings:
    return EngineSettings(
        account_id=account_id,
        version=VERSION,
        mode=settings.mode,
        clock=settings.clock,
        resume=settings.board.resume,
        on_trip=Goal.FLAT if settings.board.on_trip.futures == "flat" else Goal.NO_ENTRIES,
        link_flatten_after_ns=settings.board.link_flatten_after_s * NS,
        tag_prefix=settings.topstepx.tag_prefix,
    )


def limits(risk: Risk, stated: AccountStatement | None, caps: Mapping[str, int]) -> Limits:
    """The limits in force. An account nobody stated gets the narrowest; trading is closed on it anyway.

    `caps` are the venue's, by symbol; they narrow what the settings allow and never widen it.
    """
    most = dict(risk.max_contracts)
    for symbol, cap in caps.items():
        most[symbol] = min(cap, most.get(symbol, risk.default_max_contracts))
    return Limits(
        max_contracts_tenths=stated.max_contracts_tenths if stated else 1,
        maximum_loss_limit_micro=stated.maximum_loss_limit_micro if stated else MICRO,
        daily_loss_limit_micro=stated.daily_loss_limit_micro if stated else None,
        max_contracts_symbol=most,
        max_contracts_symbol_default=risk.default_max_contracts,
        max_order_contracts=risk.max_order_contracts,
        collar_ticks=risk.collar_ticks,
        max_quote_age_ns=risk.max_quote_age_ms * MS,
        approval_life_ns=risk.approval_life_ms * MS,
        orders_per_minute=risk.orders_per_minute,
        orders_per_day=risk.orders_per_day,
        duplicate_window_ns=risk.duplicate_window_ms * MS,
        alarm_percent=risk.alarm_percent,
        reducing_percent=risk.reducing_percent,
        slippage_reserve_ticks=risk.slippage_reserve_ticks,
        stop_deadline_ns=risk.stop_deadline_ms * MS,
        min_bracket_ticks=risk.min_bracket_ticks,
        require_bracket=risk.require_bracket,
    )


def unstated(file: Path, account_id: int, there: bool) -> str:
    """Why trading stays closed, with the file that the owner must write."""
    lacks = f"has no [account.{account_id}]" if there else "is missing"
    return f"the account file {file} {lacks}: without start balance, floor and limits trading stays closed"


def rules(stated: AccountStatement | None) -> AccountRules | None:
    """The account's own rules; None = never stated, which keeps trading closed."""
    if stated is None:
        return None
    return AccountRules(
        start_balance_micro=stated.start_balance_micro,
        floor_micro=stated.floor_micro,
        as_of=stated.as_of,
        maximum_loss_micro=stated.maximum_loss_limit_micro,
        locks_at_micro=stated.locks_at_micro,
    )


def _strategies(settings: Settings, calendar: TradingCalendar) -> list[Strategy]:
    """The enabled strategies, with every number as the settings say."""
    own = asdict(settings.strategy.overnight_range)
    if not own.pop("enabled"):
        return []
    values = {name: _plain(value) for name, value in own.items()}
    return [build("overnight_range", values, calendar)]


def _plain(value: object) -> object:
    """Decimals go as text: exact, and no float in between."""
    return value if isinstance(value, (bool, int, str)) else str(value)


def _overrides(account_file: Path) -> Overrides | None:
    text = _beside(account_file, CALENDAR_FILE)
    return None if text is None else Overrides.parse(text)


def _products(account_file: Path, utc_ns: int) -> Mapping[str, int]:
    """The owner's fees put in force, and their caps by symbol, as of the day that `utc_ns` lies in.

    While the clock is not set the newest entries count; the desk is closed until it is.
    """
    products = Products.parse(_beside(account_file, PRODUCTS_FILE) or "")
    try:
        day = trade_date(utc_ns)
    except Refused:
        day = date.max
    instruments.state_fees(products.fees_micro(day))
    return products.caps(day)


def _beside(account_file: Path, name: str) -> str | None:
    """The text of an owner's file that may be missing. Raises SettingsError when it cannot be read."""
    file = account_file.with_name(name)
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(file.stem, f"{file} cannot be read: {error}") from None


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def _watch_loop() -> asyncio.Future[None]:
    """Fails when a callback of the engine raised: its state is no longer trusted, the process must end."""
    loop = asyncio.get_running_loop()
    broken: asyncio.Future[None] = loop.create_future()

    def handle(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.error("left to the loop: %s", context.get("message"), exc_info=error)
        if error is not None and _in_engine(error) and not broken.done():
            broken.set_exception(Ours(f"the engine failed: {type(error).__name__} {error}"))

    loop.set_exception_handler(handle)
    return broken


def _in_engine(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith(
            ("app.engine", "app.mcu", "app.risk", "app.store")
        ):
            return True
        trace = trace.tb_next
    return False


async def _either(stop: asyncio.Event, broken: asyncio.Future[None]) -> None:
    """Until `stop` is set; raises what broke."""
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((stopping, broken), return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            broken.result()
    finally:
        stopping.cancel()
        broken.cancel()


async def _keep_sweeping(service: Service) -> None:
    """Old rows go a bite at a time; the first one once the start is over."""
    while True:
        await asyncio.sleep(SWEEP_NS / 1_000_000_000)
        service.store.sweep(service.clock.utc_ns())


def _notifying(settings: Settings, service: Service) -> list[Job]:
    """The jobs that tell the owner; they may fail and never take the engine along."""
    target = Target.of(settings.notify)
    if target is None:
        return []

    def picture() -> tuple[Snapshot, str]:
        view = service.engine.snapshot()
        return view, words.sentence(view.state, view.reasons)

    notifier = Notifier(target, service.clock)
    jobs: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "alerts": partial(notifier.watch, picture),
        "notifier": notifier.run,
    }
    return [(name, partial(keep_running, name, job, service.clock)) for name, job in jobs.items()]
