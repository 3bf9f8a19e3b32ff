"""Job `sequences`: the ten best of all sequences of up to 4 of 25 actions on a portfolio of 30 securities.

Go and C do it twice: simulating each sequence from the start (`go_ns`, `c_ns`: what the goal is measured
against) and with this module's own algorithm (`go_shared_ns`, `c_shared_ns`), for most of the gain is the
algorithm's. Ours includes checking the portfolio and laying out its columns. Nanoseconds are per sequence.
"""

from __future__ import annotations

import importlib
import random
import struct
from array import array
from collections.abc import Sequence
from itertools import chain
from math import comb
from types import ModuleType
from typing import Any

from native import sequences_py
from tests.bench.figures import Row
from tests.bench.side_by_side import BUILT, Inside, compare, compile_c, compile_go, promise

SECURITIES, COUNTRIES, GROUPS, ACTIONS, DEPTH, BEST = 30, 6, 10, 25, 4, 10
SEQUENCES = sum(comb(ACTIONS, size) for size in range(DEPTH + 1))  # all are allowed: money for everything
CASH_MICRO = 100_000_000_000


def measure() -> list[Row]:
    """One row, nanoseconds per sequence."""
    ints, floats, actions = portfolio(random.Random(20261120))
    BUILT.mkdir(parents=True, exist_ok=True)
    file = BUILT / "sequences.bin"
    file.write_bytes(_packed(ints, floats, actions))
    inside = {
        name: Inside(search(module, ints, floats, actions), _text)
        for name, module in (
            ("pure", sequences_py),
            ("cython", importlib.import_module("native.sequences_run")),
        )
    }
    in_c, in_go = compile_c("sequences"), compile_go("sequences")
    peers = {"c": (in_c, file, "each"), "go": (in_go, file, "each")}
    peers |= {"c_shared": (in_c, file, "shared"), "go_shared": (in_go, file, "shared")}
    row = compare("sequences", inside, peers, SEQUENCES)
    return [promise(promise(row, "ratio_go", 0.25), "cython_ns", 15.0)]


def portfolio(chance: random.Random) -> tuple[list[list[int]], list[list[float]], list[list[int]]]:
    """Integer columns, float columns (merits, three targets, weights, scales) and action columns."""
    values = [chance.randrange(500_000_000, 5_000_000_000) for _ in range(SECURITIES)]
    places = [[index % count for index in range(SECURITIES)] for count in (COUNTRIES, GROUPS)]
    merits = [chance.uniform(0.0, 0.2) for _ in range(SECURITIES)]
    targets = [_shares(chance, count) for count in (SECURITIES, COUNTRIES, GROUPS)]
    chosen = chance.sample(range(SECURITIES), ACTIONS)
    changes = [chance.choice((-1, 1)) * chance.randrange(250_000_000, 500_000_000) for _ in chosen]
    fees = [2_000_000 + abs(change) // 500 for change in changes]
    weighing = [list(sequences_py.WEIGHTS), list(sequences_py.SCALES)]
    return [values, *places], [merits, *targets, *weighing], [chosen, changes, fees]


def _shares(chance: random.Random, count: int) -> list[float]:
    parts = [chance.uniform(0.5, 1.5) for _ in range(count)]
    return [0.95 * part / sum(parts) for part in parts]


def search(module: ModuleType, ints: Any, floats: Any, actions: Any) -> Any:
    columns = [array("q", column) for column in ints] + [array("d", column) for column in floats]
    wanted = [array("q", column) for column in actions]

    def work() -> object:
        portfolio = module.Portfolio(CASH_MICRO, *columns)
        return module.search(portfolio, module.Actions(*wanted), DEPTH, BEST)

    return work


def _text(ranked: Any) -> str:
    return "".join(",".join([f"{score:.12f}", *map(str, sequence)]) + ";" for score, sequence in ranked)


def _packed(ints: Sequence[list[int]], floats: Sequence[list[float]], actions: Sequence[list[int]]) -> bytes:
    """The input of the peers: little-endian 64-bit words, floats as their bits, actions row by row."""
    head = [SECURITIES, COUNTRIES, GROUPS, ACTIONS, DEPTH, BEST, CASH_MICRO, *chain(*ints)]
    rows = list(chain(*zip(*actions, strict=True)))
    real = list(chain(*floats))
    return struct.pack(f"<{len(head)}q{len(real)}d{len(rows)}q", *head, *real, *rows)
