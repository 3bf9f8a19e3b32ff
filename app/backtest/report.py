"""What a replay came to: exact JSON with a fixed order of keys, and the same as a table for people.

Money and prices are decimal strings, times UTC, nothing is rounded but averages beyond nine places. A day
is a trade date with bars in the file; P&L is in the cash view (fees on the day of their fill), so the days
sum to the totals exactly. `max_drawdown` is measured on the equity at every bar's close while a position
is open and after every fill. Formatting only: no figure is computed here that the ledger does not hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any

from app.domain.instruments import Instrument
from app.domain.ledger import Day, Trade
from app.domain.orders import Order, Side
from app.domain.pnl import max_drawdown_micro, total
from app.domain.units import MICRO, cents, money
from app.engine.records import FillBooked, Happened
from app.strategies.prices import price_text

DAY_NS = 86_400_000_000_000
_EPOCH = date(1970, 1, 1)
_BREAK = ",\n      "  # between two values of a row
_flat = json.JSONEncoder(separators=(_BREAK, ": ")).encode
DATES_KEPT = 8_192  # the days of thirty years
TIMES_KEPT = 1_024  # the times of an order come back in its fills and its trade
_SHOWN = ("high", "low", "atr", "buy_stop", "sell_stop")  # of a strategy's facts, in the JSON of a day


@dataclass(frozen=True, slots=True)
class DayFacts:
    """What the strategy said of a trade date when it was over, and the engine's warnings and alarms on it."""

    trade_date: date
    facts: Mapping[str, str]
    alarms: Sequence[Happened] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The raw result. `equity` in micro-USD by time; `events` are the engine's lines for the owner."""

    instrument: Instrument
    bars: int
    start_micro: int
    orders: Sequence[Order]
    fills: Sequence[FillBooked]
    trades: Sequence[Trade]
    ledger_days: Sequence[Day]
    days: Sequence[DayFacts]
    events: Sequence[Happened]
    equity: Sequence[int]
    _prices: dict[Fraction | int | None, str | None] = field(default_factory=dict, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """The documented shape, keys in their fixed order."""
        whole = total(self.ledger_days)
        return {
            "bars": self.bars,
            "orders": [self._order(order) for order in self.orders],
            "fills": [self._fill(booked) for booked in self.fills],
            "trades": [self._trade(trade) for trade in self.trades],
            "days": self._days(),
            **_pnl(whole.gross_micro, whole.fees_micro),
            "max_drawdown": money(max_drawdown_micro(self.equity, self.start_micro)),
        }

    def as_json(self) -> str:
        """The same report is always the same text: `as_dict` with an indent of two."""
        parts = (
            f'  "{key}": {_rows(part) if type(part) is list else _flat(part)}'
            for key, part in self.as_dict().items()
        )
        return "{\n" + ",\n".join(parts) + "\n}"

    def as_table(self) -> str:
        """A line a day with what stopped trading on it below, then the totals."""
        head = ("date", "high", "low", "atr", "buy stop", "sell stop", "trades", "gross", "fees", "net", "")
        rows: list[Sequence[str]] = [head]
        for day, kept in zip(self._days(), self.days, strict=True):
            prices = [day[key] or "-" for key in _SHOWN]
            amounts = [_shown(day[key]) for key in ("gross", "fees", "net")]
            said = kept.facts.get("why") or kept.facts.get("phase", "")
            rows.append((day["date"], *prices, str(day["trades"]), *amounts, said))
        whole = self.as_dict()
        amounts = [_shown(whole[key]) for key in ("gross", "fees", "net")]
        rows.append(("total", "", "", "", "", "", str(len(self.trades)), *amounts, ""))
        lines = _aligned(rows)
        for place in range(len(self.days), 0, -1):  # from the end: a line inserted moves none before it
            kept = self.days[place - 1]
            new = [alarm for alarm in kept.alarms if alarm.text != kept.facts.get("why")]
            lines[place + 1 : place + 1] = [f"    {words}" for words in _worded(new)]
        drawdown = _shown(whole["max_drawdown"])
        lines.append(f"{self.bars} bars, {len(self.fills)} fills, largest drawdown {drawdown} USD")
        return "\n".join(lines)

    def alarms(self) -> list[str]:
        """A line for each warning and alarm, for who reads the JSON."""
        return [words for day in self.days for words in _worded(day.alarms)]

    # -- rows ----------------------------------------------------------------------------------------------

    def _days(self) -> list[dict[str, Any]]:
        booked = {day.trade_date: day for day in self.ledger_days}
        return [self._day(kept, booked.get(kept.trade_date)) for kept in self.days]

    @staticmethod
    def _day(kept: DayFacts, booked: Day | None) -> dict[str, Any]:
        return {
            "date": kept.trade_date.isoformat(),
            **{key: kept.facts.get(key) or None for key in _SHOWN},
            **_pnl(booked.gross_micro if booked else 0, booked.fees_micro if booked else 0),
            "trades": booked.trades if booked else 0,
        }

    def _order(self, order: Order) -> dict[str, Any]:
        bracket = order.bracket
        return {
            "tag": order.tag,
            "strategy": order.strategy,
            "contract": order.contract,
            "role": str(order.role),
            "type": str(order.type),
            "side": _side(order.side),
            "size": order.size,
            "filled": order.filled,
            "limit": self._price(order.limit_ticks),
            "stop": self._price(order.stop_ticks),
            "bracket_stop": self._price(bracket.stop_ticks if bracket else None),
            "bracket_target": self._price(bracket.target_ticks if bracket and bracket.target_ticks else None),
            "oco": order.oco or None,
            "parent": order.parent_tag or None,
            "state": str(order.state),
            "reason": order.reason or None,
            "created": stamp(order.created_ns),
            "updated": stamp(order.updated_ns),
        }

    def _fill(self, booked: FillBooked) -> dict[str, Any]:
        fill = booked.fill
        return {
            "id": fill.id,
            "order": booked.tag,
            "strategy": booked.strategy,
            "contract": fill.contract,
            "time": stamp(fill.utc_ns),
            "date": booked.trade_date.isoformat(),
            "side": _side(fill.side),
            "size": fill.size,
            "price": self._price(fill.price_ticks),
            "gross": None if fill.gross_micro is None else money(fill.gross_micro),
            "fees": money(fill.fees_micro),
        }

    def _trade(self, trade: Trade) -> dict[str, Any]:
        return {
            "strategy": trade.strategy,
            "contract": trade.contract,
            "date": trade.trade_date.isoformat(),
            "side": _side(trade.side),
            "size": trade.size,
            "entry_time": stamp(trade.entry_ns),
            "entry_price": self._price(trade.entry_ticks),
            "exit_time": stamp(trade.exit_ns),
            "exit_price": self._price(trade.exit_ticks),
            **_pnl(trade.gross_micro, trade.fees_micro),
        }

    def _price(self, ticks: Fraction | int | None) -> str | None:
        """Prices come back: each is worded once."""
        if ticks not in self._prices:
            self._prices[ticks] = price_text(self.instrument, ticks) or None
        return self._prices[ticks]


def _rows(rows: Sequence[dict[str, Any]]) -> str:
    """Flat rows as `json.dumps` would write them, which indents in Python and takes ten times as long. No
    text within holds a line break: JSON escapes it.
    """
    if not rows:
        return "[]"
    text = _flat(rows)[2:-2].replace(f"}}{_BREAK}{{", f"\n    }},\n    {{{_BREAK[1:]}")
    return f"[\n    {{{_BREAK[1:]}{text}\n    }}\n  ]"


def _worded(alarms: Sequence[Happened]) -> list[str]:
    """Each once: both sides of a pair are refused with the same words."""
    return list(dict.fromkeys(f"{stamp(alarm.utc_ns)} {alarm.level}: {alarm.text}" for alarm in alarms))


@lru_cache(maxsize=TIMES_KEPT)
def stamp(utc_ns: int) -> str:
    """UTC as ISO 8601; parts of a second only where there are any (whole microseconds)."""
    days, rest = divmod(utc_ns, DAY_NS)
    seconds, part = divmod(rest // 1_000, 1_000_000)
    minutes, second = divmod(seconds, 60)
    fraction = f".{part:06}" if part else ""
    return f"{_date(days)}T{minutes // 60:02}:{minutes % 60:02}:{second:02}{fraction}Z"


@lru_cache(maxsize=DATES_KEPT)
def _date(days: int) -> str:
    """Of so many days after 1970."""
    return (_EPOCH + timedelta(days=days)).isoformat()


def _pnl(gross_micro: int, fees_micro: int) -> dict[str, str]:
    return {"gross": money(gross_micro), "fees": money(fees_micro), "net": money(gross_micro - fees_micro)}


def _side(side: Side) -> str:
    return side.name.lower()


def _shown(text: str) -> str:
    """Exact money text with two places for a person."""
    return cents(int(Fraction(text) * MICRO))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """First and last column to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        middle = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *middle, row[-1]]).rstrip())
    return lines
