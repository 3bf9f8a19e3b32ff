"""The venue of a replay: one account on one contract, filled by bars. The engine cannot tell it from the
real one.

It places native brackets with suspended legs, cancels one leg when the other fills, and answers at the
same instant but never inside a call. It does not know OCO groups, flattens nobody and never fails: the
other side of a pair is the engine's to cancel, and faults are the simulator's subject. Prices of fills are
the rules of `app.simulator.bars`; a fill carries the time of the bar it happened in, as the bar itself
does: its opening.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.backtest.account import ACCOUNT_ID, Account
from app.backtest.clock import ReplayClock
from app.backtest.minutes import Minutes
from app.domain.events import (
    AccountSnapshot,
    Fill,
    OpenSnapshot,
    OrderReport,
    Outcome,
    PositionReport,
    Reply,
    Request,
)
from app.domain.market import MINUTE_NS, Bar, Quote
from app.domain.orders import Order, OrderState, OrderType, Side
from app.engine.ports import Action, Approved, Sink
from app.errors import Refused
from app.simulator.bars import Slippage, band, first_fill, market_price
from native import matching

_PRICE_OF = {OrderType.LIMIT: "limit_ticks", OrderType.STOP: "stop_ticks"}
_SUPPORTED = (OrderType.MARKET, *_PRICE_OF)


@dataclass(slots=True)
class VenueOrder:
    """An order as the venue holds it; `app.simulator.bars.Resting` is a part of it.

    `from_ns` is when it arrived: bars that began earlier cannot fill it. Legs wait SUSPENDED for their entry.
    """

    venue_id: int
    tag: str
    side: Side
    size: int
    type: OrderType
    limit_ticks: int | None
    stop_ticks: int | None
    from_ns: int
    created_ns: int
    updated_ns: int
    state: OrderState = OrderState.WORKING
    filled: int = 0
    parent_id: int = 0
    linked_id: int = 0
    offset: int = 0  # of a leg from its entry's fill, in signed ticks
    entered: bool = False
    legs: list[VenueOrder] = field(default_factory=list)
    told: OrderReport | None = None  # its last report; nothing of an order changes without one


class BarVenue:
    """Implements `ports.Venue`. The replay calls `open_bar`, `fill_within` and `tell`; the rest is the
    engine's.
    """

    _sink: Sink

    def __init__(self, clock: ReplayClock, contract: str, account: Account, slippage: Slippage) -> None:
        self._clock, self._contract, self._account, self._slippage = clock, contract, account, slippage
        self._live: dict[int, VenueOrder] = {}
        self._ended: list[VenueOrder] = []  # as far back as the last complete read asked
        self._fills: list[Fill] = []
        self._last_id = 0
        self._last_price: int | None = None

    def connect(self, sink: Sink) -> None:
        self._sink = sink

    # -- the market ----------------------------------------------------------------------------------------

    def open_bar(self, bar: Bar) -> None:
        """The clock stands at the bar's opening: market orders that were waiting fill at its open."""
        if self._live:
            for order in [o for o in self._live.values() if o.type is OrderType.MARKET]:
                self._fill(order, market_price(order.side, bar.open_ticks, self._slippage), bar)
            self._clock.settle()

    def fill_within(self, bar: Bar) -> None:
        """The clock stands at the end of the bar: its stops and limits, one by one. The engine hears of
        each and acts (cancels the other side of a pair) before the next is looked for."""
        while self._live:
            there = [o for o in self._live.values() if o.state is OrderState.WORKING and self._meets(o, bar)]
            hit = first_fill(there, bar, self._slippage)
            if hit is None:
                break
            self._fill(self._live[hit.venue_id], hit.price_ticks, bar)
            self._clock.settle()
        for order in self._live.values():
            order.entered = False

    def tell(self, bar: Bar) -> None:
        """The bar has closed: its close is last, bid and ask, as old as this instant."""
        close, now = bar.close_ticks, self._clock.mono_ns()
        self._last_price = close
        self._sink.on_quote(Quote(self._contract, close, close, close, bar.start_ns + MINUTE_NS, now), now)
        self._sink.on_bars(self._contract, (bar,))

    def untouched(self, day: Minutes, begin: int, end: int) -> int:
        """The index after the bars of `day` from `begin` on, before `end`, in which no order can fill."""
        live = self._live.values()
        if any(order.type is OrderType.MARKET for order in live):
            return begin
        floor, ceiling = band(order for order in live if order.state is OrderState.WORKING)
        return matching.untouched(day.lows, day.highs, begin, end, floor, ceiling)

    def take_price(self, close: int) -> None:
        """A bar that touched nothing has closed."""
        self._last_price = close

    @staticmethod
    def _meets(order: VenueOrder, bar: Bar) -> bool:
        return order.from_ns <= bar.start_ns

    # -- ports.Venue ---------------------------------------------------------------------------------------

    def encode_place(self, order: Order) -> bytes:
        if order.contract != self._contract:
            raise Refused("replay.contract", order.contract, self._contract)
        if order.type not in _SUPPORTED:
            raise Refused("replay.order_type", order.type, ", ".join(_SUPPORTED))
        price = _PRICE_OF.get(order.type)
        if price is not None and getattr(order, price) is None:
            raise Refused("replay.price", f"{order.type} without {price}")
        return b""

    def encode_modify(
        self, order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None
    ) -> bytes:
        return json.dumps({"limit_ticks": limit_ticks, "stop_ticks": stop_ticks, "size": size}).encode()

    def submit(self, approved: Approved) -> None:
        self._soon(self._receive, approved)

    def cancel(self, order: Order) -> None:
        self._soon(self._cancel, order.venue_id, order.tag)

    def close(self, contract: str) -> None:
        self._soon(self._close, contract)

    def read(self, since_ns: int) -> None:
        self._soon(self._snapshot, since_ns, self._clock.mono_ns())

    def read_open(self) -> None:
        self._soon(self._open_snapshot, self._clock.mono_ns())

    def read_bars(self, contract: str, start_ns: int, end_ns: int) -> None:
        """There is no history before the file begins, and everything since is told bar by bar."""
        self._soon(self._sink.on_bars, contract, ())

    # -- requests ------------------------------------------------------------------------------------------

    def _soon(self, call: Callable[..., Any], *args: Any) -> None:
        self._clock.call_later(0, call, *args)

    def _receive(self, approved: Approved) -> None:
        placing = approved.action is Action.PLACE
        request, tag = (Request.PLACE if placing else Request.MODIFY), approved.order.tag
        why = self._sink.may_send(approved)
        if why:
            self._sink.on_reply(Reply(request, tag, Outcome.WITHDRAWN, reason=why))
            return
        self._sink.on_sent(approved)
        if placing:
            self._place(approved.order)
        else:
            self._modify(approved.order, json.loads(approved.body))

    def _place(self, asked: Order) -> None:
        order = self._new(asked.tag, asked.side, asked.size, asked.type, asked.limit_ticks, asked.stop_ticks)
        if not self._beyond_market(asked.side, asked.stop_ticks):
            order.state = OrderState.REJECTED
            self._end(order)
            reply = Reply(Request.PLACE, asked.tag, Outcome.REJECTED, order.venue_id, "Invalid stop price")
            self._sink.on_reply(reply)
            return
        if asked.bracket is not None:
            away = -asked.side
            self._leg(order, "SL", OrderType.STOP, away * asked.bracket.stop_ticks)
            self._leg(order, "TP", OrderType.LIMIT, -away * asked.bracket.target_ticks)
        self._sink.on_reply(Reply(Request.PLACE, asked.tag, Outcome.ACCEPTED, order.venue_id))
        for each in (order, *order.legs):
            self._report(each)

    def _modify(self, asked: Order, change: dict[str, int | None]) -> None:
        order = self._live.get(asked.venue_id)
        stop = change["stop_ticks"]
        problem = ""
        if order is None or order.state is not OrderState.WORKING:
            problem = "the order is not working"
        elif not self._beyond_market(order.side, stop):
            problem = "Invalid stop price"
        if order is None or problem:
            self._sink.on_reply(Reply(Request.MODIFY, asked.tag, Outcome.REJECTED, reason=problem))
            return
        for name, value in change.items():
            if value is not None:
                setattr(order, name, value)
        order.updated_ns = self._clock.utc_ns()
        self._sink.on_reply(Reply(Request.MODIFY, asked.tag, Outcome.ACCEPTED, order.venue_id))
        self._report(order)

    def _cancel(self, venue_id: int, tag: str) -> None:
        order = self._live.get(venue_id)
        outcome = Outcome.REJECTED if order is None else Outcome.ACCEPTED
        reason = "the order is not working" if order is None else ""
        self._sink.on_reply(Reply(Request.CANCEL, tag, outcome, venue_id, reason))
        if order is not None:
            self._cancelled(order, self._clock.utc_ns())

    def _close(self, contract: str) -> None:
        net = self._account.net if contract == self._contract else 0
        waiting = any(o.type is OrderType.MARKET and not o.tag for o in self._live.values())
        if not net or waiting:
            reason = "a close is under way" if net else "no position"
            self._sink.on_reply(Reply(Request.CLOSE, contract, Outcome.REJECTED, reason=reason))
            return
        side = Side.SELL if net > 0 else Side.BUY
        order = self._new("", side, abs(net), OrderType.MARKET, None, None)
        self._sink.on_reply(Reply(Request.CLOSE, contract, Outcome.ACCEPTED))
        self._report(order)

    # -- orders --------------------------------------------------------------------------------------------

    def _new(
        self,
        tag: str,
        side: Side,
        size: int,
        kind: OrderType,
        limit_ticks: int | None,
        stop_ticks: int | None,
    ) -> VenueOrder:
        self._last_id += 1
        now = self._clock.utc_ns()
        order = VenueOrder(self._last_id, tag, side, size, kind, limit_ticks, stop_ticks, now, now, now)
        self._live[order.venue_id] = order
        return order

    def _leg(self, entry: VenueOrder, suffix: str, kind: OrderType, offset: int) -> None:
        """A suspended leg `offset` ticks from its entry's fill; 0 = no such leg."""
        if not offset:
            return
        leg = self._new(f"{entry.tag}-{suffix}", entry.side.opposite, entry.size, kind, None, None)
        leg.state, leg.parent_id, leg.offset = OrderState.SUSPENDED, entry.venue_id, offset
        leg.linked_id = entry.legs[0].venue_id if entry.legs else 0
        entry.legs.append(leg)

    def _beyond_market(self, side: Side, stop_ticks: int | None) -> bool:
        """A stop must lie strictly beyond the last price."""
        return stop_ticks is None or self._last_price is None or (stop_ticks - self._last_price) * side > 0

    def _fill(self, order: VenueOrder, price_ticks: int, bar: Bar) -> None:
        """One whole execution, told in the venue's order: order, execution, legs, position, account."""
        order.state, order.filled, order.updated_ns = OrderState.FILLED, order.size, bar.start_ns
        self._end(order)
        self._report(order)
        fees, gross = self._account.book(order.side, order.size, price_ticks)
        self._last_id += 1
        fill = Fill(
            id=self._last_id,
            order_id=order.venue_id,
            account_id=ACCOUNT_ID,
            contract=self._contract,
            side=order.side,
            size=order.size,
            price_ticks=price_ticks,
            fees_micro=fees,
            utc_ns=bar.start_ns,
            gross_micro=gross,
        )
        self._fills.append(fill)
        self._sink.on_fill(fill)
        for leg in order.legs:
            self._work(leg, price_ticks, bar)
        self._cancel_other_leg(order, bar)
        self._sink.on_position(PositionReport(ACCOUNT_ID, self._contract, self._account.net))
        self._sink.on_account(self._account.report())

    def _work(self, leg: VenueOrder, entry_ticks: int, bar: Bar) -> None:
        leg.state, leg.entered = OrderState.WORKING, True
        leg.from_ns = leg.updated_ns = bar.start_ns
        setattr(leg, _PRICE_OF[leg.type], entry_ticks + leg.offset)
        self._report(leg)

    def _cancel_other_leg(self, order: VenueOrder, bar: Bar) -> None:
        if order.parent_id:
            for other in [o for o in self._live.values() if o.parent_id == order.parent_id]:
                self._cancelled(other, bar.start_ns)

    def _cancelled(self, order: VenueOrder, utc_ns: int) -> None:
        """A cancelled entry takes its suspended legs along."""
        order.state, order.updated_ns = OrderState.CANCELLED, max(order.updated_ns, utc_ns)
        self._end(order)
        self._report(order)
        for leg in order.legs:
            if leg.state is OrderState.SUSPENDED:
                self._cancelled(leg, utc_ns)

    def _end(self, order: VenueOrder) -> None:
        del self._live[order.venue_id]
        self._ended.append(order)

    # -- reports -------------------------------------------------------------------------------------------

    def _report(self, order: VenueOrder) -> None:
        order.told = self._now(order)
        self._sink.on_order(order.told)

    def _row(self, order: VenueOrder) -> OrderReport:
        return order.told or self._now(order)

    def _now(self, order: VenueOrder) -> OrderReport:
        return OrderReport(
            venue_id=order.venue_id,
            account_id=ACCOUNT_ID,
            contract=self._contract,
            state=order.state,
            type=order.type,
            side=order.side,
            size=order.size,
            filled=order.filled,
            limit_ticks=order.limit_ticks,
            stop_ticks=order.stop_ticks,
            tag=order.tag,
            parent_id=order.parent_id,
            linked_id=order.linked_id,
            created_ns=order.created_ns,
            updated_ns=order.updated_ns,
        )

    def _positions(self) -> Sequence[PositionReport]:
        net = self._account.net
        return (PositionReport(ACCOUNT_ID, self._contract, net),) if net else ()

    def _snapshot(self, since_ns: int, begun_mono_ns: int) -> None:
        self._ended = [o for o in self._ended if o.updated_ns >= since_ns]
        self._fills = [fill for fill in self._fills if fill.utc_ns >= since_ns]
        rows = tuple(self._row(o) for o in (*self._ended, *self._live.values()))
        self._sink.on_snapshot(
            AccountSnapshot(
                account=self._account.report(),
                orders=rows,
                positions=tuple(self._positions()),
                fills=tuple(self._fills),
                fills_since_ns=since_ns,
                begun_mono_ns=begun_mono_ns,
                ended_mono_ns=self._clock.mono_ns(),
            )
        )

    def _open_snapshot(self, begun_mono_ns: int) -> None:
        rows = tuple(self._row(o) for o in self._live.values() if o.state is OrderState.WORKING)
        positions = tuple(self._positions())
        now = self._clock.mono_ns()
        self._sink.on_open(OpenSnapshot(ACCOUNT_ID, rows, positions, begun_mono_ns, now))
