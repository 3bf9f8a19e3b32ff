"""What is installed: how large it is, and that a fresh checkout sets itself up once and then stays quiet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.guards import ROOT
from tests.tidy import MADE, TOP_LEVEL

PACKAGES = 20  # the service's environment holds at most this many
MEGABYTES = 45
INSTALL_SECONDS = 300  # a slow package index

pytestmark = pytest.mark.long


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The project's files in a folder with a blank in its name, without anything the tools have made."""
    folder = tmp_path / "fresh checkout"
    folder.mkdir()
    ignored = shutil.ignore_patterns(*MADE, "*.so", "*.stamp")
    for name in [*TOP_LEVEL, ".ci"]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, folder)
    return folder


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command that must succeed; returns all it printed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_run_environment_stays_small(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    run(
        *pip,
        "install",
        "--quiet",
        "--require-hashes",
        "-r",
        str(ROOT / ".ci" / "requirements.txt"),
        cwd=tmp_path,
    )
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    packages = sorted(path.name for path in site.glob("*.dist-info"))
    size = sum(path.lstat().st_blocks * 512 for path in (tmp_path / "env").rglob("*"))
    assert len(packages) <= PACKAGES, packages
    assert size <= MEGABYTES * 1_000_000, f"{size / 1e6:.1f} MB"


def test_setup_works_in_a_fresh_checkout_from_anywhere_and_is_quiet_the_second_time(checkout: Path) -> None:
    script = checkout / "build.sh"
    first = run(script, "setup", cwd=Path("/"), PYTHON=sys.executable)
    assert "creating .venv" in first
    assert "compiled fixed" in first
    assert "Warning" not in first
    assert (checkout / ".venv" / "bin" / "plimsoll").exists()
    path_files = list((checkout / ".venv").rglob("*plimsoll*.pth"))
    assert [file.read_text().strip() for file in path_files] == [str(checkout)]
    assert run(script, "setup", cwd=Path("/")) == ""
    assert run(script, "setup", cwd=Path("/"), PYTHON=sys.executable) == ""
    made = {path.name for path in checkout.iterdir()} - TOP_LEVEL - {".ci"}
    assert made == {".venv"}


def test_setup_refuses_what_is_no_python(checkout: Path) -> None:
    done = subprocess.run(
        [checkout / "build.sh", "setup"],
        env=os.environ | {"PYTHON": "/nowhere/python"},
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 1
    assert (
        done.stderr
        == "build.sh: /nowhere/python does not run; install Python 3.11 or newer, or set PYTHON to it\n"
    )
