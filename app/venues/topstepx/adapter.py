"""TopstepX as `engine.ports.Venue`: puts the parts together and sends what was approved.

One object serves one account; an account that is not listed is never touched. `start` finds everything out
and undoes itself when it fails, `run` keeps it alive until cancelled, `stop` closes everything and may be
called twice.
"""

from __future__ import annotations

import asyncio
import logging
import ssl

import aiohttp
from yarl import URL

from app.clock import Clock, pause
from app.config import Secret, read_secret
from app.config import TopstepX as Settings
from app.domain.events import OrderReport, Outcome, Reply
from app.domain.events import Request as Asked
from app.domain.orders import Order
from app.engine.ports import Action, Approved, Sink
from app.engine.records import Happened, Record
from app.errors import Ours, PlimsollError, SettingsError
from app.venues.topstepx.codec import requests
from app.venues.topstepx.codec.entities import Contract
from app.venues.topstepx.codec.fields import SOURCE
from app.venues.topstepx.codec.http1 import Answer
from app.venues.topstepx.codec.replies import Endpoint, Verdict
from app.venues.topstepx.events import Events
from app.venues.topstepx.limiter import Lane, Limiter
from app.venues.topstepx.products import active_contracts, contract_by_id
from app.venues.topstepx.reads import Reads
from app.venues.topstepx.rest import Caller, Rest, open_session
from app.venues.topstepx.times import TIMES, Times
from app.venues.topstepx.wire import Address, Pool
from app.venues.topstepx.writes import Desk, Heads, KillRead, KillWrite, OrderWrite, PartialClose, Ping

log = logging.getLogger(__name__)

_ORDERS = {Action.PLACE: (Endpoint.PLACE, Asked.PLACE), Action.MODIFY: (Endpoint.MODIFY, Asked.MODIFY)}


class TopstepX:
    """The venue of one account.

    `contracts` maps each wanted symbol to its active contract, after `start`.
    """

    def __init__(self, settings: Settings, clock: Clock, account_id: int = 0, times: Times = TIMES) -> None:
        self._settings, self._clock, self._times = settings, clock, times
        self.account_id = account_id or next(iter(settings.accounts), 0)
        if settings.accounts and self.account_id not in settings.accounts:
            raise SettingsError("topstepx.accounts", f"{self.account_id} is not listed and is not touched")
        self.contracts: dict[str, str] = {}
        self._sink: Sink | None = None
        self._limiter = Limiter()
        self._killing: set[tuple[Asked, str]] = set()
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
        """Log in, find the account and the contracts.

        Raises SettingsError, LoginRefused, Refused, Unreachable, Theirs, having closed what it opened.
        """
        requests.renew()
        key = read_secret("topstepx.api_key_file", self._settings.api_key_file)
        address = _address(self._settings.rest_url)
        self._build(key, address)
        try:
            await self._rest.tokens.login()
            await self._find_account()
            self.contracts = await self._active_contracts()
        except BaseException:
            await self.stop()
            raise
        self._events.want(self.contracts.values())

    def _build(self, key: Secret, address: Address) -> None:
        settings, clock, times = self._settings, self._clock, self._times
        self._session = open_session(settings.pool_limit, times)
        caller = Caller(settings.rest_url, self._session)
        self._rest = Rest(caller, self._limiter, clock, times, settings.user_name, key, self._tell)
        heads = Heads(address.authority, self._rest.tokens)
        self._desk = Desk(clock, times, self._rest.tokens, self._limiter, heads, self._listener)
        self._pool = Pool(address, clock, times)
        self._rest.by_pool = self._by_pool
        self._events = Events(settings, self._session, self._rest.tokens, clock, times, self._listener)
        self._reads = Reads(self._rest, clock, self._listener, settings.live_data, self._events.hold)

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
            who = f"{found.account_id} ({found.name})"
            raise SettingsError(
                "topstepx.accounts", f"{who} may not trade; see why on the platform, or list another"
            )
        self._reads.account_id = self._events.account_id = self.account_id

    async def _active_contracts(self) -> dict[str, str]:
        return await active_contracts(self._rest, self._settings.symbols, self._settings.live_data)

    async def run(self) -> None:
        """Until cancelled: hubs, tokens, order connections, reads. Only our own bugs are raised."""
        ping = Ping(self._pool.address.authority, self._times.ping_ns)
        async with asyncio.TaskGroup() as group:
            for name, task in (
                ("user hub", self._events.user.run()),
                ("market hub", self._events.market.run()),
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
        session, self._session = self._session, None
        if session is not None:
            self._events.stop()
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
            self._not_asked(Asked.CANCEL, order.tag, "the venue has given no id of it")
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
            self._not_asked(asked, ref, _spent(wait))
            return
        self._killing.add(key)
        self._pool.post(KillWrite(self._desk, endpoint, body, asked, ref, lambda: self._killing.discard(key)))

    def _not_asked(self, asked: Asked, ref: str, reason: str) -> None:
        reply = Reply(asked, ref, Outcome.WITHDRAWN, reason=reason)
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

    # -- what the venue offers beside; the engine asks for none of it -------------------------------

    async def order(self, order_id: int) -> OrderReport:
        """One order of the account, live or ended. Raises Refused for an id the venue does not know."""
        return await self._reads.order(order_id)

    async def contract(self, contract_id: str) -> Contract:
        """One contract, expired ones too. Raises Refused for an id the venue does not know."""
        return await contract_by_id(self._rest, contract_id)

    async def partial_close(self, contract: str, size: int) -> Verdict:
        """Close `size` contracts of the position, once, at market. Raises Refused for a size that is none.

        The position's protective legs keep their size: whoever calls this resizes them.
        """
        body = requests.partial_close_body(self.account_id, contract, size)
        if wait := self._limiter.take(self._clock.mono_ns(), Lane.KILL):
            return Verdict(Outcome.WITHDRAWN, reason=_spent(wait))
        write = PartialClose(self._desk, body)
        self._pool.post(write)
        return await write.verdict

    async def logout(self) -> None:
        """Revoke the session at the venue. Not part of `stop`: a token may serve the owner elsewhere too."""
        await self._rest.logout()

    # -- rolls -------------------------------------------------------------------------------------

    async def _watch_rolls(self) -> None:
        """Until cancelled: ask for the active contracts now and then; after a failure at the next turn."""
        while True:
            await pause(self._clock, self._times.roll_ns)
            try:
                self._rolled(await self._active_contracts())
            except PlimsollError as error:
                log.warning("active contracts not read: %s", error)

    def _rolled(self, contracts: dict[str, str]) -> None:
        """Say what changed and follow the new contracts too."""
        changed = {symbol: new for symbol, new in contracts.items() if new != self.contracts.get(symbol)}
        for symbol, new in changed.items():
            text = f"{symbol} rolled from {self.contracts.get(symbol)} to {new}; restart to trade it"
            log.warning("%s", text)
            self._tell(Happened("alarm", "contract.rolled", text, self._clock.utc_ns(), self.account_id))
        if changed:
            self.contracts = contracts
            self._events.want(changed.values())


def _spent(wait_ns: int) -> str:
    return f"rate budget spent, free in {wait_ns / 1e9:.1f} s"


def _address(rest_url: str) -> Address:
    """Where the order connections go: the REST URL's host. Its path must be empty."""
    url = URL(rest_url)
    if not url.host or not url.port or url.path not in ("", "/"):
        raise SettingsError("topstepx.rest_url", "is not a plain URL like https://api.topstepx.com")
    return Address(url.host, url.port, ssl.create_default_context() if url.scheme == "https" else None)
