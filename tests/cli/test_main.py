"""The command line itself: exit codes, one line for every failure, help, and what is not imported."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import app.cli
import native
from app import compose
from app.errors import LoginRefused, Ours, Refused, SettingsError, Theirs
from tests.guards import ROOT

COMMANDS = (
    *("status", "orders", "positions", "trades", "halt", "flatten", "rearm", "accept-difference"),
    *("run", "demo", "passwd", "backup", "restore", "notify", "simulate", "replay"),
)


def _failing(error: BaseException) -> Callable[[list[str]], object]:
    def parse(_argv: list[str]) -> object:
        raise error

    return parse


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (Refused("gate.size", 9, 5), 3, "plimsoll: gate.size: 9; limit 5\n"),
        (SettingsError("web.port", "too big"), 2, "plimsoll: setting web.port; too big\n"),
        (LoginRefused("login", hint="wrong key"), 3, "plimsoll: login; wrong key\n"),
        (Theirs("file", "line 7\nbroken"), 1, "plimsoll: file: line 7?broken\n"),
        (Ours("a bug"), 1, "plimsoll: a bug\n"),
        (OSError(errno.EACCES, "Permission denied", "/x"), 1, "plimsoll: /x: Permission denied\n"),
        (KeyboardInterrupt(), 1, "plimsoll: interrupted\n"),
        (ExceptionGroup("g", [KeyError("k"), ExceptionGroup("h", [Refused("a.b")])]), 3, "plimsoll: a.b\n"),
    ],
)
def test_says_every_failure_in_one_line(
    error: BaseException,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(app.cli, "parse", _failing(error))
    assert app.cli.main([]) == code
    assert capsys.readouterr().err == text


def test_says_an_internal_error_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app.cli, "parse", _failing(ZeroDivisionError("no\nway")))
    assert app.cli.main([]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "ZeroDivisionError no?way" in said and "test_main.py" in said


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("fast", "PLIMSOLL_NATIVE must be one of compiled, shadow, pure, not 'fast'"),
        ("gate=fast", "PLIMSOLL_NATIVE: gate must be one of compiled, shadow, pure, not 'fast'"),
    ],
)
def test_a_mode_that_does_not_exist_is_the_owners_mistake(word: str, said: str) -> None:
    command = [sys.executable, "-m", "app", "status"]
    settings = os.environ | {"PLIMSOLL_NATIVE": word}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=settings, check=False)
    assert (done.returncode, done.stderr) == (2, f"plimsoll: {said}\n")


def test_twins_that_differ_are_a_failure_and_no_mistake_of_the_owner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app.cli, "parse", _failing(native.Differs("native.gate: the twins differ")))
    assert app.cli.main([]) == 1
    assert capsys.readouterr().err == "plimsoll: native.gate: the twins differ\n"


def test_says_what_to_do_about_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app.cli, "parse", _failing(OSError(errno.ENOSPC, "No space left on device", "/d/x")))
    assert app.cli.main([]) == 1
    assert "free some space" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_helps_with_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app.cli.main([command, "--help"])
    assert ended.value.code == 0
    assert "exit codes" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [
        *([], ["nonsense"], ["status", "--nonsense"], ["accept-difference"]),
        *(["halt", "lunch", "--why", "lunch"], ["demo", "--port", "70000"], ["demo", "--port", "http"]),
    ],
)
def test_refuses_wrong_usage_with_exit_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app.cli.main(argv)
    assert ended.value.code == 2
    assert "usage: plimsoll" in capsys.readouterr().err


def test_knows_its_own_version() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == compose.VERSION


def _imported_by(statement: str) -> set[str]:
    script = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_asks_a_service_without_importing_anything_heavy() -> None:
    modules = _imported_by("import app.cli, app.cli.client, app.cli.show")
    assert modules.isdisjoint({"asyncio", "aiohttp", "sqlite3", "msgspec", "ssl", "app.engine.engine"})


def test_the_service_imports_nothing_that_stays_off_the_board() -> None:
    modules = _imported_by("import app.compose, app.demo, app.venues.topstepx.simclock")
    assert modules.isdisjoint(
        {"numpy", "pandas", "scipy", "pydantic", "sqlalchemy", "app.simulator", "app.backtest"}
    )


def test_keeps_the_import_of_the_command_line_free_of_the_service(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "status", "--data-dir", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith("plimsoll: store.missing")
    assert "Traceback" not in done.stderr
