"""Commands to a running service over its socket, and what remains without one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from app.cli import client, history, main, show
from app.engine.commands import Commands
from app.engine.snapshot import Snapshot
from app.errors import Refused
from app.store import InstanceLock
from app.web import command_port
from app.web.command_port import CommandPort
from app.web.login import PASSWORD_FILE, PasswordFile
from tests.cli.background import in_background
from tests.web.pictures import ACTIVE, CONTRACT, FRESH, HALTED, NOW, FakeEngine
from tests.web.test_command_port import FILL, FakeReader

READS = ("status", "orders", "positions", "trades")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def folder(tmp_path: Path, engine: FakeEngine) -> Iterator[Path]:
    """A data folder with a service that listens."""
    with in_background(partial(_listening, tmp_path, engine)):
        yield tmp_path


@asynccontextmanager
async def _listening(folder: Path, engine: FakeEngine) -> AsyncIterator[None]:
    port = CommandPort(folder, Commands(engine), FakeReader())
    await port.start()
    yield
    await port.stop()


def test_knows_the_socket_by_the_same_name() -> None:
    assert client.SOCKET_FILE == command_port.SOCKET_FILE
    assert client.PATH_LIMIT == command_port.PATH_LIMIT


def test_no_service_listens_where_a_sockets_path_is_too_long(tmp_path: Path) -> None:
    """An image may be mounted anywhere: its journal is read."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    assert client.ask(folder, "status") is None


