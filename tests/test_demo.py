"""The demo's own decisions: ports, files, and who may arm."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app import demo
from app.config import load_accounts, load_file
from app.engine.commands import Commands
from app.errors import Refused, Unreachable
from app.simulator.accounts import kind
from app.simulator.main import DEMO_DATE
from tests.web.pictures import ACTIVE, FakeEngine


def test_takes_the_next_free_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < demo._free_port(port) < port + demo.PORTS_TRIED


def test_refuses_when_no_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PORTS_TRIED", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Refused, match="--port"):
            demo._free_port(taken.getsockname()[1])


def test_writes_settings_that_load_and_a_key_for_itself_alone(tmp_path: Path) -> None:
    settings = load_file(demo.write_settings(tmp_path, "http://127.0.0.1:9", 8081, keep=False))
    assert (settings.mode, settings.clock, settings.web.port) == ("simulate", "simulator", 8081)
    assert settings.board.resume and settings.strategy.overnight_range.enabled
    assert settings.topstepx.api_key_file.stat().st_mode & 0o077 == 0


def test_states_what_the_simulator_allows(tmp_path: Path) -> None:
    settings = load_file(demo.write_settings(tmp_path, "http://127.0.0.1:9", 0, keep=False))
    accounts = load_accounts(settings.account_file)
    assert accounts is not None
    stated, simulated = accounts.of(1001), kind("50k")
    assert stated is not None and stated.as_of < DEMO_DATE
    assert stated.maximum_loss_limit_micro == simulated.maximum_loss_micro
    assert stated.daily_loss_limit_micro == simulated.daily_loss_micro


@pytest.mark.parametrize("keep", [True, False])
def test_forgets_the_last_journal_unless_told_to_keep_it(tmp_path: Path, keep: bool) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "state.db").touch()
    demo.write_settings(tmp_path, "http://127.0.0.1:9", 0, keep=keep)
    assert (tmp_path / "data" / "state.db").exists() is keep


async def test_arms_only_in_simulate() -> None:
    for mode, asked in (("simulate", ["rearm"]), ("live", []), ("shadow", [])):
        engine = FakeEngine(replace(ACTIVE, mode=mode))
        service = cast(Any, SimpleNamespace(engine=engine, commands=Commands(engine)))
        if asked:
            await demo._arm(service)
        else:
            with pytest.raises(Refused, match=r"demo\.mode"):
                await demo._arm(service)
        assert [what for what, _, _ in engine.asked] == asked


async def test_goes_on_with_the_stand_in_where_no_board_can_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(folder: Path) -> Path:
        raise Unreachable("virtual board", "needs a C compiler")

    monkeypatch.setattr(demo, "provide", refuses)
    said: list[str] = []
    assert await demo._start_board(tmp_path, said.append) is None
    assert "needs a C compiler" in said[0] and "stand-in" in said[0]
    settings = load_file(demo.write_settings(tmp_path, "http://127.0.0.1:9", 0, keep=False))
    assert not settings.board.required


def test_names_the_virtual_board_in_its_settings(tmp_path: Path) -> None:
    board = load_file(demo.write_settings(tmp_path, "http://127.0.0.1:9", 0, keep=False, board=True)).board
    assert (board.required, board.mode, board.device) == (True, "virtual", tmp_path / "board")
