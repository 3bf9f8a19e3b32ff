"""TopstepX as `engine.ports.Venue`: puts the parts together, hands events to the sink, sends what was
approved.

One object serves one account; an account that is not listed is never touched. `start` finds everything out
and undoes itself when it fails, `run` keeps it alive until cancelled, `stop` closes everything and may be
called twice.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import aiohttp
from msgspec import Raw
from yarl import URL

from app.clock import Clock, Timer
from app.config import TopstepX as Settings
from app.config import read_secret
from app.domain.events import AccountReport, Fill, OrderReport, Outcome, PositionReport, Reply
from app.domain.events import Request as Asked
from app.domain.orders import Order
from app.engine.ports import Action, Approved, Sink
from app.engine.records import Happened, Record
from app.errors import Ours, PlimsollError, SettingsError, Theirs
from app.venues.topstepx.codec import requests, signalr
from app.venues.topstepx.codec.fields import SOURCE
from app.venues.topstepx.codec.http1 import Answer
from app.venues.topstepx.codec.replies import Endpoint
from app.venues.topstepx.hub import Hub, HubHandlers, Subscription
from app.venues.topstepx.limiter import Lane, Limiter
from app.venues.topstepx.pacing import pause
from app.venues.topstepx.products import active_contracts
from app.venues.topstepx.reads import Reads
from app.venues.topstepx.rest import Caller, Rest, open_session
from app.venues.topstepx.times import TIMES, Times
from app.venues.topstepx.wire import Address, Pool
from app.venues.topstepx.writes import Desk, Heads, KillRead, KillWrite, OrderWrite, Ping

log = logging.getLogger(__name__)

MAX_CONTRACTS = 32  # market subscriptions: the wanted symbols (at most 10) and what the owner holds besides
_ORDERS = {Action.PLACE: (Endpoint.PLACE, Asked.PLACE), Action.MODIFY: (Endpoint.MODIFY, Asked.MODIFY)}


class TopstepX:
    """The venue of one account.

    `contracts` maps each wanted symbol to its active contract (after `start`). `dropped` counts events of
    accounts and contracts that are not ours, `misunderstood` those that could not be decoded.
    """

    def __init__(self, settings: Settings, clock: Clock, account_id: int = 0, times: Times = TIMES) -> None:
        self._settings, self._clock, self._times = settings, clock, times
        self.account_id = account_id or next(iter(settings.accounts), 0)
        if settings.accounts and self.account_id not in settings.accounts:
            raise SettingsError("topstepx.accounts", f"{self.account_id} is not listed and is not touched")
        self.contracts: dict[str, str] = {}
        self.dropped = self.misunderstood = 0
        self._sink: Sink | None = None
        self._limiter = Limiter()
        self._quotes = signalr.QuoteBook()
        self._subscribed: dict[str, None] = {}  # contracts in the order of their first need
        self._killing: set[tuple[Asked, str]] = set()
        self._linked = False
        self._resync: Timer | None = None
        self._session: aiohttp.ClientSession | None = None

    def connect(self, sink: Sink) -> None:
        """Say who listens; before `start`."""
        self._sink = sink

    def _listener(self) -> Sink:
        if self._sink is None:
            raise Ours("the venue has no sink: connect it first")
        return self._sink

    def _tell(self, record: Record) -> None:
        self._listener().on_called(record)

    # -- life --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Log in, find the account and the contracts. Raises SettingsError, LoginRefused, Refused,
        Unreachable, Theirs.
        """
        key = read_secret("topstepx.api_key_file", self._settings.api_key_file)
        self._build(key)
        try:
            await self._rest.tokens.login()
            await self._find_account()
            self.contracts = await self._active_contracts()
        except BaseException:
            await self.stop()
            raise
        self._subscribed.update(dict.fromkeys(self.contracts.values()))

    def _build(self, key: Any) -> None:
        settings, clock, times = self._settings, self._clock, self._times
        self._session = open_session(settings.pool_limit, times)
        caller = Caller(settings.rest_url, self._session)
        self._rest = Rest(caller, self._limiter, clock, times, settings.user_name, key, self._tell)
        address = _address(settings.rest_url)
        heads = Heads(address.authority, self._rest.tokens)
        self._desk = Desk(clock, times, self._rest.tokens, self._limiter, heads, self._listener)
        self._pool = Pool(address, clock, times)
        self._rest.by_pool = self._by_pool
        self._reads = Reads(self._rest, clock, self._listener, settings.live_data)
        self._user = self._hub("user hub", settings.user_hub_url, self._on_user, self._user_subscriptions)
        self._market = self._hub(
            "market hub", settings.market_hub_url, self._on_market, self._market_subscriptions
        )

    def _hub(
        self,
        name: str,
        url: str,
        on_event: Callable[[str, Sequence[Raw], int], None],
        subscriptions: Callable[[], Iterable[Subscription]],
    ) -> Hub:
        assert self._session is not None
        handlers = HubHandlers(on_event, subscriptions, self._on_hub_up, self._on_hub_down)
        skip = self._settings.skip_negotiation
        return Hub(name, url, self._session, self._rest.tokens, self._clock, self._times, handlers, skip)

    async def _find_account(self) -> None:
        accounts = {account.account_id: account for account in await self._reads.accounts()}
        if not self.account_id and accounts:
            self.account_id = next(iter(accounts))
        found = accounts.get(self.account_id)
        if found is None:
            shown = ", ".join(f"{a.account_id} ({a.name})" for a in accounts.values()) or "none"
            raise SettingsError(
                "topstepx.accounts",
                f"{self.account_id} is not an active account of this login; it has {shown}",
            )
        if not found.can_trade:
            problem = f"{found.account_id} ({found.name}) may not trade; see why on the platform, or list another account"
            raise SettingsError("topstepx.accounts", problem)
        self._reads.account_id = self.account_id

    async def _active_contracts(self) -> dict[str, str]:
        return await active_contracts(self._rest, self._settings.symbols, self._settings.live_data)

    async def run(self) -> None:
        """Until cancelled: hubs, tokens, order connections, reads. Only our own bugs are raised."""
        ping = Ping(self._pool.address.authority, self._times.ping_ns)
        async with asyncio.TaskGroup() as group:
            for name, task in (
                ("user hub", self._user.run()),
                ("market hub", self._market.run()),
                ("tokens", self._rest.tokens.run()),
                ("order connections", self._pool.run(lambda: ping)),
                ("complete reads", self._reads.run_complete()),
                ("open reads", self._reads.run_open()),
                ("history", self._reads.run_bars()),
                ("contract rolls", self._watch_rolls()),
            ):
                group.create_task(task, name=f"{SOURCE} {name}")

    async def stop(self) -> None:
        """Close every connection; requests under way are told. Idempotent; cancel `run` first."""
        if self._resync is not None:
            self._resync.cancel()
        session, self._session = self._session, None
        if session is not None:
            self._pool.stop()
            await session.close()

    # -- the engine's requests ---------------------------------------------------------------------

    def encode_place(self, order: Order) -> bytes:
        return requests.place_body(order)

    def encode_modify(
        self, order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None
    ) -> bytes:
        return requests.modify_body(order, limit_ticks, stop_ticks, size)

    def submit(self, approved: Approved) -> None:
        """Once, now: with an idle connection the bytes leave before this returns."""
        endpoint, asked = _ORDERS[approved.action]
        write = OrderWrite(self._desk, endpoint, asked, approved)
        if approved.order.account_id != self.account_id:
            write.withheld(f"account {approved.order.account_id} is not ours to touch")
        elif wait := self._limiter.take(self._clock.mono_ns()):
            write.withheld(_spent(wait))
        else:
            self._pool.post(write)

    def cancel(self, order: Order) -> None:
        body = requests.order_body(self.account_id, order.venue_id)
        if order.account_id != self.account_id or not order.venue_id:
            self._not_asked(
                Reply(Asked.CANCEL, order.tag, Outcome.WITHDRAWN, reason="the venue has no id of it for us")
            )
        else:
            self._kill(Endpoint.CANCEL, body, Asked.CANCEL, order.tag)

    def close(self, contract: str) -> None:
        self._kill(Endpoint.CLOSE, requests.close_body(self.account_id, contract), Asked.CLOSE, contract)

    def _kill(self, endpoint: Endpoint, body: bytes, asked: Asked, ref: str) -> None:
        """Send, unless the same request is under way already: its answer serves both."""
        key = (asked, ref)
        if key in self._killing:
            return
        if wait := self._limiter.take(self._clock.mono_ns(), Lane.KILL):
            self._not_asked(Reply(asked, ref, Outcome.WITHDRAWN, reason=_spent(wait)))
            return
        self._killing.add(key)
        self._pool.post(KillWrite(self._desk, endpoint, body, asked, ref, lambda: self._killing.discard(key)))

    def _not_asked(self, reply: Reply) -> None:
        asyncio.get_running_loop().call_soon(self._listener().on_reply, reply)

    def read(self, since_ns: int) -> None:
        self._reads.read(since_ns)

    def read_open(self) -> None:
        self._reads.read_open()

    def read_bars(self, contract: str, start_ns: int, end_ns: int) -> None:
        self._reads.read_bars(contract, start_ns, end_ns)

    async def _by_pool(self, endpoint: Endpoint, body: bytes) -> Answer:
        read = KillRead(self._desk, endpoint, body)
        self._pool.post(read)
        return await read.answer

    # -- the hubs ----------------------------------------------------------------------------------

    def _user_subscriptions(self) -> Iterable[Subscription]:
        yield "SubscribeAccounts", ()
        for what in ("Orders", "Positions", "Trades"):
            yield f"Subscribe{what}", (self.account_id,)

    def _market_subscriptions(self) -> Iterable[Subscription]:
        self._quotes.clear()  # a new connection: what the old one said of a contract may be long out of date
        for contract in self._subscribed:
            yield "SubscribeContractQuotes", (contract,)
            yield "SubscribeContractTrades", (contract,)

    def _on_hub_up(self) -> None:
        if self._user.up and self._market.up and not self._linked:
            self._linked = True
            self._listener().on_link(True, "")

    def _on_hub_down(self, reason: str) -> None:
        if self._linked:
            self._linked = False
            self._listener().on_link(False, reason)

    def _on_user(self, target: str, arguments: Sequence[Raw], received_mono_ns: int) -> None:
        if target == signalr.LOGOUT:
            self._logged_out()
        elif target in signalr.USER_TARGETS:
            try:
                events = signalr.user_events(target, arguments)
            except Theirs as error:
                self._not_understood(error)
                return
            for event in events:
                self._hand_on(event)

    def _hand_on(self, event: signalr.UserEvent) -> None:
        if event.account_id != self.account_id:
            self.dropped += 1
            return
        sink = self._listener()
        if isinstance(event, OrderReport):
            sink.on_order(event)
        elif isinstance(event, Fill):
            sink.on_fill(event)
        elif isinstance(event, PositionReport):
            sink.on_position(event)
        elif isinstance(event, AccountReport):
            sink.on_account(event)

    def _on_market(self, target: str, arguments: Sequence[Raw], received_mono_ns: int) -> None:
        if target == signalr.LOGOUT:
            self._logged_out()
        elif target in (signalr.QUOTE, signalr.TRADE):
            try:
                self._hand_on_market(target, arguments, received_mono_ns)
            except Theirs as error:
                self._count(error)

    def _hand_on_market(self, target: str, arguments: Sequence[Raw], received_mono_ns: int) -> None:
        contract = signalr.market_contract(arguments)
        if contract not in self._subscribed:
            self.dropped += 1
        elif target == signalr.QUOTE:
            quote = self._quotes.merge(contract, arguments[1], received_mono_ns)
            self._listener().on_quote(quote, received_mono_ns)
        else:
            for trade in signalr.tape(contract, arguments[1]):
                self._listener().on_market_trade(trade)

    def _count(self, error: Theirs) -> None:
        self.misunderstood += 1
        log.log(
            logging.DEBUG if self.misunderstood > 1 else logging.WARNING, "event not understood: %s", error
        )

    def _not_understood(self, error: Theirs) -> None:
        """Something happened to the account and we cannot say what: the link counts as lost until a read has
        told.
        """
        self._count(error)
        if self._resync is None:
            self._on_hub_down(f"a user event was not understood: {error}")
            self._resync = self._clock.call_later(self._times.resync_ns, self._end_resync)

    def _end_resync(self) -> None:
        self._resync = None
        self._on_hub_up()

    def _logged_out(self) -> None:
        """The session was ended elsewhere: log in anew, reconnect both hubs."""
        self._rest.tokens.died(self._rest.tokens.generation)
        for hub in (self._user, self._market):
            hub.restart("logged out by the venue")

    # -- rolls -------------------------------------------------------------------------------------

    async def _watch_rolls(self) -> None:
        """Until cancelled: ask for the active contracts now and then. A failure is asked again an hour later."""
        while True:
            await pause(self._clock, self._times.roll_ns)
            try:
                self._rolled(await self._active_contracts())
            except PlimsollError as error:
                log.warning("active contracts not read: %s", error)

    def _rolled(self, contracts: dict[str, str]) -> None:
        """Say what changed and subscribe the new contracts too; the old ones stay, a position may be left in
        them.
        """
        changed = {symbol: new for symbol, new in contracts.items() if new != self.contracts.get(symbol)}
        for symbol, new in changed.items():
            text = f"{symbol} rolled from {self.contracts.get(symbol)} to {new}; strategies follow at the next start"
            log.warning("%s", text)
            self._tell(Happened("alarm", "contract.rolled", text, self._clock.utc_ns(), self.account_id))
        if changed:
            self.contracts = contracts
            self._subscribed.update(dict.fromkeys(changed.values()))
            self._market.restart("contracts rolled")


def _spent(wait_ns: int) -> str:
    return f"rate budget spent, free in {wait_ns / 1e9:.1f} s"


def _address(rest_url: str) -> Address:
    """Where the order connections go: the REST URL's host. Its path must be empty."""
    url = URL(rest_url)
    if not url.host or not url.port or url.path not in ("", "/"):
        raise SettingsError("topstepx.rest_url", "is not a plain URL like https://api.topstepx.com")
    return Address(url.host, url.port, ssl.create_default_context() if url.scheme == "https" else None)