@pytest.mark.parametrize("command", READS)
def test_prints_json_on_every_reading_command(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--json", "--data-dir", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out)


def test_prints_the_state_and_its_reasons(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.view = HALTED
    assert main(["status", "--data-dir", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("HALTED") and "because the session is closed; ends Fri 18:00 New York" in out
    assert "net 204.94" in out and "+1 ES" in out and "last known" not in out
    engine.view = FRESH
    assert main(["status", "--data-dir", str(folder)]) == 0
    assert "these figures are last known" in capsys.readouterr().out


def test_prints_orders_and_positions_as_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["orders", "--data-dir", str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and "6001.25" in lines[1] and "working" in lines[1]
    main(["positions", "--data-dir", str(folder)])
    assert "+1" in capsys.readouterr().out


def test_prints_trades_in_prices_and_money(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["trades", "--data-dir", str(folder)])
    assert capsys.readouterr().out.splitlines()[1].split()[2:] == [
        *("overnight_range", CONTRACT, "sell", "2", "6012.50", "2.80", "-12.50")
    ]
    main(["trades", "--json", "--data-dir", str(folder)])
    (trade,) = json.loads(capsys.readouterr().out)["trades"]
    assert (trade["side"], trade["price"], trade["fees"], trade["gross"]) == (
        "sell",
        "6012.50",
        "2.80",
        "-12.50",
    )
    assert trade["role"] == "exit" and trade["voided"] is False and trade["ref"] == ""


def test_prints_the_ticks_of_a_contract_it_does_not_know() -> None:
    row = FILL | {"contract": "CON.F.US.NONE.Z26", "gross_micro": None}
    assert history.trade(row)["price"] == "24050 ticks"
    assert history.trade(row)["gross"] == ""


ORDER_ROW = {
    "tag": "PLM-1", "strategy": "overnight_range", "account_id": 1001, "contract": CONTRACT, "side": 1,
    "size": 1, "type": "stop", "role": "entry", "limit_ticks": None, "stop_ticks": 24050,
    "bracket_stop_ticks": -40, "bracket_target_ticks": 40, "oco": "", "parent_tag": "", "state": "working",
    "venue_id": 9001, "filled": 0, "created_ns": NOW, "updated_ns": NOW, "reason": "", "cancel_requested": 0,
    "ref": "",
}  # fmt: skip


def test_prints_the_orders_of_a_journal_like_those_of_a_service() -> None:
    order = history.order(ORDER_ROW)
    assert (order["side"], order["stop"], order["limit"]) == ("buy", "6012.50", "")
    assert "6012.50" in show.lines("orders", {"orders": [order]})


def test_prints_what_was_not_written_to_disk(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.view = replace(HALTED, journal="database or disk is full")
    assert main(["flatten", "--data-dir", str(folder)]) == 0
    assert "not written to disk: database or disk is full" in capsys.readouterr().out


class Slow(FakeEngine):
    """Armed only some looks after it was told to, as a disk makes it."""

    looks = 0

    def snapshot(self) -> Snapshot:
        self.looks += bool(self.asked)
        return ACTIVE if self.looks > 4 else HALTED


def test_waits_until_a_rearm_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client, "REARM_POLL_SECONDS", 0.001)
    with in_background(partial(_listening, tmp_path, Slow())):
        assert main(["rearm", "--why", "back", "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "rearm: armed; ACTIVE\n"


def test_says_so_when_a_rearm_is_still_under_way(
    folder: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client, "REARM_POLL_SECONDS", 0.001)
    engine.view = HALTED
    assert main(["rearm", "--data-dir", str(folder)]) == 0
    assert capsys.readouterr().out == "rearm: re-arming; see plimsoll status\n"


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["halt"], ("halt", "")),
        (["halt", "--why", "lunch"], ("halt", "lunch")),
        (["accept-difference", "--why", "my own click"], ("accept-difference", "my own click")),
        (["flatten", "lunch", "time"], ("flatten", "lunch time")),
        (["rearm"], ("rearm", "")),
        (["accept-difference", "my own click"], ("accept-difference", "my own click")),
    ],
)
def test_tells_the_service_to_change(
    folder: Path, engine: FakeEngine, arguments: list[str], asked: tuple[str, str]
) -> None:
    assert main([*arguments, "--data-dir", str(folder)]) == 0
    assert [(what, why) for what, _by, why in engine.asked] == [asked]


def test_refuses_with_exit_3_what_the_service_refuses(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.refuse = Refused("rearm.switch", "open", "", "close the switch first")
    assert main(["rearm", "--data-dir", str(folder)]) == 3
    assert capsys.readouterr().err == "plimsoll: rearm.switch: open; close the switch first\n"


@pytest.mark.parametrize("command", ["flatten", "rearm", "accept-difference"])
def test_refuses_without_a_service(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "reason", "--data-dir", str(tmp_path)]) == 3
    assert "no service runs" in capsys.readouterr().err


def test_halts_without_a_service_by_writing_the_latch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["halt", "going away", "--data-dir", str(tmp_path)]) == 0
    for command in READS:
        assert main([command, "--json", "--data-dir", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["status", "--json", "--data-dir", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["service"] is False and told["armed"] is False
    assert [(reason["code"], reason["detail"]) for reason in told["reasons"]] == [("halt", "going away")]
    assert main(["status", "--data-dir", str(tmp_path)]) == 0
    assert "no service is running" in capsys.readouterr().out


def test_refuses_a_halt_beside_a_service_that_does_not_listen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = InstanceLock(tmp_path)
    assert main(["halt", "--data-dir", str(tmp_path)]) == 1
    assert "is used by process" in capsys.readouterr().err
    lock.release()


@pytest.mark.parametrize("command", READS)
def test_refuses_to_read_where_nothing_is(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--data-dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("plimsoll: store.missing")


@pytest.mark.parametrize("answer", ["", "{}", "[]", '{"ok": false}', '{"ok": true}', "x"])
def test_refuses_an_answer_that_makes_no_sense(answer: str) -> None:
    with pytest.raises(Exception, match="made no sense"):
        client._opened(answer.encode())


def test_finds_the_folder_in_the_settings_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my.toml"
    file.write_text('data_dir = "state"\n')
    (tmp_path / "state").mkdir()
    assert main(["halt", "--config", str(file)]) == 0
    assert (tmp_path / "state" / "state.db").exists()
    monkeypatch.setenv("PLIMSOLL_CONFIG", str(file))
    assert main(["status"]) == 0
    monkeypatch.delenv("PLIMSOLL_CONFIG")
    monkeypatch.setenv("PLIMSOLL_HOME", str(tmp_path))
    monkeypatch.setattr("app.cli.places.CONFIG", tmp_path / "none.toml")
    assert main(["status"]) == 1
    assert str(tmp_path / "data") in capsys.readouterr().err
    file.write_text("data_dir = [")
    assert main(["status", "--config", str(file)]) == 2
    assert main(["status", "--config", str(tmp_path / "none.toml")]) == 2
    assert f"setting --config; {tmp_path / 'none.toml'} cannot be read" in capsys.readouterr().err


def test_an_ordinary_user_is_told_to_use_sudo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my.toml"
    file.touch()

    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "read_text", closed)
    for command in ("status", "halt", "backup"):
        assert main([command, "--config", str(file)]) == 2
        assert f"{file}: you may not read it: use sudo" in capsys.readouterr().err
    monkeypatch.setattr("app.cli.client.ask", closed)
    monkeypatch.setattr("os.geteuid", lambda: 1_000)
    assert main(["status", "--data-dir", str(tmp_path)]) == 1
    assert "Permission denied; use sudo" in capsys.readouterr().err


def test_sets_the_password_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.login.SCRYPT_N", 2**4)
    monkeypatch.setattr("app.cli.password.getpass", lambda _prompt: "a good password")
    assert main(["passwd", "--data-dir", str(tmp_path / "new")]) == 0
    assert PasswordFile(tmp_path / "new" / PASSWORD_FILE).verify("a good password")


def test_refuses_two_entries_that_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = iter(("a good password", "a food password"))
    monkeypatch.setattr("app.cli.password.getpass", lambda _prompt: next(words))
    assert main(["passwd", "--data-dir", str(tmp_path)]) == 3
    assert not (tmp_path / PASSWORD_FILE).exists()


def test_refuses_a_short_password_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.readline", lambda _limit: "short\n", raising=False)
    assert main(["passwd", "--stdin", "--data-dir", str(tmp_path)]) == 3
    assert "password.length: 5" in capsys.readouterr().err
