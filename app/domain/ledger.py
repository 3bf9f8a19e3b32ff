"""The ledger: every fill once, FIFO, in exact integers. The one source of P&L; `pnl` reads it for everybody.

Each contract is kept twice from the same fills. The *account book* nets everything and agrees with the
venue's balance. The *sub-book* of each strategy nets only that strategy's fills: attribution. At any one
mark the gross and unrealised P&L of the sub-books add up to the account's; their realised parts alone do so
only when every strategy is flat.

*Cash view* (`gross_micro`, `fees_micro`, `days`): gross on the trade date of the closing fill, fees on the
date of each fill, as the balance moves. *Trade view* (`trades`, `lots`): the fees of an entry travel with
its lot and are booked at the exit.

Fills may arrive in any order: they count by (time, id), and after a late one its contract is rebuilt when
next asked about. In order, a fill costs O(1). Nothing here knows a quote's age, a limit, an order or a file.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from app.domain import instruments
from app.domain.events import Fill
from app.domain.fifo import Booked, Fifo, Lot, Trade
from app.domain.market import Quote
from app.errors import Ours

__all__ = ["Booked", "Day", "Ledger", "Lot", "Trade"]


@dataclass(frozen=True, slots=True)
class Day:
    """One trade date in the cash view. `trades` are the round trips that ended on it."""

    trade_date: date
    gross_micro: int
    fees_micro: int
    trades: int
    fills: int

    @property
    def net_micro(self) -> int:
        return self.gross_micro - self.fees_micro


class Ledger:
    """All fills of one account."""

    def __init__(self) -> None:
        self._account_id: int | None = None
        self._contract_of: dict[int, str] = {}  # fill id -> contract
        self._voided: set[int] = set()  # also of fills that were never seen: a void may overtake its fill
        self._books: dict[str, _ContractBook] = {}

    # -- writing ---------------------------------------------------------------------------------------------

    def book(self, fill: Fill, strategy: str, trade_date: date) -> bool:
        """Book `fill` once; False when its id was booked or voided before (nothing changed).

        A fill that arrives voided takes the booked one back. Raises Ours for a fill of another account,
        without a strategy or without a size, Refused for an unknown product; then nothing changed.
        """
        if self._account_id is not None and fill.account_id != self._account_id:
            raise Ours(f"fill {fill.id} of account {fill.account_id} in the ledger of {self._account_id}")
        if not strategy or fill.size < 1 or fill.fees_micro < 0:
            raise Ours(f"fill {fill.id}: strategy {strategy!r}, size {fill.size}, fees {fill.fees_micro}")
        if fill.voided:
            return self.void(fill.id)
        if self.has(fill.id):
            return False
        book = self._books.get(fill.contract)
        if book is None:
            book = _ContractBook(fill.contract, instruments.by_contract(fill.contract).tick_value_micro)
            self._books[fill.contract] = book
        self._account_id = fill.account_id
        self._contract_of[fill.id] = fill.contract
        book.add(Booked(fill, strategy, trade_date))
        return True

    def void(self, fill_id: int) -> bool:
        """The venue took an execution back; False when it was not booked. It can never be booked again."""
        self._voided.add(fill_id)
        contract = self._contract_of.pop(fill_id, None)
        if contract is None:
            return False
        self._books[contract].remove(fill_id)
        return True

    def has(self, fill_id: int) -> bool:
        """The id was booked or voided."""
        return fill_id in self._contract_of or fill_id in self._voided

    # -- positions -------------------------------------------------------------------------------------------

    def net(self, contract: str) -> int:
        """Signed contracts of the account."""
        book = self._books.get(contract)
        return book.account.net if book else 0

    def net_of(self, strategy: str, contract: str) -> int:
        """Signed contracts of a strategy's sub-book."""
        book = self._books.get(contract)
        sub = book.subs.get(strategy) if book else None
        return sub.net if sub else 0

    def open_contracts(self) -> list[str]:
        """Contracts in which the account is not flat, sorted; sub-books may hold where it does not."""
        return sorted(name for name, book in self._books.items() if book.account.net)

    def strategies(self) -> list[str]:
        """Everybody who ever filled, sorted."""
        return sorted({name for book in self._books.values() for name in book.subs})

    # -- money, cash view ------------------------------------------------------------------------------------

    def gross_micro(self, trade_date: date) -> int:
        return sum(book.account.gross_by_day.get(trade_date, 0) for book in self._books.values())

    def fees_micro(self, trade_date: date) -> int:
        return sum(book.account.fees_by_day.get(trade_date, 0) for book in self._books.values())

    def net_micro(self, trade_date: date) -> int:
        """Realised P&L of a trade date as the balance moved: gross less all fees of that date."""
        return self.gross_micro(trade_date) - self.fees_micro(trade_date)

    def net_micro_of(self, strategy: str, trade_date: date) -> int:
        """The same of one strategy's sub-books."""
        subs = [book.subs[strategy] for book in self._books.values() if strategy in book.subs]
        return sum(s.gross_by_day.get(trade_date, 0) - s.fees_by_day.get(trade_date, 0) for s in subs)

    def total_micro(self) -> int:
        """Gross less fees of all fills, by which they moved the balance; O(1): asked on every quote."""
        return sum(book.cash_micro for book in self._books.values())

    def realised_since(self, start_ns: int) -> int:
        """Net micro-USD by which fills at or after `start_ns` (market time) moved the balance."""
        return sum(book.cash_since(start_ns) for book in self._books.values())

    def unrealised_micro(self, contract: str, quote: Quote | None) -> int | None:
        """P&L of closing now: longs at the bid, shorts at the ask; None when open without that price."""
        book = self._books.get(contract)
        if book is None or book.account.net == 0:
            return 0
        if quote is None or quote.contract != contract:
            return None
        mark = quote.bid_ticks if book.account.net > 0 else quote.ask_ticks
        return None if mark is None else book.account.open_micro(mark)

    def open_micro(self, contract: str, mark_ticks: int, strategy: str | None = None) -> int:
        """Unrealised P&L of the account, or of one strategy, at a given mark."""
        book = self._books.get(contract)
        if book is None:
            return 0
        if strategy is None:
            return book.account.open_micro(mark_ticks)
        sub = book.subs.get(strategy)
        return sub.open_micro(mark_ticks) if sub else 0

    # -- history ---------------------------------------------------------------------------------------------

    def fills(self) -> list[Booked]:
        """Every booked fill by time."""
        return sorted((b for book in self._books.values() for b in book.booked), key=lambda b: b.key)

    def cash(self) -> list[tuple[int, int]]:
        """(market time, net micro-USD) of every fill, by time: the steps of the balance."""
        steps = ((b.key, amount) for book in self._books.values() for b, amount in book.steps())
        return [(key[0], amount) for key, amount in sorted(steps)]

    def lots(self) -> list[Lot]:
        """Closed FIFO lots of the account by exit time."""
        every = (lot for book in self._books.values() for lot in book.account.lots)
        return sorted(every, key=lambda lot: lot.exit_ns)

    def trades(self) -> list[Trade]:
        """Round trips by exit time, each of one strategy and contract."""
        every = (t for book in self._books.values() for sub in book.subs.values() for t in sub.trades)
        return sorted(every, key=lambda t: (t.exit_ns, t.strategy, t.contract))

    def dates(self) -> list[date]:
        """Every trade date with a fill, in order, without counting its fills."""
        return sorted({day for book in self._books.values() for day in book.account.fees_by_day})

    def days(self) -> list[Day]:
        """Every trade date with a fill, in order; their sums are the sums of all fills, exactly."""
        trades = _count(t.trade_date for t in self.trades())
        fills = _count(b.trade_date for book in self._books.values() for b in book.booked)
        return [
            Day(day, self.gross_micro(day), self.fees_micro(day), trades.get(day, 0), fills[day])
            for day in sorted(fills)
        ]


