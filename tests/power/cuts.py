"""Runs the rig from a test, and says which of its cuts went wrong."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SEED
from tests.guards import ROOT
from tests.power.checking import LOST
from tests.power.disk import alone, missing

PATIENCE_S = 900  # for a case; the longest takes 15 s of an idle machine

Cut = dict[str, Any]


def cuts(folder: Path, *case: str | int, rig: str = "tests.power.rig") -> list[Cut]:
    """What the `rig` says of each cut: `cut` names it, `acked` counts, `problems` are words. Skips the test
    where no power can be cut.
    """
    if os.getuid() != 0:
        pytest.skip("mounting an image needs root")
    if missing():
        pytest.skip(f"{', '.join(missing())} not installed")
    done = subprocess.run(
        [*alone("-m", rig, folder), *map(str, case)],
        env={**os.environ, "PLIMSOLL_SEED": str(SEED)},
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def bad(found: list[Cut]) -> list[Cut]:
    return [cut for cut in found if cut["problems"]]


def lost(found: list[Cut]) -> list[Cut]:
    return [cut for cut in found if any(line.startswith(LOST) for line in cut["problems"])]
