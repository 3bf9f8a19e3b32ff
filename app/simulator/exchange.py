"""The exchange: takes requests and ticks, answers with the venue's codes, and enforces the venue's own
rules.

Pure and synchronous: (state, request, simulated time) -> (answer, events). No sockets, no asyncio, no
randomness. Nothing of `app.risk` or `app.venues` is used: this is what our own client is tested against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from app.domain.calendar import TradingCalendar
from app.domain.instruments import Instrument, by_contract
from app.domain.units import NANO
from app.simulator import checks
from app.simulator.accounts import Account, Kind
from app.simulator.book import Book, Event
from app.simulator.changes import Change, changed
from app.simulator.checks import Request, to_ticks
from app.simulator.feed import Tick
from app.simulator.listing import instrument_of, is_active
from app.simulator.matching import Matching, far_touch, ratchet
from app.simulator.orders import Order, Status, Ticket, Type
from native import Differs

FIRST_ACCOUNT_ID = 1001
FLATTEN_LEAD_NS = 10 * NANO  # the venue begins to close positions this long before its deadline (15:10)


class Answer(NamedTuple):
    """The envelope of a reply: 0 is success."""

    code: int
    text: str | None = None
    order_id: int | None = None


OK = Answer(0)

# Codes of the endpoints; in practice nearly every refusal of a place is REJECTED plus a text.
ACCOUNT_NOT_FOUND, REJECTED, PLACE_CONTRACT_NOT_FOUND = 1, 2, 8
ORDER_NOT_FOUND, CHANGE_REJECTED = 2, 3
POSITION_NOT_FOUND, CLOSE_CONTRACT_NOT_FOUND, CLOSE_REJECTED = 2, 3, 5
INVALID_CLOSE_SIZE, PARTIAL_CLOSE_REJECTED = 5, 6


@dataclass(frozen=True, slots=True)
class Rules:
    """What is unknown about the venue, or differs between its accounts, and is therefore a choice.

    `expired` is the status of orders that end with the session (4, or 3). `orphan_legs`: working legs of a
    bracket outlive a position that was closed by other means, as was seen live; a client must sweep. `caps`
    are contracts per symbol.
    """

    expired: Status = Status.EXPIRED
    orphan_legs: bool = True
    caps: Mapping[str, int] = field(default_factory=dict)


class Exchange:
    """Accounts, their orders, and the market's last ticks. Every call is handed the simulated time."""

    def __init__(
        self, calendar: TradingCalendar, matching: Matching | None = None, rules: Rules | None = None
    ) -> None:
        self.calendar, self.matching, self.rules = calendar, matching or Matching(), rules or Rules()
        self.book = Book()
        self.doubt = ""  # why no order is taken any more: the twins of `native.matching` disagreed on a fill

    # -- accounts ----------------------------------------------------------------------------------

    @property
    def accounts(self) -> dict[int, Account]:
        return self.book.accounts

    def open_account(self, kind: Kind, auto_oco: bool = True) -> Account:
        identity = FIRST_ACCOUNT_ID + len(self.accounts)
        account = self.accounts[identity] = Account(identity, f"{kind.name}-{identity}", kind, auto_oco)
        return account

    def take_events(self) -> list[Event]:
        """What happened since the last call, in order."""
        return self.book.take_events()

    def needs_prices(self) -> set[str]:
        """Contracts with working orders or positions."""
        held = {contract for account in self.accounts.values() for contract in account.positions}
        return held | set(self.book.resting)

    # -- market ------------------------------------------------------------------------------------

    def see(self, contract: str, tick: Tick) -> None:
        """Learn where a market stands without trading on it."""
        self.book.touch[contract] = tick

    def on_tick(self, contract: str, tick: Tick) -> None:
        """Match the resting orders of `contract`, stops before limits, older before younger; then mark."""
        self.book.touch[contract] = tick
        resting = self.book.resting.get(contract)
        if resting and not checks.is_closed(self.calendar, by_contract(contract), tick.utc_ns):
            for order in sorted(resting.values(), key=lambda o: (o.stop_ticks is None, o.id)):
                if order.working:
                    self._match(order, tick)
        self._mark(contract, tick.utc_ns)

    def _match(self, order: Order, tick: Tick) -> None:
        try:
            price = self.matching.on_tick(order, tick)
            moved = price is None and bool(tick.size) and ratchet(order, tick)
        except Differs as error:
            self.doubt = str(error)
            return
        if price is not None:
            self._fill(order, price, tick.utc_ns)
        elif moved:
            self.book.move(order, Status.OPEN, tick.utc_ns)

    def _arrive(self, order: Order, tick: Tick) -> int | None:
        """The price at which a new or changed order fills at once; None too while that is in doubt."""
        try:
            return self.matching.on_arrival(order, tick)
        except Differs as error:
            self.doubt = str(error)
            return None

    def _fill(self, order: Order, price: int, now_ns: int) -> None:
        self.book.fill(order, price, now_ns)
        account = self.accounts[order.account_id]
        if not self.rules.orphan_legs and account.net(order.contract) == 0:
            for leg in self._working(account, order.contract):
                if leg.parent_id is not None:
                    self.book.end(leg, Status.CANCELLED, now_ns)
        self._check_limits(account, now_ns)

    # -- requests ----------------------------------------------------------------------------------

    def place(self, ticket: Ticket, now_ns: int) -> Answer:
        """Judge and enter an order. A refused one leaves a record with status 5 and uses up its tag.

        Only a tag in use leaves nothing: a second record would hide the first from whoever searches by tag.
        """
        account = self.accounts.get(ticket.account_id)
        if account is None:
            return Answer(ACCOUNT_NOT_FOUND, "Account not found.")
        instrument = instrument_of(ticket.contract)
        if instrument is None:
            return Answer(PLACE_CONTRACT_NOT_FOUND, "Contract not found.")
        if ticket.tag is not None and ticket.tag in account.tags:
            return Answer(REJECTED, checks.TAG_IN_USE)
        draft = self._draft(ticket, instrument, now_ns)
        if refusal := self._judge(ticket, draft, instrument, now_ns):
            self.book.add(draft, Status.REJECTED)
            return Answer(REJECTED, refusal, draft.id)
        self._enter(draft, ticket, now_ns)
        return Answer(0, None, draft.id) if not self.doubt else Answer(REJECTED, checks.UNAVAILABLE, draft.id)

    def _judge(self, ticket: Ticket, draft: Order, instrument: Instrument, now_ns: int) -> str:
        tick = self.book.touch.get(draft.contract)
        if tick is None or self.doubt or self._is_unavailable(draft.contract, instrument, now_ns):
            return checks.UNAVAILABLE
        request = Request(ticket, draft, instrument, self.accounts[draft.account_id], tick)
        refusal = next((text for check in checks.EARLY if (text := check(request))), "")
        if not refusal and checks.past_entries(self.calendar, request, now_ns):
            return checks.UNAVAILABLE
        return refusal or checks.too_large(self.book, request, self.rules.caps)

    def _is_unavailable(self, contract: str, instrument: Instrument, now_ns: int) -> bool:
        closed = checks.is_closed(self.calendar, instrument, now_ns)
        return closed or not is_active(contract, self.calendar.trade_date(now_ns))

    def _draft(self, ticket: Ticket, instrument: Instrument, now_ns: int) -> Order:
        """The order in ticks. Joins become limits at the touch, a trail a distance from the last trade."""
        kind = Type(ticket.type) if ticket.type in set(Type) else Type.UNKNOWN
        draft = self._new_order(ticket.account_id, ticket.contract, ticket.side, ticket.size, kind, now_ns)
        draft.tag, tick = ticket.tag, self.book.touch.get(ticket.contract)
        if kind is Type.LIMIT:
            draft.limit_ticks = to_ticks(instrument, ticket.limit_price)
        elif kind is Type.STOP:
            draft.stop_ticks = to_ticks(instrument, ticket.stop_price)
        elif kind in (Type.JOIN_BID, Type.JOIN_ASK) and tick is not None:
            draft.type, draft.limit_ticks = Type.LIMIT, tick.bid if kind is Type.JOIN_BID else tick.ask
        elif kind is Type.TRAILING_STOP and tick is not None:
            draft.stop_ticks = to_ticks(instrument, ticket.trail_price)
            draft.trail_ticks = None if draft.stop_ticks is None else draft.stop_ticks - tick.price
        return draft

    def _new_order(
        self, account_id: int, contract: str, side: int, size: int, kind: Type, now_ns: int
    ) -> Order:
        number, stamp = self.book.ids.take("order"), self.book.stamp(now_ns)
        return Order(number, account_id, contract, side, size, kind, stamp)

    def _enter(self, order: Order, ticket: Ticket, now_ns: int) -> None:
        price = self._arrive(order, self.book.touch[order.contract])
        if self.doubt:
            self.book.add(order, Status.REJECTED)
            return
        self.book.add(order, Status.PENDING if price is not None else Status.OPEN)
        self.book.suspend_legs(order, ticket.stop_loss, ticket.take_profit)
        if price is not None:
            self._fill(order, price, now_ns)

    def cancel(self, account_id: int, order_id: int, now_ns: int) -> Answer:
        found = self._find(account_id, order_id)
        if isinstance(found, Answer):
            return found
        if not found.working:
            return Answer(CHANGE_REJECTED, "Order is not working.")
        self.book.end(found, Status.CANCELLED, now_ns)
        return OK

    def modify(self, account_id: int, order_id: int, change: Change, now_ns: int) -> Answer:
        """Change a working order. A change that makes it marketable fills it."""
        found = self._find(account_id, order_id)
        if isinstance(found, Answer):
            return found
        instrument, tick = by_contract(found.contract), self.book.touch.get(found.contract)
        if not found.working or tick is None:
            return Answer(CHANGE_REJECTED, "Order is not working.")
        if self._is_unavailable(found.contract, instrument, now_ns):
            return Answer(CHANGE_REJECTED, checks.UNAVAILABLE)
        new = changed(found, change, instrument, tick)
        if isinstance(new, str):
            return Answer(CHANGE_REJECTED, new)
        self._apply(found, new, tick, now_ns)
        return OK

    def _apply(self, order: Order, changed: Order, tick: Tick, now_ns: int) -> None:
        order.size, order.limit_ticks = changed.size, changed.limit_ticks
        order.stop_ticks, order.trail_ticks = changed.stop_ticks, changed.trail_ticks
        self.book.move(order, Status.OPEN, now_ns)
        price = self._arrive(order, tick)
        if price is not None:
            self._fill(order, price, now_ns)

    def close(self, account_id: int, contract: str, now_ns: int, size: int | None = None) -> Answer:
        """Close a position at the market, whole or `size` of it. The reply carries no order id."""
        account = self.accounts.get(account_id)
        if account is None:
            return Answer(ACCOUNT_NOT_FOUND, "Account not found.")
        instrument, net = instrument_of(contract), account.net(contract)
        if instrument is None:
            return Answer(CLOSE_CONTRACT_NOT_FOUND, "Contract not found.")
        if net == 0:
            return Answer(POSITION_NOT_FOUND, "Position not found.")
        if size is not None and not 0 < size <= abs(net):
            return Answer(INVALID_CLOSE_SIZE, "Invalid close size.")
        if self._is_unavailable(contract, instrument, now_ns):
            return Answer(CLOSE_REJECTED if size is None else PARTIAL_CLOSE_REJECTED, checks.UNAVAILABLE)
        self._close(account, contract, abs(net) if size is None else size, now_ns)
        return OK

    def _close(self, account: Account, contract: str, size: int, now_ns: int) -> None:
        side = -1 if account.net(contract) > 0 else 1
        order = self._new_order(account.id, contract, side, size, Type.MARKET, now_ns)
        self.book.add(order, Status.PENDING)
        touch = self.book.touch[contract]
        price = self._arrive(order, touch)  # a close is never refused
        self._fill(order, far_touch(side, touch) if price is None else price, now_ns)

    def _find(self, account_id: int, order_id: int) -> Order | Answer:
        account = self.accounts.get(account_id)
        if account is None:
            return Answer(ACCOUNT_NOT_FOUND, "Account not found.")
        return account.orders.get(order_id) or Answer(ORDER_NOT_FOUND, "Order not found.")

    # -- the venue's own rules ---------------------------------------------------------------------

    def supervise(self, now_ns: int) -> None:
        """What the calendar demands by `now_ns`: flatten, expire. Safe to repeat."""
        for account in self.accounts.values():
            for contract in list(account.positions):
                if self._past(contract, now_ns, FLATTEN_LEAD_NS):
                    self._clear(account, [contract], Status.CANCELLED, now_ns)
            for order in self.book.live_orders(account):
                if self._past(order.contract, now_ns, 0):
                    self.book.end(order, self.rules.expired, now_ns)

    def roll_day(self) -> None:
        """17:00 Chicago: floors follow balances, daily locks end."""
        for account in self.accounts.values():
            could = account.can_trade
            account.roll_day()
            if account.can_trade != could:
                self.book.tell_account(account)

    def _past(self, contract: str, now_ns: int, lead_ns: int) -> bool:
        session = self.calendar.session_at(now_ns, by_contract(contract).hours)
        return session is None or now_ns >= session.flat_by_ns - lead_ns

    def _mark(self, contract: str, now_ns: int) -> None:
        for account in self.accounts.values():
            if contract in account.positions:
                self._check_limits(account, now_ns)

    def _check_limits(self, account: Account, now_ns: int) -> None:
        """An account that breached its daily or maximum loss limit is closed and locked."""
        why = "" if account.locked else account.breach(self._unrealised_micro(account))
        if why:
            self._lock(account, why, now_ns)

    def _unrealised_micro(self, account: Account) -> int:
        return sum(
            position.unrealised_micro(self.book.touch[position.contract].price)
            for position in account.positions.values()
        )

    def _lock(self, account: Account, why: str, now_ns: int) -> None:
        account.locked, account.locked_for_good = why, why.startswith("maximum")
        for order in self.book.live_orders(account):
            self.book.end(order, Status.CANCELLED, now_ns)
        self._clear(account, list(account.positions), Status.CANCELLED, now_ns)
        self.book.tell_account(account)

    def _clear(self, account: Account, contracts: list[str], status: Status, now_ns: int) -> None:
        """End the orders of `contracts` and close what is held in them."""
        for contract in contracts:
            for order in self._working(account, contract):
                self.book.end(order, status, now_ns)
            if account.net(contract) and contract in self.book.touch:
                self._close(account, contract, abs(account.net(contract)), now_ns)

    def _working(self, account: Account, contract: str) -> list[Order]:
        return [order for order in self.book.live_orders(account) if order.contract == contract]
