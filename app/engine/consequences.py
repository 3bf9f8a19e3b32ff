"""After orders and fills: one cancels the other, a position needs its stop, a refusal may end it."""

from __future__ import annotations

from app.domain.events import Fill
from app.domain.orders import Order, OrderState, Role
from app.engine import words
from app.engine.book import Book
from app.engine.cancels import Cancels
from app.engine.events import EventLog
from app.engine.hours import Hours
from app.engine.money import Money
from app.engine.protection import Protection
from app.engine.runner import Runner
from app.engine.trading import Trading
from app.risk.state import Code, Goal, Kind

# Words in a refusal that mean the venue has stopped the account: trying again cannot help.
ACCOUNT_STOPPED = (
    "daily loss",
    "maximum loss",
    "max position",
    "violat",
    "account is locked",
    "account locked",
)


class Consequences:
    """The hooks of `lifecycle`. `runners` are the strategies by name, told last."""

    def __init__(
        self,
        hours: Hours,
        book: Book,
        trading: Trading,
        money: Money,
        cancels: Cancels,
        protection: Protection,
        log: EventLog,
        runners: dict[str, Runner],
    ) -> None:
        self._hours, self._book, self._trading = hours, book, trading
        self._money, self._cancels, self._protection = money, cancels, protection
        self._log, self._runners = log, runners

    def order_changed(self, order: Order, before: OrderState) -> None:
        if order.filled and order.role is Role.ENTRY:
            self._one_cancels_other(order)
        self._cancels.heard(order)
        if order.type.is_stop:
            self._protection.check(order.contract)
        if before is OrderState.LOST:
            self._surfaced(order)
        if order.state is OrderState.WORKING and before in (OrderState.SENT, OrderState.UNKNOWN):
            self._log.add("info", "working", words.order(order), order.strategy)
        if order.state is OrderState.REJECTED:
            self._rejected(order)
        runner = self._runners.get(order.strategy)
        if runner is not None:
            runner.on_order(order)

    def filled(self, fill: Fill, order: Order) -> None:
        self._log.add("info", "fill", words.fill(fill, order), order.strategy)
        if order.role is Role.ENTRY:
            self._one_cancels_other(order)
        self._protection.check(fill.contract)
        self._money.watch()
        runner = self._runners.get(order.strategy)
        if runner is not None:
            runner.on_fill(fill, order)

    def unprotected(self, contract: str) -> None:
        """The deadline passed and no working stop covers the position."""
        self._go_flat(Code.UNPROTECTED, f"{contract} has no working stop at the venue for its whole size")

    def _one_cancels_other(self, order: Order) -> None:
        """First fill cancels the other side; a fill of both means FLAT."""
        if not order.oco:
            return
        siblings = self._book.siblings(order)
        for sibling in siblings:
            self._cancels.want(sibling, f"other side {order.tag} filled")
        if any(sibling.filled for sibling in siblings):
            self._go_flat(Code.BOTH_FILLED, f"both sides of {order.oco} filled")

    def _surfaced(self, order: Order) -> None:
        text = f"{order.tag} was given up as lost and exists"
        self._log.add("alarm", "surfaced", text, order.strategy)
        self._cancels.want(order, text)

    def _rejected(self, order: Order) -> None:
        self._log.add("warning", "rejected", f"{order.tag}: {order.reason}", order.strategy)
        if any(words in order.reason.lower() for words in ACCOUNT_STOPPED):
            self._trading.restrict(
                Code.ACCOUNT, Kind.PERSON, f"the venue stopped the account: {order.reason}"
            )

    def _go_flat(self, code: Code, detail: str) -> None:
        self._trading.until(self._hours.next_day_ns(), code, detail, goal=Goal.FLAT)
