"""The service with every call of every module compared: on its own simulator, over a restart and a clear."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import native
from app import demo
from app.cli import main
from app.cli.client import ask
from native import frames_py, modes
from tests.cli.background import in_background, simulating
from tests.guards import PATIENCE
from tests.native.test_shadow import plant
from tests.test_compose import Running, running, synced

SHADOW = "".join(f'{name} = "shadow"\n' for name in native.MODULES if name not in modes.NO_SHADOW)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Settings of a service on a simulator of its own; every module that can be is in shadow."""
    monkeypatch.delenv(native.VARIABLE, raising=False)
    with in_background(simulating) as (_, address):
        settings = demo.write_settings(tmp_path, address, 0, keep=False)
        settings.write_text(f"{settings.read_text()}\n[native]\n{SHADOW}shadow_every = 1\n")
        yield settings
    monkeypatch.undo()
    native.listen(None)
    native.select()


def rows(file: Path, table: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(file.parent / "data" / "state.db") as db:
        found = db.execute(f"SELECT * FROM {table}").fetchall()
    db.close()
    return found


async def quoted(held: Running, more: int) -> None:
    """Until so many new quotes have come."""
    book, seen = held.service.engine.book, 0
    last = 0
    async with asyncio.timeout(PATIENCE):
        while seen < more:
            now = max((quote.recv_mono_ns for quote in book.quotes.values()), default=0)
            seen, last = seen + (now != last), now
            await asyncio.sleep(0.001)


async def test_trades_with_every_call_compared_and_finds_no_difference(file: Path) -> None:
    async with running(file) as held:
        await synced(held.service)
        assert await asyncio.to_thread(ask, file.parent / "data", "rearm", "a test")
        await quoted(held, 20)
        shown = held.service.engine.snapshot().native
        assert {shown[name] for name in ("frames", "market", "gate", "fixed")} == {"shadow"}
        assert await asyncio.to_thread(ask, file.parent / "data", "flatten", "a test")
        await quoted(held, 2)
    assert rows(file, "native_differences") == []
    assert rows(file, "native_exceptions") == []


async def test_an_exception_outlasts_a_restart_of_the_service_until_it_is_cleared(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = file.parent / "data"
    async with running(file) as held:
        await synced(held.service)
        with monkeypatch.context() as doctored:
            plant(doctored, frames_py.Reader, "quote", lambda call, self: (*call(self)[:3], 1))
            async with asyncio.timeout(PATIENCE):
                while held.service.engine.snapshot().native["frames"] == "shadow":
                    await asyncio.sleep(0.001)
        await quoted(held, 2)
        events = held.service.engine.snapshot().events
        assert any("plimsoll native clear frames REASON" in event.text for event in events)
    assert len(rows(file, "native_differences")) == 1
    async with running(file) as held:
        assert held.service.engine.snapshot().native["frames"] == modes.EXCEPTION
        await quoted(held, 2)
        status = await asyncio.to_thread(main, ["status", "--data-dir", str(data)])
        assert status == 0 and "pure (exception): frames" in capsys.readouterr().out
        cleared = await asyncio.to_thread(
            main, ["native", "clear", "frames", "fixed", "it", "--data-dir", str(data)]
        )
        assert cleared == 0
        assert held.service.engine.snapshot().native["frames"] == modes.EXCEPTION, "until it starts anew"
    async with running(file) as held:
        assert held.service.engine.snapshot().native["frames"] == "shadow"
        await quoted(held, 2)
    assert len(rows(file, "native_differences")) == 1


def test_clears_without_a_service_and_refuses_what_does_not_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.write_settings(tmp_path, "http://127.0.0.1:1", 0, keep=False)
    data = tmp_path / "data"
    assert main(["halt", "--data-dir", str(data)]) == 0  # makes the journal
    assert main(["native", "clear", "market", "why", "--data-dir", str(data)]) == 3
    assert "native.exception: market; limit none stands" in capsys.readouterr().err
    with sqlite3.connect(data / "state.db") as db:
        db.execute("INSERT INTO native_exceptions VALUES (1, 'market', 1, 'somebody', 'why', 1)")
    db.close()
    assert main(["status", "--data-dir", str(data)]) == 0
    assert "native.market will run on its pure twin" in capsys.readouterr().out
    assert main(["native", "clear", "market", "fixed", "--data-dir", str(data)]) == 0
    assert main(["native", "clear", "market", "fixed", "--data-dir", str(data)]) == 3
