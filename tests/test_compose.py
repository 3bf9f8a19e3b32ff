"""The whole service against a simulator in another thread: starts, obeys, ends, and ends when it must."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import compose, watchdog
from app.cli.causes import first_cause
from app.cli.client import ask
from app.config import Risk, load_file
from app.domain.instruments import by_symbol, state_fees
from app.engine.settings import EVENTS_KEPT
from app.errors import Ours, Refused
from app.store import InstanceLock
from app.web.command_port import SOCKET_FILE
from tests import service
from tests.guards import PATIENCE, PROGRAM_PATIENCE, ROOT

STEPS = (
    *(b"checking the settings", b"opening the journal", b"setting the clock", b"logging in at the venue"),
    *(b"opening the board", b"reading the journal", b"opening the page"),
)

url, file = service.url, service.file


@dataclass
class Running:
    service: compose.Service
    stop: asyncio.Event
    task: asyncio.Task[None]


@asynccontextmanager
async def running(file: Path) -> AsyncIterator[Running]:
    """A started service; stopped at exit unless it has ended."""
    started: asyncio.Future[compose.Service] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(compose.serve(load_file(file), started.set_result, stop))
    async with asyncio.timeout(PROGRAM_PATIENCE):
        await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        held = Running(await started, stop, task)
        try:
            yield held
        finally:
            stop.set()
            await asyncio.wait((task,))


async def synced(service: compose.Service) -> None:
    while not service.engine.snapshot().synced:
        await asyncio.sleep(0.001)


async def healthz(service: compose.Service) -> tuple[int, dict[str, object]]:
    host, _, port = service.web.address.removeprefix("http://").rstrip("/").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body)


async def test_starts_closed_obeys_its_commands_and_leaves_nothing_behind(file: Path) -> None:
    data = file.parent / "data"
    async with running(file) as held:
        assert held.service.engine.snapshot().state == "halted"
        await synced(held.service)
        status, health = await healthz(held.service)
        assert (status, health["state"]) == (200, "halted")
        answer = await asyncio.to_thread(ask, data, "rearm", "a test")
        assert answer is not None and answer["done"] == "rearm"
        while held.service.engine.snapshot().state != "active":
            await asyncio.sleep(0.001)
        assert await asyncio.to_thread(ask, data, "halt")
        assert held.service.engine.snapshot().state == "halted"
    await held.task
    assert not (data / SOCKET_FILE).exists()
    InstanceLock(data).release()


async def test_shows_the_events_of_the_run_before(file: Path) -> None:
    async with running(file) as held:
        await synced(held.service)
        held.service.commands.execute("cli", "halt", "somebody", "lunch")
        before = [(event.code, event.text) for event in held.service.engine.snapshot().events]
    assert ("halt", "HALTED lunch") in before
    await held.task
    async with running(file) as held:
        events = held.service.engine.snapshot().events
        assert [(event.code, event.text) for event in events][-len(before) :] == before
        assert len(events) <= EVENTS_KEPT


async def test_logs_once_that_the_journal_cannot_be_written(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr(watchdog, "STATUS_NS", 1_000_000)
    async with running(file) as held:
        await synced(held.service)
        failed = property(lambda _self: "disk is full")
        with monkeypatch.context() as planted:
            planted.setattr(type(held.service.store), "failed", failed)
            while "the journal cannot be written: disk is full" not in caplog.text:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
        while "the journal is written again" not in caplog.text:
            await asyncio.sleep(0.001)
    assert caplog.text.count("the journal cannot be written: disk is full") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_ends_cleanly_on_a_signal(file: Path, number: signal.Signals) -> None:
    async with running(file) as held:
        os.kill(os.getpid(), number)
        await held.task
    assert held.stop.is_set()


async def test_keeps_trading_closed_for_an_account_nobody_stated(file: Path) -> None:
    (file.parent / "account.toml").unlink()
    async with running(file) as held:
        await synced(held.service)
        with pytest.raises(Refused):
            held.service.commands.execute("page", "rearm", "somebody")
        codes = {reason.code for reason in held.service.engine.snapshot().reasons}
        assert "floor_unknown" in codes
        assert held.service.engine.snapshot().state == "halted"


async def test_ends_when_the_engine_broke(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(file) as held:

        def broken(*_: object) -> None:
            raise ZeroDivisionError("planted")

        monkeypatch.setattr(held.service.engine.feed, "check", broken)
        asyncio.get_running_loop().call_soon(held.service.engine._tick)
        await asyncio.wait((held.task,))
    error = held.task.exception()
    assert error is not None
    cause = first_cause(error)
    assert isinstance(cause, Ours) and "ZeroDivisionError planted" in str(cause)
    InstanceLock(file.parent / "data").release()


async def test_goes_on_when_something_else_broke(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(file) as held:

        def broken() -> None:
            raise ZeroDivisionError("planted")

        asyncio.get_running_loop().call_soon(broken)
        await synced(held.service)
        assert not held.task.done()
    await held.task
    assert "ZeroDivisionError: planted" in caplog.text


async def test_reads_the_owners_calendar_beside_the_account_file(file: Path) -> None:
    (file.parent / "calendar.toml").write_text("[[day]]\ndate = 2026-11-18\nclosed = true\nreason = 'test'\n")
    async with running(file) as held:
        await synced(held.service)
        codes = {reason.code for reason in held.service.engine.snapshot().reasons}
        assert "session_closed" in codes or not held.service.engine.snapshot().session_open


async def test_refuses_a_calendar_it_does_not_understand(file: Path) -> None:
    (file.parent / "calendar.toml").write_text("[[day]]\ndate = 'tomorrow'\n")
    with pytest.raises(Refused):
        async with running(file):
            pass


async def test_puts_the_owners_fees_and_caps_in_force(file: Path) -> None:
    stated = "[[product]]\nsymbol = 'ES'\nfrom = 2026-01-01\nfee = '9.99'\nmax_contracts = 0\n"
    (file.parent / "products.toml").write_text(stated)
    try:
        async with running(file) as held:
            await synced(held.service)
            assert by_symbol("ES").fee_round_turn_micro == 9_990_000
            assert held.service.engine.limits.max_contracts_of("ES") == 0
    finally:
        state_fees({})


def test_a_cap_narrows_and_never_widens() -> None:
    wide = compose.limits(Risk(max_contracts={"ES": 2}), None, {"ES": 5, "NQ": 3, "CL": 0})
    assert [wide.max_contracts_of(symbol) for symbol in ("ES", "NQ", "CL", "GC")] == [2, 1, 0, 1]


def test_the_running_service_has_imported_nothing_heavy(file: Path, tmp_path: Path) -> None:
    told = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(told)
        systemd.settimeout(PATIENCE)
        command = [sys.executable, "-X", "importtime", "-m", "app", "run", "--config", str(file)]
        environment = os.environ | {"NOTIFY_SOCKET": told}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as process:
            try:
                words = []
                while not words or not words[-1].startswith(b"WATCHDOG=1"):
                    words.append(systemd.recv(400))
            finally:
                process.terminate()
            _, lines = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert words[-1].startswith(b"WATCHDOG=1\nSTATUS=Halted because")
    assert words[-2] == b"READY=1\nSTATUS=started"
    assert words[:-2] == [b"STATUS=starting: " + step for step in STEPS]
    modules = {line.rpartition(b"|")[2].strip().decode() for line in lines.splitlines() if b"|" in line}
    assert "app.engine.engine" in modules
    tops = {name.partition(".")[0] for name in modules}
    assert tops.isdisjoint({"numpy", "pandas", "scipy", "pydantic", "sqlalchemy", "setuptools", "hypothesis"})
    assert not any(name.startswith(("app.simulator", "app.backtest")) for name in modules)


def test_a_start_without_statement_names_the_file() -> None:
    file = Path("/etc/plimsoll/account.toml")
    assert f"the account file {file} is missing" in compose.unstated(file, 7, there=False)
    assert f"the account file {file} has no [account.7]" in compose.unstated(file, 7, there=True)


async def test_warns_at_the_start_when_the_account_file_is_missing(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (file.parent / "account.toml").unlink()
    async with running(file):
        assert f"the account file {file.parent / 'account.toml'} is missing" in caplog.text
