"""The tree is tidy, and each rule is seen to catch an offence planted in a synthetic tree."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.guards import ROOT
from tests.tidy import FILE_LINES, FUNCTION_LINES, offences

DOC = '"""Planted."""\n'


def plant(root: Path, file: str, source: str) -> list[str]:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return offences(root)


def test_the_tree_is_tidy() -> None:
    found = offences(ROOT)
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(
    ("file", "source", "verdict"),
    [
        ("app/x.py", "x = 1\n", "no docstring"),
        (
            "app/x.py",
            DOC + "def f():\n" + "    x = 1\n" * FUNCTION_LINES,
            f"f has {FUNCTION_LINES + 1} lines",
        ),
        ("app/x.py", DOC + "x = 1\n" * FILE_LINES, f"{FILE_LINES + 1} lines, at most"),
        ("board/kill.c", "int x;\n" * (FILE_LINES + 1), "split it by subject"),
        *[(f"app/{name}.py", DOC, "says nothing") for name in ("utils", "common", "helpers", "core", "base")],
        ("app/utils/x.py", DOC, "says nothing"),
        *[
            ("app/x.py", DOC + f"# {word}: later\n", "left for later")
            for word in ("TO" + "DO", "FIX" + "ME", "X" + "XX")
        ],
        ("board/kill.c", "// TO" + "DO\n", "left for later"),
        ("app/web/x.py", DOC + "print(1)\n", "print: "),
        ("app/x.py", DOC + "try:\n    f()\nexcept:\n    raise\n", "bare except"),
        ("app/x.py", DOC + "try:\n    f()\nexcept Exception:\n    pass\n", "swallows every error"),
        ("app/x.py", DOC + "try:\n    f()\nexcept (OSError, Exception):\n    pass\n", "swallows every error"),
        ("app/domain/x.py", DOC + "y = float(self.net_micro)\n", "float of an exact integer"),
        ("app/risk/x.py", DOC + "y = float(stop_ticks - entry_ticks)\n", "float of an exact integer"),
        ("app/engine/x.py", DOC + "y = float(order.limit_ticks)\n", "float of an exact integer"),
        ("tests/test_x.py", DOC + "time.sle" + "ep(1)\n", "a real sleep"),
        ("tests/test_x.py", DOC + "def test_x():\n    f()\n", "asserts nothing"),
        ("app/x.py", DOC + "x = '/wo" + "rk/main/data'\n", "absolute path"),
        (".ci/requirements.txt", "--index-url https://py" + "pi.org/simple\n", "registry host"),
        ("scripts/x.py", DOC, "scripts: not one of the fixed top-level names"),
    ],
)
def test_rejects_the_planted_offence(tmp_path: Path, file: str, source: str, verdict: str) -> None:
    found = plant(tmp_path, file, source)
    assert len(found) == 1, found
    assert verdict in found[0]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("app/x.py", DOC + "def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1)),
        ("app/x.py", DOC + "x = 1\n" * (FILE_LINES - 1)),
        ("app/cli.py", DOC + "print(1)\n"),
        ("app/cli/orders.py", DOC + "print(1)\n"),
        ("app/x.py", DOC + "try:\n    f()\nexcept OSError:\n    pass\n"),
        ("app/web/x.py", DOC + "y = float(net_micro)\n"),
        ("app/domain/x.py", DOC + "y = float(ratio)\n"),
        ("tests/test_x.py", DOC + "def test_x():\n    with pytest.raises(ValueError):\n        f()\n"),
        ("app/x.py", DOC + "x = 'https://venue.example/work/orders'\n"),
        ("native/fast_c.pxd", "cdef int x\n"),
        ("tests/web/__init__.py", ""),
    ],
)
def test_accepts_what_stays_within_the_limits(tmp_path: Path, file: str, source: str) -> None:
    assert plant(tmp_path, file, source) == []


def test_every_requirement_is_pinned_and_hashed() -> None:
    for file in sorted((ROOT / ".ci").glob("requirements*.txt")):
        for entry in re.split(r"\n(?=\S)", file.read_text().strip()):
            assert re.match(r"[a-z0-9-]+==\S+ \\\n", entry), f"{file.name}: {entry[:60]}"
            assert "--hash=sha256:" in entry


def test_the_requirement_files_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {"": [], "-build": extras["build"], "-dev": extras["build"] + extras["dev"]}
    for kind, more in wanted.items():
        pinned = re.findall(r"^(\S+)==", (ROOT / ".ci" / f"requirements{kind}.txt").read_text(), re.MULTILINE)
        names = {re.split(r"[<>=]", name)[0] for name in project["dependencies"] + more}
        assert names <= set(pinned)


def test_every_command_of_the_script_is_in_its_help() -> None:
    script = (ROOT / "build.sh").read_text()
    dispatched = re.search(r"^case \$command in\n([a-z |]+)\) ", script, re.MULTILINE)
    assert dispatched is not None
    shown = subprocess.run([ROOT / "build.sh", "help"], capture_output=True, text=True, check=True).stdout
    for command in [*dispatched[1].split(" | "), "test", "help"]:
        assert f"\n  {command} " in shown


def test_an_unknown_command_is_a_usage_error() -> None:
    done = subprocess.run([ROOT / "build.sh", "launch"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no command launch" in done.stderr
