"""The ledger: every fill once, FIFO, in exact integers. The one source of P&L; what is made of it is in
`pnl`.

Each contract is kept twice from the same fills. The *account book* nets everything and agrees with the
venue's balance. The *sub-book* of each strategy nets only that strategy's fills: attribution. At any one
mark the gross and unrealised P&L of the sub-books add up to the account's; their realised parts alone do so
only when every strategy is flat.

*Cash view* (`gross_micro`, `fees_micro`, `days`): gross on the trade date of the closing fill, fees on the
date of each fill, as the balance moves. *Trade view* (`trades`, `lots`): the fees of an entry travel with
its lot and are booked at the exit.

Fills may arrive in any order: they count by (time, id), and a late one rebuilds its contract. In order, a
fill costs O(1). Nothing here knows a quote's age, a limit, an order or a file.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from app.domain import instruments
from app.domain.events import Fill
from app.domain.market import Quote
from app.domain.orders import Side
from app.errors import Ours


@dataclass(frozen=True, slots=True)
class Lot:
    """One closed FIFO lot of the account: `size` contracts in by one fill and out by another, with their
    share of fees.
    """

    contract: str
    side: Side  # of the entry
    size: int
    entry_id: int
    exit_id: int
    entry_ns: int
    exit_ns: int
    entry_ticks: int
    exit_ticks: int
    gross_micro: int
    fees_micro: int
    trade_date: date  # of the exit

    @property
    def net_micro(self) -> int:
        return self.gross_micro - self.fees_micro


@dataclass(frozen=True, slots=True)
class Trade:
    """One round trip of a strategy, from flat to flat. `size` is the most it held, the averages are exact
    ticks.
    """

    strategy: str
    contract: str
    side: Side
    size: int
    entry_ns: int
    exit_ns: int
    entry_ticks: Fraction
    exit_ticks: Fraction
    gross_micro: int
    fees_micro: int
    trade_date: date  # of the exit
    fills: int

    @property
    def net_micro(self) -> int:
        return self.gross_micro - self.fees_micro


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


@dataclass(frozen=True, slots=True)
class Booked:
    """A fill with what the venue does not know of it."""

    fill: Fill
    strategy: str
    trade_date: date

    @property
    def key(self) -> tuple[int, int]:
        return self.fill.utc_ns, self.fill.id


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
        """Contracts in which the account or any sub-book is not flat, sorted."""
        return sorted(name for name, book in self._books.items() if book.is_open)

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

    def realised_since(self, start_ns: int) -> int:
        """Net micro-USD by which fills at or after `start_ns` (market time) moved the balance."""
        return sum(book.cash_since(start_ns) for book in self._books.values())

    def unrealised_micro(self, contract: str, quote: Quote | None) -> int | None:
        """P&L of closing now: a long position at the bid, a short one at the ask. None when open and that
        side is unknown.
        """
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
    """All fills of one contract, the account's FIFO and one FIFO per strategy."""

    def __init__(self, contract: str, tick_value_micro: int) -> None:
        self.contract, self.tick_value_micro = contract, tick_value_micro
        self.booked: list[Booked] = []  # by (time, id)
        self._clear()

    def _clear(self) -> None:
        self.account = _Fifo(self.contract, "", self.tick_value_micro)
        self.subs: dict[str, _Fifo] = {}
        self.cash: list[int] = []  # beside `booked`: gross less fees of each

    @property
    def is_open(self) -> bool:
        return self.account.net != 0 or any(sub.net for sub in self.subs.values())

    def add(self, booked: Booked) -> None:
        late = bool(self.booked) and booked.key < self.booked[-1].key
        if late:
            insort(self.booked, booked, key=lambda b: b.key)
            self._rebuild()
        else:
            self.booked.append(booked)
            self._apply(booked)

    def remove(self, fill_id: int) -> None:
        self.booked = [b for b in self.booked if b.fill.id != fill_id]
        self._rebuild()

    def cash_since(self, start_ns: int) -> int:
        return sum(self.cash[bisect_left(self.booked, start_ns, key=lambda b: b.fill.utc_ns) :])

    def steps(self) -> Iterable[tuple[Booked, int]]:
        return zip(self.booked, self.cash, strict=True)

    def _rebuild(self) -> None:
        self._clear()
        for booked in self.booked:
            self._apply(booked)

    def _apply(self, booked: Booked) -> None:
        sub = self.subs.get(booked.strategy)
        if sub is None:
            sub = self.subs[booked.strategy] = _Fifo(self.contract, booked.strategy, self.tick_value_micro)
        sub.apply(booked)
        self.cash.append(self.account.apply(booked) - booked.fill.fees_micro)


class _Open:
    """What is left of an opening fill."""

    __slots__ = ("booked", "fees_left", "size")

    def __init__(self, booked: Booked, size: int, fees_left: int) -> None:
        self.booked, self.size, self.fees_left = booked, size, fees_left


