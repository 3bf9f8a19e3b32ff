"""What the two hubs tell: decoded, sorted out, handed to the sink; and whether the link is whole.

The link is up while both hubs are subscribed and every user event was understood. Each time it comes up again
the engine re-reads REST, because the hubs repeat nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

import aiohttp
from msgspec import Raw

from app.clock import Clock, Timer
from app.config import TopstepX as Settings
from app.domain.events import AccountReport, Fill, OrderReport, PositionReport
from app.engine.ports import Sink
from app.errors import Theirs
from app.venues.topstepx.codec import scanned, signalr
from app.venues.topstepx.hub import Hub, HubHandlers, Subscription
from app.venues.topstepx.times import Times
from app.venues.topstepx.tokens import Tokens
from native import frames

log = logging.getLogger(__name__)

MAX_CONTRACTS = 32  # followed at once: at most 10 symbols, their rolls, what the owner holds besides


class Events:
    """The user hub of one account and the market hub of the contracts that matter.

    `dropped` counts events of accounts and contracts that are not ours, `misunderstood` those that could not
    be decoded.
    """

    def __init__(
        self,
        settings: Settings,
        session: aiohttp.ClientSession,
        tokens: Tokens,
        clock: Clock,
        times: Times,
        sink: Callable[[], Sink],
    ) -> None:
        self._clock, self._times, self._sink, self._tokens = clock, times, sink, tokens
        self.account_id = 0  # known once the account was found
        self.dropped = self.misunderstood = 0
        self._wanted: dict[str, None] = {}  # contracts of the settings' symbols
        self._held: dict[str, None] = {}  # other contracts in which the account has a position
        self._quotes = signalr.QuoteBook()
        self._scanned = frames.Contracts()  # both of these, for the reader of the market hub
        self._linked = False
        self._resync: Timer | None = None
        user = HubHandlers(
            self._on_user, self._user_subscriptions, self._on_up, self._on_down, self._on_user_scanned
        )
        market = HubHandlers(
            self._on_market, self._market_subscriptions, self._on_market_up, self._on_down,
            self._on_market_scanned, self._scanned,
        )  # fmt: skip
        skip = settings.skip_negotiation
        self.user = Hub("user hub", settings.user_hub_url, session, tokens, clock, times, user, skip)
        self.market = Hub("market hub", settings.market_hub_url, session, tokens, clock, times, market, skip)

    def stop(self) -> None:
        """Forget the pending resync. Idempotent."""
        if self._resync is not None:
            self._resync.cancel()
            self._resync = None

    # -- subscriptions -----------------------------------------------------------------------------

    def want(self, contracts: Iterable[str]) -> None:
        """Follow the symbols' contracts from now on. Older ones stay: a position may be left in them."""
        new = [contract for contract in contracts if contract not in self._wanted]
        self._wanted.update(dict.fromkeys(new))
        for contract in new:
            scanned.follow(self._scanned, contract)
        if new:
            self.market.restart("contracts changed")

    def hold(self, positions: Iterable[PositionReport]) -> None:
        """Follow what the account holds besides: a position without a price has no known loss."""
        for position in positions:
            known = position.contract in self._wanted or position.contract in self._held
            if position.net and not known and len(self._wanted) + len(self._held) < MAX_CONTRACTS:
                self._held[position.contract] = None
                scanned.follow(self._scanned, position.contract)
                self._ask(position.contract)

    def _ask(self, contract: str) -> None:
        for target, arguments in _follow(contract):
            self.market.ask(target, *arguments)

    def _user_subscriptions(self) -> Iterable[Subscription]:
        yield "SubscribeAccounts", ()
        for what in ("Orders", "Positions", "Trades"):
            yield f"Subscribe{what}", (self.account_id,)

    def _market_subscriptions(self) -> Iterable[Subscription]:
        self._quotes.clear()  # a new connection: what the old one said of a contract may be long out of date
        for contract in self._wanted:
            yield from _follow(contract)

    # -- the link ----------------------------------------------------------------------------------

    def _on_market_up(self) -> None:
        for contract in self._held:
            self._ask(contract)
        self._on_up()

    def _on_up(self) -> None:
        if self.user.up and self.market.up and not self._linked:
            self._linked = True
            self._sink().on_link(True, "")

    def _on_down(self, reason: str) -> None:
        if self._linked:
            self._linked = False
            self._sink().on_link(False, reason)

    def _not_understood(self, error: Theirs) -> None:
        """Something happened to the account, unknown what: the link is not whole until a read has told."""
        self._count(error)
        if self._resync is None:
            self._on_down(f"a user event was not understood: {error}")
            self._resync = self._clock.call_later(self._times.resync_ns, self._end_resync)

    def _end_resync(self) -> None:
        self._resync = None
        self._on_up()

    def _count(self, error: Theirs) -> None:
        self.misunderstood += 1
        level = logging.DEBUG if self.misunderstood > 1 else logging.WARNING
        log.log(level, "event not understood: %s", error)

    def _logged_out(self) -> None:
        """The session was ended elsewhere: log in anew, reconnect both hubs."""
        self._tokens.died(self._tokens.generation)
        for hub in (self.user, self.market):
            hub.restart("logged out by the venue")

    # -- events ------------------------------------------------------------------------------------

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

    def _on_user_scanned(self, reader: frames.Reader, received_mono_ns: int) -> bool:
        if reader.kind not in scanned.USER_KINDS:
            return False
        events = scanned.user_events(reader)
        if events is None:
            return False
        for event in events:
            self._hand_on(event)
        return True

    def _hand_on(self, event: signalr.UserEvent) -> None:
        sink = self._sink()
        if event.account_id != self.account_id:
            self.dropped += 1
        elif isinstance(event, OrderReport):
            sink.on_order(event)
        elif isinstance(event, Fill):
            sink.on_fill(event)
        elif isinstance(event, PositionReport):
            self.hold([event])
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

    def _on_market_scanned(self, reader: frames.Reader, received_mono_ns: int) -> bool:
        """Only contracts that are wanted or held are scanned, so these need no more looking up."""
        if reader.kind == frames.QUOTE:
            quote = self._quotes.update(reader.contract(), reader.quote(), received_mono_ns)
            self._sink().on_quote(quote, received_mono_ns)
        elif reader.kind == frames.TRADE:
            for trade in scanned.tape(reader):
                self._sink().on_market_trade(trade)
        else:
            return False
        return True

    def _hand_on_market(self, target: str, arguments: Sequence[Raw], received_mono_ns: int) -> None:
        contract = signalr.market_contract(arguments)
        if contract not in self._wanted and contract not in self._held:
            self.dropped += 1
        elif target == signalr.QUOTE:
            quote = self._quotes.merge(contract, arguments[1], received_mono_ns)
            self._sink().on_quote(quote, received_mono_ns)
        else:
            for trade in signalr.tape(contract, arguments[1]):
                self._sink().on_market_trade(trade)


def _follow(contract: str) -> Iterable[Subscription]:
    yield "SubscribeContractQuotes", (contract,)
    yield "SubscribeContractTrades", (contract,)
