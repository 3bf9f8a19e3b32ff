"""`plimsoll simulate`: options, composition, start and end of the simulator. Everything is put together
here and only here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

from aiohttp import web

from app import listeners
from app.clock import MAX_RATE, MS, NS, Clock, SystemClock
from app.domain.calendar import NEW_YORK, TradingCalendar
from app.domain.instruments import by_symbol, symbols_like
from app.errors import Later, PlimsollError, Refused, SettingsError, clean
from app.simulator.accounts import KINDS, kind
from app.simulator.exchange import Exchange, Rules
from app.simulator.faults import Faults, NoFaults
from app.simulator.feed import Feed
from app.simulator.hubs import Hubs
from app.simulator.market import Market
from app.simulator.matching import Fill, Matching
from app.simulator.orders import Status
from app.simulator.pump import Pump
from app.simulator.recorded import Recorded
from app.simulator.rest import Api, Login
from app.simulator.server import Server
from app.simulator.simtime import SimTime
from app.simulator.tokens import Tokens
from app.simulator.world import World

# The demonstration's day: on it ES leaves its overnight range (18:00 to 09:30 New York) for the first time
# between 09:30:05 and 09:30:45, so that a breakout strategy started at 09:28 shows a fill within three
# minutes. Nothing is rigged: the seed was found by looking at days one after the other, and a test repeats
# the look.
DEMO_SEED = 130
DEMO_DATE = date(2026, 11, 18)
DEMO_START = time(9, 28)

HOST = "127.0.0.1"  # loopback only: whoever reaches the port may move time
DEFAULT_PORT = 8090  # as the settings' default URLs; a test holds them equal
DEMO_USER, DEMO_KEY = "demo", "demo-key"
LOGIN_LIMIT = 100  # characters of user name and key, as the settings allow
QUOTES_PER_SECOND = (1, 100)  # bounds of the option: below is not a market, above nobody reads
LATENCY_MS_LIMIT = 60_000  # longer than any client waits
ACCOUNTS_LIMIT = 20
WARM_SYMBOLS = ("ES", "MES", "NQ", "MNQ")  # what most clients ask for first
WARM_BACK_NS = 24 * 3_600 * NS  # the session before is needed too, for its close
NOT_ALLOWED = "account rules"  # what an account that may not trade is said to have violated
SHUTDOWN_S = 1.0  # for open requests when the simulator ends


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """What can be chosen. `day` None = DEMO_DATE, or the first day of `data`; `start` is New York time."""

    port: int = DEFAULT_PORT
    seed: int = DEMO_SEED
    day: date | None = None
    start: time | None = None
    rate: int = 1
    latency_ms: int = 0
    data: Path | None = None
    symbol: str = ""
    accounts: tuple[str, ...] = ("50k",)
    cannot_trade: bool = False
    quotes_per_second: int = 10
    fill: Fill = Fill.THROUGH
    slippage_ticks: int = 0
    auto_oco: bool = True
    orphan_legs: bool = True
    expired: Status = Status.EXPIRED
    user: str = DEMO_USER
    key: str = DEMO_KEY


@dataclass(frozen=True, slots=True)
class Ready:
    """What a client needs: where to log in, as whom, and the accounts it will find there (id, name)."""

    url: str
    user: str
    key: str
    accounts: tuple[tuple[int, str], ...]

    def as_json(self) -> str:
        """One line. A made-up key of a made-up venue is no secret."""
        accounts = [{"id": identity, "name": name} for identity, name in self.accounts]
        login = {"url": self.url, "user": self.user, "key": self.key}
        return json.dumps({"ready": True, **login, "accounts": accounts})

    def as_text(self) -> str:
        accounts = [f"account {identity}  {name}" for identity, name in self.accounts]
        return "\n".join((f"simulator ready at {self.url}", f"user {self.user}  key {self.key}", *accounts))


class Simulator:
    """A composed simulator. `clock` is real time, or a test's."""

    def __init__(
        self,
        options: SimulatorOptions,
        clock: Clock | None = None,
        faults: Faults | None = None,
        feed: Feed | None = None,
    ) -> None:
        clock, faults, calendar = clock or SystemClock(), faults or NoFaults(), TradingCalendar()
        feed = feed or feed_of(options, calendar)
        rules = Rules(expired=options.expired, orphan_legs=options.orphan_legs)
        self.exchange = Exchange(calendar, Matching(options.fill, options.slippage_ticks), rules)
        for name in options.accounts:
            account = self.exchange.open_account(kind(name), options.auto_oco)
            if options.cannot_trade:
                account.locked, account.locked_for_good = NOT_ALLOWED, True
        accounts = list(self.exchange.accounts)
        self.time = SimTime(clock, start_ns(options, feed, calendar), options.rate)
        self.world = World(self.exchange, feed, self.time)
        self.pump = Pump(self.world, clock)
        self.tokens = Tokens(options.seed)
        login = Login(options.user, options.key, accounts)
        self.api = Api(self.world, clock, self.tokens, [login], lambda: asyncio.sleep(0))
        self.hubs = Hubs(self.world, clock, faults, self.api.accounts_of)
        self.world.sink, self.hubs.on_interest = self.hubs, self.pump.turn
        self.api.on_log_out = self.hubs.log_out
        self.server = Server(self.api, self.hubs, self.pump, clock, faults, options.latency_ms * MS)
        # A request that has arrived is carried out even if its sender vanishes, as at any venue.
        self._runner = web.AppRunner(
            self.server.application(),
            access_log=None,
            handler_cancellation=False,
            shutdown_timeout=SHUTDOWN_S,
        )
        self._listening: list[asyncio.Server] = []

    async def start(self, port: int) -> str:
        """Listen; returns the base URL. Raises Later when the port is taken."""
        await self._runner.setup()
        serve = self._runner.server
        assert serve is not None
        try:
            self._listening.append(await asyncio.get_running_loop().create_server(serve, HOST, port))
        except OSError as error:
            await self.stop()
            raise Later(
                f"port {port}", f"cannot listen: {error.strerror}; choose another with --port"
            ) from None
        self.pump.turn()
        return f"http://{HOST}:{self._listening[0].sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Safe to call twice; every connection is gone afterwards."""
        self.pump.stop()
        self.server.close()
        self.hubs.close()
        await listeners.close(self._listening)
        self._listening.clear()
        await self._runner.cleanup()
        await asyncio.sleep(0)  # a transport that was told to close does so on the loop's next pass