class _Round:
    """The round trip under way: sums from which the `Trade` is made once flat."""

    __slots__ = (
        *("closed", "entry_ns", "entry_sum", "entry_total", "exit_sum"),
        *("fees", "fills", "gross", "most", "side"),
    )

    def __init__(self, side: Side, entry_ns: int) -> None:
        self.side, self.entry_ns = side, entry_ns
        self.entry_sum = self.entry_total = self.exit_sum = self.closed = 0
        self.most = self.gross = self.fees = self.fills = 0


class _Fifo:
    """First in, first out, of one contract for one owner."""

    def __init__(self, contract: str, strategy: str, tick_value_micro: int) -> None:
        self.contract, self.strategy, self.tick_value_micro = contract, strategy, tick_value_micro
        self.net = 0
        self.cost_ticks = 0  # signed: sum of side * size * price over the open lots
        self.open: deque[_Open] = deque()
        self.lots: list[Lot] = []
        self.trades: list[Trade] = []
        self.gross_by_day: dict[date, int] = {}
        self.fees_by_day: dict[date, int] = {}
        self._round: _Round | None = None

    def open_micro(self, mark_ticks: int) -> int:
        return (self.net * mark_ticks - self.cost_ticks) * self.tick_value_micro

    def apply(self, booked: Booked) -> int:
        """Book it and return its gross P&L. A fill larger than the position closes it and opens the rest."""
        fill, day = booked.fill, booked.trade_date
        self.fees_by_day[day] = self.fees_by_day.get(day, 0) + fill.fees_micro
        closing = min(fill.size, max(0, -fill.side * self.net))
        closing_fees = fill.fees_micro * closing // fill.size
        gross = self._close(booked, closing, closing_fees) if closing else 0
        if closing < fill.size:
            self._enter(booked, fill.size - closing, fill.fees_micro - closing_fees)
        if gross or closing:
            self.gross_by_day[day] = self.gross_by_day.get(day, 0) + gross
        return gross

    def _enter(self, booked: Booked, size: int, fees: int) -> None:
        fill = booked.fill
        self.open.append(_Open(booked, size, fees))
        self.net += fill.side * size
        self.cost_ticks += fill.side * size * fill.price_ticks
        trip = self._round
        if trip is None:
            trip = self._round = _Round(fill.side, fill.utc_ns)
        trip.entry_sum += size * fill.price_ticks
        trip.entry_total += size
        trip.most = max(trip.most, abs(self.net))
        trip.fees += fees
        trip.fills += 1

    def _close(self, booked: Booked, size: int, fees: int) -> int:
        """Take `size` from the oldest lots; ends the round trip when nothing is left."""
        fill, gross, left, fees_left = booked.fill, 0, size, fees
        while left:
            lot = self.open[0]
            take = min(left, lot.size)
            share = fees_left * take // left
            gross += self._close_lot(lot, booked, take, share)
            left, fees_left = left - take, fees_left - share
            if not lot.size:
                self.open.popleft()
        trip = self._round
        assert trip is not None, "a position has its round trip"
        trip.exit_sum += size * fill.price_ticks
        trip.closed += size
        trip.gross += gross
        trip.fees += fees
        trip.fills += 1
        if self.net == 0:
            self.trades.append(self._trade(trip, booked))
            self._round = None
        return gross

    def _close_lot(self, lot: _Open, booked: Booked, take: int, exit_fees: int) -> int:
        fill, entry = booked.fill, lot.booked.fill
        entry_fees = lot.fees_left * take // lot.size
        gross = entry.side * (fill.price_ticks - entry.price_ticks) * take * self.tick_value_micro
        lot.size -= take
        lot.fees_left -= entry_fees
        self.net -= entry.side * take
        self.cost_ticks -= entry.side * take * entry.price_ticks
        if not self.strategy:  # lots are told of the account alone
            self.lots.append(
                Lot(
                    contract=self.contract,
                    side=entry.side,
                    size=take,
                    entry_id=entry.id,
                    exit_id=fill.id,
                    entry_ns=entry.utc_ns,
                    exit_ns=fill.utc_ns,
                    entry_ticks=entry.price_ticks,
                    exit_ticks=fill.price_ticks,
                    gross_micro=gross,
                    fees_micro=entry_fees + exit_fees,
                    trade_date=booked.trade_date,
                )
            )
        return gross

    def _trade(self, trip: _Round, last: Booked) -> Trade:
        return Trade(
            strategy=self.strategy,
            contract=self.contract,
            side=trip.side,
            size=trip.most,
            entry_ns=trip.entry_ns,
            exit_ns=last.fill.utc_ns,
            entry_ticks=Fraction(trip.entry_sum, trip.entry_total),
            exit_ticks=Fraction(trip.exit_sum, trip.closed),
            gross_micro=trip.gross,
            fees_micro=trip.fees,
            trade_date=last.trade_date,
            fills=trip.fills,
        )
