"""The year of `replay_year` beside the same year in C and Go: the fills and the totals are held equal first.

The peers know the file, the averages, two legs, fees and sums, and nothing of what `app.backtest` runs
besides: the gate with all its rules, order life cycles, the journal's records, limits watched on every
quote, reports. So their figure is a floor, not a rival. `pure` is `app.backtest` on the pure twins, in a
process of its own.

As a program (`FILE`): the replay on the twins that the environment names, answering `check` and `run N`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.bench.figures import Row
from tests.bench.side_by_side import ROOT, Inside, Outside, compare, compile_c, compile_go, promise

JOB = "replay_year"
ROUNDS = 5
GOAL_BARS_S = 500_000
TICKS_A_POINT, MICRO = 4, 1_000_000
NOTE = "c and go have the file, averages, legs, fees and totals alone: no gate, order life, journal or report"
PURE = {"PLIMSOLL_NATIVE": "pure", "PYTHONPATH": str(ROOT)}

Replay = Callable[[], str]


def row(path: Path, bars: int, cross: Mapping[str, str], run: Replay) -> Row:
    """Nanoseconds a bar of `run`, which replays `path` with the averages of `cross`; it returns a report."""
    numbers = [cross[name] for name in ("fast", "slow", "stop_ticks", "target_ticks")]
    with Outside(Path(sys.executable), "-m", __name__, path, json.dumps(dict(cross)), settings=PURE) as pure:
        inside = {"pure": pure, "cython": Inside(run, lambda text: totals(json.loads(str(text))))}
        peers = {
            name: (program, path, *numbers)
            for name, program in (("c", compile_c(JOB)), ("go", compile_go(JOB)))
        }
        made = compare(JOB, inside, peers, bars, ROUNDS)
    figure = f"{cross['fast']} over {cross['slow']}, side by side"
    made = {"job": JOB, "figure": figure} | made | {"bars_s": round(1e9 / made["cython_ns"]), "note": NOTE}
    return promise(made, "bars_s", least=GOAL_BARS_S)


def totals(report: Mapping[str, Any]) -> str:
    """A report's fills and sums as the peers print them: seconds, side, ticks; then micro-USD."""
    said = "".join(
        f"{int(datetime.fromisoformat(fill['time']).timestamp())},"
        f"{1 if fill['side'] == 'buy' else -1},{int(Fraction(fill['price']) * TICKS_A_POINT)};"
        for fill in report["fills"]
    )
    return said + ",".join(str(int(Fraction(report[name]) * MICRO)) for name in ("gross", "fees", "net"))


def _serve(run: Replay) -> None:
    for line in sys.stdin:
        command, _, repeats = line.partition(" ")
        begun = time.process_time_ns()
        for _ in range(int(repeats or 1)):
            text = run()
        spent = time.process_time_ns() - begun
        print(spent if command == "run" else totals(json.loads(text)), flush=True)


if __name__ == "__main__":
    from tests.bench.replay_year import ACCOUNT, replay

    settings = ACCOUNT | json.loads(sys.argv[2])
    _serve(lambda: replay(Path(sys.argv[1]), "ES", "sma_cross", settings).as_json())
