"""First in, first out: one contract for one owner, from fills in order. Positions, lots, round trips, days.

The owner is the account or one strategy; who feeds which, and in what order, is the ledger's business.
Exact integers. A fill larger than the position closes it and opens the rest. Fees are shared by size, each
remainder going to the last piece, so that every cent of every fill is in exactly one lot.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from app.domain.events import Fill
from app.domain.orders import Side


@dataclass(frozen=True, slots=True)
class Booked:
    """A fill with what the venue does not know of it."""

    fill: Fill
    strategy: str
    trade_date: date

    @property
    def key(self) -> tuple[int, int]:
        return self.fill.utc_ns, self.fill.id


@dataclass(frozen=True, slots=True)
class Lot:
    """A closed lot: `size` contracts in by one fill and out by another, with their share of both fees."""

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
    """A round trip of a strategy, flat to flat. `size` is the most it held, averages are exact ticks."""

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


class Fifo:
    """One contract of one owner: `strategy`, which keeps its round trips, or the account (""), which keeps
    its lots.
    """

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
            if self.strategy:
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
        if not self.strategy:
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
