"""The file that an owner installs, built of this checkout once for all tests that ask.

`PLIMSOLL_ARTIFACT` names one for x86_64 that is there already, `PLIMSOLL_ARTIFACT_AARCH64` one for the board,
for who works on a test and does not want to wait.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import stages
from tests.guards import ROOT

VARIABLES = {"x86_64": "PLIMSOLL_ARTIFACT", "aarch64": "PLIMSOLL_ARTIFACT_AARCH64"}
MISSING = "bundle: no Python "  # how .ci/bundle.py says that it lacks one it builds for
BUILD_S = 3_600  # one or two minutes of a core that nobody else uses


_built: dict[str, Path] = {}


def build(folder: Path, arch: str = "x86_64") -> Path:
    """The artifact for `arch`: the one that is named, the one built before, else a new one in `folder`."""
    named = os.environ.get(VARIABLES[arch])
    if named:
        return Path(named).absolute()
    if arch not in _built:
        begun = time.monotonic()
        _built[arch] = make(folder, arch)
        if arch == "x86_64":  # for more than one stage; the other is part of its own
            stages.aside(stages.BUNDLE, time.monotonic() - begun)
    return _built[arch]


def make(folder: Path, arch: str, **variables: str) -> Path:
    """A new artifact for `arch` in `folder`, built with these environment variables besides ours."""
    words = [sys.executable, str(ROOT / ".ci" / "bundle.py"), arch, "--to", str(folder)]
    environment = {**os.environ, **variables}
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    if done.returncode and done.stderr.startswith(MISSING):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return next(folder.glob(f"*-linux-{arch}"))
