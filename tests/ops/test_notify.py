"""What systemd is told, and silence where there is none."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from app.ops import notify
from tests.guards import PATIENCE


def test_tells_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        monkeypatch.setenv(notify.SOCKET, path)
        notify.notify("READY=1", notify.status("Active\nSTOPPING=1"))
        assert systemd.recv(200) == b"READY=1\nSTATUS=Active STOPPING=1"


def test_tells_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"plimsoll-test-{os.getpid()}"  # of the whole machine
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}")
        monkeypatch.setenv(notify.SOCKET, f"@{name}")
        notify.notify("WATCHDOG=1")
        assert systemd.recv(200) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "relative"])
def test_is_silent_where_no_systemd_is(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(notify.SOCKET, address)
    assert notify.notify("READY=1") is None  # and nothing was raised


@pytest.mark.parametrize(
    ("text", "due_ns"), [("", 0), ("x", 0), ("-5", 0), ("30000000", 15_000_000_000), ("٣", 0)]
)
def test_feeds_the_watchdog_twice_as_often_as_asked(
    text: str, due_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(notify.WATCHDOG, text)
    assert notify.watchdog_ns() == due_ns


def test_keeps_the_status_short() -> None:
    assert len(notify.status("é" * 500).encode()) <= notify.STATUS_LIMIT + len("STATUS=")


async def test_feeds_the_watchdog_while_something_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(notify, "notify", sent.append)
    monkeypatch.setenv(notify.WATCHDOG, "2000")
    async with notify.fed():
        async with asyncio.timeout(PATIENCE):
            while len(sent) < 3:
                await asyncio.sleep(0.001)
    assert set(sent) == {"WATCHDOG=1"}
    count = len(sent)
    await asyncio.sleep(0.005)
    assert len(sent) == count
    monkeypatch.delenv(notify.WATCHDOG)
    async with notify.fed():
        await asyncio.sleep(0)
    assert len(sent) == count


def test_says_the_step_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(notify, "notify", sent.append)
    notify.starting("opening the journal")
    assert sent == ["STATUS=starting: opening the journal"]
