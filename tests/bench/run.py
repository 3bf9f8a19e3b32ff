"""`./build.sh bench [JOB...] [--json FILE] [--compare FILE]`: measure side by side, say what was promised.

A job is a module of this folder with `measure() -> list of rows` (see `figures`); it runs in a process of its
own, so that no job inherits another's imports, heap or warm caches. Nothing here judges: a missed goal is
printed, exit code 0. Timing belongs here and in no test.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)  # not this folder: a job's name must not hide a library's

from tests.bench.figures import Row, drifted, table  # noqa: E402

JOBS = (
    "service_ready",
    "service_memory",
    "service_cpu",
    "order_path",
    "kill",
    "board_trip",
    "board_silence",
    "board_cpu",
    "store_rows",
    "replay_week",
    "replay_year",
    "risk_check",
    "quote_frame",
    "order_body",
    "sequences",
    "wire_encode",
    "wire_decode",
    "bars_coarsen",
    "ticks_to_bars",
    "trade_update",
    "indicators_batch",
    "broadcast",
    "artifact",
)
JOB_SECONDS = (
    900  # the longest job takes some two minutes on a quiet machine; the board is several times slower
)
ROWS_MARK = "rows: "


def main() -> int:
    arguments = _parse()
    if arguments.inside:
        print(ROWS_MARK + json.dumps(importlib.import_module(f"tests.bench.{arguments.inside}").measure()))
        return 0
    rows: list[Row] = []
    for job in arguments.jobs or JOBS:
        rows += _run(job)
    print(f"\n{_machine()}\n{table(rows)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    if arguments.compare:
        lines = list(drifted(rows, json.loads(arguments.compare.read_text())))
        print("\n".join(["", *lines] if lines else ["", "nothing drifted by more than 20 %"]))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./build.sh bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"of {', '.join(JOBS)}; all by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="name what drifted since that --json")
    parser.add_argument("--inside", choices=JOBS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = [job for job in arguments.jobs if job not in JOBS]
    if unknown:
        parser.error(f"no job {', '.join(unknown)}; there are {', '.join(JOBS)}")
    return arguments


def _run(job: str) -> list[Row]:
    """The rows of one job, or one row that says why there are none."""
    print(f"{job} ...", flush=True)
    command = [sys.executable, __file__, "--inside", job]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True, timeout=JOB_SECONDS
        )
    except subprocess.TimeoutExpired:
        return [{"job": job, "failed": f"longer than {JOB_SECONDS} s"}]
    for line in done.stdout.splitlines():
        if line.startswith(ROWS_MARK):
            rows: list[Row] = json.loads(line.removeprefix(ROWS_MARK))
            return rows
    return [{"job": job, "failed": f"exit code {done.returncode}; its last words are above"}]


def _environment() -> dict[str, str]:
    """Ours, with bytecode kept: an installed service starts from .pyc files too."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _machine() -> str:
    cores, load = os.cpu_count(), ", ".join(f"{one:.2f}" for one in os.getloadavg())
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, load {load}"


if __name__ == "__main__":
    sys.exit(main())
