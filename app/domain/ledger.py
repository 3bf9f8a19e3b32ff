"""The ledger: every fill once, FIFO, in exact integers. The one source of P&L; `pnl` reads it for everybody.

Each contract is kept twice from the same fills. The *account book* nets everything and agrees with the
venue's balance. The *sub-book* of each strategy nets what that strategy did: attribution. At any one mark
the gross and unrealised P&L of the sub-books add up to the account's.

The venue knows one position. So nobody holds anything in a flat account: the fill that makes it flat closes
every sub-book at its price, whoever sent it. And a fill without a tag of ours (`MANUAL`: the owner's click)
first takes from those who hold the other side, the owner's own before the largest. Such a fill is cut into
pieces, its fees with them. When the account is flat the realised parts, too, add up to the whole.

*Cash view* (`gross_micro`, `fees_micro`, `days`): gross on the trade date of the closing fill, fees on the
date of each fill, as the balance moves. *Trade view* (`trades`, `lots`): the fees of an entry travel with
its lot and are booked at the exit.

Fills may arrive in any order: they count by (time, id), and after a late one its contract is rebuilt when
the ledger is next asked. In order, a fill costs O(1), and so does what gate and watch ask on every quote: the
sums of the account are kept. Nothing here knows a quote's age, a limit, an order or a file.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from app.domain import instruments
from app.domain.events import Fill
from app.domain.fifo import Booked, Fifo, Lot, Trade
from app.domain.market import Quote
from app.domain.orders import MANUAL, Side
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
        self.changes = 0  # fills booked or voided so far: while it stays, so does every answer
        self._stale = False  # a book is: all below waits for `_rebuild`
        self._clear_sums()

    def _clear_sums(self) -> None:
        self._open: dict[str, Fifo] = {}  # the accounts of contracts that are not flat
        self._gross: dict[date, int] = {}  # of the account by trade date, as are the fees
        self._fees: dict[date, int] = {}
        self._cash_micro = 0  # gross less fees of everything

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
        self.changes += 1
        booked = Booked(fill, strategy, trade_date)
        if not book.add(booked):
            self._stale = True
            return True
        gross = book.apply(booked)
        if not self._stale:  # of another contract, perhaps: the sums are made anew then
            self._keep(book.account, gross, fill.fees_micro, trade_date)
        return True

    def _keep(self, account: Fifo, gross_micro: int, fees_micro: int, day: date) -> None:
        """One more fill in the sums of the account."""
        if account.net:
            self._open[account.contract] = account
        else:
            self._open.pop(account.contract, None)
        self._gross[day] = self._gross.get(day, 0) + gross_micro
        self._fees[day] = self._fees.get(day, 0) + fees_micro
        self._cash_micro += gross_micro - fees_micro

    def _rebuild(self) -> None:
        """After a late or voided fill: its contract is worked through again, and the sums are made anew."""
        self._stale = False
        self._clear_sums()
        for book in self._books.values():
            if book.stale:
                book.rebuild()
            account = book.account
            for day, fees in account.fees_by_day.items():
                self._keep(account, account.gross_by_day.get(day, 0), fees, day)

    @property
    def _current(self) -> dict[str, _ContractBook]:
        if self._stale:
            self._rebuild()
        return self._books

    def void(self, fill_id: int) -> bool:
        """The venue took an execution back; False when it was not booked. It can never be booked again."""
        self._voided.add(fill_id)
        contract = self._contract_of.pop(fill_id, None)
        if contract is None:
            return False
        self._books[contract].remove(fill_id)
        self._stale = True
        self.changes += 1
        return True

    def has(self, fill_id: int) -> bool:
        """The id was booked or voided."""
        return fill_id in self._contract_of or fill_id in self._voided

    # -- positions -------------------------------------------------------------------------------------------

    def net(self, contract: str) -> int:
        """Signed contracts of the account."""
        if self._stale:
            self._rebuild()
        account = self._open.get(contract)
        return account.net if account is not None else 0

    def net_of(self, strategy: str, contract: str) -> int:
        """Signed contracts of a strategy's sub-book."""
        book = self._current.get(contract)
        sub = book.subs.get(strategy) if book else None
        return sub.net if sub else 0

    def open_contracts(self) -> list[str]:
        """Contracts in which the account is not flat, sorted; elsewhere nobody holds anything."""
        if self._stale:
            self._rebuild()
        return sorted(self._open) if len(self._open) > 1 else list(self._open)

    def strategies(self) -> list[str]:
        """Everybody who ever filled, sorted."""
        return sorted({name for book in self._current.values() for name in book.subs})

    # -- money, cash view ------------------------------------------------------------------------------------

    def gross_micro(self, trade_date: date) -> int:
        if self._stale:
            self._rebuild()
        return self._gross.get(trade_date, 0)

    def fees_micro(self, trade_date: date) -> int:
        if self._stale:
            self._rebuild()
        return self._fees.get(trade_date, 0)

    def net_micro(self, trade_date: date) -> int:
        """Realised P&L of a trade date as the balance moved: gross less all fees of that date."""
        return self.gross_micro(trade_date) - self.fees_micro(trade_date)

    def net_micro_of(self, strategy: str, trade_date: date) -> int:
        """The same of one strategy's sub-books."""
        subs = [book.subs[strategy] for book in self._current.values() if strategy in book.subs]
        return sum(s.gross_by_day.get(trade_date, 0) - s.fees_by_day.get(trade_date, 0) for s in subs)

    def total_micro(self) -> int:
        """Gross less fees of all fills, by which they moved the balance."""
        if self._stale:
            self._rebuild()
        return self._cash_micro

    def realised_since(self, start_ns: int) -> int:
        """Net micro-USD by which fills at or after `start_ns` (market time) moved the balance."""
        return sum(book.cash_since(start_ns) for book in self._current.values())

    def unrealised_micro(self, contract: str, quote: Quote | None) -> int | None:
        """P&L of closing now: longs at the bid, shorts at the ask; None when open without that price."""
        if self._stale:
            self._rebuild()
        account = self._open.get(contract)
        if account is None:
            return 0
        if quote is None or quote.contract != contract:
            return None
        mark = quote.bid_ticks if account.net > 0 else quote.ask_ticks
        return None if mark is None else account.open_micro(mark)

    def open_micro(self, contract: str, mark_ticks: int, strategy: str | None = None) -> int:
        """Unrealised P&L of the account, or of one strategy, at a given mark."""
        book = self._current.get(contract)
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
        steps = ((b.key, amount) for book in self._current.values() for b, amount in book.steps())
        return [(key[0], amount) for key, amount in sorted(steps)]

    def lots(self) -> list[Lot]:
        """Closed FIFO lots of the account by exit time."""
        every = (lot for book in self._current.values() for lot in book.account.lots)
        return sorted(every, key=lambda lot: lot.exit_ns)

    def trades(self) -> list[Trade]:
        """Round trips by exit time, each of one strategy and contract."""
        every = (t for book in self._current.values() for sub in book.subs.values() for t in sub.trades)
        return sorted(every, key=lambda t: (t.exit_ns, t.strategy, t.contract))

    def dates(self) -> list[date]:
        """Every trade date with a fill, in order, without counting its fills."""
        if self._stale:
            self._rebuild()
        return sorted(self._fees)

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


