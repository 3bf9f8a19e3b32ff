"""Job `indicators_batch`: EMA 20, RSI 14, ATR 14 and Bollinger 20 over 100,000 bars. Nanoseconds a bar.

Columns in, columns out, beside TA-Lib, which does the same in C with the same seeds. Ours keeps sums that
stay sound over ten million bars, which is what the difference buys. Results count as equal when they agree
within a billionth; neither side is timed on converting columns.
"""

from __future__ import annotations

import importlib
import math
import random
from array import array
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from native import indicators_py
from tests.bench.figures import Row
from tests.bench.side_by_side import Contender, Inside, compare, optional

BARS = 100_000
PRICE = 25_000.0
TOLERANCE = 1e-9


def measure() -> list[Row]:
    """One row; a library that is not there is named in it."""
    columns = _walk(random.Random(20261120))
    compiled = importlib.import_module("native.indicators_c")
    agreed = _outputs(compiled, columns)
    inside: dict[str, Contender | None] = {
        "pure": _ours(indicators_py, columns, agreed),
        "cython": _ours(compiled, columns, agreed),
        "talib": _talib(columns, agreed),
    }
    return [compare("indicators_batch", inside, None, BARS)]


def _walk(chance: random.Random) -> list[array[float]]:
    """Highs, lows and closes."""
    closes, last = array("d"), PRICE
    for _ in range(BARS):
        last += chance.randrange(-8, 9) / 4
        closes.append(last)
    highs = array("d", [close + chance.randrange(12) / 4 for close in closes])
    lows = array("d", [close - chance.randrange(12) / 4 for close in closes])
    return [highs, lows, closes]


def _outputs(module: ModuleType, columns: Sequence[array[float]]) -> list[Any]:
    highs, lows, closes = columns
    band = module.bollinger(closes, 20, 2.0)
    return [module.ema(closes, 20), module.rsi(closes, 14), module.atr(highs, lows, closes, 14), *band]


def _ours(module: ModuleType, columns: Sequence[array[float]], agreed: list[Any]) -> Contender:
    return Inside(lambda: _outputs(module, columns), lambda made: _verdict(made, agreed))


def _talib(columns: Sequence[array[float]], agreed: list[Any]) -> Contender | None:
    talib, numpy = optional("talib"), optional("numpy")
    if talib is None or numpy is None:
        return None
    high, low, close = (numpy.frombuffer(column) for column in columns)

    def work() -> list[Any]:
        made = [talib.EMA(close, 20), talib.RSI(close, 14), talib.ATR(high, low, close, 14)]
        return [*made, *talib.BBANDS(close, 20, 2.0, 2.0)]

    return Inside(work, lambda made: _verdict(made, agreed))


def _verdict(made: Any, agreed: list[Any]) -> str:
    """ "equal", or where it is not."""
    for number, (ours, theirs) in enumerate(zip(agreed, made, strict=True)):
        for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if not math.isclose(one, other, rel_tol=TOLERANCE) and not (
                math.isnan(one) and math.isnan(other)
            ):
                return f"output {number}, bar {at}: {one!r} and {other!r}"
    return "equal"
