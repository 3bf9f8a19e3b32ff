"""The doctor: well on a fresh machine, and each planted illness found, named and given its fix."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.clock import NS, VirtualClock
from app.install import doctor, units
from app.install.doctor import BAD, LOOK, OK, Finding, Patient
from app.install.edit import with_values
from app.install.host import Image
from app.install.places import Places
from app.update import state, switch
from app.update.telling import Teller
from tests.install.world import Machine, install, machine, release

NOW = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * NS
LOOKS = {"settings", "key", "board", "backups"}  # what a fresh appliance without setup or board still lacks


def edit(places: Places, section: str, **values: object) -> None:
    places.settings.write_text(with_values(places.settings.read_text(), section, values))


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """Installed, nothing set up, no board wanted."""
    places = machine(tmp_path / "root")
    host = Machine(places.root)
    install(places, host, release(tmp_path / "file"))
    edit(places, "board", required=False)
    (places.root / doctor.SYNCHRONIZED).parent.mkdir(parents=True)
    (places.root / doctor.SYNCHRONIZED).touch()
    monkeypatch.setattr(doctor, "user_id", lambda *_: (os.getuid(), os.getgid()))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**10, 0, 5 * 10**9))
    well = {
        "native": lambda: "",
        "journal": lambda: "",
        "backup": lambda: "",
        "page": lambda _: 200,
        "health": lambda _: {"ok": True},
    }
    return Patient(places, host, VirtualClock(NOW), **well)


def found(patient: Patient) -> dict[str, Finding]:
    return dict(doctor.examine(patient))


def test_finds_a_fresh_appliance_well_and_says_what_it_lacks(patient: Patient) -> None:
    verdict = found(patient)
    assert {name for name, each in verdict.items() if each.state == LOOK} == LOOKS
    assert {name for name, each in verdict.items() if each.state == BAD} == set()
    assert all(each.fix for each in verdict.values() if each.state == LOOK)


def test_changes_nothing(patient: Patient) -> None:
    before = {path: path.stat().st_mtime_ns for path in patient.places.root.rglob("*")}
    found(patient)
    assert before == {path: path.stat().st_mtime_ns for path in patient.places.root.rglob("*")}


def _planted(patient: Patient, act: Callable[[Places], object]) -> dict[str, Finding]:
    act(patient.places)
    return found(patient)


@pytest.mark.parametrize(
    ("check", "act", "words"),
    [
        ("settings", lambda p: p.settings.write_text("mode = 7\n"), "mode found 7"),
        ("settings", lambda p: p.settings.unlink(), "cannot be read"),
        ("settings", lambda p: p.settings.chmod(0o644), "plimsoll.toml has mode 644; 640 is right"),
        ("settings", lambda p: p.settings.chmod(0o600), "mode 600"),
        ("settings", lambda p: p.accounts.write_text("[account.1]\n"), "start_balance is missing"),
        ("key", lambda p: p.key.unlink(), "is missing: the service cannot log in"),
        ("key", lambda p: p.key.chmod(0o644), "mode 644"),
        ("data folder", lambda p: p.data.chmod(0o750), "open to others"),
        ("data folder", lambda p: shutil.rmtree(p.data), "cannot be checked"),
        ("units", lambda p: (p.units / "plimsoll.service").write_text("x"), "system/plimsoll.service"),
        ("units", lambda p: (p.units / "plimsoll.socket").unlink(), "system/plimsoll.socket"),
        ("units", lambda p: (p.rules / "60-plimsoll.rules").write_text(""), "60-plimsoll.rules"),
        ("drop-ins", lambda p: edit(p, "web", port=9090), units.LISTEN),
        ("drop-ins", lambda p: edit(p, "board", required=True, mode="serial"), units.BOARD),
        ("release", lambda p: (p.home / "current/__main__.py").write_text("x"), "__main__.py was changed"),
        ("release", lambda p: (p.home / "current/more.py").touch(), "more.py was added"),
        ("release", lambda p: (p.home / "current").unlink(), "leads nowhere"),
        ("updater", lambda p: (p.home / "updater").unlink(), "has no copy"),
        ("updater", lambda p: (p.home / "updater/__main__.py").write_text("x"), "__main__.py was changed"),
        ("data folder", lambda p: edit(p, "", data_dir="/srv/plimsoll"), "the settings say /srv/plimsoll"),
        ("board", lambda p: edit(p, "board", required=True), "is for the UNO Q"),
        ("board", lambda p: edit(p, "board", required=True, mode="serial", device="/dev/ttyACM7"), "ttyACM7"),
        ("router", lambda p: edit(p, "board", required=True, mode="guest"), "does not run"),
    ],
)
def test_names_what_is_wrong_and_how_to_mend_it(
    patient: Patient, check: str, act: Callable[[Places], object], words: str
) -> None:
    each = _planted(patient, act)[check]
    assert each.state == BAD and words in each.words and each.fix


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"native": lambda: "fixed is pure"}, "native modules"),
        ({"journal": lambda: "damaged"}, "journal"),
        ({"page": lambda _: 503}, "page"),
    ],
)
def test_passes_on_what_others_found(patient: Patient, changes: dict[str, object], check: str) -> None:
    assert found(dataclasses.replace(patient, **changes))[check].state == BAD


@pytest.mark.parametrize(
    ("told", "verdict", "words"),
    [
        ({"ok": False, "state": "safe", "problems": ["safe mode: no key"], "advice": "x"}, BAD, "no key"),
        ({"ok": False, "state": "blocked", "problems": ["venue: away"]}, LOOK, "venue: away"),
        ({"ok": False, "problems": 3}, LOOK, "does not say"),
        ({}, LOOK, "does not say"),
    ],
)
def test_a_page_that_answers_is_not_yet_a_service_that_is_well(
    patient: Patient, told: dict[str, object], verdict: str, words: str
) -> None:
    each = found(dataclasses.replace(patient, health=lambda _: told))["page"]
    assert each.state == verdict and words in each.words and each.fix


@pytest.mark.parametrize("unit", ["plimsoll-recover.service", "plimsoll-update.timer", "plimsoll.socket"])
def test_sees_a_unit_that_somebody_disabled(patient: Patient, unit: str) -> None:
    assert isinstance(patient.host, Machine)
    enabled = patient.host.known("enabled")
    patient.host.remember("enabled", enabled - {unit})
    assert found(patient)["service"].state == BAD and unit in found(patient)["service"].words
    patient.host.remember("enabled", enabled)
    patient.host.remember("active", patient.host.known("active") - {unit})
    stands = unit.endswith(".service")  # it does its work at boot and ends
    assert (found(patient)["service"].state == OK) is stands


def test_tells_of_an_update_that_is_under_way_and_of_a_memory_that_is_lost(patient: Patient) -> None:
    linked = switch.linked(patient.places.home)
    state.save(patient.places.update, state.Ota(good=linked, trial="9.9.9-x"))
    assert found(patient)["updater"][:2] == (LOOK, "9.9.9-x is on trial")
    (patient.places.update / state.FILE).write_text("{")
    assert found(patient)["updater"].state == LOOK and "unusable" in found(patient)["updater"].words


def test_names_a_release_that_has_waited_for_days(patient: Patient) -> None:
    words = "the update has waited for 3 days: the service is exposed"
    Teller(patient.places.update, patient.clock).status("", words, outcome="waits", overdue=True)
    assert found(patient)["updater"][:2] == (BAD, words)
    later = VirtualClock(NOW + 24 * 3_600 * NS)  # it was withdrawn, or updates were switched off
    assert found(dataclasses.replace(patient, clock=later))["updater"].state == OK


def test_says_when_the_page_does_not_answer(patient: Patient) -> None:
    asked: list[str] = []

    def refuse(url: str) -> int:
        asked.append(url)
        raise ConnectionRefusedError("Connection refused")

    each = found(dataclasses.replace(patient, page=refuse))["page"]
    assert each.state == BAD and "does not answer" in each.words and asked == ["http://127.0.0.1:8080/"]


@pytest.mark.parametrize(("free", "state"), [(199, BAD), (200, LOOK), (999, LOOK), (1000, OK)])
def test_judges_the_disk_from_both_sides(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, free * 10**6))
    assert found(patient)["disk space"].state == state


@pytest.mark.parametrize(
    ("life", "state"), [("0x01 0x07", OK), ("0x08 0x01", LOOK), ("0x0a 0x01", LOOK), ("0x01 0x0b", BAD)]
)
def test_judges_the_wear_of_the_flash(patient: Patient, life: str, state: str) -> None:
    file = patient.places.root / "sys/block/mmcblk0/device/life_time"
    file.parent.mkdir(parents=True)
    file.write_text(f"{life}\n")
    assert found(patient)["wear"].state == state


@pytest.mark.parametrize(
    ("name", "state"), [("20261118T120000Z", OK), ("20261117T115959Z", BAD), ("x", LOOK)]
)
def test_judges_the_last_backup(patient: Patient, name: str, state: str) -> None:
    (patient.places.data / "backups" / name).mkdir()
    assert found(patient)["backups"].state == state


def test_names_why_the_last_backup_failed(patient: Patient) -> None:
    (patient.places.data / "backups/20261118T120000Z").mkdir()
    ill = dataclasses.replace(patient, backup=lambda: "the backup of today failed: no space")
    assert found(ill)["backups"][:2] == (BAD, "the backup of today failed: no space")


def test_a_backup_of_a_clock_that_was_ahead_hides_no_gap(patient: Patient) -> None:
    for name in ("20261001T120000Z", "20400101T120000Z"):
        (patient.places.data / "backups" / name).mkdir()
    assert found(patient)["backups"].state == BAD


def test_knows_a_uno_q_with_its_router(patient: Patient) -> None:
    root = patient.places.root
    for name, data in {
        "proc/device-tree/compatible": b"arduino,imola\0qcom,qrb2210\0",
        "dev/ttyHS1": b"",
        "var/run/arduino-router.sock": b"",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    edit(patient.places, "board", required=True, mode="guest")
    assert found(patient)["board"].state == OK and found(patient)["router"].state == BAD
    assert isinstance(patient.host, Machine)
    patient.host.remember("active", {*patient.host.known("active"), doctor.ROUTER})
    assert found(patient)["router"].state == OK
    (root / "var/run/arduino-router.sock").unlink()
    edit(patient.places, "board", mode="owner")
    assert "cannot be asked" in found(patient)["router"].words


def test_sees_a_service_that_does_not_run_or_start_by_itself(patient: Patient) -> None:
    assert isinstance(patient.host, Machine)
    patient.host.remember("active", patient.host.known("active") - {"plimsoll.service"})
    assert found(patient)["service"] == Finding(
        BAD, "inactive", "systemctl status plimsoll; journalctl -u plimsoll"
    )
    patient.host.remember("enabled", patient.host.known("enabled") - {"plimsoll.service"})
    assert "does not start with the machine" in found(patient)["service"].words


def test_sees_a_clock_that_nobody_set(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    (patient.places.root / doctor.SYNCHRONIZED).unlink()
    assert found(patient)["clock"].state == OK  # timedatectl knows
    monkeypatch.setattr(Machine, "run", lambda *_: "no\n")
    assert found(patient)["clock"].state == BAD


def test_sees_a_python_that_the_release_is_not_for(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    assert found(patient)["python"].words == "3.12, the release is for 3.11 or 3.13"


def test_tells_of_the_owners_own_drop_ins(patient: Patient) -> None:
    own = patient.places.units / "plimsoll.service.d" / "override.conf"
    own.parent.mkdir()
    own.write_text("[Service]\n")
    assert "override.conf" in found(patient)["units"].words and found(patient)["units"].state == OK


def test_checks_an_image_without_asking_this_machine(patient: Patient) -> None:
    image = Image()
    verdict = found(dataclasses.replace(patient, host=image))
    assert image.left == [] and verdict["service"].state == LOOK


def test_never_raises_whatever_lies_there(patient: Patient) -> None:
    for path in (patient.places.settings, patient.places.home / "current/manifest.json"):
        path.unlink()
        path.mkdir()
    shutil.rmtree(patient.places.units)
    verdict = found(patient)
    assert {"settings", "release", "python", "units"} <= {
        name for name, each in verdict.items() if each.state == BAD
    }
