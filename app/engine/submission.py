"""From an Intent to bytes: tag, gate, journal, venue. The only way an order leaves.

    intents ─► tag ─► gate ─► (Approved) ─► journal, one commit for the batch ─► venue.submit ─► last check in
    the write
                        └ Refused: event, back to the wisher

What can only reduce exposure skips the wait for the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from app.clock import NS, Clock
from app.domain.instruments import by_contract
from app.domain.intents import Cancel, Intent, Modify, Place
from app.domain.market import Quote
from app.domain.orders import Order, OrderEvent, OrderState
from app.domain.tags import TagMint
from app.engine.book import Book
from app.engine.events import EventLog
from app.engine.latency import Stages
from app.engine.ports import Action, Approved, Journal, Venue
from app.engine.records import OrderChanged, Record, TagsReserved
from app.engine.trading import Trading
from app.errors import Refused
from app.risk.gate import Gate, GateView

RefusedHook = Callable[[Intent, str, str], None]


class Submission:
    """Turns intents into approvals and approvals into sent bytes. `fill_view` completes a GateView with P&L
    and floor.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        venue: Venue,
        book: Book,
        trading: Trading,
        gate: Gate,
        mint: TagMint,
        log: EventLog,
        stages: Stages,
        fill_view: Callable[[GateView], None],
        on_refused: RefusedHook,
        on_withdrawn: Callable[[Order, OrderState], None],
        want_cancelled: Callable[[Order, str], None],
        may_expose: Callable[[], bool],
    ) -> None:
        self._clock, self._journal, self._venue = clock, journal, venue
        self._book, self._trading, self._gate, self._mint = book, trading, gate, mint
        self._log, self._stages = log, stages
        self._fill_view, self._on_refused = fill_view, on_refused
        self._on_withdrawn, self._want_cancelled = on_withdrawn, want_cancelled
        self._may_expose = may_expose
        self._changes: dict[str, Modify] = {}  # modifications in flight, by tag

    def submit(self, intents: Sequence[Intent]) -> list[Order]:
        """Gate and send a batch; the returned orders passed the gate. Refused ones went to the event list."""
        self._stages.mark_strategy()
        approved: list[Approved] = []
        for intent in intents:
            try:
                approved.extend(self._consider(intent))
            except Refused as refusal:
                self._refuse(intent, refusal)
        self._stages.mark_gate()
        self._send([a for a in approved if not a.exposing], None)
        exposing = [a for a in approved if a.exposing]
        if exposing:
            self._journal.append(self._records(exposing), partial(self._durable, exposing))
        return [a.order for a in approved]

    def may_send(self, approved: Approved) -> str:
        """The last check, inside the write: state, life and quote age, nothing awaited."""
        if approved.exposing and self._trading.state:
            return self._trading.because()
        return approved.withheld(
            self._clock.mono_ns(), self._trading.epoch, self._quote_age(approved.order.contract)
        )

    def on_sent(self, approved: Approved) -> None:
        """The bytes are with the transport: an order that was pending is now sent."""
        self._stages.mark_sent(approved.order.tag)
        if approved.action is Action.PLACE and approved.order.state is OrderState.PENDING:
            self._apply(approved.order, OrderEvent.SEND)

    def cancel(self, order: Order, why: str) -> None:
        """Ask the venue to cancel; never waits, may be repeated. An order not sent yet is withdrawn by its
        epoch.
        """
        if not order.venue_id or not order.state.live:
            return
        order.cancel_requested = True
        order.reason = order.reason or why
        self._venue.cancel(order)

    def reserve_tags(self, then: Callable[[], None] | None = None) -> None:
        """Keep the durable block of tag counters ahead of use."""
        up_to = self._mint.needs_reserve()
        if up_to is not None:
            self._journal.append([TagsReserved(up_to)], partial(self._reserved, up_to, then))

    def changed(self, tag: str) -> Modify | None:
        """The modification that the venue just answered for `tag`."""
        return self._changes.pop(tag, None)

    def _reserved(self, up_to: int, then: Callable[[], None] | None, error: Exception | None) -> None:
        if error is None:
            self._mint.reserved(up_to)
            if then is not None:
                then()

    def _consider(self, intent: Intent) -> list[Approved]:
        if isinstance(intent, Place):
            return [self._place(intent)]
        if isinstance(intent, Modify):
            return [self._modify(intent)]
        if isinstance(intent, Cancel):
            self._want_cancelled(self._own(intent.strategy, intent.tag), intent.reason)
        return []  # Close is a goal of the engine's pursuit, not an order

    def _own(self, strategy: str, tag: str) -> Order:
        order = self._book.orders.get(tag)
        if order is None or order.strategy != strategy:
            raise Refused("order.unknown", tag, f"an order of {strategy}")
        return order

    def _place(self, intent: Place) -> Approved:
        self.reserve_tags()  # before the mint: refused orders use counters up too
        order = self._order(intent)
        approved = self._undisturbed(self._gate.place(order, self._view(order.contract)))
        self._book.add(order)
        self._stages.begin(order.tag)
        return approved

    def _order(self, intent: Place) -> Order:
        now = self._clock.utc_ns()
        tag = self._mint.mint(intent.strategy, intent.type, now // NS)
        return Order(
            tag=tag,
            strategy=intent.strategy,
            account_id=self._book.account_id,
            contract=intent.contract,
            side=intent.side,
            size=intent.size,
            type=intent.type,
            role=intent.role,
            limit_ticks=intent.limit_ticks,
            stop_ticks=intent.stop_ticks,
            bracket=intent.bracket,
            oco=intent.oco,
            created_ns=now,
            updated_ns=now,
            ref=intent.ref,
        )

    def _modify(self, intent: Modify) -> Approved:
        order = self._own(intent.strategy, intent.tag)
        if order.state is not OrderState.WORKING or not order.venue_id:
            raise Refused("order.not_working", order.tag, order.state)
        if order.tag in self._changes:
            raise Refused("order.change_pending", order.tag, "one change at a time")
        view = self._view(order.contract)
        approved = self._undisturbed(
            self._gate.modify(order, intent.limit_ticks, intent.stop_ticks, intent.size, view)
        )
        self._changes[order.tag] = intent
        return approved

    def _undisturbed(self, approved: Approved) -> Approved:
        """What adds exposure keeps updaters out before it is anywhere. Raises Refused while one works."""
        if approved.exposing and not self._may_expose():
            raise Refused("update.lock", approved.order.tag, hint="an update is about to restart the service")
        return approved

    def _view(self, contract: str) -> GateView:
        book, trading = self._book, self._trading
        view = GateView()
        view.utc_ns, view.mono_ns = self._clock.utc_ns(), self._clock.mono_ns()
        view.epoch, view.state, view.because = trading.epoch, trading.state, trading.because()
        view.armed, view.account = trading.armed, book.account
        view.listed = book.account is not None and book.account.account_id == book.account_id
        view.synced, view.journal_failed = book.synced, self._journal.failed
        view.quote = book.quotes.get(contract)
        view.positions, view.orders = book.positions(), book.live.values()
        view.unknown_orders = sum(o.state is OrderState.UNKNOWN for o in book.live.values())
        try:
            view.instrument = by_contract(contract)
        except Refused:
            view.instrument = None
        self._fill_view(view)
        return view

    def _records(self, approved: Sequence[Approved]) -> list[Record]:
        now = self._clock.utc_ns()
        return [OrderChanged(a.order, a.action, now) for a in approved]

    def _durable(self, approved: list[Approved], error: Exception | None) -> None:
        self._stages.mark_journal([a.order.tag for a in approved])
        self._send(approved, error)

    def _send(self, approved: Sequence[Approved], error: Exception | None) -> None:
        for each in approved:
            why = f"journal: {error}" if error is not None else self.may_send(each)
            if why:
                self.withdraw(each.action, each.order, why)
                continue
            self._venue.submit(each)
            if not each.exposing:
                self._journal.append(self._records([each]))

    def withdraw(self, action: Action, order: Order, why: str) -> None:
        """Not one byte left: say so in the journal and to the wisher."""
        if action is Action.MODIFY:
            self._changes.pop(order.tag, None)
            self._log.add("warning", "withdrawn", f"change of {order.tag}: {why}", order.strategy)
            return
        self._stages.drop(order.tag)
        if order.state in (OrderState.PENDING, OrderState.SENT):
            order.reason, before = why, order.state
            self._apply(order, OrderEvent.WITHDRAW)
            self._log.add("warning", "withdrawn", f"{order.tag}: {why}", order.strategy)
            # on the next turn: the wisher may still be in the middle of its wish
            self._clock.call_later(0, self._on_withdrawn, order, before)

    def _apply(self, order: Order, event: OrderEvent) -> None:
        order.apply(event, self._clock.utc_ns())
        self._book.index(order)
        self._journal.append([OrderChanged(order, event, order.updated_ns)])

    def _refuse(self, intent: Intent, refusal: Refused) -> None:
        self._log.add("warning", refusal.rule, str(refusal), intent.strategy)
        self._on_refused(intent, refusal.rule, str(refusal))

    def _quote_age(self, contract: str) -> int | None:
        quote: Quote | None = self._book.quotes.get(contract)
        return None if quote is None else self._clock.mono_ns() - quote.recv_mono_ns
