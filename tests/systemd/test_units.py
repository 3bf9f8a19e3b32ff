"""The units as systemd's own checker and its exposure score see them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.guards import ROOT

UNITS = sorted(
    path for path in (ROOT / "systemd").iterdir() if path.suffix in (".service", ".socket", ".timer")
)
SERVICES = [path for path in UNITS if path.suffix == ".service"]
# Highest exposure in tenths of a point: the service holds a serial port and the LAN, the backup neither.
EXPOSURE = {"plimsoll.service": 12, "plimsoll-backup.service": 9}


@pytest.fixture(scope="module", autouse=True)
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None and os.environ.get("CI"):
        pytest.fail("systemd-analyze is not installed, and with CI set nothing is skipped")
    if found is None:
        pytest.skip("systemd-analyze is not installed")
    return found


def test_systemd_finds_nothing_to_say_about_any_unit(analyze: str, tmp_path: Path) -> None:
    """`verify` ends with 0 on unknown keys and bad values: what counts is that it prints nothing."""
    for unit in UNITS:
        shutil.copy(unit, tmp_path)
    paths = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run([analyze, "verify", *paths], capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if str(tmp_path) in line]
    assert not said and done.returncode == 0, "\n".join([done.stdout, done.stderr])


def test_verify_would_find_a_planted_mistake(analyze: str, tmp_path: Path) -> None:
    broken = tmp_path / "plimsoll.service"
    broken.write_text((ROOT / "systemd" / "plimsoll.service").read_text() + "WatchDogSecond=3\n")
    done = subprocess.run([analyze, "verify", str(broken)], capture_output=True, text=True, check=False)
    assert "WatchDogSecond" in done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_no_service_is_more_exposed_than_it_says(analyze: str, unit: Path) -> None:
    words = [
        analyze,
        "security",
        "--offline=true",
        f"--threshold={EXPOSURE[unit.name]}",
        "--no-pager",
        str(unit),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_setpriority_stays_allowed() -> None:
    """asyncio's helpers and the planner's threads lower their own priority; a refusal would end them."""
    text = (ROOT / "systemd" / "plimsoll.service").read_text()
    filters = re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE)
    assert filters[-1] == "setpriority" and filters[0] == "@system-service"
