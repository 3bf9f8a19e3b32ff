"""Rows of a benchmark: built from samples, held against goals, compared with an earlier run, printed. Pure.

A row is a plain dict, so that a job may add what it likes. Two shapes are known here:

- measured: `{"job", "figure", "unit", "n", "median", "p50", "p95", "p99", "goal", "met", ...}`; `goal` is a
  list of `{"at": "p95", "most": 5.0}` (or `"least"`), empty where nothing was promised, `met` then None;
- side by side: `{"job", "pure_ns", "cython_ns", "c_ns", "go_ns", "ratio_go", ...}`: any keys ending in `_ns`,
  and what ours is of theirs as `ratio_...`; null for a contender that `missing` names.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Row = dict[str, Any]

DRIFT = 0.20  # below this two runs on a shared machine cannot be told apart
STATISTICS = ("median", "p95", "p99")
COLUMNS = ("job", "figure", "unit", "n", "median", "p95", "p99", "goal", "met")


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` (0..1) of them do not exceed. Raises IndexError for none."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def measured(job: str, figure: str, unit: str, samples: Sequence[float], *goals: Row, **more: Any) -> Row:
    """The row of `samples`; `goals` come from `most` and `least`."""
    row: Row = {"job": job, "figure": figure, "unit": unit, "n": len(samples)}
    row["median"] = statistics.median(samples)
    row |= {f"p{share}": percentile(samples, share / 100) for share in (50, 95, 99)}
    row["goal"], row["met"] = list(goals), all(holds(row, goal) for goal in goals) if goals else None
    return row | more


def most(bound: float, at: str = "median") -> Row:
    """The statistic `at` may be at most `bound`."""
    return {"at": at, "most": bound}


def least(bound: float, at: str = "median") -> Row:
    """The statistic `at` must be at least `bound`."""
    return {"at": at, "least": bound}


def holds(row: Row, goal: Row) -> bool:
    """Whether the figure of `row` that `goal` is about keeps it."""
    value = row[goal["at"]]
    return bool(value <= goal["most"] if "most" in goal else value >= goal["least"])


def drifted(now: Iterable[Row], before: Iterable[Row]) -> Iterator[str]:
    """One line for every ratio that moved by more than `DRIFT` between two runs, and for what went missing.

    Nanoseconds move with the machine: they count only in a measured row, where nothing else is. Jobs that
    were not run now are not asked about.
    """
    known, ran = {_key(row): row for row in before}, set()
    for row in now:
        ran.add(_key(row)[0])
        old = known.pop(_key(row), {})
        if "failed" in row:
            yield f"{_name(row)}: failed: {row['failed']}"
        elif not old:
            yield f"{_name(row)}: was not measured before"
        for name, was in old.items():
            value = row.get(name)
            if not _is_figure(name) or not _is_number(was) or not was:
                continue
            if not _is_number(value):
                yield f"{_name(row)} {name}: {_short(was)} -> missing"
            elif abs(change := value / was - 1) > DRIFT:
                yield f"{_name(row)} {name}: {_short(was)} -> {_short(value)} ({change:+.0%})"
    yield from (f"{_name(old)}: is not measured any more" for key, old in known.items() if key[0] in ran)


def _key(row: Row) -> tuple[str, str]:
    return str(row.get("job", "")), str(row.get("figure", ""))


def _name(row: Row) -> str:
    return " ".join(_key(row)).strip()


def _is_figure(name: str) -> bool:
    return name in STATISTICS or name.startswith("ratio_") or name.endswith("_ratio")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def table(rows: Iterable[Row]) -> str:
    """Measured rows in columns; side-by-side rows below, each with its own figures."""
    rows = list(rows)
    shown = [[_cell(row, column) for column in COLUMNS] for row in rows if "median" in row]
    lines = _aligned([list(COLUMNS), *shown]) if shown else []
    lines += [f"  {_key(row)[0]}: {_pairs(row)}" for row in rows if "median" not in row]
    notes = [f"  {' '.join(_key(row))}: {row['note']}" for row in rows if row.get("note")]
    return "\n".join([*lines, *notes])


def _cell(row: Row, column: str) -> str:
    value = row.get(column)
    if column == "goal":
        return ", ".join(_promise(goal) for goal in row["goal"])
    if column == "met":
        return {True: "yes", False: "NO", None: ""}[value]
    return _short(value) if _is_number(value) else str(value)


def _promise(goal: Row) -> str:
    sign, bound = ("<=", goal["most"]) if "most" in goal else (">=", goal["least"])
    return f"{goal['at']} {sign} {_short(bound)}"


def _pairs(row: Row) -> str:
    return "  ".join(f"{k} {_short(v) if _is_number(v) else v}" for k, v in row.items() if k != "job")


def _short(value: float) -> str:
    """Three significant digits, no exponent."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _aligned(cells: list[list[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
