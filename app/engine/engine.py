"""The engine: the one owner of an account's trading state. Calls in, calls out; no asyncio, no files, no
network.

It is made of parts that each do one thing (see their modules); this file joins them and is what the world
talks to:

    venue, board, clock, person ─► Engine ─► trading   reasons, latch, epoch
                                         ├► book      orders, fills, positions, quotes
                                         ├► lifecycle, doubts, reads, reconcile    what the venue says
                                         ├► money, day, protection                 what the limits say
                                         ├► pursuit                                the halt, until confirmed
                                         └► submission, runner                     what strategies want

Every entry point ends with the trading state and the halt goal consistent, whatever it was told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.clock import Clock, Timer
from app.domain.calendar import TradingCalendar
from app.domain.events import (
    AccountReport,
    AccountSnapshot,
    Fill,
    OpenSnapshot,
    OrderReport,
    Outcome,
    PositionReport,
    Reply,
    Request,
)
from app.domain.intents import Close, Intent
from app.domain.market import Bar, MarketTrade, Quote
from app.domain.orders import Order, OrderState
from app.domain.tags import TagMint, parse
from app.engine import adjust, killcheck, picture
from app.engine.agreement import Agreement
from app.engine.board import Board
from app.engine.book import Book
from app.engine.cancels import Cancels
from app.engine.consequences import Consequences
from app.engine.day import TradingDay
from app.engine.doubts import Doubts
from app.engine.events import EventLog
from app.engine.feed import FeedWatch
from app.engine.hours import Hours
from app.engine.latency import Stages
from app.engine.lifecycle import Lifecycle
from app.engine.money import Money
from app.engine.ports import Action, Approved, Journal, Panel, Strategy, Venue
from app.engine.protection import Protection
from app.engine.pursuit import Acts, Pursuit
from app.engine.reader import Reads
from app.engine.records import Audited, Record, Recovered
from app.engine.runner import Runner, View
from app.engine.settings import DISPUTE_READ_NS, ORPHAN_READ_NS, STRAY_READ_NS, EngineSettings
from app.engine.shadow import SHADOW, ShadowVenue
from app.engine.snapshot import Snapshot, StorageView, UpdateView
from app.engine.submission import Submission
from app.engine.telling import Telling
from app.engine.trading import Trading
from app.errors import Refused
from app.risk.gate import Gate, GateView
from app.risk.limits import Limits
from app.risk.rules import AccountRules
from app.risk.state import Code, Goal, Kind


@dataclass(frozen=True, slots=True)
class Parts:
    """What the engine is given by `compose`, the replay or a test."""

    clock: Clock
    calendar: TradingCalendar
    journal: Journal
    venue: Venue
    panel: Panel
    settings: EngineSettings
    limits: Limits
    rules: AccountRules | None
    strategies: Sequence[Strategy]
    recovered: Recovered
    native: Mapping[str, str]
    may_expose: Callable[[], bool] = lambda: True  # False while an updater is about to stop us


class Engine:
    """Implements `ports.Sink` for the venue and `commands.Controls` for people."""

    def __init__(self, parts: Parts) -> None:
        self.clock, self.journal, self.settings = parts.clock, parts.journal, parts.settings
        self.calendar, self.limits, self.rules = parts.calendar, parts.limits, parts.rules
        self.panel, self.native = parts.panel, parts.native
        self.telling = Telling(self.clock, self.panel, self.settings, self.snapshot)
        self._strategies, self._recovered = parts.strategies, parts.recovered
        self._may_expose, self.update, self.storage = parts.may_expose, UpdateView(), StorageView()
        shadow = self.settings.mode == SHADOW
        self.venue: Venue = ShadowVenue(parts.venue, self) if shadow else parts.venue
        self.runners: dict[str, Runner] = {}
        self.contracts: dict[str, str] = {}
        self.link_up, self.link_detail = False, "not connected"
        self._ticking: Timer | None = None
        self._stray: frozenset[str] = frozenset()  # seen by the last agreeing read
        self._build_state()
        self._build_orders()
        self._build_goals(shadow)

    def _build_state(self) -> None:
        """What is known, and whether trading is open."""
        clock, journal, settings = self.clock, self.journal, self.settings
        self.hours = Hours(clock, self.calendar)
        self.log = log = EventLog(clock, journal, settings.account_id)
        self.book = book = Book(settings.account_id, settings.tag_prefix)
        scope = str(settings.account_id)
        self.trading = trading = Trading(
            clock, journal, log, scope, settings.resume, self._trading_changed, self._goal_done
        )
        self.board = Board(clock, trading, settings)
        self.feed = FeedWatch(clock, book, trading, settings.feed_silence_ns)
        self.money = Money(clock, self.hours, journal, book, trading, self.limits, self.rules, log)
        self.reads = Reads(clock, self.hours, self.venue, book, settings.routine_read_ns)
        self.day = TradingDay(clock, self.calendar, book, trading, self.money, log, self.reads.now)

    def _build_orders(self) -> None:
        """From an intent to the venue, and what the venue says back."""
        clock, journal, book, log = self.clock, self.journal, self.book, self.log
        self.stages = Stages(clock, journal)
        self.gate = Gate(self.limits, self.calendar, self.venue.encode_place, self.venue.encode_modify)
        reserved = self._recovered.tags_reserved
        self.mint = TagMint(self.settings.tag_prefix, reserved + 1, reserved)
        self.submission = Submission(
            clock,
            journal,
            self.venue,
            book,
            self.trading,
            self.gate,
            self.mint,
            log,
            self.stages,
            self._fill_view,
            self._refused,
            self._withdrawn,
            self._want_cancelled,
            self._may_expose,
        )
        self.cancels = Cancels(clock, self.submission.cancel, self.venue.read_open)
        deadline_ns = self.limits.stop_deadline_ns
        self.protection = Protection(clock, book, deadline_ns, self.reads.now, self._unprotected)
        self.consequences = Consequences(
            self.hours,
            book,
            self.trading,
            self.money,
            self.cancels,
            self.protection,
            log,
            self.runners,
        )
        self.lifecycle = Lifecycle(clock, self.calendar, journal, book, log, self.stages, self.consequences)

    def _build_goals(self, shadow: bool) -> None:
        """What is pursued until the venue's word settles it: doubts, agreement, the halt."""
        clock, journal, book, log = self.clock, self.journal, self.book, self.log
        self.doubts = Doubts(clock, self.trading, self.reads.now, self.lifecycle.lose)
        self.agreement = Agreement(
            clock, journal, book, self.money, self.trading, self.reads, self.rules, log, self._agreed
        )
        acts = Acts(self.submission.cancel, self._goal_confirmed)
        self.pursuit = Pursuit(
            clock, self.calendar, journal, self.venue, book, self.lifecycle, log, acts, idle=shadow
        )

    # -- start and stop

    def begin(self, contracts: Mapping[str, str]) -> None:
        """Take back the journal and start the timers. `contracts` maps symbols to the venue's active
        contracts.

        Trading starts closed: the hold START ends when the first complete read agrees.
        """
        self.contracts = dict(contracts)
        self._restore(self._recovered)
        self.trading.hold(Code.START, "starting: orders, positions and trades not read yet")
        self.board.begin()
        self.submission.reserve_tags()
        for strategy in self._strategies:
            self._begin_strategy(strategy)
        self._tick()
        self.telling.begin()

    def stop(self) -> None:
        """Stop the timers. Orders stay: protective ones guard the position while nobody is here."""
        self.telling.stop()
        self.board.stop()
        if self._ticking is not None:
            self._ticking.cancel()

    def _restore(self, recovered: Recovered) -> None:
        mine = self.settings.account_id  # the journal may know other accounts too
        goals = [g.goal for g in recovered.goals if g.account_id == mine and not g.done]
        self.trading.restore(recovered.latch, max(goals, default=Goal.NONE))
        for order in recovered.orders:
            if order.account_id == mine:
                self.book.add(order)
        for booked in recovered.fills:
            if booked.fill.account_id == mine:
                self.book.ledger.book(booked.fill, booked.strategy, booked.trade_date)
        if goals:
            self.pursuit.resume()
        self.money.restore(recovered.end_of_days)
        self._forget_unsent()
        last = self.money.last_known_day()
        if last is not None:
            self.reads.history_from_ns = self.hours.last_close_ns(last) or 0
        today_ns = self.hours.day_start_ns()
        if today_ns is not None:
            ours = (o for o in self.book.orders.values() if o.tag.startswith(self.settings.tag_prefix))
            sent_today = sum(o.created_ns >= today_ns and not o.parent_tag for o in ours)
            self.gate.resume(sent_today, self.clock.utc_ns())

    def _forget_unsent(self) -> None:
        """An order that was pending or sent when the process died may be at the venue: only evidence can
        tell.
        """
        for order in self.book.live_orders():
            if order.state in (OrderState.PENDING, OrderState.SENT, OrderState.UNKNOWN):
                adjust.doubt(order, self.book, self.journal, self.clock.utc_ns())
                self.doubts.add(order)

    def _begin_strategy(self, strategy: Strategy) -> None:
        contract = self.contracts.get(strategy.symbol)
        if contract is None:
            raise Refused(
                "strategy.symbol", strategy.symbol, ", ".join(self.contracts) or "no contracts resolved"
            )
        runner = Runner(
            self.clock,
            self.venue,
            self.journal,
            self.log,
            self.settings.account_id,
            strategy,
            self._submit,
        )
        self.runners[strategy.name] = runner
        view = View(self.clock, self.book, self.trading, strategy.name, self.contracts)
        runner.begin(contract, view, self._recovered.strategy_states.get(strategy.name, ""))

    # -- market data (Sink)

    def on_quote(self, quote: Quote, received_mono_ns: int) -> None:
        quote.recv_mono_ns = received_mono_ns
        self.book.quotes[quote.contract] = quote
        self.book.venue_utc_ns = max(self.book.venue_utc_ns, quote.utc_ns)
        self.stages.mark_frame(received_mono_ns)
        if self.book.ledger.net(quote.contract):
            self.money.watch()
        for runner in self.runners.values():
            if runner.contract == quote.contract:
                runner.on_quote(quote)
        self.stages.mark_frame(0)

    def on_market_trade(self, trade: MarketTrade) -> None:
        for runner in self.runners.values():
            if runner.contract == trade.contract:
                runner.on_market_trade(trade)

    def on_bars(self, contract: str, bars: Sequence[Bar]) -> None:
        for runner in self.runners.values():
            if runner.contract == contract:
                runner.on_bars(bars)

    def on_bars_failed(self, contract: str, reason: str) -> None:
        for runner in self.runners.values():
            if runner.contract == contract:
                runner.on_bars_failed(reason)

    # -- the account's own events (Sink)

    def on_order(self, report: OrderReport) -> None:
        if report.account_id == self.settings.account_id:
            self.book.heard += 1
            self._take_report(report)
            self.pursuit.poke()

    def on_fill(self, fill: Fill) -> None:
        if fill.account_id != self.settings.account_id:
            return
        self.book.heard += 1
        self.lifecycle.on_fill(fill)
        if fill.id in self.lifecycle.orphans:
            self.clock.call_later(ORPHAN_READ_NS, self._read_for_orphan, fill.id)
        self.pursuit.poke()

    def on_position(self, report: PositionReport) -> None:
        if report.account_id == self.settings.account_id:
            self.book.heard += 1
            self.book.venue_net[report.contract] = report.net
            self.book.position_mono_ns[report.contract] = self.clock.mono_ns()
            self.protection.check(report.contract)
            if self.book.disputed():
                self.clock.call_later(DISPUTE_READ_NS, self._read_if_disputed)
            self.pursuit.poke()

    def on_account(self, report: AccountReport) -> None:
        if report.account_id == self.settings.account_id:
            self.book.heard += 1
            self.book.account_mono_ns = self.clock.mono_ns()
            self._take_account(report)
            self.money.watch()

    def on_reply(self, reply: Reply) -> None:
        if reply.request is Request.PLACE:
            self._placed(reply)
        elif reply.request is Request.MODIFY:
            self._modified(reply)
        elif reply.request is Request.CLOSE:
            self.pursuit.on_reply(reply.ref, reply)
            self.pursuit.poke()
        # A cancel is confirmed by the order's own report or the next read, whatever was answered.

    def on_sent(self, approved: Approved) -> None:
        self.submission.on_sent(approved)

    def may_send(self, approved: Approved) -> str:
        return self.submission.may_send(approved)

    def on_called(self, record: Record) -> None:
        self.journal.append([record])

    # -- reads and the link (Sink)

    def on_link(self, up: bool, reason: str) -> None:
        self.link_up, self.link_detail = up, reason
        if up:
            self.reads.now()
            for runner in self.runners.values():
                runner.link_up()
            return
        self.book.synced = False
        for runner in self.runners.values():
            runner.link_down()
        self.trading.hold(Code.RECONNECT, f"link lost: {reason}")

    def on_snapshot(self, snapshot: AccountSnapshot) -> None:
        if snapshot.account.account_id != self.settings.account_id:
            return
        if self.book.account is None or snapshot.begun_mono_ns >= self.book.account_mono_ns:
            self._take_account(snapshot.account)
        self._take_reports(snapshot.orders)
        for fill in sorted(snapshot.fills, key=lambda f: (f.utc_ns, f.id)):
            self.lifecycle.on_fill(fill)
        self.lifecycle.adopt_orphans(snapshot)
        self.book.take_positions(snapshot.positions, snapshot.begun_mono_ns)
        self.book.venue_listed = frozenset(report.venue_id for report in snapshot.orders)
        self.book.read_once = True
        day_start_ns = self.hours.day_start_ns()
        if day_start_ns is not None and snapshot.fills_since_ns <= day_start_ns:
            self.money.day_known = True
        self.doubts.on_snapshot(snapshot)
        self.agreement.judge(snapshot)
        self.cancels.on_read(snapshot.begun_mono_ns)
        self.pursuit.on_read(snapshot)
        self.money.watch()
        self.telling.show()

    def on_open(self, snapshot: OpenSnapshot) -> None:
        if snapshot.account_id != self.settings.account_id:
            return
        self._take_reports(snapshot.orders)
        self.book.take_positions(snapshot.positions, snapshot.begun_mono_ns)
        listed = {report.venue_id for report in snapshot.orders}
        gone = any(
            o.venue_id not in listed and o.state is OrderState.WORKING for o in self.book.live_orders()
        )
        if gone or self.book.disputed():
            self.reads.now()  # something happened that we were not told: the complete read says what
        self.cancels.on_read(snapshot.begun_mono_ns)
        self.pursuit.on_read(snapshot)

    def on_read_failed(self, account_id: int, reason: str, complete: bool = True) -> None:
        self.link_detail = f"read failed: {reason}"
        if complete:
            self.reads.on_failed()
            self.doubts.on_read_failed()
        self.pursuit.on_read_failed(reason)

    # -- the board (Panel)

    def trip(self, cause: str) -> None:
        """The switch opened. Ahead of every queue: cancels and closes are on their way when this returns."""
        self.board.trip(cause)

    def latched(self) -> bool:
        """Every trip so far would survive the end of this process."""
        return self.trading.latched

    def on_panel(self, fresh: bool, closed: bool) -> None:
        """The board's session is fresh or silent, its contact closed or open."""
        self.board.on_panel(fresh, closed)
        self._release_holds()

    # -- people (Controls)

    def submit(self, intents: Sequence[Intent]) -> list[Order]:
        """Intents that come from no strategy (page, CLI, webhook); their `strategy` says who."""
        return self._submit(intents)

    def halt(self, by: str, why: str) -> None:
        """Stop entries until a person re-arms: NO_ENTRIES."""
        self.trading.restrict(Code.HALT, Kind.PERSON, why or "halted by a person", by=by)

    def flatten(self, by: str, why: str) -> None:
        """FLAT, and halted until a person re-arms."""
        self.trading.restrict(
            Code.FLATTEN, Kind.PERSON, why or "flattened by a person", goal=Goal.FLAT, by=by
        )

    def rearm(self, by: str, why: str) -> None:
        """End PERSON reasons and holds that are over. Raises Refused while anything about the account is not
        known.
        """
        self._may_rearm()
        self.trading.rearm(by, why)

    def _may_rearm(self) -> None:
        if self.journal.failed:
            raise Refused("rearm.journal", self.journal.failed, "", "mend the disk, then restart the service")
        if not self.board.closed:
            raise Refused("rearm.switch", "open or silent", "", "close the switch first")
        if self.agreement.found:
            raise Refused(
                "rearm.difference", "; ".join(self.agreement.found), "", "explain it: accept-difference"
            )
        if not self.book.synced:
            raise Refused("rearm.not_synced", self.link_detail, "", "wait for a clean read of the account")
        if not self.pursuit.done and self.pursuit.goal is Goal.FLAT:
            raise Refused("rearm.not_flat", self.pursuit.detail, "", "wait until the halt is confirmed")

    def accept_difference(self, by: str, why: str) -> None:
        """The owner explains a difference: take the venue's word as the new truth. Raises Refused without a
        reason.
        """
        self.agreement.accept(by, why)

    def audit(self, by: str, command: str, detail: str, outcome: str) -> None:
        self.journal.append([Audited(by, command, detail, outcome, self.clock.utc_ns())])

    def snapshot(self) -> Snapshot:
        """One consistent picture for page, CLI, lights and health."""
        return picture.take(self)

    def kill_check(self) -> str:
        """ "" while the switch would halt and flatten, else what is wrong; changes nothing."""
        return killcheck.check(self.trading, self.pursuit, self.calendar, str(self.settings.account_id))

    # -- inside

    def _submit(self, intents: Sequence[Intent]) -> list[Order]:
        for intent in intents:
            if isinstance(intent, Close):
                self.pursuit.close_contract(intent.contract, intent.strategy)
        return self.submission.submit(intents)

    def _fill_view(self, view: GateView) -> None:
        self.money.fill_view(view)
        view.unknown_orders += len(self.lifecycle.orphans) + len(self.book.disputed())

    def _refused(self, intent: Intent, rule: str, text: str) -> None:
        runner = self.runners.get(intent.strategy)
        if runner is not None:
            runner.on_refused(intent, rule, text)

    def _withdrawn(self, order: Order, before: OrderState) -> None:
        self.consequences.order_changed(order, before)

    def _want_cancelled(self, order: Order, why: str) -> None:
        self.cancels.want(order, why)

    def _goal_done(self) -> bool:
        return self.pursuit.done

    def _read_if_disputed(self) -> None:
        if self.book.disputed():
            self.reads.now()

    def _trading_changed(self) -> None:
        self.pursuit.aim(self.trading.goal)
        self.telling.show()

    def _goal_confirmed(self, goal: Goal) -> None:
        self._release_holds()
        self.telling.show()

    def _agreed(self) -> None:
        for contract in self.book.positions():
            self.protection.check(contract)
        self._sweep_stray_legs()
        self._release_holds()

    def _sweep_stray_legs(self) -> None:
        """Legs of a position that ended elsewhere (closed by hand, or before a crash) could open a new one.

        Two agreeing reads must show them: a single one may have been torn by a fill.
        """
        stray = self.book.stray_legs()
        for tag in stray & self._stray:
            self.cancels.want(self.book.orders[tag], "its position is closed")
        if stray - self._stray:
            self.clock.call_later(STRAY_READ_NS, self.reads.now)
        self._stray = stray

    def _unprotected(self, contract: str) -> None:
        self.consequences.unprotected(contract)

    def _placed(self, reply: Reply) -> None:
        order = self.book.orders.get(reply.ref)
        if order is None:
            return
        if reply.outcome is Outcome.WITHDRAWN:
            self.submission.withdraw(Action.PLACE, order, reply.reason)
            return
        self.lifecycle.on_placed(order, reply)
        if reply.outcome is Outcome.AMBIGUOUS and order.state is OrderState.UNKNOWN:
            self.log.add("alarm", "unknown_order", f"{order.tag}: {reply.reason}", order.strategy)
            self.doubts.add(order)
        self.pursuit.poke()

    def _modified(self, reply: Reply) -> None:
        self.submission.changed(reply.ref)
        if reply.outcome is not Outcome.ACCEPTED:
            self.log.add("warning", "modify", f"{reply.ref}: {reply.outcome} {reply.reason}".strip())
            self.reads.now()  # the venue's own word on the order, never a second try

    def _take_account(self, report: AccountReport) -> None:
        changed = report != self.book.account
        self.book.account = report
        if changed:
            self.money.seen()
        if not report.can_trade:
            self.trading.hold(Code.ACCOUNT, "the venue says this account may not trade")
        elif (reason := self.trading.reasons.get(Code.ACCOUNT)) and reason.kind is Kind.CONDITION:
            self.trading.release(Code.ACCOUNT)

    def _take_reports(self, reports: Sequence[OrderReport]) -> None:
        for report in sorted(reports, key=lambda r: r.venue_id):
            self._take_report(report)

    def _take_report(self, report: OrderReport) -> None:
        known = report.tag in self.book.orders
        order = self.lifecycle.on_report(report)
        self.doubts.heard(order)
        if not known and order.parent_tag not in self.book.orders:  # a leg has the counter of its entry
            self._skip_used_counter(order.tag)

    def _skip_used_counter(self, tag: str) -> None:
        """A tag of ours that the journal does not know (an older disk): never mint its counter again."""
        used = parse(tag, self.settings.tag_prefix)
        if used is not None and used.counter >= self.mint.next_counter:
            self.mint.next_counter = used.counter + 1
            self.mint.reserved_to = max(self.mint.reserved_to, used.counter)
            self.submission.reserve_tags()

    def _release_holds(self) -> None:
        """Holds of start, venue and board end once the account agrees and no entry is left at the venue."""
        if not (self.book.synced and self.link_up and self.pursuit.done):
            return
        self.trading.release(Code.START)
        self.trading.release(Code.RECONNECT)
        if self.board.closed:
            self.trading.release(Code.LINK_SILENCE)

    def _read_for_orphan(self, fill_id: int) -> None:
        if fill_id in self.lifecycle.orphans:
            self.reads.now()

    # -- timers

    def _tick(self) -> None:
        """Once a second (`tick_ns`): hours, limits, feed, journal, bars, picture."""
        self._ticking = self.clock.call_later(self.settings.tick_ns, self._tick)
        self.day.check()
        self.money.watch()
        self.feed.check(self.link_up, self.contracts)
        if self.journal.failed:
            self.trading.restrict(Code.JOURNAL, Kind.PERSON, self.journal.failed)
        now = self.clock.utc_ns()
        for runner in self.runners.values():
            runner.close_bars(now)
        self.telling.show()

    def tick_at(self, utc_ns: int) -> None:
        """The next tick comes at `utc_ns` instead: for a replay that knows the ones before to be idle."""
        if self._ticking is not None:
            self._ticking.cancel()
        self._ticking = self.clock.call_at(utc_ns, self._tick)