def _taken(fill: Fill, held: dict[str, int]) -> dict[str, int]:
    """Strategy -> signed contracts of the owner's click: first out of what is held against it."""
    taken, left = {}, fill.size
    for name in sorted(held, key=lambda n: (n != MANUAL, -abs(held[n]), n)):
        size = min(left, max(0, -fill.side * held[name]))
        if size:
            taken[name] = fill.side * size
            left -= size
    if left:
        taken[MANUAL] = taken.get(MANUAL, 0) + fill.side * left
    return taken


def _cut(booked: Booked, shares: dict[str, int]) -> Iterable[tuple[str, Booked]]:
    """The fill in pieces, strategy -> signed contracts, which add up to it. Its fees go with the pieces of
    its own side by size; a piece of the other side is what crossed inside the account, and cost nothing.
    """
    fill = booked.fill
    left = sum(max(0, size * fill.side) for size in shares.values())
    fees_left = fill.fees_micro
    for name, signed in sorted(shares.items()):
        size, fees = abs(signed), 0
        if signed * fill.side > 0:
            fees = fees_left * size // left
            left, fees_left = left - size, fees_left - fees
        side = Side.BUY if signed > 0 else Side.SELL
        yield name, replace(booked, fill=replace(fill, side=side, size=size, fees_micro=fees))


class _ContractBook:
    """All fills of one contract, the account's FIFO and one FIFO per strategy.

    A late or voided fill only marks the FIFOs stale; the ledger has them rebuilt at the next question. A
    history that arrives newest first is so worked through once, not once a fill.
    """

    def __init__(self, contract: str, tick_value_micro: int) -> None:
        self.contract, self.tick_value_micro = contract, tick_value_micro
        self.booked: list[Booked] = []  # by (time, id)
        self._clear()

    def _clear(self) -> None:
        self.account = Fifo(self.contract, "", self.tick_value_micro)
        self.subs: dict[str, Fifo] = {}
        self._cash: list[int] = []  # beside `booked`: gross less fees of each
        self.stale = False

    def add(self, booked: Booked) -> bool:
        """Keep a fill; False when it came late and the FIFOs are stale. Else `apply` is next."""
        if self.booked and booked.key < self.booked[-1].key:
            insort(self.booked, booked, key=lambda b: b.key)
            self.stale = True
        else:
            self.booked.append(booked)
        return not self.stale

    def apply(self, booked: Booked) -> int:
        """Book the newest fill in both FIFOs; returns its gross P&L in the account's."""
        for strategy, piece in self._pieces(booked):
            sub = self.subs.get(strategy)
            if sub is None:
                sub = self.subs[strategy] = Fifo(self.contract, strategy, self.tick_value_micro)
            sub.apply(piece)
        gross = self.account.apply(booked)
        self._cash.append(gross - booked.fill.fees_micro)
        return gross

    def _pieces(self, booked: Booked) -> Iterable[tuple[str, Booked]]:
        """Whose the newest fill is: strategy and piece."""
        fill = booked.fill
        flat = self.account.net + fill.side * fill.size == 0
        held = {name: sub.net for name, sub in self.subs.items() if sub.net}
        if (not flat and booked.strategy != MANUAL) or held.keys() <= {booked.strategy}:
            return ((booked.strategy, booked),)
        return _cut(booked, {name: -net for name, net in held.items()} if flat else _taken(fill, held))

    def remove(self, fill_id: int) -> None:
        self.booked = [b for b in self.booked if b.fill.id != fill_id]
        self.stale = True

    def rebuild(self) -> None:
        self._clear()
        for booked in self.booked:
            self.apply(booked)

    def cash_since(self, start_ns: int) -> int:
        return sum(self._cash[bisect_left(self.booked, start_ns, key=lambda b: b.fill.utc_ns) :])

    def steps(self) -> Iterable[tuple[Booked, int]]:
        """Every fill with the net amount by which it moved the balance."""
        return zip(self.booked, self._cash, strict=True)
