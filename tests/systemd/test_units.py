"""The units as systemd's own checker and its exposure score see them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from app.cli import firmware
from app.cli.arguments import parse
from app.cli.service import NO_PAGE
from app.clock import NS
from app.config.secrets import NOT_THERE
from app.config.settings import Board
from app.install.places import FOLDERS, Places
from app.mcu import leds, unoq
from app.ops.health import JOURNAL_LIMIT_NS
from app.ops.sockets import NAMES
from tests.guards import ROOT

UNITS = sorted(
    path for path in (ROOT / "systemd").iterdir() if path.suffix in (".service", ".socket", ".timer", ".path")
)
SERVICES = [path for path in UNITS if path.suffix == ".service"]
# Highest exposure in tenths of a point: the service holds the board's devices and the LAN, safe mode the LAN
# alone, the backup neither.
EXPOSURE = {
    "plimsoll.service": 11,
    "plimsoll-safe.service": 11,
    "plimsoll-backup.service": 9,
    # The fetcher has the network and no right; who switches and confirms is root with loopback and no more.
    "plimsoll-update.service": 11,
    "plimsoll-switch.service": 16,
    "plimsoll-confirm.service": 16,
    "plimsoll-failed.service": 16,
    "plimsoll-recover.service": 9,
    "plimsoll-board.service": 7,  # one device
    # Root with the board's lines and another program's compiler, and without network.
    "plimsoll-firmware.service": 29,
}


@pytest.fixture(scope="module", autouse=True)
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None and os.environ.get("CI"):
        pytest.fail("systemd-analyze is not installed, and with CI set nothing is skipped")
    if found is None:
        pytest.skip("systemd-analyze is not installed")
    return found


def test_systemd_finds_nothing_to_say_about_any_unit(analyze: str, tmp_path: Path) -> None:
    """`verify` ends with 0 on unknown keys and bad values: what counts is that it prints nothing."""
    for unit in UNITS:
        shutil.copy(unit, tmp_path)
    paths = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run([analyze, "verify", *paths], capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if str(tmp_path) in line]
    assert not said and done.returncode == 0, "\n".join([done.stdout, done.stderr])


def test_verify_would_find_a_planted_mistake(analyze: str, tmp_path: Path) -> None:
    broken = tmp_path / "plimsoll.service"
    broken.write_text((ROOT / "systemd" / "plimsoll.service").read_text() + "WatchDogSecond=3\n")
    done = subprocess.run([analyze, "verify", str(broken)], capture_output=True, text=True, check=False)
    assert "WatchDogSecond" in done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_no_service_is_more_exposed_than_it_says(analyze: str, unit: Path) -> None:
    words = [
        analyze,
        "security",
        "--offline=true",
        f"--threshold={EXPOSURE[unit.name]}",
        "--no-pager",
        str(unit),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def values(unit: str, key: str) -> list[str]:
    """Every value of `key` in the unit of that name."""
    text = (ROOT / "systemd" / unit).read_text()
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("unit", "copy"),
    [
        ("plimsoll.service", "current"),
        ("plimsoll-backup.service", "current"),
        ("plimsoll-safe.service", "updater"),  # what was given up may be damaged: a copy of its own
    ],
)
def test_every_unit_runs_a_command_there_is(unit: str, copy: str) -> None:
    (line,) = values(unit, "ExecStart")
    words = shlex.split(line)
    assert words[:3] == ["/usr/bin/python3", "-sE", f"/opt/plimsoll/{copy}/__main__.py"]
    assert callable(parse(words[3:]).run)


def test_firmware_is_renewed_by_the_release_that_runs_and_the_service_started_whatever_happens() -> None:
    unit = "plimsoll-firmware.service"
    (line,) = values(unit, "ExecStart")
    words = shlex.split(line)
    assert words[:3] == ["/usr/bin/python3", "-sE", "/opt/plimsoll/current/__main__.py"]
    assert callable(parse(words[3:]).run)
    (after,) = values(unit, "ExecStopPost")
    (folder,) = values(unit, "RuntimeDirectory")
    stopped = f"/run/{folder}/stopped"
    assert f"{firmware.STOPPED}={stopped}" in values(unit, "Environment")
    assert f" {stopped} " in after and after.endswith(f"{firmware.SERVICE}'")
    (writable,) = values(unit, "ReadWritePaths")
    assert {str(firmware.INSTALLED.data), str(firmware.INSTALLED.update)} <= set(writable.split())
    assert values(unit, "IPAddressDeny") == ["any"]
    assert f"{Board().device} rw" in values(unit, "DeviceAllow")
    (kept,) = values(unit, "CapabilityBoundingSet")
    assert {"CAP_SETUID", "CAP_SETGID"} <= set(kept.split()), "the latch is written with the service's rights"
    assert values(unit, "SystemCallFilter")[-1].endswith("@setuid")


def test_who_takes_over_starts_a_unit_there_is() -> None:
    assert values("plimsoll.service", "OnFailure") == ["plimsoll-failed.service"]
    assert values("plimsoll-failed.service", "OnFailure") == ["plimsoll-safe.service"]
    assert (ROOT / "systemd" / "plimsoll-safe.service").is_file()


def test_safe_mode_holds_nothing_that_could_trade() -> None:
    for key in ("LoadCredential", "DeviceAllow", "BindPaths", "SupplementaryGroups"):
        assert values("plimsoll-safe.service", key) == []


def test_the_service_sees_what_the_board_needs() -> None:
    """Its own /dev has devices one by one, /proc has processes alone, /sys is read only."""
    shown = values("plimsoll.service", "BindPaths")
    allowed = values("plimsoll.service", "DeviceAllow")
    assert shown == [f"-{Board().device}"] and allowed == [f"{Board().device} rw"]
    assert unoq.DEVICE_TREE.is_relative_to("/sys")
    assert values("plimsoll.service", "ReadWritePaths") == [f"-+{leds.LEDS / name}" for name in leds.NAMES]
    assert any("/run:/var/run" in line for line in values("plimsoll.service", "BindReadOnlyPaths"))
    assert Board().router.is_relative_to("/var/run"), "a router that was restarted has another socket"


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_no_service_comes_before_a_socket(unit: Path) -> None:
    """A service begins after every socket: the cycle would be broken by leaving out one of them, any one."""
    assert not [name for line in values(unit.name, "Before") for name in line.split() if ".socket" in name]


def test_one_address_has_one_holder() -> None:
    """Safe mode's socket is the service's own but for who holds it, and the two are never up together."""
    ours, safe = ("plimsoll.socket", "plimsoll-safe.socket")
    for key in ("ListenStream", "FreeBind", "NoDelay", "ReusePort", "Backlog", "FileDescriptorName"):
        assert values(ours, key) == values(safe, key) != []
    assert set(values(ours, "FileDescriptorName")) <= NAMES
    assert values(ours, "ReusePort") == ["yes"], "each begins while the other is still being closed"
    assert values(safe, "Conflicts") == [ours]
    assert values("plimsoll-safe.service", "Conflicts") == [f"plimsoll.service {ours}"]
    assert values(ours, "TriggerLimitIntervalSec") == values(safe, "TriggerLimitIntervalSec") == ["0"]


def test_nothing_that_systemd_counts_stops_what_must_go_on() -> None:
    for unit in ("plimsoll.service", "plimsoll-safe.service"):
        assert values(unit, "RestartPreventExitStatus") == [str(NO_PAGE)]
        assert values(unit, "Type") == ["notify"]
        (watchdog,) = values(unit, "WatchdogSec")
        assert int(watchdog) * NS // 2 > JOURNAL_LIMIT_NS, "half of it must hold one answer of the journal"


def test_setpriority_stays_allowed() -> None:
    """asyncio's helpers and the planner's threads lower their own priority; a refusal would end them."""
    text = (ROOT / "systemd" / "plimsoll.service").read_text()
    filters = re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE)
    assert filters[-1] == "setpriority" and filters[0] == "@system-service"


def test_the_boards_lines_are_set_by_a_unit_that_the_service_asks() -> None:
    commands = [f"/usr/bin/env {shlex.join(unoq.gpioset(line))}" for line in (unoq.BOOT0_LOW, unoq.UART_ON)]
    assert values("plimsoll-board.service", "ExecStart") == commands
    assert values("plimsoll-board.service", "DeviceAllow") == [f"{unoq.CHIP} rw"]
    assert f"device-tree-compatible({unoq.COMPATIBLE})" in values(
        "plimsoll-board.service", "ConditionFirmware"
    )
    (folder,) = values("plimsoll.service", "RuntimeDirectory")
    assert values("plimsoll-board.path", "PathChanged") == [f"/run/{folder}/{unoq.LINES_ASKED}"]
    assert "plimsoll-board.path" in values("plimsoll.service", "Wants")[0]


def test_the_service_is_shut_into_a_folder_that_is_installed_empty() -> None:
    (folder,) = values("plimsoll.service", "RootDirectory")
    assert folder.lstrip("/") in {each.path for each in FOLDERS}


SWITCHING = ("plimsoll-switch.service", "plimsoll-confirm.service", "plimsoll-recover.service")


@pytest.mark.parametrize("what", ["update", "confirm", "backup"])
def test_what_is_done_by_the_clock_has_a_timer_that_starts_with_the_machine(what: str) -> None:
    assert values(f"plimsoll-{what}.timer", "WantedBy") == ["timers.target"]
    assert f"plimsoll-{what}.service" in {path.name for path in SERVICES}


def test_promise_10_uptime_is_counted_often_within_a_day() -> None:
    assert values("plimsoll-confirm.timer", "OnUnitInactiveSec") == ["1h"]
    # where it never ran since the installation
    assert values("plimsoll-confirm.timer", "OnActiveSec") == ["1h"]


def test_who_fetches_releases_may_write_none() -> None:
    assert values("plimsoll-update.service", "User") == ["plimsoll-update"]
    assert values("plimsoll-update.service", "ReadWritePaths") == ["/var/lib/plimsoll-update/downloads"]
    assert values("plimsoll-update.service", "CapabilityBoundingSet") == [""]


def test_a_key_file_that_is_missing_is_told_by_the_service_itself() -> None:
    """Without a stand-in systemd would not start it, and nobody could say which file it is."""
    for passed in values("plimsoll.service", "LoadCredential"):
        name, _, _ = passed.partition(":")
        (instead,) = values("plimsoll.service", "SetCredential")
        assert instead.startswith(f"{name}:")
        assert instead.partition(":")[2].encode().decode("unicode_escape").encode() == NOT_THERE


def test_who_fetches_releases_reads_a_copy_of_the_settings() -> None:
    """They are for root and the service's group alone, and it is neither."""
    passed = values("plimsoll-update.service", "LoadCredential")
    assert passed == [f"plimsoll.toml:{Places(Path('/')).settings}"]
    (command,) = values("plimsoll-update.service", "ExecStart")
    assert command.endswith(" --config ${CREDENTIALS_DIRECTORY}/plimsoll.toml")


@pytest.mark.parametrize("unit", SWITCHING)
def test_who_switches_releases_reaches_no_network(unit: str) -> None:
    assert values(unit, "IPAddressDeny") == ["any"]
    assert values(unit, "IPAddressAllow") in ([], ["localhost"])


@pytest.mark.parametrize("unit", ["plimsoll-update.service", *SWITCHING])
def test_the_updater_runs_from_its_own_copy(unit: str) -> None:
    (command,) = values(unit, "ExecStart")
    assert command.startswith("/usr/bin/python3 -sE /opt/plimsoll/updater/__main__.py update ")
    assert values(unit, "ConditionPathExists") == ["/opt/plimsoll/updater"]
