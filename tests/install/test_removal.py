"""The way back: what the installer made goes, what belongs to the owner stays unless purged."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import Refused, Theirs
from app.install import removal
from app.install.places import Places
from app.install.removal import Removal
from tests.install.world import Machine, install, machine, release, tree


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An installed appliance that has traded, with a drop-in of its owner."""
    found = machine(tmp_path / "root")
    install(found, Machine(found.root), release(tmp_path / "file"))
    (found.data / "state.db").write_text("the journal")
    (found.units / "plimsoll.service.d").mkdir(exist_ok=True)
    (found.units / "plimsoll.service.d/override.conf").write_text("[Service]\n")
    return found


def remove(places: Places, purge: bool = False) -> dict[str, str]:
    said: dict[str, str] = {}
    removal.run(Removal(places, Machine(places.root), purge), said.__setitem__)
    return said


def test_stops_and_removes_what_was_installed_and_keeps_what_is_the_owners(places: Places) -> None:
    said = remove(places)
    assert said["stop"].split(", ")[0].endswith(".timer")
    assert not places.home.exists() and not places.command.exists()
    assert [path.name for path in places.units.rglob("*")] == ["plimsoll.service.d", "override.conf"]
    assert not list(places.rules.iterdir())
    host = Machine(places.root)
    assert not host.known("enabled") and not host.known("active")
    assert (places.data / "state.db").exists() and places.settings.exists() and places.key.exists()
    assert removal.kept(places) == ["/etc/plimsoll", "/var/lib/plimsoll", "/var/lib/plimsoll-update"]


def masked(places: Places, name: str) -> None:
    """As `ln -s /dev/null` does it, with the link that had it started at boot still there."""
    (places.units / name).unlink()
    (places.units / name).symlink_to("/dev/null")
    (places.units / "timers.target.wants").mkdir()
    (places.units / f"timers.target.wants/{name}").symlink_to(places.units / name)


def test_goes_on_at_a_masked_unit_and_names_it(places: Places) -> None:
    masked(places, "plimsoll-update.timer")
    said = remove(places)
    assert said["stop"].endswith("; masked, now stopped too: plimsoll-update.timer")
    assert [path.name for path in places.units.rglob("*")] == ["plimsoll.service.d", "override.conf"]
    host = Machine(places.root)
    assert not host.known("active")


def test_ends_at_a_masked_unit_that_still_runs(places: Places) -> None:
    masked(places, "plimsoll-update.timer")
    Machine(places.root).remember("stuck", {"plimsoll-update.timer"})
    with pytest.raises(Theirs, match=r"plimsoll-update\.timer is masked and still runs"):
        remove(places)
    assert places.home.exists()


def test_takes_away_what_systemd_and_the_installers_file_kept(places: Places, tmp_path: Path) -> None:
    cache, stamp = tmp_path / "cache/plimsoll", places.root / removal.STAMPS / "stamp-plimsoll-backup.timer"
    for file in (cache / "0.1.0/app.py", stamp):
        file.parent.mkdir(parents=True)
        file.touch()
    removal.run(Removal(places, Machine(places.root), cache=cache), lambda step, done: None)
    assert not cache.exists() and not stamp.exists()


def test_purge_leaves_nothing(places: Places) -> None:
    said = remove(places, purge=True)
    assert "user plimsoll" in said["data, settings, users"]
    assert not [name for name in tree(places.root) if "plimsoll" in name]
    assert "plimsoll" not in (places.root / "etc/passwd").read_text()
    assert removal.kept(places) == []


@pytest.mark.parametrize("purge", [False, True])
def test_a_second_run_has_nothing_to_do(places: Places, purge: bool) -> None:
    remove(places, purge)
    before = tree(places.root)
    assert not any(remove(places, purge).values())
    assert tree(places.root) == before


def test_purge_follows_no_link(places: Places, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    places.data.rename(elsewhere)
    places.data.symlink_to(elsewhere)
    remove(places, purge=True)
    assert (elsewhere / "state.db").exists() and not places.data.is_symlink()


def test_refuses_while_a_position_is_open_unless_told() -> None:
    with pytest.raises(Refused, match=r"uninstall\.exposed: \+1 ESZ6 is open") as error:
        removal.require("+1 ESZ6 is open", told=False)
    assert error.value.exit_code == 3
    removal.require("+1 ESZ6 is open", told=True)
    removal.require("", told=False)


def test_is_completed_by_the_next_run_wherever_it_ended(tmp_path: Path) -> None:
    """An effect that fails, at every one of them, stands for the kill: each step looks before it acts."""
    for at in range(6):
        places = machine(tmp_path / str(at))
        install(places, Machine(places.root), release(tmp_path / "file"))
        left = [at]

        def effect(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt

        try:
            removal.run(Removal(places, Machine(places.root, effect), True), lambda *_: None)
        except KeyboardInterrupt:
            remove(places, purge=True)
        assert not [name for name in tree(places.root) if "plimsoll" in name], at
