"""Without a compiler no old module is taken for a new one, nor a missing one for none; it is said why."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from native import build
from tests.guards import PROGRAM_PATIENCE, ROOT

# What build.sh needs of a system that has no compiler.
TOOLS = ("bash", "cat", "cut", "dirname", "env", "grep", "head", "rm", "sha256sum", "sort", "touch")
COMPILERS = ("cc", "gcc", "clang", "c++", "x86_64-linux-gnu-gcc")
# An environment whose packages count as installed; everything else is the real interpreter.
PYTHON = """#!/bin/sh
case "$*" in *"-m pip"*) exit 0 ;; esac
exec {real} "$@"
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH with everything but a compiler."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """build.sh, one native source without its twin, and an environment."""
    folder = tmp_path / "plimsoll"
    sources = ("native/build.py", "native/fixed_py.py", "native/fixed_c.pxd")
    for name in (".ci/requirements-build.txt", "pyproject.toml", "build.sh", *sources):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON.format(real=sys.executable))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return folder


def native(checkout: Path, path: Path) -> subprocess.CompletedProcess[str]:
    dropped = ("CC", "LDSHARED", "PYTHON", "CI")
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    command = [str(checkout / "build.sh"), "native"]
    settings = environment | {"PATH": str(path)}
    return subprocess.run(
        command,
        env=settings,
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=PROGRAM_PATIENCE,
        check=False,
    )


def test_without_a_compiler_the_build_fails_and_names_what_to_install(checkout: Path, tools: Path) -> None:
    assert all(shutil.which(name, path=str(tools)) is None for name in COMPILERS)
    done = native(checkout, tools)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(
        "build.sh: native/ did not compile; it needs a C compiler and Python's headers "
        "(apt install gcc python3-dev)"
    )
    assert list((checkout / "native").glob("*.so")) == []


def test_without_a_compiler_an_old_twin_is_not_taken_for_a_new_source(checkout: Path, tools: Path) -> None:
    for built in (ROOT / "native").glob("fixed_c*.so*"):
        shutil.copy(built, checkout / "native")
    assert native(checkout, tools).returncode == 0
    source = checkout / "native" / "fixed_py.py"
    source.write_text(source.read_text() + "\n# changed\n")
    assert build.stale(checkout / "native") == ["fixed"]
    assert native(checkout, tools).returncode == 1
    assert build.stale(checkout / "native") == ["fixed"]


@pytest.fixture
def loaded(tmp_path: Path) -> Path:
    """The whole package with its twins, in a tree of its own."""
    folder = tmp_path / "native"
    shutil.copytree(ROOT / "native", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def imported(loaded: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PLIMSOLL_NATIVE"} | more
    command = [sys.executable, "-c", "import native"]
    return subprocess.run(
        command,
        cwd=loaded.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PROGRAM_PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("name", ["fixed_py.py", "fixed_c.pxd", "fanout_run.pyx"])
def test_a_twin_of_another_source_is_refused_when_it_is_loaded(loaded: Path, name: str) -> None:
    assert imported(loaded).returncode == 0
    (loaded / name).write_text((loaded / name).read_text() + "\n# changed\n")
    done = imported(loaded)
    assert done.returncode == 1
    assert "was compiled from another source; run ./build.sh native" in done.stderr
    assert imported(loaded, PLIMSOLL_NATIVE="pure").returncode == 0


def test_a_twin_without_its_stamp_is_refused_where_the_types_lie_beside_it(loaded: Path) -> None:
    (loaded / f"fixed_c{sysconfig.get_config_var('EXT_SUFFIX')}.stamp").unlink()
    assert imported(loaded).returncode == 1


def test_an_installed_twin_needs_no_stamp(loaded: Path) -> None:
    for dropped in (*loaded.glob("*.stamp"), *loaded.glob("*.pxd"), *loaded.glob("*.pyx")):
        dropped.unlink()
    assert imported(loaded).returncode == 0
