"""Reconciliation: the complete read against the book. Pure comparison here; what follows is the engine's.

A *difference* is what remains once every order and execution of the read is booked: the sum of fills is not
the position, an order we hold working is unknown to the venue, or the ledger is not the balance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from app.domain.events import AccountSnapshot
from app.domain.orders import OrderState
from app.domain.units import money
from app.engine.book import Book
from app.engine.records import EndOfDay


@dataclass(frozen=True, slots=True)
class Baseline:
    """A balance known to be right at an instant: from then on it must move only by our fills.

    `net_before_micro` is the ledger's net (gross - fees) of everything booked up to that instant.
    """

    balance_micro: int
    net_before_micro: int


def differences(book: Book, snapshot: AccountSnapshot, baseline: Baseline | None) -> list[str]:
    """What does not agree, in words; empty = everything agrees."""
    return [*_positions(book, snapshot), *_orders(book, snapshot), *_balance(book, snapshot, baseline)]


def _positions(book: Book, snapshot: AccountSnapshot) -> list[str]:
    venue = {p.contract: p.net for p in snapshot.positions if p.net}
    ours = book.positions()
    return [
        f"position {contract}: venue {venue.get(contract, 0)}, fills {ours.get(contract, 0)}"
        for contract in sorted({*venue, *ours})
        if venue.get(contract, 0) != ours.get(contract, 0)
    ]


def _orders(book: Book, snapshot: AccountSnapshot) -> list[str]:
    listed = {report.venue_id for report in snapshot.orders}
    return [
        f"order {o.tag} is {o.state} here and unknown to the venue"
        for o in book.live_orders()
        if o.state in (OrderState.WORKING, OrderState.SUSPENDED) and o.venue_id not in listed
    ]


def _balance(book: Book, snapshot: AccountSnapshot, baseline: Baseline | None) -> list[str]:
    if baseline is None:
        return []
    moved = total_net_micro(book) - baseline.net_before_micro
    expected = baseline.balance_micro + moved
    actual = snapshot.account.balance_micro
    if actual == expected:
        return []
    return [f"balance {money(actual)}, ledger {money(expected)}"]


def end_balances(book: Book, balance_micro: int, today: date, known: dict[date, EndOfDay]) -> dict[date, int]:
    """End-of-day balances of past trade dates that the journal lacks, worked back from today's balance.

    balance at the end of d = balance now - net of every later fill. Only days on which we hold fills change
    anything, so only those (and the last day before today's fills) are returned.
    """
    days = [day for day in book.ledger.dates() if day < today]
    missing = {day for day in days if day not in known}
    later = book.ledger.net_micro(today)
    result: dict[date, int] = {}
    while missing:
        day = days.pop()
        if day in missing:
            missing.discard(day)
            result[day] = balance_micro - later
        later += book.ledger.net_micro(day)
    return result


def total_net_micro(book: Book) -> int:
    """Gross less fees of everything booked: what the balance moved by, whatever it was before."""
    return book.ledger.total_micro()
