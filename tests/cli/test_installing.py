"""`plimsoll install`, `setup`, `doctor` and `uninstall` as the owner types them, on a system in a folder."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.cli import installing, main
from app.clock import SystemClock
from app.errors import Unreachable
from app.install.answers import QUESTIONS
from app.safe import SafeCommands
from app.store import open_journal
from app.update.artifact import ARTIFACT_VARIABLE
from app.web.claim import CODE_FILE
from app.web.command_port import CommandPort
from app.web.safe import Known, Trouble
from tests.cli.background import in_background
from tests.install.test_answers import FILE, KEY, TYPED
from tests.install.world import machine, release
from tests.store.records import durable, fill

NOTHING = Known("The journal holds nothing yet.")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With a short name: a socket's may have 107 bytes, and one of its services has one."""
    monkeypatch.setenv(ARTIFACT_VARIABLE, str(release(tmp_path / "plimsoll-1.2.3-linux-x86_64")))
    monkeypatch.setattr(installing, "_page", lambda _: 200)
    with TemporaryDirectory(prefix="plimsoll-", dir="/tmp") as folder:
        yield machine(Path(folder) / "root").root


@pytest.fixture
def answered(tmp_path: Path) -> Path:
    """A file of answers, for its owner alone."""
    file = tmp_path / "answers.toml"
    file.write_text(FILE)
    file.chmod(0o600)
    return file


def trade(folder: Path) -> None:
    """An open position in the journal."""

    async def write() -> None:
        store = await open_journal(folder, SystemClock())
        assert await durable(store, fill(1)) is None
        await store.close()

    asyncio.run(write())


