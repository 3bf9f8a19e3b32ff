"""Job `trade_update`: one trade into bars of 1, 5 and 15 minutes and four indicators. Nanoseconds a trade.

Ours is one Python call for each trade, the loop that makes the calls included; the peers loop in C and Go.
"""

from __future__ import annotations

import importlib
import struct
from types import ModuleType
from typing import Any

from native import indicators_py, market_py
from tests.bench.figures import Row
from tests.bench.market_data import Columns, day_of, rows_text, ticks, write
from tests.bench.side_by_side import Contender, Inside, compare, compile_c, compile_go, promise

COUNT = 100_000
MOST_APART_NS = 1_500_000_000
MINUTES = (1, 5, 15)
GOAL_NS = 110


def measure() -> list[Row]:
    columns = ticks(COUNT, MOST_APART_NS)
    file = write("trades.bin", columns)
    market_c = importlib.import_module("native.market_c")
    indicators_c = importlib.import_module("native.indicators_c")
    inside = {
        "pure": _ours(market_py, indicators_py, columns),
        "cython": _ours(market_c, indicators_c, columns),
    }
    peers = {"c": (compile_c("trade_update"), file), "go": (compile_go("trade_update", "market"), file)}
    return [promise(compare("trade_update", inside, peers, COUNT), "cython_ns", GOAL_NS)]


def _ours(market: ModuleType, indicators: ModuleType, columns: Columns) -> Contender:
    trades = list(zip(columns[1], columns[2], columns[0], strict=True))

    def work() -> object:
        symbol = market.Market(MINUTES, day_of)
        band = indicators.Bollinger(20)
        studies = [indicators.Ema(20), indicators.Rsi(14), indicators.Atr(14), band]
        for study in studies:
            symbol.attach(study)
        on_trade, closed = symbol.on_trade, 0
        for price, size, utc_ns in trades:
            closed += on_trade(price, size, utc_ns)
        numbers = [*(study.value for study in studies), band.upper, band.lower]
        return closed, symbol.closed.rows(), struct.unpack("<6q", struct.pack("<6d", *numbers))

    return Inside(work, _text)


def _text(result: Any) -> str:
    """The sum of the masks of what closed, the last bar of each timeframe, the bits of the indicators."""
    closed, rows, bits = result
    return rows_text([(closed,), *rows, bits])
