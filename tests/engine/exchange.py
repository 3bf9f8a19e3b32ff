"""A small exchange for the engine's tests: the truth of orders, fills, positions and balance.

Written on its own, so that the engine's tests share no code with the product's simulator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.clock import NS, VirtualClock
from app.domain.events import (
    AccountReport,
    Fill,
    OrderReport,
    Outcome,
    PositionReport,
    Reply,
    Request,
)
from app.domain.orders import Order, OrderState, OrderType, Side

ACCOUNT = 7
ES = "CON.F.US.EP.Z26"
FEE = 1_890_000  # one way, ES
TICK_VALUE = 12_500_000
START_BALANCE = 50_000_000_000
MONDAY_10 = int(datetime(2026, 10, 5, 15, 0, tzinfo=UTC).timestamp()) * NS  # 10:00 Chicago


@dataclass
class VenueOrder:
    id: int
    tag: str
    contract: str
    type: OrderType
    side: Side
    size: int
    limit: int | None
    stop: int | None
    state: OrderState
    parent: int = 0
    linked: int = 0
    filled: int = 0
    bracket: Any = None
    created: int = 0
    updated: int = 0


class Exchange:
    """Truth: orders, fills, positions, balance. Events go to `tell`."""

    def __init__(self, clock: VirtualClock, price: int = 24_000) -> None:
        self.clock, self.price = clock, price
        self.orders: dict[int, VenueOrder] = {}
        self.fills: list[Fill] = []
        self.net: dict[str, int] = {}
        self.cost: dict[str, list[tuple[int, int]]] = {}
        self.balance = START_BALANCE
        self.tags: set[str] = set()
        self.next_id = 1000
        self.can_trade = True
        self.open = True
        self.tell: Callable[[Any], None] = lambda event: None
        self.auto_oco = True
        self.refusal = ""  # words with which every order is refused

    # -- requests

    def place(self, order: Order) -> Reply:
        def refuse(why: str) -> Reply:
            return Reply(Request.PLACE, order.tag, Outcome.REJECTED, 0, why)

        if order.tag in self.tags:
            return refuse("custom tag already in use")
        self.tags.add(order.tag)
        if self.refusal:
            return refuse(self.refusal)
        if not self.open:
            return refuse(
                "Trading is currently unavailable. The instrument is not in an active trading status."
            )
        if order.bracket and not self.auto_oco:
            return refuse(
                "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets."
            )
        if order.type is OrderType.STOP and (order.stop_ticks - self.price) * order.side <= 0:
            return refuse("Invalid stop price")
        entry = self._new(
            order.tag, order.contract, order.type, order.side, order.size, order.limit_ticks, order.stop_ticks
        )
        entry.bracket = order.bracket
        if order.bracket:
            self._legs(entry)
        self._report(entry)
        for leg in self._children(entry):
            self._report(leg)
        if order.type is OrderType.MARKET:
            self._execute(entry, self.price)
        return Reply(Request.PLACE, order.tag, Outcome.ACCEPTED, entry.id)

    def cancel(self, order_id: int) -> bool:
        order = self.orders.get(order_id)
        if order is None or order.state.terminal or not self.open:
            return False
        self._end(order, OrderState.CANCELLED)
        for leg in self._children(order):
            if not leg.state.terminal and order.filled == 0:
                self._end(leg, OrderState.CANCELLED)
        return True

    def close(self, contract: str) -> str:
        net = self.net.get(contract, 0)
        if not self.open:
            return "Trading is currently unavailable."
        if not net:
            return "PositionNotFound"
        side = Side.SELL if net > 0 else Side.BUY
        order = self._new("", contract, OrderType.MARKET, side, abs(net), None, None)
        self._report(order)
        self._execute(order, self.price)
        return ""

    def modify(self, order_id: int, limit: int | None, stop: int | None) -> bool:
        order = self.orders.get(order_id)
        if order is None or order.state is not OrderState.WORKING:
            return False
        order.limit = limit if limit is not None else order.limit
        order.stop = stop if stop is not None else order.stop
        order.updated = self._stamp()
        self._report(order)
        return True

    def manual(self, side: Side, size: int, contract: str = ES) -> None:
        """The owner clicks in the platform."""
        order = self._new("", contract, OrderType.MARKET, side, size, None, None)
        self._report(order)
        self._execute(order, self.price)

    # -- the market

    def move(self, price: int) -> None:
        """The price walks tick by tick; stops and limits execute."""
        step = 1 if price > self.price else -1
        while self.price != price:
            self.price += step
            for order in list(self.orders.values()):
                if order.state is OrderState.WORKING and self._touched(order):
                    self._execute(order, self.price)

    def _touched(self, order: VenueOrder) -> bool:
        if order.type is OrderType.STOP:
            return (self.price - order.stop) * order.side >= 0
        return order.type is OrderType.LIMIT and (order.limit - self.price) * order.side > 0

    # -- inside

    def _stamp(self) -> int:
        return self.clock.utc_ns()

    def _new(
        self,
        tag: str,
        contract: str,
        type_: OrderType,
        side: Side,
        size: int,
        limit: int | None,
        stop: int | None,
    ) -> VenueOrder:
        now = self._stamp()
        order = VenueOrder(
            self.next_id,
            tag,
            contract,
            type_,
            side,
            size,
            limit,
            stop,
            OrderState.WORKING,
            created=now,
            updated=now,
        )
        self.orders[order.id] = order
        self.next_id += 1
        return order

    def _legs(self, entry: VenueOrder) -> None:
        stop = self._new(
            f"{entry.tag}-SL", entry.contract, OrderType.STOP, entry.side.opposite, entry.size, None, None
        )
        stop.state, stop.parent = OrderState.SUSPENDED, entry.id
        if entry.bracket.target_ticks:
            target = self._new(
                f"{entry.tag}-TP",
                entry.contract,
                OrderType.LIMIT,
                entry.side.opposite,
                entry.size,
                None,
                None,
            )
            target.state, target.parent, target.linked = OrderState.SUSPENDED, entry.id, stop.id

    def _children(self, entry: VenueOrder) -> list[VenueOrder]:
        return [o for o in self.orders.values() if o.parent == entry.id]

    def _end(self, order: VenueOrder, state: OrderState) -> None:
        order.state, order.updated = state, self._stamp()
        self._report(order)

    def _execute(self, order: VenueOrder, price: int) -> None:
        order.filled, order.state, order.updated = order.size, OrderState.FILLED, self._stamp()
        gross = self._book(order, price)
        fill = Fill(
            len(self.fills) + 1,
            order.id,
            ACCOUNT,
            order.contract,
            order.side,
            order.size,
            price,
            FEE * order.size,
            self._stamp(),
            gross,
        )
        self.fills.append(fill)
        self._report(order)
        self.tell(fill)
        self.tell(PositionReport(ACCOUNT, order.contract, self.net.get(order.contract, 0)))
        self.tell(self.account())
        for leg in self._children(order):
            if leg.state is OrderState.SUSPENDED:
                self._activate(leg, order, price)
        if order.parent:
            for leg in self._children(self.orders[order.parent]):
                if not leg.state.terminal:
                    self._end(leg, OrderState.CANCELLED)

    def _activate(self, leg: VenueOrder, entry: VenueOrder, price: int) -> None:
        leg.state, leg.updated = OrderState.WORKING, self._stamp()
        if leg.type is OrderType.STOP:
            leg.stop = price - entry.bracket.stop_ticks * entry.side
        else:
            leg.limit = price + entry.bracket.target_ticks * entry.side
        self._report(leg)

    def _book(self, order: VenueOrder, price: int) -> int | None:
        """Netting FIFO, written independently of the product's ledger."""
        lots = self.cost.setdefault(order.contract, [])
        gross, left, closed = 0, order.size, False
        while left and lots and lots[0][0] * order.side < 0:
            held, at = lots[0]
            take = min(left, abs(held))
            gross += (price - at) * take * (1 if held > 0 else -1) * TICK_VALUE
            closed = True
            left -= take
            rest = abs(held) - take
            if rest:
                lots[0] = ((1 if held > 0 else -1) * rest, at)
            else:
                lots.pop(0)
        if left:
            lots.append((left * order.side, price))
        self.net[order.contract] = sum(size for size, _ in lots)
        self.balance += gross - FEE * order.size
        return gross if closed else None

    def report(self, o: VenueOrder) -> OrderReport:
        return OrderReport(
            o.id,
            ACCOUNT,
            o.contract,
            o.state,
            o.type,
            o.side,
            o.size,
            o.filled,
            o.limit,
            o.stop,
            o.tag,
            o.parent,
            o.linked,
            o.created,
            o.updated,
        )

    def _report(self, order: VenueOrder) -> None:
        self.tell(self.report(order))

    def account(self) -> AccountReport:
        return AccountReport(ACCOUNT, "TEST-50K", self.balance, self.can_trade, True)

    def positions(self) -> tuple[PositionReport, ...]:
        return tuple(PositionReport(ACCOUNT, c, n) for c, n in self.net.items() if n)
