"""What the market hub says about one contract: sparse quotes, trades, and a book of ten levels. Pure.

Sizes in the book are made from price and second by arithmetic, so that they are the same whenever they are
looked at.
"""

from __future__ import annotations

from app.domain.calendar import Session
from app.domain.instruments import Instrument
from app.domain.market import MINUTE_NS
from app.simulator.feed import NS, Feed, Tick, merge
from app.simulator.rows import Row, price, symbol_id
from app.simulator.stamps import iso

LEVELS = 10  # per side, as deep as the venue's own book
SIZE_SPAN = 90  # contracts between the thinnest and the thickest level
PERCENT_DIGITS = 4
ASK, BID, BEST_ASK, BEST_BID, RESET = 1, 2, 3, 4, 6  # depth row types


class Board:
    """The state behind the quotes of one contract in one session."""

    def __init__(self, contract: str, instrument: Instrument, previous_close: int | None) -> None:
        self.contract, self.instrument, self.previous_close = contract, instrument, previous_close
        self.open: int | None = None
        self.high = self.low = self.last = 0
        self.volume = 0
        self.tick: Tick | None = None
        self._told: Row = {}
        self._levels: dict[tuple[int, int], int] = {}

    @classmethod
    def at(cls, feed: Feed, contract: str, instrument: Instrument, session: Session, now_ns: int) -> Board:
        """As it stands at `now_ns`, from the session's bars before the running minute and its ticks since."""
        close = feed.last_tick(instrument.symbol, session.open_ns - 1)
        board = cls(contract, instrument, None if close is None else close.price)
        minute = now_ns - now_ns % MINUTE_NS
        so_far = merge(
            (b for b in feed.minutes(instrument.symbol, session) if b.start_ns < minute), session.open_ns
        )
        if so_far is not None:
            board.open, board.high, board.low = so_far.open_ticks, so_far.high_ticks, so_far.low_ticks
            board.volume = so_far.volume
        for tick in feed.ticks(instrument.symbol, minute - 1):
            if tick.utc_ns > now_ns:
                break
            board.take(tick)
        board.tick = board.tick or feed.last_tick(instrument.symbol, now_ns)
        return board

    def take(self, tick: Tick) -> None:
        """Count one tick."""
        self.tick = tick
        if tick.size:
            self.open = tick.price if self.open is None else self.open
            self.high = tick.price if not self.volume else max(self.high, tick.price)
            self.low = tick.price if not self.volume else min(self.low, tick.price)
            self.volume += tick.size

    # -- quotes ------------------------------------------------------------------------------------

    def full(self) -> Row:
        """Every member, for a new subscriber. Everybody else has been told by now: deltas count from here."""
        self._told = self._values()
        return {**self._head(), **self._told}

    def delta(self) -> Row:
        """What changed since the last delta. Missing means unchanged, never zero."""
        values = self._values()
        changes = {key: value for key, value in values.items() if self._told.get(key) != value}
        self._told = values
        return {**self._head(), **changes}

    def _head(self) -> Row:
        stamp = iso(self.tick.utc_ns) if self.tick is not None else ""
        return {"symbol": symbol_id(self.contract), "lastUpdated": stamp, "timestamp": stamp}

    def _values(self) -> Row:
        tick, instrument = self.tick, self.instrument
        if tick is None:
            return {}
        values = {
            "symbolName": f"/{instrument.symbol}",
            "lastPrice": price(instrument, tick.price),
            "bestBid": price(instrument, tick.bid),
            "bestAsk": price(instrument, tick.ask),
            "volume": self.volume,
        }
        if self.open is not None:
            values |= {
                "open": price(instrument, self.open),
                "high": price(instrument, self.high),
                "low": price(instrument, self.low),
            }
        if self.previous_close:
            moved = tick.price - self.previous_close
            values["change"] = price(instrument, moved)
            values["changePercent"] = round(100 * moved / abs(self.previous_close), PERCENT_DIGITS)
        return values

    # -- depth -------------------------------------------------------------------------------------

    def depth_snapshot(self) -> list[Row]:
        """Reset, then every level."""
        if self.tick is None:
            return []
        reset = {
            "timestamp": iso(self.tick.utc_ns),
            "type": RESET,
            "price": 0,
            "volume": 0,
            "currentVolume": 0,
        }
        self._levels = _levels(self.tick)
        return [reset, *(self._depth_row(key, volume) for key, volume in self._levels.items())]

    def depth_delta(self) -> list[Row]:
        """Levels that came, changed or went (volume 0) since the last delta."""
        if self.tick is None:
            return []
        levels = _levels(self.tick)
        gone = [self._depth_row(key, 0) for key in self._levels if key not in levels]
        new = [self._depth_row(key, size) for key, size in levels.items() if self._levels.get(key) != size]
        self._levels = levels
        return gone + new

    def _depth_row(self, key: tuple[int, int], volume: int) -> Row:
        assert self.tick is not None  # both callers have looked
        kind, ticks = key
        best = {ASK: (self.tick.ask, BEST_ASK), BID: (self.tick.bid, BEST_BID)}[kind]
        return {
            "timestamp": iso(self.tick.utc_ns),
            "type": best[1] if ticks == best[0] and volume else kind,
            "price": price(self.instrument, ticks),
            "volume": volume,
            "currentVolume": volume,
        }


def trade_print(instrument: Instrument, contract: str, tick: Tick) -> Row:
    """One execution on the tape; type 0 = the buyer was the aggressor."""
    return {
        "symbolId": symbol_id(contract),
        "price": price(instrument, tick.price),
        "timestamp": iso(tick.utc_ns),
        "type": 0 if tick.side > 0 else 1,
        "volume": tick.size,
    }


def _levels(tick: Tick) -> dict[tuple[int, int], int]:
    second = tick.utc_ns // NS
    asks = {(ASK, tick.ask + step): _size(tick.ask + step, second, step) for step in range(LEVELS)}
    bids = {(BID, tick.bid - step): _size(tick.bid - step, second, step) for step in range(LEVELS)}
    return asks | bids


def _size(ticks: int, second: int, step: int) -> int:
    """A level keeps its size for some seconds; deeper levels are thicker."""
    slow = second // (step + 2)
    return 5 + 6 * step + (ticks * 40_503 ^ slow * 2_654_435_761) % SIZE_SPAN
