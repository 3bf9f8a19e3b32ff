"""A recorded week of real ES bars through the same engine, gate and ledger: wall time, the start included."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.appliance import ROOT, environment
from tests.bench.figures import Row, measured, most

JOB = "replay_week"
ROUNDS = 7
GOAL_S = 1
WEEK = ROOT.parent / "shared" / "data" / "esz13_1m_2013-10-06_2013-10-11.csv.gz"


def measure() -> list[Row]:
    if not WEEK.exists():
        return [{"job": JOB, "skipped": f"../{WEEK.relative_to(ROOT.parent)} is not there"}]
    plimsoll = Path(sys.executable).with_name("plimsoll")
    replay = (plimsoll, "replay", WEEK, "--symbol", "ES", "--strategy", "overnight_range", "--json")
    bare, runs = [], []
    for _ in range(ROUNDS):
        bare.append(_timed(sys.executable, "-c", "pass"))
        runs.append(_timed(*replay))
    return [
        measured(JOB, "python -c pass, wall", "s", [wall for wall, _ in bare]),
        measured(JOB, "replay, wall", "s", [wall for wall, _ in runs], most(GOAL_S)),
        measured(JOB, "replay, CPU", "s", [cpu for _, cpu in runs]),
    ]


def _timed(*command: str | Path) -> tuple[float, float]:
    """Wall and CPU seconds of a command that must succeed."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - begun, os.times()
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return wall, cpu