def test_installs_into_an_image_and_says_what_is_left(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--root", str(root)]) == 0
    said = capsys.readouterr().out
    assert "Installing 1.2.3-" in said
    assert "systemctl enable plimsoll.socket plimsoll.service" in said
    assert "chown plimsoll:plimsoll" in said and "useradd" in said
    assert "The page: http://plimsoll.local:8080/" in said and "sudo plimsoll setup" in said
    assert main(["install", "--root", str(root)]) == 0
    again = [
        line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("  release")
    ]
    assert again == ["unchanged"]


def test_sets_up_and_is_examined(root: Path, answered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--root", str(root)]) == 0
    assert main(["setup", "--root", str(root), "--answers", str(answered)]) == 0
    said = capsys.readouterr()
    assert "mode shadow, user owner, account 4711" in said.out
    assert said.out.rstrip().endswith("http://plimsoll.local:8080/")
    assert KEY not in said.out + said.err
    main(["doctor", "--json", "--root", str(root)])
    checks = {each["check"]: each for each in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["settings"]["words"] == "mode shadow" and checks["key"]["state"] == "ok"
    (root / "etc/plimsoll/plimsoll.toml").write_text("mode = 7\n")
    assert main(["doctor", "--root", str(root)]) == 1
    assert "BAD   settings" in capsys.readouterr().out


def test_setup_asks_shows_and_waits_for_a_yes(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "--root", str(root)]) == 0
    before = (root / "etc/plimsoll/plimsoll.toml").read_text()
    for last, code in (("no", 3), ("yes", 0)):
        names = [each.name for each in QUESTIONS if each.name in TYPED and each.name != "api_key"]
        typed = [*(TYPED[name] for name in names), last]
        monkeypatch.setattr("builtins.input", lambda _, typed=typed: typed.pop(0))
        monkeypatch.setattr(getpass, "getpass", lambda _: KEY)
        assert main(["setup", "--root", str(root)]) == code
        assert ((root / "etc/plimsoll/plimsoll.toml").read_text() == before) == bool(code)
    assert (root / "etc/plimsoll/credentials/topstepx.key").read_text() == f"{KEY}\n"
    said = capsys.readouterr()
    assert KEY not in said.out + said.err


def test_setup_without_a_terminal_asks_for_a_file(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(_: str) -> str:
        raise EOFError

    assert main(["install", "--root", str(root)]) == 0
    monkeypatch.setattr("builtins.input", ended)
    assert main(["setup", "--root", str(root)]) == 3
    assert "--answers FILE" in capsys.readouterr().err


def test_uninstalls_but_not_while_a_position_is_open(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--root", str(root)]) == 0
    trade(root / "var/lib/plimsoll")
    assert main(["uninstall", "--root", str(root)]) == 3
    said = capsys.readouterr().err
    assert "is open" in said and "cannot be told" not in said and (root / "opt/plimsoll/current").exists()
    assert main(["uninstall", "--root", str(root), "--with-open-positions"]) == 0
    assert "Kept: /etc/plimsoll, /var/lib/plimsoll" in capsys.readouterr().out
    assert not (root / "opt/plimsoll").exists()


def test_an_order_that_may_still_be_filled_keeps_the_service_where_it_is(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "--root", str(root)]) == 0
    (root / "var/lib/plimsoll/state.db").touch()
    orders = [{"contract": "CON.F.US.EP.Z26", "state": "filled"}]
    told = {"positions": {"positions": []}, "orders": {"orders": orders}}
    monkeypatch.setattr(installing, "_told_of", lambda _, command: told[command])
    assert installing._exposure(installing.Places(root)) == ""
    orders.append({"contract": "CON.F.US.EP.Z26", "state": "working"})
    assert main(["uninstall", "--root", str(root)]) == 3
    assert "may still be filled" in capsys.readouterr().err


@pytest.fixture
def in_safe_mode(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its command port answers for the image's folder, as the service of a machine does."""
    assert main(["install", "--root", str(root)]) == 0
    folder = root / "var/lib/plimsoll"

    @asynccontextmanager
    async def listening() -> AsyncIterator[None]:
        commands = SafeCommands(Trouble("the key is empty", "setup"), folder, lambda: NOTHING)
        port = CommandPort(folder, commands)
        await port.start()
        yield
        await port.stop()

    with in_background(listening):
        yield


@pytest.mark.usefixtures("in_safe_mode")
def test_setup_restarts_what_is_in_safe_mode_whatever_is_open(
    root: Path, answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trade(root / "var/lib/plimsoll")
    assert main(["setup", "--root", str(root), "--answers", str(answered)]) == 0
    said = capsys.readouterr().out
    assert "The service starts again with it." in said and "is open" not in said


def test_setup_ends_well_where_the_service_gives_no_answer(
    root: Path, answered: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is written by then, and a code that is not shown now is lost."""
    assert main(["install", "--root", str(root)]) == 0
    trade(root / "var/lib/plimsoll")
    (root / "var/lib/plimsoll" / CODE_FILE).unlink()
    asked: list[str] = []

    def hangs(_: Path, command: str) -> None:
        asked.append(command)
        raise Unreachable("service", "no answer")

    monkeypatch.setattr(installing.client, "ask", hangs)
    assert main(["setup", "--root", str(root), "--answers", str(answered)]) == 0
    said = capsys.readouterr().out
    assert asked and "cannot be told: service: no answer" in said and "It holds at the next start" in said
    assert "one-time code is now" in said and "The service starts again with it." not in said


@pytest.mark.usefixtures("in_safe_mode")
def test_what_is_open_in_safe_mode_is_read_from_the_journal(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert installing._exposure(installing.Places(root)) == ""
    trade(root / "var/lib/plimsoll")
    assert main(["uninstall", "--root", str(root)]) == 3
    said = capsys.readouterr().err
    assert "is open" in said and "cannot be told" not in said


def test_setup_shows_a_new_code_where_the_first_is_over(
    root: Path, answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "--root", str(root)]) == 0
    setup = ["setup", "--root", str(root), "--answers", str(answered)]
    assert main(setup) == 0
    assert "one-time code is now" not in capsys.readouterr().out
    code = root / "var/lib/plimsoll/setup-code"
    code.write_text("{}")
    assert main(setup) == 0
    assert "one-time code is now" in capsys.readouterr().out
    code.unlink()
    (root / "var/lib/plimsoll/password").touch()
    assert main(setup) == 0
    assert "one-time code is now" not in capsys.readouterr().out


def test_takes_a_journal_that_cannot_be_read_for_an_open_position(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "--root", str(root)]) == 0
    (root / "var/lib/plimsoll/state.db").write_text("no journal")
    assert main(["uninstall", "--root", str(root)]) == 3
    assert "cannot be told" in capsys.readouterr().err


def test_purges_only_who_typed_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["install", "--root", str(root)]) == 0
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert main(["uninstall", "--root", str(root), "--purge"]) == 3
    assert (root / "opt/plimsoll/current").exists()
    monkeypatch.setattr("builtins.input", lambda _: "purge")
    assert main(["uninstall", "--root", str(root), "--purge"]) == 0
    assert not (root / "var/lib/plimsoll").exists() and not (root / "etc/plimsoll").exists()


@pytest.mark.parametrize("command", ["install", "uninstall", "setup"])
def test_changes_this_machine_for_root_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main([command]) == 3
    assert "run it with sudo" in capsys.readouterr().err


def test_installs_only_from_a_file(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(ARTIFACT_VARIABLE)
    assert main(["install", "--root", str(root)]) == 3
    assert "--artifact" in capsys.readouterr().err
    assert main(["install", "--root", str(root / "absent")]) == 3
