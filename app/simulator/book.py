"""The exchange's books: orders, executions, positions and balances, and the events each change tells, in
the captured order.

A market entry with a bracket tells: order (6), its legs (8), order (2), trade, position, account, legs (1).
Pure: time and prices are handed in, events are collected for whoever serves them. Whether an order may
exist is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from app.domain.instruments import by_contract
from app.errors import Ours
from app.simulator.accounts import Account, Position, Trade, side_fees_micro
from app.simulator.feed import Tick
from app.simulator.orders import Leg, Order, Status, Type
from app.simulator.rows import Row, account_row, order_row, position_row, trade_row

CREATED, UPDATED, DELETED = 0, 1, 2
# The wire's resolution; two changes of the same instant get different stamps, so that a client can order
# them
STAMP_NS = 100
ORDERS_KEPT = (
    50_000  # finished orders of an account that can still be looked up; its tags stay burnt beyond that
)
TRADES_KEPT = 50_000  # executions of an account that can still be looked up
FIRST_ORDER_ID = 70_000_001
FIRST_TRADE_ID = 90_000_001
FIRST_POSITION_ID = 500_001


class Event(NamedTuple):
    """One thing to tell the subscribers of an account on the user hub."""

    target: str
    account_id: int
    action: int
    data: Row


@dataclass(slots=True)
class _Ids:
    order: int = FIRST_ORDER_ID
    trade: int = FIRST_TRADE_ID
    position: int = FIRST_POSITION_ID

    def take(self, name: str) -> int:
        number: int = getattr(self, name)
        setattr(self, name, number + 1)
        return number


class Book:
    """Everything the exchange remembers. `touch` is the last tick of each contract that has one."""

    def __init__(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.touch: dict[str, Tick] = {}
        self.resting: dict[str, dict[int, Order]] = {}  # working orders by contract, then id: oldest first
        self.events: list[Event] = []
        self.ids = _Ids()
        self._stamped = 0

    def stamp(self, now_ns: int) -> int:
        """`now_ns`, or just after the last stamp given."""
        self._stamped = max(now_ns, self._stamped + STAMP_NS)
        return self._stamped

    def take_events(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    # -- orders ------------------------------------------------------------------------------------

    def add(self, order: Order, status: Status) -> Order:
        """Enter a new order with its first status and tell it. Its tag is used up from here on."""
        account = self.accounts[order.account_id]
        if order.id in account.orders:
            raise Ours(f"order id {order.id} was given twice")
        _forget_oldest(account)
        account.orders[order.id] = order
        if order.tag is not None:
            account.tags.add(order.tag)
        order.move(status, order.created_ns)
        self._index(order)
        self.tell_order(order)
        return order

    def move(self, order: Order, status: Status, now_ns: int) -> None:
        """Change an order's status and tell it."""
        order.move(status, self.stamp(now_ns))
        self._index(order)
        self.tell_order(order)

    def end(self, order: Order, status: Status, now_ns: int) -> None:
        """Cancel or expire a live order; the legs that wait for it go with it."""
        if order.live:
            self.move(order, status, now_ns)
            for leg in self.legs(order):
                if leg.status is Status.SUSPENDED:
                    self.move(leg, Status.CANCELLED, now_ns)

    def legs(self, parent: Order) -> list[Order]:
        """The bracket of `parent`, stop loss first: their ids follow its own."""
        orders = self.accounts[parent.account_id].orders
        found = (orders.get(parent.id + offset) for offset in (1, 2))
        return [leg for leg in found if leg is not None and leg.parent_id == parent.id]

    def suspend_legs(self, parent: Order, stop: Leg | None, target: Leg | None) -> None:
        """Create the bracket's children, suspended and without prices."""
        wanted = [(leg, suffix) for leg, suffix in ((stop, "-SL"), (target, "-TP")) if leg is not None]
        stop_id = parent.id + 1 if stop is not None else None
        for leg, suffix in wanted:
            child = Order(
                self.ids.take("order"), parent.account_id, parent.contract, -parent.side, parent.size,
                Type(leg.type), parent.created_ns, trail_ticks=leg.ticks, parent_id=parent.id,
                tag=None if parent.tag is None else parent.tag + suffix,
                linked_id=stop_id if suffix == "-TP" else None,
            )  # fmt: skip
            self.add(child, Status.SUSPENDED)

    def live_orders(self, account: Account) -> list[Order]:
        working = [order for orders in self.resting.values() for order in orders.values()]
        mine = [order for order in working if order.account_id == account.id]
        return mine + [leg for order in mine for leg in self.legs(order) if leg.status is Status.SUSPENDED]

    # -- executions --------------------------------------------------------------------------------

    def fill(self, order: Order, price_ticks: int, now_ns: int) -> None:
        """Fill the whole order: execution, position, balance, then what follows for its bracket."""
        account = self.accounts[order.account_id]
        order.filled, order.filled_ticks = order.size, price_ticks
        self.move(order, Status.FILLED, now_ns)
        self._execute(account, order, price_ticks, now_ns)
        for leg in self.legs(order):
            self._arm(leg, price_ticks, now_ns)
        for sibling in self._siblings(account, order):
            self.end(sibling, Status.CANCELLED, now_ns)

    def _execute(self, account: Account, order: Order, price_ticks: int, now_ns: int) -> None:
        position = self._position(account, order.contract, now_ns)
        closing = min(order.size, abs(position.net)) if position.net * order.side < 0 else 0
        for size, closes in ((closing, True), (order.size - closing, False)):
            if size:
                gross = position.take(order.side * size, price_ticks)
                self._book_trade(account, order, price_ticks, size, gross if closes else None, now_ns)
        if position.net == 0:
            del account.positions[order.contract]
        self._tell("GatewayUserPosition", account.id, UPDATED if position.net else DELETED,
                   position_row(account.id, position))  # fmt: skip
        self.tell_account(account)

    def _book_trade(
        self, account: Account, order: Order, price_ticks: int, size: int, gross: int | None, now_ns: int
    ) -> None:
        fees, commission = side_fees_micro(by_contract(order.contract))
        trade = Trade(
            self.ids.take("trade"), account.id, order.contract, self.stamp(now_ns), price_ticks, gross,
            fees * size, commission * size, order.side, size, order.id,
        )  # fmt: skip
        account.balance_micro += (gross or 0) - trade.fees_micro - trade.commissions_micro
        account.trades.append(trade)
        del account.trades[:-TRADES_KEPT]
        self._tell("GatewayUserTrade", account.id, CREATED, trade_row(trade))

    def _position(self, account: Account, contract: str, now_ns: int) -> Position:
        if contract not in account.positions:
            identity = self.ids.take("position")
            account.positions[contract] = Position(
                identity, contract, by_contract(contract), self.stamp(now_ns)
            )
        return account.positions[contract]

    def _arm(self, leg: Order, entry_ticks: int, now_ns: int) -> None:
        """A leg begins to work at its distance from the actual fill."""
        if leg.status is Status.SUSPENDED and leg.trail_ticks is not None:
            level = entry_ticks + leg.trail_ticks
            leg.limit_ticks, leg.stop_ticks = (level, None) if leg.type is Type.LIMIT else (None, level)
            self.move(leg, Status.OPEN, now_ns)

    def _siblings(self, account: Account, order: Order) -> list[Order]:
        if order.parent_id is None:
            return []
        parent = account.orders.get(order.parent_id)
        return [leg for leg in self.legs(parent) if leg is not order] if parent is not None else []

    # -- telling -----------------------------------------------------------------------------------

    def tell_order(self, order: Order) -> None:
        self._tell("GatewayUserOrder", order.account_id, UPDATED, order_row(order))

    def tell_account(self, account: Account) -> None:
        self._tell("GatewayUserAccount", account.id, UPDATED, account_row(account))

    def _tell(self, target: str, account_id: int, action: int, data: Row) -> None:
        self.events.append(Event(target, account_id, action, data))

    def _index(self, order: Order) -> None:
        if order.working:
            self.resting.setdefault(order.contract, {})[order.id] = order
            return
        resting = self.resting.get(order.contract, {})
        resting.pop(order.id, None)
        if not resting:
            self.resting.pop(order.contract, None)


def _forget_oldest(account: Account) -> None:
    if len(account.orders) >= ORDERS_KEPT:
        oldest = next((order.id for order in account.orders.values() if not order.live), None)
        if oldest is not None:
            del account.orders[oldest]
