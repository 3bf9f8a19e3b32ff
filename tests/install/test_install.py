"""The installer on a machine in a folder: everything in its place, nothing twice, whole after any kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import warnings
from pathlib import Path

import pytest

from app import durable
from app.config import load_file
from app.errors import Refused, SettingsError, Theirs
from app.install import steps, units
from app.install.places import FOLDERS, Places
from app.update import locks, state, switch
from app.update.artifact import manifest_of
from tests.guards import ROOT
from tests.install.world import DEBIAN, ELF, Machine, install, machine, release, tree

EVERY = 9  # changes between two kills; a step makes some ten, most of them alike


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return machine(tmp_path / "root")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return release(tmp_path / "plimsoll-1.2.3-linux-x86_64")


@pytest.fixture
def host(places: Places) -> Machine:
    return Machine(places.root)


def test_puts_everything_into_its_place(places: Places, host: Machine, file: Path) -> None:
    said = install(places, host, file)
    name = manifest_of(file).name
    assert switch.linked(places.home) == switch.linked(places.home, switch.UPDATER) == name
    for folder in FOLDERS:
        assert stat.S_IMODE((places.root / folder.path).stat().st_mode) == folder.mode, folder.path
        assert f"{folder.path} {folder.owner}:{folder.group}" in host.known("owners")
    assert stat.S_IMODE(places.key.stat().st_mode) == 0o600 and places.key.read_bytes() == b""
    assert stat.S_IMODE(places.settings.stat().st_mode) == 0o640
    assert "etc/plimsoll/plimsoll.toml root:plimsoll" in host.known("owners")
    assert stat.S_IMODE(places.command.stat().st_mode) == 0o755
    for unit in (path for path in (ROOT / "systemd").iterdir() if path.suffix in units.UNIT_KINDS):
        assert (places.units / unit.name).read_bytes() == unit.read_bytes()
    assert (places.rules / "60-plimsoll.rules").exists()
    assert {"plimsoll.service", "plimsoll.socket"} <= host.known("enabled") & host.known("active")
    assert not [
        name for name in host.known("active") if name.endswith(".service") and name not in units.FIRST
    ]
    assert host.known("loaded") == host.on_disk()
    assert "plimsoll" in (places.root / "etc/group").read_text().splitlines()[1]
    assert said["one-time code"].startswith("ABCD-EFGH")


def test_goes_on_where_no_udev_runs(places: Places, host: Machine, file: Path) -> None:
    (places.root / units.UDEV).unlink()
    install(places, host, file)
    assert not host.known("udev") and "plimsoll.service" in host.known("active")


def test_puts_the_page_on_the_network_and_keeps_every_comment(
    places: Places, host: Machine, file: Path
) -> None:
    install(places, host, file)
    assert load_file(places.settings).web.host == steps.LAN
    changed = set(places.settings.read_text().splitlines()) ^ set(
        (ROOT / "systemd/plimsoll.toml").read_text().splitlines()
    )
    assert changed == {'host = "127.0.0.1"', 'host = "0.0.0.0"'}
    assert "ListenStream=\nListenStream=0.0.0.0:8080\n" in (places.units / units.LISTEN).read_text()


def test_a_second_run_changes_nothing_and_says_so(places: Places, host: Machine, file: Path) -> None:
    install(places, host, file)
    before = tree(places.root)
    assert not any(install(places, host, file).values())
    assert tree(places.root) == before


def test_never_overwrites_what_the_owner_wrote(places: Places, host: Machine, file: Path) -> None:
    install(places, host, file)
    own = places.settings.read_text().replace('symbols = ["ES"]', 'symbols = ["ES", "NQ"]')
    places.settings.write_text(own)
    places.accounts.write_text("# mine\n")
    places.key.write_text("my key\n")
    install(places, host, file)
    assert places.settings.read_text() == own
    assert places.accounts.read_text() == "# mine\n" and places.key.read_text() == "my key\n"


def test_names_the_keys_that_a_newer_release_brings(
    places: Places, host: Machine, file: Path, tmp_path: Path
) -> None:
    install(places, host, file)
    newer = release(tmp_path / "newer", "1.3.0", "\n[colour]\nred = 1\ngreen = 2\n")
    said = install(places, host, newer)
    assert said["settings"] == "new in plimsoll.toml: colour.red, new in plimsoll.toml: colour.green"
    assert said["current release"] == f"{manifest_of(file).name} -> {manifest_of(newer).name}"
    assert "plimsoll.service" in host.known("restart")
    assert not any(install(places, host, newer).values())


def test_mends_an_edited_unit_a_damaged_release_and_open_permissions(
    places: Places, host: Machine, file: Path
) -> None:
    install(places, host, file)
    before = tree(places.root)
    (places.units / "plimsoll.service").write_text("[Service]\nExecStart=/bin/true\n")
    host.run("systemctl", "daemon-reload")  # as who edits a unit does
    (places.home / "current/__main__.py").write_text("raise SystemExit(1)\n")
    places.data.chmod(0o755)
    places.key.chmod(0o644)
    places.settings.chmod(0o644)  # as older releases left it
    said = install(places, host, file)
    assert tree(places.root) == before
    assert [name for name, done in said.items() if done] == [
        *("folders", "release", "settings", "credentials", "units", "reload")
    ]
    assert said["settings"] == "plimsoll.toml for root and the group plimsoll alone"
    assert host.known("loaded") == host.on_disk()


def test_what_a_link_in_the_settings_place_leads_to_stays(
    places: Places, host: Machine, file: Path, tmp_path: Path
) -> None:
    install(places, host, file)
    mine = tmp_path / "mine.toml"
    mine.write_bytes(places.settings.read_bytes())
    mine.chmod(0o604)
    places.settings.unlink()
    places.settings.symlink_to(mine)
    install(places, host, file)
    assert stat.S_IMODE(mine.stat().st_mode) == 0o604 and places.settings.is_symlink()


@pytest.mark.parametrize(("version", "told"), [("252", False), ("254", True), ("257", True)])
def test_tells_a_newer_systemd_that_a_restart_is_no_failure(
    places: Places, host: Machine, file: Path, version: str, told: bool
) -> None:
    """From 254 on `OnFailure=` is called at every restart, and safe mode would begin at the first."""
    library = places.root / f"usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-{version}.so"
    library.parent.mkdir(parents=True)
    library.touch()
    install(places, host, file)
    drop_in = places.units / units.RESTART
    assert drop_in.exists() == told and (not told or "RestartMode=direct\n" in drop_in.read_text())


def test_leaves_drop_ins_of_the_owner_alone(places: Places, host: Machine, file: Path) -> None:
    own = places.units / "plimsoll.service.d" / "override.conf"
    own.parent.mkdir(parents=True)
    own.write_text("[Service]\nMemoryMax=128M\n")
    install(places, host, file)
    assert own.read_text() == "[Service]\nMemoryMax=128M\n"


def test_follows_the_settings_with_its_drop_ins(places: Places, host: Machine, file: Path) -> None:
    install(places, host, file)
    text = places.settings.read_text()
    places.settings.write_text(text.replace('mode = "owner"', 'mode = "serial"').replace("0.0.0.0", "::1"))
    assert install(places, host, file)["drop-ins"] == ", ".join((units.LISTEN, units.SAFE, units.BOARD))
    for name in (units.LISTEN, units.SAFE):
        assert "ListenStream=[::1]:8080\n" in (places.units / name).read_text()
    assert "char-ttyACM" in (places.units / units.BOARD).read_text()
    assert host.known("loaded") == host.on_disk()
    places.settings.write_text(text)
    assert f"{units.BOARD} removed" in install(places, host, file)["drop-ins"]
    assert not (places.units / units.BOARD).exists()


@pytest.mark.parametrize(("host_", "allowed"), [("192.168.1.5", "192.168.1.5"), ("fd00::5", "fd00::5")])
def test_who_judges_releases_may_ask_a_page_on_one_address(
    places: Places, host: Machine, file: Path, host_: str, allowed: str
) -> None:
    install(places, host, file)
    assert not any((places.units / name).exists() for name in units.ASKING)
    places.settings.write_text(places.settings.read_text().replace("0.0.0.0", host_))
    install(places, host, file)
    for name in units.ASKING:
        assert (places.units / name).read_text().endswith(f"[Service]\nIPAddressAllow={allowed}\n")
        unit = (places.units / name).parent.name.removesuffix(".d")
        assert "IPAddressDeny=any" in (places.units / unit).read_text()


def test_keeps_the_page_where_it_is_while_the_settings_are_wrong(
    places: Places, host: Machine, file: Path
) -> None:
    install(places, host, file)
    before = (places.units / units.LISTEN).read_text()
    places.settings.write_text("mode = 7\n")
    assert "settings are wrong" in install(places, host, file)["drop-ins"]
    assert (places.units / units.LISTEN).read_text() == before


@pytest.mark.parametrize(
    ("old", "new", "key"), [('"0.0.0.0"', '"board.lan"', "web.host"), ("port = 8080", "port = 0", "web.port")]
)
def test_refuses_a_page_that_systemd_cannot_listen_for(
    places: Places, host: Machine, file: Path, old: str, new: str, key: str
) -> None:
    install(places, host, file)
    places.settings.write_text(places.settings.read_text().replace(old, new))
    with pytest.raises(SettingsError) as error:
        units.drop_ins(load_file(places.settings), places.root)
    assert error.value.key == key


# -- killed


def count_effects(places: Places, file: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many changes a whole run makes."""
    seen: list[int] = []
    _watch(monkeypatch, lambda: seen.append(1))
    install(places, Machine(places.root, lambda: seen.append(1)), file)
    monkeypatch.undo()
    return len(seen)