def feed_of(options: SimulatorOptions, calendar: TradingCalendar) -> Feed:
    """The source of prices that was chosen. Raises SettingsError, Theirs for a broken file."""
    if options.data is None:
        return Market(options.seed, calendar, options.quotes_per_second)
    if not options.symbol:
        raise SettingsError("symbol", "say what the file holds, such as --symbol ES")
    return Recorded.load(options.data, options.symbol.upper(), calendar)


def warm_up(feed: Feed, at_ns: int) -> None:
    """Make the sessions that the first client will ask for, some 50 ms each, before anybody waits."""
    for symbol in WARM_SYMBOLS:
        if symbol in feed.symbols and (tick := feed.last_tick(symbol, at_ns)) is not None:
            feed.last_tick(symbol, tick.utc_ns - WARM_BACK_NS)


def start_ns(options: SimulatorOptions, feed: Feed, calendar: TradingCalendar) -> int:
    """The first simulated instant. Raises SettingsError for a day outside the calendar."""
    if isinstance(feed, Recorded) and options.day is None and options.start is None:
        return feed.first_ns
    day = options.day or (calendar.trade_date(feed.first_ns) if isinstance(feed, Recorded) else DEMO_DATE)
    local = datetime.combine(day, options.start or DEMO_START, NEW_YORK)
    utc_ns = int(local.astimezone(UTC).timestamp()) * NS
    if not calendar.covers(utc_ns):
        raise SettingsError("date", f"{day} is outside the trading calendar")
    if isinstance(feed, Recorded) and not feed.first_ns <= utc_ns <= feed.last_ns:
        raise SettingsError("date", f"{local:%Y-%m-%d %H:%M} New York is not within the recording")
    return utc_ns


async def serve(
    options: SimulatorOptions,
    ready: Callable[[Ready], None],
    clock: Clock | None = None,
    faults: Faults | None = None,
) -> None:
    """Run until cancelled; `ready` is called once the port listens."""
    simulator = Simulator(options, clock, faults)
    warm_up(simulator.world.feed, simulator.world.now_ns)
    url = await simulator.start(options.port)
    accounts = tuple((account.id, account.name) for account in simulator.exchange.accounts.values())
    ready(Ready(url, options.user, options.key, accounts))
    try:
        await asyncio.Event().wait()
    finally:
        await simulator.stop()


