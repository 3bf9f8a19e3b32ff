"""Safe mode, as systemd sees it: every broken file leaves a page that says so, and nothing that trades."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from app import safe
from app.cli import client, main
from app.cli.client import ask as ask_service
from app.cli.show import lines
from app.clock import SystemClock
from app.errors import LoginRefused, Refused, SettingsError, Theirs, Unreachable
from app.simulator.main import Simulator, SimulatorOptions
from app.web.claim import CODE_FILE, SetupCode
from app.web.safe import CLOSED, Trouble
from tests import service
from tests.activation import Systemd, ask, started
from tests.guards import PATIENCE, ROOT
from tests.ops.test_notifier import _Receiver, receiving
from tests.ports import reserved

url, file, home, systemd = service.url, service.file, service.home, service.systemd


def foreign(file: Path) -> None:
    """Somebody else's database."""
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()


def add(text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text((file.read_text() if file.exists() else "") + text)


BROKEN = {
    "settings that are no TOML": ("plimsoll.toml", add("\n[web"), "is not TOML"),
    "an unknown setting": ("plimsoll.toml", add("\n[colours]\nred = 1\n"), "setting colours; is unknown"),
    "no settings": ("plimsoll.toml", Path.unlink, "is not there"),
    "an account file": ("account.toml", add("\n[account.x]\n"), "setting account"),
    "a calendar": ("calendar.toml", add("[[day]]\ndate = 'tomorrow'\n"), "setting calendar.day[1].date"),
    "products": ("products.toml", add("[[product]]\nsymbol = 'ES'\nfrom = 2026-01-01\n"), "neither fee nor"),
    "a damaged journal": ("data/state.db", lambda file: file.write_bytes(b"no database" * 99), "state.db"),
    "a foreign journal": ("data/state.db", foreign, "is not a database of Plimsoll"),
    "a key of another": ("topstepx.key", lambda file: file.write_text("another-key"), "login"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_says_what_is_broken_and_trades_nothing(home: Path, systemd: Systemd, what: str) -> None:
    name, damage, words = BROKEN[what]
    damage(home / name)
    run = ("run", "--config", str(home / "plimsoll.toml"))
    with socket.create_server(("127.0.0.1", 0)) as held, started(run, systemd, [held]) as process:
        port = held.getsockname()[1]
        said = systemd.until("READY=1")
        assert said.startswith("READY=1\nSTATUS=safe mode: ") and words.lower() in said.lower(), said
        status, page = ask(port, "/")
        assert status == 200 and b"Safe mode" in page and b"What to do" in page
        status, health = ask(port)
        assert (status, json.loads(health)["state"]) == (503, "safe")
        assert words.lower() in json.loads(health)["problems"][0].lower()
        for path in CLOSED:
            assert ask(port, path, "POST")[0] == 503
        assert ask(port, "/api/rearm", "POST")[0] == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert "STOPPING=1" in systemd.until("STOPPING")


def test_a_lan_without_a_password_gets_the_reason_and_nothing_else(home: Path, systemd: Systemd) -> None:
    run = ("run", "--config", str(home / "plimsoll.toml"))
    with socket.create_server(("0.0.0.0", 0)) as lan, started(run, systemd, [lan]):
        assert "safe mode: setting web.host; 0.0.0.0 is open to your network" in systemd.until("READY=1")
        assert b"first set a password with plimsoll passwd" in ask(lan.getsockname()[1], "/")[1]


def test_a_lan_with_a_one_time_code_reads_stops_entries_and_cannot_rearm(
    home: Path, systemd: Systemd
) -> None:
    SetupCode(home / "data" / CODE_FILE, SystemClock()).make()
    run = ("run", "--config", str(home / "plimsoll.toml"))
    with socket.create_server(("0.0.0.0", 0)) as lan, started(run, systemd, [lan]):
        port = lan.getsockname()[1]
        assert systemd.until("READY=1") == "READY=1\nSTATUS=started"
        status, page = ask(port, "/")
        assert status == 200 and b'data-claim="yes"' in page and b'data-access="reader"' in page
        assert ask(port, "/api/stop-entries", "POST")[0] == 200
        told = [ask(port, path, "POST")[0] for path in ("/api/rearm", "/api/flatten", "/api/halt")]
        assert told == [404, 401, 401]
        answer = ask_service(home / "data", "status")
        assert answer is not None and "halt" in {reason["code"] for reason in answer["snapshot"]["reasons"]}


def test_the_command_line_hears_the_reason(home: Path, systemd: Systemd) -> None:
    name, damage, words = BROKEN["a damaged journal"]
    damage(home / name)
    (home / "data" / "armed").touch()
    with started(("run", "--config", str(home / "plimsoll.toml")), systemd):
        systemd.until("READY=1")
        told = ask_service(home / "data", "status")
        assert told is not None and words in told["safe"]
        shown = lines("status", told)
        assert shown.startswith("SAFE MODE: nothing is traded\n  because ") and words in shown
        for command in ("rearm", "flatten", "accept-difference", "orders", "trades"):
            with pytest.raises(Refused, match="safe_mode"):
                ask_service(home / "data", command)
        assert (home / "data" / "armed").exists()
        halted = ask_service(home / "data", "halt", "to be sure")
        assert halted is not None and halted["state"] == "halted"
        while (home / "data" / "armed").exists():
            assert ask_service(home / "data", "status")
    assert lines("halt", halted) == "halt: done; HALTED"


def test_a_terminal_gets_exit_code_2_and_no_page(home: Path) -> None:
    file = home / "plimsoll.toml"
    file.write_text(file.read_text() + "\n[web")
    with started(("run", "--config", str(file)), None) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and b"is not TOML" in said


def test_ends_with_78_when_not_even_the_page_can_start(home: Path, systemd: Systemd) -> None:
    file = home / "plimsoll.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(file.read_text().replace("port = 0", f"port = {port}") + "\n[colours]\n")
        with started(("run", "--config", str(file)), systemd) as process:
            _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 78
    assert b"setting colours; is unknown" in said and f"port {port} is in use".encode() in said


def test_a_bug_and_a_folder_in_use_are_for_systemd_to_start_again(home: Path, systemd: Systemd) -> None:
    from app.store import InstanceLock

    lock = InstanceLock(home / "data")
    with started(("run", "--config", str(home / "plimsoll.toml")), systemd) as process:
        _, said = process.communicate(timeout=PATIENCE)
    lock.release()
    assert process.returncode == 1 and b"is used by process" in said


def test_is_started_by_hand_with_a_reason(home: Path, systemd: Systemd) -> None:
    words = ("safe", "--reason", "it ended <five> times", "--config", str(home / "plimsoll.toml"))
    with socket.create_server(("127.0.0.1", 0)) as held, started(words, systemd, [held]) as process:
        assert systemd.until("READY=1") == "READY=1\nSTATUS=safe mode: it ended <five> times"
        assert b"it ended &lt;five&gt; times" in ask(held.getsockname()[1], "/")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_waits_for_a_venue_that_is_away_and_starts_when_it_comes(
    home: Path, url: str, systemd: Systemd
) -> None:
    file = home / "plimsoll.toml"

    async def arrive(port: int) -> None:
        simulator = Simulator(SimulatorOptions())
        await simulator.start(port)
        await asyncio.to_thread(systemd.until, "STATUS=started")
        await simulator.stop()

    with ExitStack() as stack:
        port = stack.enter_context(reserved())
        file.write_text(file.read_text().replace(url, f"http://127.0.0.1:{port}"))
        held = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stack.enter_context(started(("run", "--config", str(file)), systemd, [held]))
        assert "READY=1\nSTATUS=waiting: " in systemd.until("READY=1")
        assert b'<h1 class="state" id="state" data-s="title">Waiting' in ask(held.getsockname()[1], "/")[1]
        asyncio.run(arrive(port))


async def test_feeds_the_watchdog_and_ends_when_its_time_is_over(
    home: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.path)
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    over = await safe.serve(Trouble("a test", "wait"), home / "plimsoll.toml", for_ns=50_000_000)
    assert over
    systemd.until("READY=1\nSTATUS=safe mode: a test")
    assert systemd.until("WATCHDOG=1") == "WATCHDOG=1"
    stop = asyncio.Event()
    stop.set()
    assert not await safe.serve(Trouble("a test", "wait"), home / "plimsoll.toml", stop=stop)


async def test_tells_the_owners_phone_once(home: Path) -> None:
    file = home / "plimsoll.toml"
    with receiving() as address:
        file.write_text(f'{file.read_text()}\n[notify]\nurl = "{address}"\n[colours]\n')
        for tell in (False, True):
            stop = asyncio.Event()
            serving = asyncio.create_task(safe.serve(Trouble("a test", "Wait."), file, stop=stop, tell=tell))
            async with asyncio.timeout(PATIENCE):
                while tell and not _Receiver.got:
                    await asyncio.sleep(0.001)
            stop.set()
            assert not await serving
    (sent,) = _Receiver.got
    assert sent[1]["Title"] == "Plimsoll: nothing is traded" and sent[2] == "a test; Wait."


def test_knows_nothing_that_could_trade() -> None:
    """The table of layers says the same of its source; this is what is really there."""
    script = "import sys, app.safe; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = loaded.stdout.split()
    assert "app.web.safe" in names
    wrong = ("app.compose", "app.venues", "app.engine.engine", "app.engine.submission", "app.risk.gate")
    assert not [name for name in names if name.startswith(wrong)]


@pytest.mark.parametrize(
    ("error", "title", "advice"),
    [
        (SettingsError("web.port", "no"), "Safe mode", "Correct it in the.toml"),
        (LoginRefused("login", hint="no"), "Safe mode", "API key that the.toml names"),
        (Unreachable("venue", "no"), "Waiting", "tries again by itself"),
        (Theirs("state.db", "damaged"), "Safe mode", "plimsoll restore"),
        (OSError(28, "No space left on device"), "Safe mode", "Mend what it names"),
    ],
)
def test_says_what_to_do(error: Exception, title: str, advice: str) -> None:
    told = safe.trouble(error, Path("the.toml"))
    assert told.title == title and advice in told.advice and str(error) in told.reason


def test_needs_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["safe"])
    assert ended.value.code == 2 and "--reason" in capsys.readouterr().err
    assert client.SOCKET_FILE == "plimsoll.sock"
