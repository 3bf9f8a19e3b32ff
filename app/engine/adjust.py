"""The two places where the book changes without a fresh word from the venue: doubt after a crash, and an
accepted difference.
"""

from __future__ import annotations

from datetime import date

from app.domain.events import Fill
from app.domain.orders import MANUAL, Order, OrderEvent, OrderState, Side
from app.engine.book import Book
from app.engine.events import EventLog
from app.engine.ports import Journal
from app.engine.records import FillBooked, OrderChanged, Record
from app.errors import Refused

ADJUSTMENT = "accepted-difference"  # tag of the entry that an accepted position difference books


def doubt(order: Order, book: Book, journal: Journal, utc_ns: int) -> None:
    """The process died around the sending of `order`: it is UNKNOWN until the venue is read."""
    order.apply(OrderEvent.DOUBT, utc_ns)
    book.index(order)
    journal.append([OrderChanged(order, OrderEvent.DOUBT, utc_ns)])


def accept(book: Book, journal: Journal, log: EventLog, utc_ns: int, day: date) -> None:
    """Make the book say what the venue says. Raises Refused while the venue shows a disputed position."""
    ours, venue = book.positions(), book.venue_net
    disputed = [c for c in sorted({*ours, *venue}) if ours.get(c, 0) != venue.get(c, 0)]
    for contract in disputed:
        if venue.get(contract, 0):
            raise Refused("accept_difference.position", contract, "", "flatten it first")
    for number, contract in enumerate(disputed):
        journal.append([_write_off(book, contract, utc_ns, day, number)])
        log.add(
            "alarm",
            "write_off",
            f"{contract}: the venue is flat, the missing fill was written off at the last price",
        )
    for order in list(book.live_orders()):
        if (
            order.state in (OrderState.WORKING, OrderState.SUSPENDED)
            and order.venue_id not in book.venue_listed
        ):
            order.reason = "accepted difference"
            order.apply(OrderEvent.EXPIRE, utc_ns)
            book.index(order)
            journal.append([OrderChanged(order, OrderEvent.EXPIRE, utc_ns)])


def _write_off(book: Book, contract: str, utc_ns: int, day: date, number: int) -> Record:
    """An entry without fees that closes our side at the last known price; its id is negative, the venue's are
    not.
    """
    net = book.net(contract)
    quote = book.quotes.get(contract)
    fills = [b.fill for b in book.ledger.fills() if b.fill.contract == contract]
    price = quote.last_ticks if quote is not None and quote.last_ticks is not None else fills[-1].price_ticks
    side = Side.SELL if net > 0 else Side.BUY
    fill = Fill(
        -(utc_ns // 1000 * 100 + number), 0, book.account_id, contract, side, abs(net), price, 0, utc_ns
    )
    strategies = book.ledger.strategies()
    holder = max(strategies, key=lambda s: abs(book.ledger.net_of(s, contract)), default=MANUAL)
    book.ledger.book(fill, holder, day)
    return FillBooked(fill, ADJUSTMENT, holder, day)
