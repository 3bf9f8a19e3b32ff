"""A recorded market as a `Feed`: one-minute bars or single trades from a CSV file, plain or gzip.

Bars (`start_utc,open,high,low,close,volume`) become four prints each: open, the extreme nearer to it, the
other one, close. Trades (`time_utc,price,size`) are taken as they are. Times are UTC with `Z`, prices
decimals on the grid, rows in order. A broken line is named: `Theirs("es.csv:12", ...)`.
"""

from __future__ import annotations

import csv
import gzip
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby, islice, pairwise
from pathlib import Path
from typing import TextIO

from app.domain.calendar import Session, TradingCalendar
from app.domain.instruments import Instrument, by_symbol, price_to_ticks
from app.domain.market import MINUTE_NS, Bar
from app.errors import PlimsollError, SettingsError, Theirs
from app.simulator.feed import NS, Tick, merge
from app.simulator.stamps import parse

BAR_COLUMNS = ["start_utc", "open", "high", "low", "close", "volume"]
TICK_COLUMNS = ["time_utc", "price", "size"]
TICKS_LIMIT = 20_000_000  # ticks of one file, 2 GB in memory: months of a busy contract, years of bars
LINE_LIMIT = 512  # characters of a line; real ones have under 80
SESSIONS_KEPT = 64  # sessions of minute bars kept ready
PRINT_OFFSETS_NS = (
    0,
    15 * NS,
    30 * NS,
    59 * NS,
)  # of open, first extreme, second extreme and close within a minute


class Recorded:
    """The ticks of one file under one symbol."""

    def __init__(self, symbol: str, ticks: Sequence[Tick], calendar: TradingCalendar) -> None:
        self._symbol, self._ticks, self._calendar = symbol, ticks, calendar
        self._times = [tick.utc_ns for tick in ticks]
        self._minutes = lru_cache(SESSIONS_KEPT)(self._make_minutes)

    @classmethod
    def load(cls, path: Path, symbol: str, calendar: TradingCalendar) -> Recorded:
        """Read the whole file. Raises Theirs naming file and line, SettingsError when it cannot be opened."""
        instrument = by_symbol(symbol)
        ticks = list(islice(_read(path, instrument), TICKS_LIMIT + 1))
        if len(ticks) > TICKS_LIMIT:
            raise Theirs(path.name, f"holds more than {TICKS_LIMIT} ticks")
        if not ticks:
            raise Theirs(path.name, "holds no data")
        for when in (ticks[0].utc_ns, ticks[-1].utc_ns):
            if not calendar.covers(when):
                raise Theirs(path.name, "reaches outside the trading calendar")
        return cls(symbol, ticks, calendar)

    @property
    def first_ns(self) -> int:
        return self._times[0]

    @property
    def last_ns(self) -> int:
        return self._times[-1]

    # -- Feed --------------------------------------------------------------------------------------

    @property
    def symbols(self) -> tuple[str, ...]:
        return (self._symbol,)

    def ticks(self, symbol: str, after_ns: int) -> Iterator[Tick]:
        for index in range(bisect_right(self._times, after_ns), len(self._ticks)):
            yield self._ticks[index]

    def last_tick(self, symbol: str, at_ns: int) -> Tick | None:
        index = bisect_right(self._times, at_ns)
        return self._ticks[index - 1] if index else None

    def minutes(self, symbol: str, session: Session) -> Sequence[Bar]:
        return self._minutes(session)

    def seconds(self, symbol: str, session: Session, start_ns: int, end_ns: int) -> Sequence[Bar]:
        return self._bars(max(start_ns, session.open_ns), min(end_ns, session.close_ns), NS)

    def _make_minutes(self, session: Session) -> Sequence[Bar]:
        return self._bars(session.open_ns, session.close_ns, MINUTE_NS)

    def _bars(self, start_ns: int, end_ns: int, step_ns: int) -> list[Bar]:
        ticks = self._ticks[
            bisect_left(self._times, start_ns) : bisect_left(self._times, max(start_ns, end_ns))
        ]
        prints = (Bar(tick.utc_ns, *(tick.price,) * 4, tick.size) for tick in ticks if tick.size)
        groups = groupby(prints, key=lambda bar: bar.start_ns // step_ns)
        bars = (merge(group, number * step_ns) for number, group in groups)
        return [bar for bar in bars if bar is not None]


def _read(path: Path, instrument: Instrument) -> Iterator[Tick]:
    try:
        with _text(path) as text:
            yield from _rows(path.name, text, instrument)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SettingsError("data", f"{path} cannot be read: {error}") from None


def _text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _rows(name: str, text: TextIO, instrument: Instrument) -> Iterator[Tick]:
    """Rows as ticks, in order, each line checked."""
    header = next(csv.reader([text.readline(LINE_LIMIT)]), [])
    if header not in (BAR_COLUMNS, TICK_COLUMNS):
        raise Theirs(
            f"{name}:1", f"the first line must be {','.join(BAR_COLUMNS)} or {','.join(TICK_COLUMNS)}"
        )
    convert = _bar_ticks if header == BAR_COLUMNS else _trade_ticks
    before, number, price = 0, 1, 0
    while line := text.readline(LINE_LIMIT):
        number += 1
        try:
            for tick in convert(line.rstrip("\r\n").split(","), instrument, price):
                if tick.utc_ns < before:
                    raise ValueError("is earlier than the line before")
                before, price = tick.utc_ns, tick.price
                yield tick
        except (ValueError, PlimsollError) as error:
            raise Theirs(f"{name}:{number}", error) from None


def _bar_ticks(cells: list[str], instrument: Instrument, price: int) -> Iterator[Tick]:
    if len(cells) != len(BAR_COLUMNS):
        raise ValueError(f"has {len(cells)} columns, not {len(BAR_COLUMNS)}")
    start, volume = parse(cells[0]), int(cells[5])
    first, high, low, last = (price_to_ticks(instrument, cell) for cell in cells[1:5])
    if not (low <= min(first, last) and max(first, last) <= high and volume >= 0):
        raise ValueError("open, high, low and close contradict each other")
    prices = [first, high, low, last] if high - first < first - low else [first, low, high, last]
    prints = [(offset, tick_price) for offset, tick_price in zip(PRINT_OFFSETS_NS, prices, strict=True)]
    if volume < len(prints):  # fewer contracts than corners: those that repeat the one before did not trade
        prints = prints[:1] + [now for before, now in pairwise(prints) if now[1] != before[1]]
    for number, (offset, tick_price) in enumerate(prints):
        size = volume // len(prints) + (number < volume % len(prints))
        yield _tick(start + offset, tick_price, max(1, size), price)
        price = tick_price


def _trade_ticks(cells: list[str], instrument: Instrument, price: int) -> Iterator[Tick]:
    if len(cells) != len(TICK_COLUMNS):
        raise ValueError(f"has {len(cells)} columns, not {len(TICK_COLUMNS)}")
    size = int(cells[2])
    if size < 1:
        raise ValueError("size must be at least 1")
    yield _tick(parse(cells[0]), price_to_ticks(instrument, cells[1]), size, price)


def _tick(utc_ns: int, price: int, size: int, before: int) -> Tick:
    """The book around a recorded trade: one tick wide, the trade on the side it moved to."""
    side = 1 if price >= before else -1
    return Tick(utc_ns, price, size, *((price - 1, price) if side > 0 else (price, price + 1)), side)
