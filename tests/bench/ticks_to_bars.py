"""Job `ticks_to_bars`: 1,000,000 trades to one-minute bars, in batch. Nanoseconds for all of them."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from native import market_py
from tests.bench.figures import Row
from tests.bench.market_data import Columns, bars_text, day_of, rows_text, ticks, write
from tests.bench.side_by_side import Contender, Inside, compare, compile_c, compile_go, optional, promise

COUNT, MINUTES = 1_000_000, 1
MOST_APART_NS = 150_000_000
GOAL_GO = 1.1


def measure() -> list[Row]:
    columns = ticks(COUNT, MOST_APART_NS)
    file = write("ticks.bin", columns)
    inside: dict[str, Contender | None] = {
        "pure": _ours(market_py, columns),
        "cython": _ours(importlib.import_module("native.market_c"), columns),
        "pandas": _pandas(columns),
        "polars": _polars(columns),
    }
    peers = {"c": (compile_c("ticks_to_bars"), file), "go": (compile_go("ticks_to_bars", "market"), file)}
    return [promise(compare("ticks_to_bars", inside, peers), "ratio_go", GOAL_GO)]


def _ours(module: ModuleType, columns: Columns) -> Contender:
    out = module.Bars()
    return Inside(lambda: module.ticks_to_bars(*columns, MINUTES, day_of, out), bars_text)


def _pandas(columns: Columns) -> Contender | None:
    pandas = optional("pandas")
    if pandas is None:
        return None
    index = pandas.to_datetime(columns[0])
    prices, sizes = (pandas.Series(column, index) for column in columns[1:])

    def work() -> object:
        bars = prices.resample(f"{MINUTES}min").ohlc()
        bars["volume"] = sizes.resample(f"{MINUTES}min").sum()
        return bars.dropna()

    def text(result: Any) -> str:
        starts = result.index.as_unit("ns").asi8.tolist()
        return rows_text(zip(starts, *(result[name].tolist() for name in result), strict=True))

    return Inside(work, text)


def _polars(columns: Columns) -> Contender | None:
    polars = optional("polars")
    if polars is None:
        return None
    frame = polars.DataFrame(dict(zip(("start", "price", "size"), map(list, columns), strict=True)))
    frame = frame.with_columns(polars.col("start").cast(polars.Datetime("ns")))
    price = polars.col("price")
    by = [price.first().alias("open"), price.max().alias("high"), price.min().alias("low")]
    by += [price.last().alias("close"), polars.col("size").sum()]

    def text(result: Any) -> str:
        return rows_text(result.with_columns(polars.col("start").cast(polars.Int64)).rows())

    return Inside(lambda: frame.group_by_dynamic("start", every=f"{MINUTES}m").agg(by), text)
