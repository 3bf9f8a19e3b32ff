"""The README stays true: its commands parse, links lead somewhere, each package and dependency is named."""

from __future__ import annotations

import io
import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stderr
from itertools import chain
from pathlib import Path

import pytest

from app.cli.arguments import parse
from app.demo import KEY
from app.simulator.main import DEFAULT_PORT, DEMO_KEY, DEMO_USER
from tests.guards import ROOT

NEEDED = ("./build.sh run", "./build.sh test")
LINK = re.compile(r"""(?:\]\(|src=")(?![a-z]+:|#)([^)#"\s]+)""")
PLIMSOLL = re.compile(r"`plimsoll ([^`]+)`|^ {4}plimsoll (.+)$", re.MULTILINE)
UNNAMED = frozenset({"__init__.py", "__main__.py", "__pycache__", "py.typed"})


def problems(root: Path) -> list[str]:
    """Return what the README of ``root`` leaves out or gets wrong, one line each."""
    if not (root / "README.md").exists():
        return ["README.md is missing"]
    text = (root / "README.md").read_text()
    checks = (_commands(root, text), _plimsoll(text), _links(root, text), _packages(root, text))
    return [*chain(*checks), *_dependencies(root, text)]


def _commands(root: Path, text: str) -> Iterator[str]:
    known = set(re.findall(r"^  ([a-z]+) ", (root / "build.sh").read_text(), re.MULTILINE))
    yield from (f"does not show {command}" for command in NEEDED if command not in text)
    for command in sorted(set(re.findall(r"\./build\.sh ([a-z]+)", text)) - known):
        yield f"shows ./build.sh {command}, which is no command"


def _plimsoll(text: str) -> Iterator[str]:
    """Every `plimsoll ...` shown must be one that its own parser accepts."""
    for shown in sorted({inline or block for inline, block in PLIMSOLL.findall(text)}):
        try:
            with redirect_stderr(io.StringIO()):
                parse(shlex.split(shown, comments=True))
        except SystemExit as ended:
            if ended.code:
                yield f"shows plimsoll {shown}, which is refused"


def _links(root: Path, text: str) -> Iterator[str]:
    yield from (
        f"links to {target}, which is not there"
        for target in LINK.findall(text)
        if not (root / target).exists()
    )


def _packages(root: Path, text: str) -> Iterator[str]:
    for path in sorted((root / "app").iterdir()):
        name = path.name.removesuffix(".py")
        if path.name not in UNNAMED and not re.search(rf"\bapp[./]{name}\b", text):
            yield f"does not say what app.{name} is"


def _dependencies(root: Path, text: str) -> Iterator[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    for wanted in [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]:
        name = re.split(r"[<>=]", wanted)[0]
        if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE):
            yield f"does not say what {name} is for"


GOOD = """
Start it with `./build.sh run`, test it with `./build.sh test`. [Licence](LICENSE), [site](https://example.org/x)
`app.engine` is the loop. Stop it with `plimsoll halt --why "lunch"`:

    plimsoll status --json  # as one object
 aiohttp serves, cython compiles.
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "app" / "engine").mkdir(parents=True)
    (tmp_path / "build.sh").write_text("  run   starts\n  test  tests\n")
    (tmp_path / "LICENSE").touch()
    project = '[project]\ndependencies = ["aiohttp"]\noptional-dependencies.build = ["cython>=3.1"]\n'
    (tmp_path / "pyproject.toml").write_text(project)
    (tmp_path / "README.md").write_text(GOOD)
    return tmp_path


def test_the_readme_is_true() -> None:
    found = problems(ROOT)
    assert not found, "\n".join(["", *found])


def test_the_readme_logs_in_to_the_simulator_as_it_is() -> None:
    text = (ROOT / "README.md").read_text()
    assert KEY == DEMO_KEY
    assert f'{{"userName": "{DEMO_USER}", "apiKey": "{DEMO_KEY}"}}' in text
    assert f"http://127.0.0.1:{DEFAULT_PORT}/api/Auth/loginKey" in text


def test_accepts_a_true_readme(tree: Path) -> None:
    assert problems(tree) == []


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("./build.sh run", "it", "does not show ./build.sh run"),
        (
            "./build.sh test`",
            "./build.sh test` or `./build.sh fly`",
            "shows ./build.sh fly, which is no command",
        ),
        ("(LICENSE)", "(COPYING)", "links to COPYING, which is not there"),
        ("halt --why", "halt --because", 'shows plimsoll halt --because "lunch", which is refused'),
        (
            "status --json",
            "stats --json",
            "shows plimsoll stats --json  # as one object, which is refused",
        ),
        ("app.engine", "The engine", "does not say what app.engine is"),
        ("aiohttp", "a server", "does not say what aiohttp is for"),
        ("cython compiles", "it compiles", "does not say what cython is for"),
    ],
)
def test_rejects_what_is_not_true(tree: Path, old: str, new: str, verdict: str) -> None:
    (tree / "README.md").write_text(GOOD.replace(old, new))
    assert problems(tree) == [verdict]


def test_rejects_a_missing_readme(tree: Path) -> None:
    (tree / "README.md").unlink()
    assert problems(tree) == ["README.md is missing"]
