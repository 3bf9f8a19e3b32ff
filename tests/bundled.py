"""The file that an owner installs, built of this checkout once for all tests that ask.

`PLIMSOLL_ARTIFACT` names one that is there already, for who works on a test and does not want to wait.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.guards import ROOT

VARIABLE = "PLIMSOLL_ARTIFACT"
BUILD_S = 900  # two minutes of a core


def build(folder: Path) -> Path:
    """The artifact for x86_64 in `folder`, or the one that was named."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).absolute()
    words = [sys.executable, str(ROOT / ".ci" / "bundle.py"), "x86_64", "--to", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.iterdir())
