"""Job `bars_coarsen`: 3,000 one-minute bars to 5 minutes. Nanoseconds for all of them.

Ours and the peers fill bars they have; `cython_new_ns` makes new ones each time.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from native import market_py
from tests.bench.figures import Row
from tests.bench.market_data import Columns, bars_text, day_of, minute_bars, rows_text, write
from tests.bench.side_by_side import Contender, Inside, compare, compile_c, compile_go, optional, promise

COUNT, MINUTES = 3_000, 5
NAMES = ("start", "open", "high", "low", "close", "volume")
GOAL_GO, GOAL_PANDAS = 0.8, 0.01


def measure() -> list[Row]:
    columns = minute_bars(COUNT)
    file = write("minute_bars.bin", columns)
    compiled = importlib.import_module("native.market_c")
    inside: dict[str, Contender | None] = {
        "pure": _ours(market_py, columns, reuse=True),
        "cython": _ours(compiled, columns, reuse=True),
        "cython_new": _ours(compiled, columns, reuse=False),
        "pandas": _pandas(columns),
        "polars": _polars(columns),
    }
    peers = {"c": (compile_c("bars_coarsen"), file), "go": (compile_go("bars_coarsen", "market"), file)}
    row = compare("bars_coarsen", inside, peers)
    return [promise(promise(row, "ratio_go", GOAL_GO), "ratio_pandas", GOAL_PANDAS)]


def _ours(module: ModuleType, columns: Columns, reuse: bool) -> Contender:
    fine, out = module.Bars.wrap(*columns), module.Bars() if reuse else None
    return Inside(lambda: module.coarsen(fine, MINUTES, day_of, out), bars_text)


def _pandas(columns: Columns) -> Contender | None:
    """Five minutes divide the hour that days begin with, so its windows are ours."""
    pandas = optional("pandas")
    if pandas is None:
        return None
    frame = pandas.DataFrame(dict(zip(NAMES[1:], columns[1:], strict=True)), pandas.to_datetime(columns[0]))
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}

    def text(result: Any) -> str:
        starts = result.index.as_unit("ns").asi8.tolist()
        return rows_text(zip(starts, *(result[name].tolist() for name in NAMES[1:]), strict=True))

    return Inside(lambda: frame.resample(f"{MINUTES}min").agg(how).dropna(), text)


def _polars(columns: Columns) -> Contender | None:
    polars = optional("polars")
    if polars is None:
        return None
    frame = polars.DataFrame(dict(zip(NAMES, map(list, columns), strict=True)))
    frame = frame.with_columns(polars.col("start").cast(polars.Datetime("ns")))
    by = [polars.col("open").first(), polars.col("high").max(), polars.col("low").min()]
    by += [polars.col("close").last(), polars.col("volume").sum()]

    def text(result: Any) -> str:
        return rows_text(result.with_columns(polars.col("start").cast(polars.Int64)).rows())

    return Inside(lambda: frame.group_by_dynamic("start", every=f"{MINUTES}m").agg(by), text)
