"""What screens, limits and reports read of the ledger: today, totals, weeks, drawdown. Nothing is booked
here.

There is one P&L. Everybody who shows or limits it asks these functions with the same ledger, so the parts
always sum to the whole. Money in integer micro-USD; None = not known, never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from app.domain.ledger import Day, Ledger
from app.domain.market import Quote

SUNDAY = 6  # of date.weekday()


@dataclass(frozen=True, slots=True)
class DayPnl:
    """One trade date as it stands now. `unrealised_micro` covers every open contract, None when one has no
    usable quote.

    `realised_micro` is gross less the fees of all fills of the date; `net_micro` is what the loss limits
    look at.
    """

    trade_date: date
    gross_micro: int
    fees_micro: int
    unrealised_micro: int | None

    @property
    def realised_micro(self) -> int:
        return self.gross_micro - self.fees_micro

    @property
    def net_micro(self) -> int | None:
        return None if self.unrealised_micro is None else self.realised_micro + self.unrealised_micro


def unrealised_micro(ledger: Ledger, quotes: Mapping[str, Quote]) -> int | None:
    """Open P&L of the account, longs at the bid and shorts at the ask; None when such a price is missing."""
    total = 0
    for contract in ledger.open_contracts():
        amount = ledger.unrealised_micro(contract, quotes.get(contract))
        if amount is None:
            return None
        total += amount
    return total


def day_pnl(ledger: Ledger, quotes: Mapping[str, Quote], trade_date: date) -> DayPnl:
    """The P&L of `trade_date`, with what is open now."""
    return DayPnl(
        trade_date,
        ledger.gross_micro(trade_date),
        ledger.fees_micro(trade_date),
        unrealised_micro(ledger, quotes),
    )


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of some days."""

    gross_micro: int = 0
    fees_micro: int = 0
    trades: int = 0
    fills: int = 0

    @property
    def net_micro(self) -> int:
        return self.gross_micro - self.fees_micro


def total(days: Iterable[Day]) -> Total:
    """What days sum to, exactly."""
    gross = fees = trades = fills = 0
    for day in days:
        gross, fees = gross + day.gross_micro, fees + day.fees_micro
        trades, fills = trades + day.trades, fills + day.fills
    return Total(gross, fees, trades, fills)


def week_end(day: date) -> date:
    """The Saturday of the week, Sunday to Saturday, that holds the trade date."""
    return day + timedelta(days=(SUNDAY - 1 - day.weekday()) % 7)


def weeks(days: Iterable[Day]) -> dict[date, Total]:
    """Totals by the Saturday that ends the week, in order."""
    grouped: dict[date, list[Day]] = {}
    for day in sorted(days, key=lambda d: d.trade_date):
        grouped.setdefault(week_end(day.trade_date), []).append(day)
    return {saturday: total(members) for saturday, members in grouped.items()}


def balance_points(ledger: Ledger, start_micro: int) -> list[int]:
    """The balance after each fill, by time, from `start_micro`."""
    points, balance = [], start_micro
    for _, amount in ledger.cash():
        balance += amount
        points.append(balance)
    return points


def max_drawdown_micro(points: Iterable[int], start_micro: int) -> int:
    """The deepest fall (>= 0) of `points`, equity by time, below the highest before; the start counts."""
    peak, deepest = start_micro, 0
    for point in points:
        if point > peak:
            peak = point
        elif peak - point > deepest:
            deepest = peak - point
    return deepest
