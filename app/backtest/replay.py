"""Drives the real engine, gate and ledger over a file of bars, and hands what came of it to `report`.

The account starts with 50,000 USD under the limits of that account size unless told otherwise. A replay is
a pure function of its file and settings: no clock, no disk, no network, no random numbers, so the same
file prints the same bytes.

Each bar happens in four steps, between which the virtual clock fires every timer at its own time:

    opening     market orders that were waiting fill at the open
    its last second         stops and limits fill within the bar
    end         the close becomes the quote, the bar goes to the strategy
    then        what was set for that instant runs (09:30, 15:45, 15:08 Chicago)

Most bars of a year do nothing. Those that provably change nothing but the last price are passed over
together (`Run._quiet_until`), and ticks that change nothing are left out (`app.engine.stillness`); a test
holds the reports with and without that equal, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from app.backtest.account import ACCOUNT_ID, Account
from app.backtest.bars_csv import read_blocks
from app.backtest.clock import ReplayClock
from app.backtest.journal import MemoryJournal
from app.backtest.minutes import Minutes, by_day
from app.backtest.report import DayFacts, Report
from app.backtest.venue import BarVenue
from app.clock import NS
from app.domain.calendar import TradingCalendar
from app.domain.contracts import front_month
from app.domain.instruments import Instrument, by_symbol, symbols_like
from app.domain.market import MINUTE_NS, Bar
from app.domain.units import MICRO
from app.engine import stillness
from app.engine.engine import Engine, Parts
from app.engine.ports import Strategy
from app.engine.records import Happened, Latch, Recovered
from app.engine.settings import EngineSettings
from app.engine.snapshot import BoardView
from app.errors import Refused, SettingsError, Theirs, clean
from app.risk.limits import Limits
from app.risk.rules import AccountRules
from app.simulator.bars import SLIPPAGE_LIMIT, SLIPPAGE_TICKS, STOP_SLIPPAGE_TICKS, Slippage
from app.strategies import build, settings_of
from app.strategies.settings import about, parse

_USD = Fraction(1_000_000)  # the bound of the risk limits
_ZERO = Fraction(0)
UNKNOWN_FEE = Fraction(-1)

# A minute without a trade has no bar, so silence in a file is no silence of a feed; the gate still sees
# the quote's age.
FEED_SILENCE_NS = 24 * 3600 * NS
# The venue of a replay cannot disagree unnoticed. It is read at the roll of every trading day; once a day
# beside that proves it.
ROUTINE_READ_NS = 24 * 3600 * NS
TICK_NS = 60 * NS  # hours and limits at every bar's end; limits are watched on every quote and fill besides


LAST_SECOND_NS = NS  # what happened within a bar is told in its last second, before anything due at its end


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """The account and the fill model. The defaults are a 50K account."""

    start_balance: Fraction = field(
        default=Fraction(50_000), metadata=about("balance before the first bar", "USD", Fraction(1), _USD)
    )
    maximum_loss_limit: Fraction = field(
        default=Fraction(2_000), metadata=about("distance of the trailing floor", "USD", Fraction(1), _USD)
    )
    daily_loss_limit: Fraction = field(
        default=Fraction(1_000), metadata=about("of one trading day; 0 = none", "USD", _ZERO, _USD)
    )
    max_minis: int = field(default=5, metadata=about("contracts of the account", "minis", 1, 100))
    fee_round_turn: Fraction = field(
        default=UNKNOWN_FEE,
        metadata=about("one contract in and out; -1 = the instrument's", "USD", UNKNOWN_FEE, Fraction(1_000)),
    )
    slippage_ticks: int = field(
        default=SLIPPAGE_TICKS, metadata=about("against market orders", "ticks", 0, SLIPPAGE_LIMIT)
    )
    stop_slippage_ticks: int = field(
        default=STOP_SLIPPAGE_TICKS, metadata=about("against stops", "ticks", 0, SLIPPAGE_LIMIT)
    )


def replay(
    path: Path, symbol: str, strategy: str, values: Mapping[str, object], *, skipping: bool = True
) -> Report:
    """Run `strategy` on `symbol` over the bars of `path`. `values` are settings of the strategy or of
    `ReplaySettings`. Without `skipping` every bar goes through everything: slower, with the same report.

    Raises Theirs (file and line) for the file, SettingsError for symbol, strategy, key or value.
    """
    instrument = _instrument(symbol)
    own = {f: values[f] for f in ReplaySettings.__dataclass_fields__ if f in values}
    rest = {key: value for key, value in values.items() if key not in own}
    _require_known(strategy, rest)
    settings = parse(ReplaySettings, "replay", own)
    calendar = TradingCalendar()
    desk = build(strategy, {**rest, "symbol": symbol}, calendar)
    days = by_day(read_blocks(path, instrument))
    first = next(days, None)
    if first is None:
        raise Theirs(str(path), "no bars in it")
    return Run(instrument, settings, desk, calendar, first.bar(0), skipping).over(chain((first,), days))


def _instrument(symbol: str) -> Instrument:
    try:
        return by_symbol(symbol)
    except Refused:
        raise SettingsError("symbol", f"{clean(symbol)} is unknown; {symbols_like(symbol)}") from None


def _require_known(strategy: str, values: Mapping[str, object]) -> None:
    known = [s.key for s in settings_of(strategy) if s.key != "symbol"]
    for key in values:
        if key not in known:
            words = ", ".join([*known, *ReplaySettings.__dataclass_fields__])
            raise SettingsError(key, f"unknown; known are {words}")


class Run:
    """One replay. Built for the first bar, used once."""

    def __init__(
        self,
        instrument: Instrument,
        settings: ReplaySettings,
        strategy: Strategy,
        calendar: TradingCalendar,
        first: Bar,
        skipping: bool = True,
    ) -> None:
        """`skipping` False takes every bar through everything, with the same result."""
        self._instrument, self._strategy, self._calendar = instrument, strategy, calendar
        self._tick_micro = instrument.tick_value_micro
        start = calendar.trade_date(first.start_ns)
        self.contract = str(front_month(instrument.product, start))
        self._start_micro = micro_of(settings.start_balance)
        fee = _fee_micro(instrument, settings.fee_round_turn)
        account = Account(self._start_micro, instrument.tick_value_micro, fee)
        self._clock = ReplayClock(first.start_ns)
        self._begun_ns, self._skipping = first.start_ns, skipping
        self._tick_ns, self._epoch = 0, 0  # when the next tick comes, under which restrictions
        slippage = Slippage(settings.slippage_ticks, settings.stop_slippage_ticks)
        self._venue = BarVenue(self._clock, self.contract, account, slippage)
        self._journal = MemoryJournal()
        self._engine = Engine(self._parts(settings, start))
        self._venue.connect(self._engine)
        self._days: list[DayFacts] = []
        self._told = 0  # events that an earlier day has shown
        self._points: list[int] = []
        self._marked = 0  # fills that the last point knew

    def over(self, days: Iterable[Minutes]) -> Report:
        engine = self._engine
        engine.on_panel(fresh=True, closed=True)
        engine.begin({self._instrument.symbol: self.contract})
        engine.on_link(True, "replay")
        self._clock.settle()
        count = 0
        for day in days:
            count += len(day)
            self._day(day)
        engine.stop()
        return Report(
            instrument=self._instrument,
            bars=count,
            start_micro=self._start_micro,
            orders=list(self._journal.orders.values()),
            fills=self._journal.fills,
            trades=engine.book.ledger.trades(),
            ledger_days=engine.book.ledger.days(),
            days=self._days,
            events=self._journal.events,
            equity=self._points,
        )

    def _day(self, day: Minutes) -> None:
        """One trading day; what the strategy says of it is kept before the next one begins."""
        at, stopped = 0, self._stopped(day.starts[0])
        while at < len(day):
            if self._skipping and (end := self._quiet_until(day, at)) > at:
                self._skip(day, at, end)
                at = end
            if at < len(day):  # the bar that ended the quiet
                self._happen(day.bar(at))
                at += 1
        trade_date = self._calendar.trade_date(day.starts[0])
        events = self._journal.events[self._told :]
        self._told += len(events)
        alarms = [event for event in events if event.level != "info"]
        self._days.append(DayFacts(trade_date, dict(self._strategy.facts()), (*stopped, *alarms)))

    def _stopped(self, utc_ns: int) -> list[Happened]:
        """What an earlier day left that only a person ends: in a replay nobody does."""
        reasons = self._engine.trading.person_reasons()
        return [Happened("alarm", r.code, f"no entries: {r.detail}", utc_ns) for r in reasons]

    def _quiet_until(self, day: Minutes, at: int) -> int:
        """The index after the bars from `at` on that provably change nothing but the last price.

        No timer is due before they end, no order fills in them, and engine and strategy take them without a
        word.
        """
        due = self._clock.next_due_ns()
        end = len(day) if due is None else day.ended_before(due, at)
        end = self._venue.untouched(day, at, end)
        if end <= at:
            return at
        return stillness.skim(self._engine, self.contract, day.starts, day.closes, at, end)

    def _skip(self, day: Minutes, begin: int, end: int) -> None:
        """What remains of bars that changed nothing: the time, the last price, the equity at each close."""
        close = day.closes[end - 1]
        self._clock.advance_to(day.starts[end - 1] + MINUTE_NS)
        self._venue.take_price(close)
        stillness.take_price(self._engine, self.contract, close)
        ledger = self._engine.book.ledger
        if net := ledger.net(self.contract):
            flat = self._engine.money.flat_equity_micro()
            if flat is not None and self._engine.money.day_known:
                at_zero, tick = flat + ledger.open_micro(self.contract, 0), net * self._tick_micro
                self._points.extend([at_zero + tick * close for close in day.closes[begin:end]])

    def _wait(self, utc_ns: int) -> None:
        """What is due until then; between two bars may lie a weekend."""
        clock = self._clock
        if self._skipping:
            while (due := clock.next_due_ns()) is not None and due < utc_ns:
                clock.advance_to(due)
                self._doze()
        clock.advance_to(utc_ns)

    def _doze(self) -> None:
        """Leave out the ticks that change nothing: the next is the last one before something may change.

        What was found stays true until then, or until trading is restricted by something new.
        """
        engine, now, begun = self._engine, self._clock.utc_ns(), self._begun_ns
        if self._tick_ns > now and self._epoch == engine.trading.epoch:
            return
        until = stillness.until(engine)
        last, following = until - 1 - (until - 1 - begun) % TICK_NS, now + TICK_NS - (now - begun) % TICK_NS
        self._tick_ns, asleep = max(last, following), self._tick_ns > following
        self._epoch = engine.trading.epoch
        if asleep or last > following:
            engine.tick_at(self._tick_ns)

    def _happen(self, bar: Bar) -> None:
        clock, venue, end = self._clock, self._venue, bar.start_ns + MINUTE_NS
        self._wait(bar.start_ns)
        venue.open_bar(bar)
        clock.advance_to(end - LAST_SECOND_NS)
        venue.fill_within(bar)
        clock.arrive(end)
        venue.tell(bar)
        clock.settle()
        self._mark()
        if self._skipping:
            self._doze()

    def _mark(self) -> None:
        """Equity at the bar's close, for the drawdown."""
        engine, fills = self._engine, len(self._journal.fills)
        if fills == self._marked and not engine.book.ledger.net(self.contract):
            return
        self._marked = fills
        flat, book = engine.money.flat_equity_micro(), engine.book
        open_micro = book.ledger.unrealised_micro(self.contract, book.quotes.get(self.contract))
        if flat is not None and open_micro is not None and engine.money.day_known:
            self._points.append(flat + open_micro)

    def _parts(self, settings: ReplaySettings, start: date) -> Parts:
        maximum, daily = micro_of(settings.maximum_loss_limit), micro_of(settings.daily_loss_limit)
        minis = settings.max_minis
        return Parts(
            clock=self._clock,
            calendar=self._calendar,
            journal=self._journal,
            venue=self._venue,
            panel=NoPanel(),
            settings=EngineSettings(
                account_id=ACCOUNT_ID,
                mode="replay",
                clock="virtual",
                resume=True,
                feed_silence_ns=FEED_SILENCE_NS,
                heartbeat_ns=0,
                show_ns=0,
                tick_ns=TICK_NS,
                routine_read_ns=ROUTINE_READ_NS,
            ),
            limits=Limits(
                max_contracts_tenths=minis * 10,
                maximum_loss_limit_micro=maximum,
                daily_loss_limit_micro=daily or None,
                max_contracts_symbol_default=minis * 10,
                max_order_contracts=minis * 10,
            ),
            rules=AccountRules(
                start_balance_micro=self._start_micro,
                floor_micro=self._start_micro - maximum,
                as_of=start - timedelta(days=1),
                maximum_loss_micro=maximum,
                locks_at_micro=self._start_micro,
            ),
            strategies=(self._strategy,),
            recovered=Recovered(latch=Latch(armed=True)),
            native={},
        )


class NoPanel:
    """No board in a replay."""

    def show(self, snapshot: Any) -> None:
        return

    def heartbeat(self, mono_ns: int) -> None:
        return

    def view(self) -> BoardView:
        return BoardView()


def micro_of(amount: Fraction) -> int:
    """USD as micro-USD; settings carry at most nine places. Raises SettingsError for more than six."""
    micro = amount * MICRO
    if micro.denominator != 1:
        raise SettingsError("replay", f"{float(amount)} USD has more than six decimal places")
    return micro.numerator


def _fee_micro(instrument: Instrument, stated: Fraction) -> int:
    if stated >= 0:
        return micro_of(stated)
    if instrument.fee_round_turn_micro is None:
        raise SettingsError("fee_round_turn", f"the fees of {instrument.symbol} are not known, state them")
    return instrument.fee_round_turn_micro