def _watch(monkeypatch: pytest.MonkeyPatch, effect: object) -> None:
    fsync = os.fsync
    for name in ("rename", "replace", "mkdir", "symlink", "chmod", "fsync"):
        real = getattr(os, name)

        def called(*args: object, real=real, **more: object) -> object:
            effect()
            return None if real is fsync else real(*args, **more)  # a killed process loses no write

        monkeypatch.setattr(os, name, called)


def killed(places: Places, file: Path, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the installer in a process that is killed for good before its change number `at`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other threads of the suite stand still in the copy
        child = os.fork()
    if not child:
        left = [at]

        def effect() -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            _watch(monkeypatch, effect)
            install(places, Machine(places.root, effect), file)
        finally:
            os._exit(1)  # it should have been killed
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_is_completed_by_the_next_run_wherever_it_was_killed(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = machine(tmp_path / "whole")
    count = count_effects(whole, file, monkeypatch)
    wanted = tree(whole.root)
    assert count > 100
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for at in range(0, count, EVERY):
        places = machine(tmp_path / f"at-{at}")
        killed(places, file, at, monkeypatch)
        said = install(places, Machine(places.root), file)
        found = tree(places.root)
        assert found.keys() == wanted.keys(), f"killed before change {at}"
        assert {name for name in found if found[name] != wanted[name]} <= {"memory.json"}
        assert Machine(places.root).known("active") == Machine(whole.root).known("active")
        enabled_before = not said["start at boot"]
        assert enabled_before or said["one-time code"], "a code that nobody has read is made again"
        assert not any(install(places, Machine(places.root), file).values())
        shutil.rmtree(places.root)


# -- refused


def test_says_for_which_machine_it_is(places: Places, host: Machine, tmp_path: Path) -> None:
    before = tree(places.root)
    for arch, found in (("aarch64", "install.arch"), ("x86_64", "")):
        other = release(tmp_path / arch, arch=arch)
        if found:
            with pytest.raises(Refused, match=found):
                steps.prepare(places, host, other)
        else:
            assert steps.prepare(places, host, other).arch == arch
    assert tree(places.root) == before


@pytest.mark.parametrize(
    ("name", "text", "verdict"),
    [
        ("etc/os-release", DEBIAN.replace("13", "11"), "install.system: Debian GNU/Linux 11"),
        ("etc/os-release", "ID=ubuntu\nVERSION_ID=24.04\nPRETTY_NAME=Ubuntu\n", "install.system: Ubuntu"),
        ("etc/os-release", None, "install.system: unknown"),
        ("run/systemd/system", None, "install.systemd"),
        ("usr/bin/python3", None, "install.arch: unknown"),
        ("usr/bin/python3.13", "#!/bin/sh", "install.arch: unknown"),
    ],
)
def test_refuses_another_system_and_changes_nothing(
    places: Places, host: Machine, file: Path, name: str, text: str | None, verdict: str
) -> None:
    path = places.root / name
    if text is None:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    else:
        path.write_text(text)
    before = tree(places.root)
    with pytest.raises(Refused, match=verdict) as error:
        steps.prepare(places, host, file)
    assert error.value.exit_code == 1 and tree(places.root) == before


def test_accepts_debian_12_on_x86_64(places: Places, host: Machine, file: Path) -> None:
    (places.root / "etc/os-release").write_text(DEBIAN.replace("13", "12"))
    (places.root / "usr/bin/python3").unlink()
    (places.root / "usr/bin/python3.11").write_bytes(ELF)
    (places.root / "usr/bin/python3").symlink_to("python3.11")
    assert steps.prepare(places, host, file).version == "1.2.3"


def test_refuses_a_python_it_was_not_built_for(places: Places, host: Machine, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"install\.python: /usr/bin/python3 is 3\.13"):
        steps.prepare(places, host, release(tmp_path / "old", pythons=["3.11"]))


def test_refuses_a_disk_that_is_too_full(
    places: Places, host: Machine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**8))
    with pytest.raises(Refused, match=r"install\.space: 100 MB free"):
        steps.prepare(places, host, file)


def test_refuses_a_file_that_is_none(places: Places, host: Machine, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no zip")
    for file in (tmp_path / "x", tmp_path / "absent"):
        with pytest.raises(Theirs):
            steps.prepare(places, host, file)


def test_refuses_another_release_while_exposed_or_on_trial(
    places: Places, host: Machine, file: Path, tmp_path: Path
) -> None:
    install(places, host, file)
    other = release(tmp_path / "other", "1.3.0")
    with pytest.raises(Refused, match=r"install\.exposed: \+1 ESZ6 is open"):
        steps.prepare(places, host, other, lambda: "+1 ESZ6 is open")
    assert steps.prepare(places, host, file, lambda: "+1 ESZ6 is open").version == "1.2.3"
    state.save(places.update, state.Ota(good=manifest_of(file).name, trial="1.4.0-deadbeef"))
    with pytest.raises(Refused, match=r"install\.update"):
        steps.prepare(places, host, other)


def test_is_what_the_updater_takes_for_good_from_then_on(
    places: Places, host: Machine, file: Path, tmp_path: Path
) -> None:
    install(places, host, file)
    first, other = manifest_of(file).name, release(tmp_path / "other", "1.3.0")
    state.save(places.update, state.Ota(good=first, bad=(manifest_of(other).name,)))
    install(places, host, other)
    ota, problem = state.load(places.update, "")
    assert not problem and (ota.good, ota.previous, ota.bad) == (manifest_of(other).name, first, ())


def test_mends_an_updater_whose_copy_is_damaged(places: Places, host: Machine, file: Path) -> None:
    install(places, host, file)
    (places.home / "updater/__main__.py").write_text("damaged")
    assert install(places, host, file)["updater"] == "its own copy"
    assert switch.is_whole(places.home / "updater") and not any(install(places, host, file).values())


def test_refuses_a_release_that_cannot_open_the_journal_that_is_there(
    places: Places, host: Machine, tmp_path: Path
) -> None:
    install(places, host, release(tmp_path / "new", "2.0.0", schema=5, schema_oldest=4))
    assert steps.prepare(places, host, release(tmp_path / "middle", "1.9.0", schema=4, schema_oldest=4))
    with pytest.raises(Refused, match=r"install\.schema: 2\.0\.0.*1\.2\.3.* cannot open"):
        steps.prepare(places, host, release(tmp_path / "old", schema=3, schema_oldest=3))


def test_waits_for_no_updater(places: Places, host: Machine, file: Path) -> None:
    install(places, host, file)
    with locks.alone(places.update), pytest.raises(Refused, match=r"update\.busy"):
        install(places, host, file)


def test_follows_no_link_in_the_place_of_a_folder(
    places: Places, host: Machine, file: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (places.root / "var/lib/plimsoll").symlink_to(elsewhere)
    mode = elsewhere.stat().st_mode
    with pytest.raises(Theirs, match="is a link"):
        install(places, host, file)
    assert elsewhere.stat().st_mode == mode


def test_a_link_that_the_service_plants_between_two_looks_leads_nowhere(
    places: Places, host: Machine, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one folder that lies in another user's: at every call that might follow, the link is there."""
    install(places, host, file)
    elsewhere, planted = tmp_path / "elsewhere", places.data / "backups"
    elsewhere.mkdir(mode=0o755)
    mkdir = Path.mkdir

    def make(path: Path, *words: object, **more: object) -> None:
        mkdir(path, *words, **more)  # type: ignore[arg-type]
        if path == planted:
            planted.rmdir()
            planted.symlink_to(elsewhere)

    monkeypatch.setattr(Path, "mkdir", make)
    with pytest.raises(Theirs, match="is a link"):
        install(places, host, file)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


def test_leaves_the_same_modes_whatever_the_umask(tmp_path: Path, file: Path) -> None:
    """A hardened machine's root makes files that nobody else can read; the service's users must."""
    found, before = [], os.umask(0o022)
    try:
        for mask in (0o022, 0o077):
            os.umask(0o022)
            places = machine(tmp_path / oct(mask))
            os.umask(mask)
            install(places, Machine(places.root), file)
            below = sorted(path for path in places.root.rglob("*") if not path.is_symlink())
            modes = {str(path.relative_to(places.root)): oct(path.stat().st_mode) for path in below}
            found.append({name: mode for name, mode in modes.items() if "memory.json" not in name})
    finally:
        os.umask(before)
    assert found[0] == found[1]


def test_makes_no_code_where_there_is_a_password(
    places: Places, host: Machine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.install.world.claimed", lambda _: "password")
    assert install(places, host, file)["one-time code"] == ""


def test_remembers_across_a_flush(tmp_path: Path) -> None:
    """The stand-in for the machine forgets nothing when the installer dies."""
    Machine(machine(tmp_path).root).run("systemctl", "enable", "a")
    assert Machine(tmp_path).says("systemctl", "is-enabled", "a")
    assert json.loads((tmp_path / "memory.json").read_text()) == {"enabled": ["a"]}
    durable.flush(tmp_path)
