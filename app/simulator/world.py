"""Exchange, prices and simulated time put together: it moves everything to the present, in order, and says
what to tell whom.

Synchronous and without sockets. Only contracts that somebody watches, or holds, or has orders in, cost
anything: a feed can be entered at any instant and always tells the same story.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from app.domain.calendar import TradingCalendar
from app.domain.holidays import GROUPS
from app.domain.instruments import Instrument
from app.errors import Refused
from app.simulator.book import Event
from app.simulator.exchange import FLATTEN_LEAD_NS, Exchange
from app.simulator.feed import Feed, Tick
from app.simulator.listing import instrument_of, is_active
from app.simulator.marketdata import Board, trade_print
from app.simulator.rows import Row
from app.simulator.simtime import SimTime

TICKS_PER_TURN = 2_000  # instants with ticks handled before the loop gets a turn: some 20 ms
PRINTS_KEPT = (
    500  # trades of one contract told in one batch; at high rates the oldest of a batch are left out
)
QUOTES, TRADES, DEPTH = "quotes", "trades", "depth"
CHANNELS = (QUOTES, TRADES, DEPTH)


class Sink(Protocol):
    """Whoever serves the hubs."""

    def user_events(self, events: list[Event]) -> None: ...
    def market_data(self, channel: str, contract: str, payload: Any) -> None: ...


class _Watched:
    """One contract that is being followed: its cursor in the feed and its board."""

    def __init__(
        self, contract: str, instrument: Instrument, ticks: Iterator[Tick], board: Board, until_ns: int
    ) -> None:
        self.contract, self.instrument, self.board, self.until_ns = contract, instrument, board, until_ns
        self._ticks = ticks
        self.next: Tick | None = next(ticks, None)
        self.prints: list[Row] = []
        self.moved = False

    def step(self) -> Tick:
        tick, self.next = self.next, next(self._ticks, None)
        assert tick is not None  # callers look at `next` first
        self.moved = True
        self.board.take(tick)
        if tick.size:
            self.prints.append(trade_print(self.instrument, self.contract, tick))
        return tick


class World:
    """Everything behind the servers. `now_ns` is how far the present has been worked out."""

    def __init__(self, exchange: Exchange, feed: Feed, time: SimTime, sink: Sink | None = None) -> None:
        self.exchange, self.feed, self.time, self.sink = exchange, feed, time, sink
        self.now_ns = time.utc_ns()
        self._interest: dict[str, dict[str, int]] = {}
        self._watched: dict[str, _Watched] = {}
        self._boundary = self._next_boundary()

    @property
    def calendar(self) -> TradingCalendar:
        return self.exchange.calendar

    # -- time --------------------------------------------------------------------------------------

    def advance(self, budget: int = TICKS_PER_TURN) -> bool:
        """Work up to the present, at most `budget` instants; False = there is more. Tells what happened."""
        target, spent = self.time.utc_ns(), 0
        while (due := self.next_due()) is not None and due <= target and spent < budget:
            self._step(due)
            spent += 1
        finished = due is None or due > target
        if finished:
            self.now_ns = max(self.now_ns, target)
        self.flush()
        return finished

    def next_due(self) -> int | None:
        """The next instant at which something happens by itself; None at the end of the calendar."""
        ticks = (watched.next.utc_ns for watched in self._watched.values() if watched.next is not None)
        boundary = () if self._boundary is None else (self._boundary,)
        return min((*ticks, *boundary), default=None)

    def _step(self, due: int) -> None:
        self.now_ns = max(self.now_ns, due)
        if due == self._boundary:
            self._cross(due)
        for watched in tuple(self._watched.values()):
            while watched.next is not None and watched.next.utc_ns <= due:
                self._take(watched)

    def _take(self, watched: _Watched) -> None:
        assert watched.next is not None  # the caller has looked
        if watched.next.utc_ns >= watched.until_ns:
            self._new_session(watched, watched.next.utc_ns)
        if watched.next is not None:
            self.exchange.on_tick(watched.contract, watched.step())

    def _new_session(self, watched: _Watched, at_ns: int) -> None:
        session = self.calendar.session_at(at_ns, watched.instrument.hours)
        if not is_active(watched.contract, self.calendar.trade_date(at_ns)):
            del self._watched[watched.contract]  # it has rolled: nothing trades in it any more
            watched.next = None
        elif session is not None:
            last = watched.board.tick
            watched.board = Board(watched.contract, watched.instrument, None if last is None else last.price)
            watched.until_ns = session.close_ns

    def _cross(self, now_ns: int) -> None:
        """A deadline or an opening of the calendar."""
        if self.calendar.trading_day_start(now_ns) == now_ns:
            self.exchange.roll_day()
        self.exchange.supervise(now_ns)
        self._boundary = self._next_boundary()

    def _next_boundary(self) -> int | None:
        return min((when for hours in GROUPS for when in self._boundaries(hours)), default=None)

    def _boundaries(self, hours: str) -> Iterator[int]:
        session = self.calendar.session_at(self.now_ns, hours)
        if session is not None:
            deadlines = (session.flat_by_ns - FLATTEN_LEAD_NS, session.flat_by_ns)
            yield from (when for when in deadlines if when > self.now_ns)
        try:
            yield self.calendar.next_open(self.now_ns, hours)
        except Refused:
            return  # the end of the calendar's coverage

    # -- who cares about what ----------------------------------------------------------------------

    def watch(self, channel: str, contract: str) -> Any:
        """Somebody subscribes; returns the first thing to tell them (None: nothing)."""
        self.follow(contract)
        counts = self._interest.setdefault(contract, dict.fromkeys(CHANNELS, 0))
        counts[channel] += 1
        watched = self._watched.get(contract)
        if watched is None or watched.board.tick is None or channel == TRADES:
            return None
        return watched.board.full() if channel == QUOTES else watched.board.depth_snapshot()

    def unwatch(self, channel: str, contract: str) -> None:
        """Somebody leaves."""
        counts = self._interest.get(contract)
        if counts is not None:
            counts[channel] = max(0, counts[channel] - 1)
            if not any(counts.values()):
                del self._interest[contract]
        self._prune()

    def follow(self, contract: str) -> None:
        """Make sure that the exchange knows where the market of `contract` stands. Unknown and idle ones
        are left alone.
        """
        instrument = instrument_of(contract)
        if contract in self._watched or instrument is None or instrument.symbol not in self.feed.symbols:
            return
        session = self.calendar.session_at(self.now_ns, instrument.hours)
        if not is_active(contract, self.calendar.trade_date(self.now_ns)):
            return
        self._watched[contract] = self._enter(contract, instrument, session)

    def _enter(self, contract: str, instrument: Instrument, session: Any) -> _Watched:
        if session is None:
            board = Board(contract, instrument, None)
            board.tick = self.feed.last_tick(instrument.symbol, self.now_ns)
        else:
            board = Board.at(self.feed, contract, instrument, session, self.now_ns)
        if board.tick is not None:
            self.exchange.see(contract, board.tick)
        ticks = self.feed.ticks(instrument.symbol, self.now_ns)
        return _Watched(
            contract, instrument, ticks, board, self.now_ns if session is None else session.close_ns
        )

    def _prune(self) -> None:
        keep = self.exchange.needs_prices() | self._interest.keys()
        for contract in [contract for contract in self._watched if contract not in keep]:
            del self._watched[contract]

    # -- telling -----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Tell what has happened: the accounts' events first, then one quote, one list of trades and of
        levels a contract.
        """
        events = self.exchange.take_events()
        if self.sink is None:
            return
        if events:
            self.sink.user_events(events)
            self._prune()
        for watched in tuple(self._watched.values()):  # a client dropped on the way may end some
            if watched.moved:
                self._tell_market(watched, self._interest.get(watched.contract, {}))

    def _tell_market(self, watched: _Watched, counts: dict[str, int]) -> None:
        assert self.sink is not None  # flush has looked
        prints, watched.prints, watched.moved = watched.prints[-PRINTS_KEPT:], [], False
        if counts.get(QUOTES):
            self.sink.market_data(QUOTES, watched.contract, watched.board.delta())
        if counts.get(TRADES) and prints:
            self.sink.market_data(TRADES, watched.contract, prints)
        if counts.get(DEPTH) and (levels := watched.board.depth_delta()):
            self.sink.market_data(DEPTH, watched.contract, levels)
