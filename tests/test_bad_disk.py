"""A disk that takes nothing any more: while the service runs, and at its start. It reads on, and it is told.

The disk is bad for the service alone: the kernel refuses it every byte beyond the first 4 KiB of a file.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.cli.client import ask as ask_service
from app.cli.show import lines
from app.clock import NS, SystemClock
from app.domain.orders import OrderState, Role, Side
from app.store import open_journal
from app.web.login import PASSWORD_FILE, PasswordFile
from tests import service
from tests.activation import LAUNCH, Systemd, ask, started
from tests.guards import PATIENCE, ROOT
from tests.ops.test_notifier import _Receiver, receiving
from tests.store.records import changed, durable, fill

TINY = 4096  # bytes: room for a lock file, for no page of a database
LIMITED = 'ulimit -f 4 && exec "$@"'  # of 512 or 1,024 bytes, as the shell counts
WAIT_S = 0.02
ES = "CON.F.US.EP.Z26"
PASSWORD = "a password of some length"
LONG = f"long 2 {ES} in account 7"
STOP = f"stop: sell 2 {ES} at 5000.00 in account 7"

url, file, home, systemd = service.url, service.file, service.home, service.systemd


@pytest.fixture(autouse=True)
def no_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # Python keeps a module's bytecode that was cut short


def fill_journal(data: Path) -> None:
    """Two contracts long, with their stop."""

    async def write() -> None:
        store = await open_journal(data, SystemClock())
        stop = changed("s", 9_000, role=Role.STOP, side=Side.SELL, size=2, state=OrderState.WORKING)
        assert await durable(store, fill(1, utc_ns=5_000), fill(2, utc_ns=6_000), stop) is None
        await store.close()

    asyncio.run(write())


def run(home: Path) -> tuple[str, ...]:
    return ("run", "--config", str(home / "plimsoll.toml"))


@contextmanager
def started_on_a_bad_disk(
    home: Path, systemd: Systemd, listener: socket.socket
) -> Iterator[subprocess.Popen[bytes]]:
    own = (sys.executable, "-c", LAUNCH, "1", str(listener.fileno()), *run(home))
    with subprocess.Popen(
        ["/bin/sh", "-c", LIMITED, "sh", *own],
        cwd=ROOT,
        env={**os.environ, "NOTIFY_SOCKET": systemd.path},
        pass_fds=(listener.fileno(),),
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    """Look again and again until it holds."""
    clock, pause = SystemClock(), threading.Event()
    end_ns = clock.mono_ns() + PATIENCE * NS
    while not condition():
        assert clock.mono_ns() < end_ns
        pause.wait(WAIT_S)


def logged_in(port: int) -> str:
    """The page as the owner sees it, after a wrong password and the right one; then logged out."""
    site = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask_with(method: str, path: str, cookie: str = "", **body: str) -> tuple[int, str, str]:
        headers = {"Content-Type": "application/json", "X-Plimsoll": "1", "Cookie": cookie}
        site.request(method, path, json.dumps(body) if method == "POST" else None, headers)
        answer = site.getresponse()
        return answer.status, (answer.getheader("Set-Cookie") or "").partition(";")[0], answer.read().decode()

    assert ask_with("POST", "/api/login", password="a guess of some length")[0] == 401
    assert ask_with("POST", "/api/logout")[0] == 401
    status, cookie, _ = ask_with("POST", "/api/login", password=PASSWORD)
    assert status == 200
    page = ask_with("GET", "/", cookie)[2]
    assert ask_with("POST", "/api/logout", cookie)[0] == 200
    assert LONG not in ask_with("GET", "/", cookie)[2]
    site.close()
    return page


def snapshot(port: int) -> dict[str, object]:
    status, body = ask(port, "/api/snapshot")
    assert status == 200
    return dict(json.loads(body))


def test_while_it_runs_trading_closes_the_page_reads_on_and_the_owner_is_told(
    home: Path, systemd: Systemd
) -> None:
    with receiving() as phone:
        file = home / "plimsoll.toml"
        file.write_text(f'{file.read_text()}\n[notify]\nurl = "{phone}"\n')
        with socket.create_server(("127.0.0.1", 0)) as held, started(run(home), systemd, [held]) as process:
            port = held.getsockname()[1]
            systemd.until("READY=1")
            until(lambda: bool(snapshot(port)["synced"]))
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (TINY, TINY))
            assert ask(port, "/api/stop-entries", "POST")[0] == 200  # the halt itself needs no disk
            until(lambda: bool(snapshot(port)["journal"]))
            view = snapshot(port)
            assert view["state"] == "halted" and "state.db" in str(view["journal"])
            status, page = ask(port, "/")
            assert status == 200 and b"cannot be written: " in page and b"SIM-50K" in page
            status, health = ask(port)
            assert status == 503 and json.loads(health)["journal"].startswith("state.db")
            assert b"\nplimsoll_journal_written 0\n" in ask(port, "/metrics")[1]
            assert ask(port, "/api/stop-entries", "POST")[0] == 200
            until(lambda: any(headers["Tags"] == "storage" for _, headers, _ in _Receiver.got))
            assert systemd.until("the journal cannot be written")
            assert process.poll() is None, "a restart would mend nothing"


@pytest.mark.parametrize("password", [False, True])
def test_at_the_start_a_page_tells_what_was_known_last_to_whom_it_may(
    home: Path, systemd: Systemd, password: bool
) -> None:
    data = home / "data"
    fill_journal(data)
    if password:
        PasswordFile(data / PASSWORD_FILE).write("a password of some length")
    before = {name: (data / name).read_bytes() for name in ("state.db", "market.db")}
    with (
        socket.create_server(("127.0.0.1", 0)) as held,
        started_on_a_bad_disk(home, systemd, held) as process,
    ):
        port = held.getsockname()[1]
        said = systemd.until("READY=1")
        assert said.startswith("READY=1\nSTATUS=safe mode: store.unusable: "), said
        told: list[str] = []

        def known() -> bool:
            told[:] = [lines("status", ask_service(data, "status") or {})]
            return "not answered yet" not in told[0]

        until(known)
        assert "As of 1970-01-01 00:00:00 UTC by the journal" in told[0]
        assert LONG in told[0] and STOP in told[0]
        status, page = ask(port, "/")
        assert status == 200 and b"Safe mode" in page and b"store.unusable" in page
        assert (LONG.encode() in page and STOP.encode() in page) is not password
        assert (b"Log in to see positions" in page and b'http-equiv="refresh"' not in page) is password
        if password:
            assert LONG in logged_in(port)
        assert ask(port, "/metrics")[0] == 503 and ask(port, "/api/stop-entries", "POST")[0] == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert {name: (data / name).read_bytes() for name in before} == before


def test_says_why_nothing_is_known(home: Path, systemd: Systemd) -> None:
    (home / "data/state.db").write_bytes(b"no database" * 500)
    with socket.create_server(("127.0.0.1", 0)) as held, started(run(home), systemd, [held]):
        port = held.getsockname()[1]
        systemd.until("READY=1")
        until(lambda: b"not answered yet" not in ask(port, "/")[1])
        assert b"Nothing can be read of the journal" in ask(port, "/")[1]