# -- command line ----------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `plimsoll simulate`."""
    add = parser.add_argument
    add("--port", type=int, default=DEFAULT_PORT, help="local port, 0 = any free one (default %(default)s)")
    add("--seed", type=int, default=DEMO_SEED, help="the market's seed; the same seed is the same market")
    add("--date", type=date.fromisoformat, default=None, help="first simulated day, YYYY-MM-DD")
    add(
        "--start",
        type=time.fromisoformat,
        default=None,
        help="first simulated time, New York, HH:MM (default 09:28)",
    )
    add(
        "--rate",
        type=int,
        default=1,
        metavar="N",
        help=f"simulated seconds per real second: a whole number, 1 to {MAX_RATE} (default 1)",
    )
    add("--latency", type=int, default=0, metavar="MS", help="delay of every REST reply in ms (default 0)")
    add(
        "--data",
        type=Path,
        default=None,
        help="recorded bars or ticks (CSV or CSV.gz) instead of the seeded market",
    )
    add("--symbol", default="", help="exchange ticker of --data, such as ES")
    add(
        "--account",
        action="append",
        type=str.lower,
        choices=sorted(KINDS),
        help="kind of an account; may be repeated (default 50k)",
    )
    add("--cannot-trade", action="store_true", help="the accounts may not trade (canTrade false)")
    add("--user", default=DEMO_USER, help="name to log in with (default %(default)s)")
    add("--key", default=DEMO_KEY, help="API key to log in with (default %(default)s)")
    add("--quotes-per-second", type=int, default=10, help="quotes per second and contract (default 10)")
    add(
        "--fill",
        choices=[fill.value for fill in Fill],
        default=Fill.THROUGH.value,
        help="when a resting limit fills",
    )
    add("--slippage", type=int, default=0, metavar="TICKS", help="paid by market and stop orders (default 0)")
    add(
        "--position-brackets",
        action="store_true",
        help="accounts refuse native brackets",
    )
    add(
        "--cancel-legs",
        action="store_true",
        help="bracket legs end when their position is closed by other means",
    )
    add("--json", action="store_true", help="announce readiness as one line of JSON")


def options_from(args: argparse.Namespace) -> SimulatorOptions:
    """Checked options. Raises SettingsError."""
    _within("port", args.port, 0, 65_535)
    _within("quotes-per-second", args.quotes_per_second, *QUOTES_PER_SECOND)
    _within("latency", args.latency, 0, LATENCY_MS_LIMIT)
    _within("slippage", args.slippage, 0, 100)
    accounts = tuple(args.account or ("50k",))
    _within("number of accounts", len(accounts), 1, ACCOUNTS_LIMIT)
    _within("rate", args.rate, 1, MAX_RATE)
    _login("user", args.user)
    _login("key", args.key)
    _known(args.symbol)
    return SimulatorOptions(
        port=args.port, seed=args.seed, day=args.date, start=args.start, rate=args.rate,
        latency_ms=args.latency, data=args.data, symbol=args.symbol, accounts=accounts,
        quotes_per_second=args.quotes_per_second,
        fill=Fill(args.fill), slippage_ticks=args.slippage, auto_oco=not args.position_brackets,
        orphan_legs=not args.cancel_legs, cannot_trade=args.cannot_trade, user=args.user, key=args.key,
    )  # fmt: skip


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise SettingsError(name, f"{value} is outside {low} to {high}")


def _login(name: str, text: str) -> None:
    if not (text.isprintable() and text == text.strip() and 1 <= len(text) <= LOGIN_LIMIT):
        raise SettingsError(name, f"must be 1 to {LOGIN_LIMIT} printable characters")


def _known(symbol: str) -> None:
    """Nothing, or a known ticker. Raises SettingsError."""
    try:
        if symbol:
            by_symbol(symbol.upper())
    except Refused:
        raise SettingsError("symbol", f"{clean(symbol)} is unknown; {symbols_like(symbol)}") from None


def run(args: argparse.Namespace) -> int:
    """The command: serve until interrupted. Returns the exit code; every failure is one line on stderr."""
    try:
        return asyncio.run(_run(options_from(args), as_json=args.json))
    except PlimsollError as error:
        sys.stderr.write(f"simulate: {error}\n")
        return error.exit_code


async def _run(options: SimulatorOptions, as_json: bool) -> int:
    def announce(ready: Ready) -> None:
        sys.stdout.write((ready.as_json() if as_json else ready.as_text()) + "\n")
        sys.stdout.flush()

    serving = asyncio.ensure_future(serve(options, announce))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving
    return 0
