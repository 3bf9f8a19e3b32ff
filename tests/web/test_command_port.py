"""The command port on its unix socket: who may speak, what is answered, how it closes."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.commands import Commands
from app.errors import Refused, SettingsError
from app.web.command_port import CONNECTIONS_MAX, LINE_LIMIT, SOCKET_FILE, CommandPort
from tests.guards import PATIENCE
from tests.web.pictures import CONTRACT, NOW, FakeEngine

FILL: dict[str, Any] = {
    "account_id": 1001, "id": 7, "order_id": 9001, "contract": CONTRACT, "side": -1, "size": 2,
    "price_ticks": 24050, "fees_micro": 2_800_000, "utc_ns": NOW, "gross_micro": -12_500_000, "voided": 0,
    "tag": "PLM-1", "strategy": "overnight_range", "trade_date": "2026-11-20", "order_type": "stop",
    "role": "exit", "ref": None,
}  # fmt: skip


class FakeReader:
    async def trades(self, limit: int) -> list[dict[str, Any]]:
        return [FILL][:limit]

    async def events(self, limit: int) -> list[dict[str, Any]]:
        return []

    async def orders(self, limit: int) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def path(tmp_path: Path, engine: FakeEngine) -> AsyncIterator[Path]:
    port = CommandPort(tmp_path, Commands(engine), FakeReader())
    await port.start()
    yield tmp_path / SOCKET_FILE
    await port.stop()
    await port.stop()
    assert not (tmp_path / SOCKET_FILE).exists()


async def ask(path: Path, line: bytes) -> Any:
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line)
        answer = await reader.read()
        writer.close()
        return json.loads(answer) if answer else None


def request(command: str, **more: str) -> bytes:
    return json.dumps({"command": command, **more}).encode() + b"\n"


async def test_answers_reads(path: Path) -> None:
    assert (await ask(path, request("status")))["result"]["snapshot"]["state"] == "active"
    assert len((await ask(path, request("orders")))["result"]["orders"]) == 4
    assert (await ask(path, request("positions")))["result"]["positions"][0]["net"] == 1
    assert (await ask(path, request("trades")))["result"]["trades"][0]["id"] == 7


async def test_executes_changes_in_the_name_the_kernel_tells(path: Path, engine: FakeEngine) -> None:
    for command in ("halt", "flatten", "rearm", "accept-difference"):
        answer = await ask(path, request(command, why="because", by="the pope"))
        assert answer["ok"], answer
    who = f"uid {os.getuid()}"
    assert [asked[1] for asked in engine.asked] == [who] * 4
    assert [asked[0] for asked in engine.asked] == ["halt", "flatten", "rearm", "accept-difference"]


async def test_is_open_to_owner_and_group_only(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


async def test_tells_the_rule_and_the_exit_code_of_a_refusal(path: Path, engine: FakeEngine) -> None:
    engine.refuse = Refused("rearm.not_synced", "reading")
    answer = await ask(path, request("rearm"))
    assert (answer["ok"], answer["rule"], answer["exit"]) == (False, "rearm.not_synced", 3)


@pytest.mark.parametrize(
    "line",
    [b"\n", b"{\n", b"[]\n", b'"halt"\n', b"\xff\n", b'{"command": 1}\n', b'{"command": "buy"}\n', b"{}\n"],
)
async def test_refuses_what_is_no_command(path: Path, engine: FakeEngine, line: bytes) -> None:
    assert (await ask(path, line))["ok"] is False
    assert engine.asked == []


async def test_refuses_a_line_over_the_limit(path: Path, engine: FakeEngine) -> None:
    assert (await ask(path, request("halt", why="x" * 2 * LINE_LIMIT)))["exit"] == 2
    assert engine.asked == []


async def test_refuses_an_internal_error_without_ending(path: Path, engine: FakeEngine) -> None:
    engine.refuse = RuntimeError("a bug")
    answer = await ask(path, request("halt"))
    assert answer["exit"] == 1 and "a bug" not in answer["error"]
    engine.refuse = None
    assert (await ask(path, request("halt")))["ok"]


async def test_refuses_one_connection_too_many(path: Path) -> None:
    waiting = [await asyncio.open_unix_connection(path) for _ in range(CONNECTIONS_MAX)]
    await asyncio.sleep(0)
    assert await ask(path, b"") is None  # closed at once, the others are still served
    for _, writer in waiting:
        writer.close()


async def test_replaces_the_socket_of_a_service_that_died(tmp_path: Path, engine: FakeEngine) -> None:
    (tmp_path / SOCKET_FILE).touch()
    port = CommandPort(tmp_path, Commands(engine), FakeReader())
    await port.start()
    assert (await ask(tmp_path / SOCKET_FILE, request("status")))["ok"]
    await port.stop()


async def test_refuses_a_folder_too_long_for_a_socket(tmp_path: Path, engine: FakeEngine) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    with pytest.raises(SettingsError, match="shorter path"):
        await CommandPort(folder, Commands(engine), FakeReader()).start()


async def test_refuses_a_folder_it_cannot_write(tmp_path: Path, engine: FakeEngine) -> None:
    with pytest.raises(SettingsError, match="cannot be made"):
        await CommandPort(tmp_path / "nowhere", Commands(engine), FakeReader()).start()