def _count(dates: Iterable[date]) -> dict[date, int]:
    found: dict[date, int] = {}
    for day in dates:
        found[day] = found.get(day, 0) + 1
    return found


class _ContractBook:
    """All fills of one contract, the account's FIFO and one FIFO per strategy.

    A late or voided fill only marks the FIFOs stale; the next question rebuilds them. A history that arrives
    newest first is so worked through once, not once a fill.
    """

    def __init__(self, contract: str, tick_value_micro: int) -> None:
        self.contract, self.tick_value_micro = contract, tick_value_micro
        self.booked: list[Booked] = []  # by (time, id)
        self._clear()

    @property
    def account(self) -> Fifo:
        self._refresh()
        return self._account

    @property
    def subs(self) -> dict[str, Fifo]:
        self._refresh()
        return self._subs

    def add(self, booked: Booked) -> None:
        if self.booked and booked.key < self.booked[-1].key:
            insort(self.booked, booked, key=lambda b: b.key)
            self._stale = True
            return
        self.booked.append(booked)
        if not self._stale:
            self._apply(booked)

    def remove(self, fill_id: int) -> None:
        self.booked = [b for b in self.booked if b.fill.id != fill_id]
        self._stale = True

    @property
    def cash_micro(self) -> int:
        self._refresh()
        return self._cash_micro

    def cash_since(self, start_ns: int) -> int:
        self._refresh()
        return sum(self._cash[bisect_left(self.booked, start_ns, key=lambda b: b.fill.utc_ns) :])

    def steps(self) -> Iterable[tuple[Booked, int]]:
        """Every fill with the net amount by which it moved the balance."""
        self._refresh()
        return zip(self.booked, self._cash, strict=True)

    def _clear(self) -> None:
        self._account = Fifo(self.contract, "", self.tick_value_micro)
        self._subs: dict[str, Fifo] = {}
        self._cash: list[int] = []  # beside `booked`: gross less fees of each
        self._cash_micro = 0  # their sum
        self._stale = False

    def _refresh(self) -> None:
        if self._stale:
            self._clear()
            for booked in self.booked:
                self._apply(booked)

    def _apply(self, booked: Booked) -> None:
        sub = self._subs.get(booked.strategy)
        if sub is None:
            sub = self._subs[booked.strategy] = Fifo(self.contract, booked.strategy, self.tick_value_micro)
        sub.apply(booked)
        moved = self._account.apply(booked) - booked.fill.fees_micro
        self._cash.append(moved)
        self._cash_micro += moved
