"""Runs strategies: gives them history, bars, quotes, time and their own orders; hands their intents on.

A strategy acts only on complete data. Its clock (`on_time`) waits while bars are missing: at the start, after
a lost link, and for the minute in which the link came up, which only the venue's history knows whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from app.clock import Clock, Timer
from app.domain.bars import BarBuilder
from app.domain.events import Fill
from app.domain.intents import Intent
from app.domain.market import MINUTE_NS, Bar, MarketTrade, Quote
from app.domain.orders import Order
from app.engine.book import Book
from app.engine.events import EventLog
from app.engine.ports import Journal, Strategy, Venue
from app.engine.records import BarClosed, StrategyState
from app.engine.settings import BARS_GRACE_NS, BARS_KEPT_NS, BARS_RETRY_NS
from app.engine.trading import Trading
from app.risk.state import TradingState

Submit = Callable[[Sequence[Intent]], object]


class View:
    """What one strategy may see (`ports.StrategyView`)."""

    def __init__(
        self, clock: Clock, book: Book, trading: Trading, strategy: str, contracts: Mapping[str, str]
    ) -> None:
        self._clock, self._book, self._trading = clock, book, trading
        self._strategy, self._contracts = strategy, contracts

    def utc_ns(self) -> int:
        return self._clock.utc_ns()

    def quote(self, symbol: str) -> Quote | None:
        return self._book.quotes.get(self._contracts.get(symbol, ""))

    def net(self, symbol: str) -> int:
        return self._book.ledger.net_of(self._strategy, self._contracts.get(symbol, ""))

    def orders(self) -> Iterable[Order]:
        return [o for o in self._book.live_orders() if o.strategy == self._strategy]

    def open(self) -> bool:
        return self._book.synced and self._trading.state is TradingState.ACTIVE


class Runner:
    """One strategy on one contract. `ready` once its history is whole up to the running minute."""

    def __init__(
        self,
        clock: Clock,
        venue: Venue,
        journal: Journal,
        log: EventLog,
        account_id: int,
        strategy: Strategy,
        submit: Submit,
    ) -> None:
        self._clock, self._venue, self._journal, self._log = clock, venue, journal, log
        self._account_id, self.strategy, self._submit = account_id, strategy, submit
        self.contract = ""
        self.ready = False
        self._builder = BarBuilder(1)
        self._have_to_ns = 0  # end of the last completed bar given to the strategy
        self._whole_from_ns = 0  # minutes that began before this were not heard from their first trade
        self._timer: Timer | None = None
        self._retry: Timer | None = None
        self._due = 0
        self._refusing = False
        self._state = ""

    def begin(self, contract: str, view: View, restored: str) -> None:
        self.contract = contract
        self.strategy.start(contract, view)
        if restored:
            self.strategy.restore(restored)
        self._state = self.strategy.state()

    # -- history

    def link_up(self) -> None:
        """(Re)connected and subscribed: the running minute is incomplete here, everything before it is read
        back.
        """
        self.ready = False
        self._builder = BarBuilder(1)
        now = self._clock.utc_ns()
        self._whole_from_ns = -(-now // MINUTE_NS) * MINUTE_NS
        self._ask()

    def link_down(self) -> None:
        self.ready = False
        self._cancel(self._retry)

    def _ask(self) -> None:
        now = self._clock.utc_ns()
        start = self._have_to_ns or self.strategy.wants_bars_from(now)
        if not start:
            self._have_to_ns = self._whole_from_ns
            self._become_ready()
            return
        self._venue.read_bars(self.contract, max(start, now - BARS_KEPT_NS), now)

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Completed bars from history, oldest first; known ones are skipped."""
        for bar in bars:
            self._give(bar)
        now = self._clock.utc_ns()
        self._have_to_ns = max(self._have_to_ns, min(now - now % MINUTE_NS, self._whole_from_ns))
        if not self.ready:
            self._await_whole_minute(now)
        self._arm()

    def on_bars_failed(self, reason: str) -> None:
        self._log.add("warning", "history", f"no bars for {self.contract}: {reason}", self.strategy.name)
        self._ask_again(BARS_RETRY_NS)

    def _await_whole_minute(self, now: int) -> None:
        """The strategy may act until the broken minute ends; then that minute is fetched before it acts
        again.
        """
        if now < self._whole_from_ns:
            self._ask_at(self._whole_from_ns + BARS_GRACE_NS)
        self._become_ready()

    def _become_ready(self) -> None:
        if not self.ready:
            self.ready = True
            self._arm()

    def _ask_at(self, utc_ns: int) -> None:
        self._cancel(self._retry)
        self._retry = self._clock.call_at(utc_ns, self._ask)

    def _ask_again(self, delay_ns: int) -> None:
        self._cancel(self._retry)
        self._retry = self._clock.call_later(delay_ns, self._ask)

    # -- the market

    def on_market_trade(self, trade: MarketTrade) -> None:
        self._completed(self._builder.add(trade))

    def on_quote(self, quote: Quote) -> None:
        intents = self.strategy.on_quote(quote)
        if intents:  # quotes come by the dozen: state and timer are looked at only when something happened
            self._hand_on(intents)

    def close_bars(self, utc_ns: int) -> None:
        """Time passed: a bar whose window ended is complete though no later trade came."""
        self._completed(self._builder.close_until(utc_ns))

    def _completed(self, bar: Bar | None) -> None:
        # While the broken minute is missing, history will bring this bar too, and in order.
        if bar is not None and self._have_to_ns >= self._whole_from_ns:
            self._give(bar)

    def _give(self, bar: Bar) -> None:
        if bar.start_ns < self._have_to_ns:
            return
        self._have_to_ns = bar.start_ns + MINUTE_NS
        self._journal.append([BarClosed(self.contract, 1, bar)])
        self._hand_on(self.strategy.on_bar(bar))

    def skim(self, starts: Sequence[int], closes: Sequence[int], begin: int, end: int) -> int:
        """The index after the bars from `begin` on, before `end`, that the strategy takes without a word: no
        intent, no new state.

        A strategy that cannot promise that has no `skim`. For a replay, whose journal keeps no bars.
        """
        skim = getattr(self.strategy, "skim", None)
        late = not self.ready or self._have_to_ns < self._whole_from_ns
        if skim is None or late or begin >= end or starts[begin] < self._have_to_ns:
            return begin
        after: int = skim(starts, closes, begin, end)
        if after > begin:
            self._have_to_ns = starts[after - 1] + MINUTE_NS
        return after

    # -- orders of the strategy

    def on_order(self, order: Order) -> None:
        self._hand_on(self.strategy.on_order(order))

    def on_fill(self, fill: Fill, order: Order) -> None:
        self._hand_on(self.strategy.on_fill(fill, order))

    def on_refused(self, intent: Intent, rule: str, text: str) -> None:
        intents = self.strategy.on_refused(intent, rule, text)
        if self._refusing:
            self._log.add("warning", "refused_again", f"{rule}: not tried a third time", self.strategy.name)
            return
        self._refusing = True
        try:
            self._hand_on(intents)
        finally:
            self._refusing = False

    # -- time and intents

    def _on_time(self) -> None:
        self._timer, self._due = None, 0
        now = self._clock.utc_ns()
        self.close_bars(now)
        if self._blind(now):
            return  # the bars come first; on_bars arms the clock again
        self._hand_on(self.strategy.on_time(now))

    def _blind(self, now: int) -> bool:
        """The minute that just ended, or an earlier one, is missing."""
        return not self.ready or self._have_to_ns < self._whole_from_ns <= now

    def _hand_on(self, intents: Sequence[Intent]) -> None:
        if intents:
            self._submit(intents)
        self._arm()
        self._remember()

    def _arm(self) -> None:
        now = self._clock.utc_ns()
        due = self.strategy.next_time(now) if self.ready else 0
        if due == self._due and (not due or self._timer is not None):
            return
        self._cancel(self._timer)
        self._timer, self._due = None, due
        if due:
            self._timer = self._clock.call_at(max(due, now), self._on_time)

    def _remember(self) -> None:
        text = self.strategy.state()
        if text != self._state:
            self._state = text
            self._journal.append(
                [StrategyState(self.strategy.name, self._account_id, text, self._clock.utc_ns())]
            )

    @staticmethod
    def _cancel(timer: Timer | None) -> None:
        if timer is not None:
            timer.cancel()
