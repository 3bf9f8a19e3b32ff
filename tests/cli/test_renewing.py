"""`plimsoll board renew`: the whole command, on stand-ins for the UNO Q and with the service's lock."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli import client, firmware, main, renewing
from app.mcu import images, shipped, unoq
from app.mcu.shipped import Shipped
from app.update import locks, renewal, state
from tests.cli.test_firmware import BOARD, said
from tests.mcu.flashing import OLD, Bench, Greeting

Renew = Callable[[], int]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A UNO Q as owner of its port: its board runs OLD, which is kept; trading is halted and flat."""
    made = Bench(tmp_path, monkeypatch)
    monkeypatch.setattr(unoq, "DEVICE_TREE", tmp_path / "compatible")
    programs, systemctl = tmp_path / "programs", "#!/bin/sh\n"
    (programs / "systemctl").write_text(f'{systemctl}echo "systemctl $*" >>"{tmp_path}/journal"\n')
    (programs / "systemctl").chmod(0o755)
    for folder in ("data", "home", "memory"):
        (tmp_path / folder).mkdir()
    (tmp_path / "plimsoll.toml").write_text('data_dir = "data"\n[board]\nmode = "owner"\n')
    (tmp_path / "update.lock").touch()
    monkeypatch.setattr(renewing, "LOCK", tmp_path / "update.lock")
    firmware.shelf(tmp_path / "data").keep(made.image(OLD))
    carried = Shipped(1, {"unoq": said(BOARD / "build.py", "hash", "unoq")})
    monkeypatch.setattr(shipped, "read", lambda: carried)
    return made


@pytest.fixture
def snapshot(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the service answers; its board says what was flashed last."""
    told: dict[str, Any] = {"state": "halted", "armed": False, "board": {"state": "ready", "firmware": OLD}}

    def ask(folder: Path, command: str, why: str = "") -> dict[str, Any]:
        return {"service": True, "snapshot": told}

    async def greeted(self: firmware.Appliance) -> Greeting:
        told["board"]["firmware"] = shipped.read().firmware["unoq"]
        return Greeting(told["board"]["firmware"])

    monkeypatch.setattr(client, "ask", ask)
    monkeypatch.setattr(firmware.Appliance, "_greet", greeted)
    return told


@pytest.fixture
def renew(bench: Bench) -> Renew:
    places = ("--home", str(bench.home / "home"), "--memory", str(bench.home / "memory"))
    return lambda: main(["board", "renew", "--config", str(bench.home / "plimsoll.toml"), *places])


def test_compiles_writes_greets_and_starts_the_service_again(
    bench: Bench, renew: Renew, snapshot: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert renew() == 0
    wanted = shipped.read().firmware["unoq"]
    steps = ["arduino-cli compile", "systemctl stop", "gpioset 37=0", "arduino-cli upload", "gpioset 70=1"]
    assert bench.journal() == [*steps, "systemctl start"]
    assert f"the board runs firmware {wanted}" in capsys.readouterr().out
    kept = firmware.shelf(bench.home / "data")
    assert (kept.current().artefact.firmware_hash, kept.previous().artefact.firmware_hash) == (wanted, OLD)
    status = json.loads((bench.home / "memory" / "status.json").read_text())
    assert status["doing"] == "" and wanted in status["words"]
    assert renew() == 0
    assert "nothing to renew" in capsys.readouterr().out


def test_waits_while_the_service_holds_its_lock(
    bench: Bench, renew: Renew, snapshot: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with (bench.home / "update.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert renew() == 3
    assert "waits: the service is exposed" in capsys.readouterr().out
    assert bench.journal() == [] and "exposed" in renewal.load(bench.home / "memory").words


def test_waits_until_trading_is_halted(
    bench: Bench, renew: Renew, snapshot: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot["armed"] = True
    assert renew() == 3
    assert "until trading is halted" in capsys.readouterr().out
    assert bench.journal() == []


def test_a_sketch_that_is_not_the_listed_one_is_not_written(
    bench: Bench,
    renew: Renew,
    snapshot: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shipped, "read", lambda: Shipped(1, {"unoq": "e" * 16}))
    assert renew() == 1
    assert "its list says eeee" in capsys.readouterr().out
    assert bench.journal() == ["arduino-cli compile"]


def test_leaves_other_boards_alone(
    bench: Bench, renew: Renew, snapshot: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.home / "plimsoll.toml").write_text(
        'data_dir = "data"\n[board]\nmode = "serial"\ndevice = "/dev/x"\n'
    )
    assert renew() == 0
    assert "by hand" in capsys.readouterr().out


def test_an_installed_appliance_s_images_belong_to_root() -> None:
    places = firmware.INSTALLED
    assert firmware.shelf(places.data).folder == places.update / firmware.FOLDER
    assert images.Shelf(places.data).folder == places.data


def test_its_unit_knows_that_the_service_is_to_be_started_again(
    bench: Bench, snapshot: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.config.settings import Board

    monkeypatch.setenv(firmware.STOPPED, str(bench.home / "stopped"))
    appliance = firmware.Appliance(bench.home / "data", Board())
    appliance.release()
    assert (bench.home / "stopped").exists()
    appliance.resume()
    assert not (bench.home / "stopped").exists()


def test_what_it_waits_for_is_told_with_the_updates(
    bench: Bench, renew: Renew, snapshot: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot["armed"] = True
    renew()
    places = ("--home", str(bench.home / "home"), "--memory", str(bench.home / "memory"))
    assert main(["update", "status", *places]) == 0
    assert "Board: new firmware waits until trading is halted\n" in capsys.readouterr().out
    (bench.home / "memory" / renewal.FILE).write_text("{")
    assert main(["update", "status", *places]) == 0
    assert "Board: firmware.memory" in capsys.readouterr().out


def test_a_compiler_keeps_no_way_back_waiting_and_a_release_on_trial_ends_it(
    bench: Bench, renew: Renew, snapshot: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, really = bench.home / "memory", firmware.built

    def built(*arguments: Any) -> images.Image:
        with locks.alone(memory):  # as plimsoll-failed would take it
            state.save(memory, state.Ota(trial="0.2.0-x"))
        return really(*arguments)

    monkeypatch.setattr(firmware, "built", built)
    assert renew() == 1
    assert bench.journal() == ["arduino-cli compile"]
    assert "0.2.0-x" in renewal.load(memory).words
    assert renew() == 3 and "on trial" in renewal.load(memory).words


def test_two_writers_of_firmware_are_one_too_many(
    bench: Bench, renew: Renew, snapshot: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with firmware.alone(firmware.shelf(bench.home / "data")):
        assert renew() == 1
        assert main(["board", "flash", "--config", str(bench.home / "plimsoll.toml")]) == 1
    assert capsys.readouterr().err.count("update.busy") == 2
    assert bench.journal() == []
