"""Bad input at the start: one line that names the thing and what to do, exit 1 or 2, no traceback."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.cli import main
from app.demo import write_settings
from app.errors import Refused
from app.simulator.main import Simulator
from app.store import InstanceLock
from tests.cli.background import in_background, simulating
from tests.ports import reserved


@pytest.fixture(scope="module")
def simulator() -> Iterator[tuple[Simulator, str]]:
    with in_background(simulating) as pair:
        yield pair


@pytest.fixture
def home(tmp_path: Path, simulator: tuple[Simulator, str]) -> Path:
    file = write_settings(tmp_path, simulator[1], 0, keep=False)
    file.write_text(f"dev = true\n{file.read_text()}")  # these tests pass on the pure twins too
    return tmp_path


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(home: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Start the service with lines of its settings replaced; returns exit code and what it said."""

    def start(old: str = "", new: str = "") -> tuple[int, str]:
        file = home / "plimsoll.toml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        code = main(["run", "--config", str(file)])
        said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("plimsoll: ")]
        assert len(said) == 1, said
        return code, said[0]

    return start


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('mode = "simulate"', 'mode = "simulate"\nspeed = 9', "setting speed"),
        ("[web]", "[web]\ncolour = 1", "setting web.colour"),
        ("port = 0", "port = 70000", "setting web.port"),
        ("port = 0", 'port = "http"', "setting web.port"),
        ("port = 0", 'host = "0.0.0.0"\nport = 0', "plimsoll passwd"),
        ('mode = "simulate"', 'mode = "live"', "I accept"),
        ('required = false\nmode = "virtual"', 'required = true\nmode = "owner"', "setting board.mode"),
        ('required = false\nmode = "virtual"', 'required = true\nmode = "usb"', "setting board.mode"),
        ('symbols = ["ES"]', 'symbols = ["XX", "ES"]', "XX"),
        ('symbols = ["ES"]', 'symbols = ["ES"]\naccounts = [4242]', "4242"),
        ("[web]", "[strategy.overnight_range.more]\n[web]", "setting strategy.overnight_range.more"),
        ("topstepx.key", "nowhere.key", "nowhere.key"),
        ("[web]", "[web", "is not TOML"),
    ],
)
def test_refuses_a_wrong_setting(run: Run, old: str, new: str, words: str) -> None:
    code, said = run(old, new)
    assert code == 2 and words in said, said


def test_refuses_wrong_credentials(run: Run, home: Path) -> None:
    (home / "topstepx.key").write_text("another-key")
    code, said = run()
    assert code == 1 and "login" in said.lower() and "another-key" not in said


def test_refuses_an_account_that_may_not_trade(
    run: Run, simulator: tuple[Simulator, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = next(iter(simulator[0].exchange.accounts.values()))
    monkeypatch.setattr(type(account), "can_trade", property(lambda _self: False), raising=False)
    code, said = run()
    assert code == 2 and "may not trade" in said


def test_refuses_the_pure_twins_outside_development(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("native.active", lambda: {"fixed": "pure"})
    code, said = run("dev = true", "dev = false")
    assert code == 2 and "setting native" in said and "pure Python twin of fixed" in said


def test_refuses_a_venue_that_is_not_there(run: Run, simulator: tuple[Simulator, str]) -> None:
    old = simulator[1].rpartition(":")[2]
    with reserved() as new:
        code, said = run(f'rest_url = "http://127.0.0.1:{old}"', f'rest_url = "http://127.0.0.1:{new}"')
    assert code == 1 and "simulator clock" in said
    assert f"http://127.0.0.1:{new} does not answer" in said
    assert "start plimsoll simulate, or correct topstepx.rest_url" in said


def test_refuses_a_port_in_use(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = run("port = 0", f"port = {port}")
    assert code == 2 and f"port {port} is in use" in said


def test_refuses_a_second_instance_on_the_same_journal(run: Run, home: Path) -> None:
    lock = InstanceLock(home / "data")
    code, said = run()
    lock.release()
    assert code == 1 and re.search(rf"is used by process {os.getpid()}", said)


def test_refuses_a_data_folder_it_cannot_use(run: Run, home: Path) -> None:
    (home / "file").touch()
    code, said = run('data_dir = "data"', 'data_dir = "file"')
    assert code == 1 and str(home / "file") in said
    code, said = run('data_dir = "file"', 'data_dir = "nowhere"')
    assert code == 1 and "create it" in said


def test_refuses_a_full_disk(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.pwrite", full)
    code, said = run()
    assert code == 1 and "No space left" in said and "free some space" in said


def test_refuses_a_settings_file_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


def test_refuses_a_second_demo_in_the_same_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = InstanceLock(home / "data")
    assert main(["demo", "--home", str(home)]) == 1
    lock.release()
    said = capsys.readouterr().err
    assert "a demo is already running" in said and "systemctl" not in said


def test_refuses_to_wipe_the_journal_of_a_running_demo(home: Path, simulator: tuple[Simulator, str]) -> None:
    lock = InstanceLock(home / "data")
    with pytest.raises(Refused, match=rf"a demo is already running in {home}; .*--home"):
        write_settings(home, simulator[1], 0, keep=False)
    lock.release()
