"""Release folders: old or new, never a mix; nothing goes that is needed."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from app.update import locks, switch
from app.update.artifact import Damaged
from tests.update.repositories import made, name_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def added(home: Path, version: str) -> str:
    file = made(home.parent / version, version)
    name = name_of(file)
    switch.add(home, file, name)
    return name


def releases(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "releases").iterdir())


def test_the_link_leads_to_one_release_after_the_other(home: Path) -> None:
    assert switch.linked(home) == ""
    for version in ("0.1.0", "0.2.0"):
        name = added(home, version)
        switch.switch(home, name)
        assert switch.linked(home) == name and (home / "current" / "__main__.py").exists()
        assert not os.readlink(home / "current").startswith("/")  # the folder may be mounted elsewhere


def test_a_link_that_leads_nowhere_is_none(home: Path) -> None:
    name = added(home, "0.1.0")
    (home / "current").symlink_to("releases/gone")
    assert switch.linked(home) == ""
    with pytest.raises(FileNotFoundError):
        switch.switch(home, "gone")
    switch.switch(home, name)
    assert switch.linked(home) == name


def test_promise_3_rejects_a_file_that_holds_another_release(home: Path) -> None:
    with pytest.raises(Damaged, match=r"not 0\.2\.0"):
        switch.add(home, made(home.parent / "a", "0.1.0"), "0.2.0-00000000")
    assert not (home / "releases").exists()


def test_a_damaged_folder_of_that_name_is_unpacked_again(home: Path) -> None:
    name = added(home, "0.1.0")
    (home / "releases" / name / "__main__.py").write_text("broken")
    assert switch.whole(home, [name, "", "gone"]) == []
    assert added(home, "0.1.0") == name and switch.whole(home, [name]) == [name]


def test_keeps_what_is_named_and_what_runs(home: Path) -> None:
    names = [added(home, f"0.{number}.0") for number in range(1, 5)]
    (home / "releases" / ".begun.new").mkdir()
    switch.switch(home, names[0])
    switch.prune(home, names[2:3])
    assert releases(home) == sorted([names[0], names[2]])


def test_promise_17_the_updater_has_a_copy_of_its_own(home: Path) -> None:
    first, second = added(home, "0.1.0"), added(home, "0.2.0")
    for name in (first, second, second):
        switch.copy_updater(home, name)
        assert switch.linked(home, switch.UPDATER) == name
    assert {path.name for path in (home / "updaters").iterdir()} == {first, second}
    with locks.used(home / "updaters" / first):  # code is loaded from there as it is needed
        switch.prune_updaters(home)
        assert {path.name for path in (home / "updaters").iterdir()} == {first, second}
    switch.prune_updaters(home)
    assert [path.name for path in (home / "updaters").iterdir()] == [second]
    assert switch.is_whole(home / "updaters" / second)
    assert not os.path.samefile(
        home / "updaters" / second / "__main__.py", home / "releases" / second / "__main__.py"
    )


def test_promise_17_whoever_locks_the_copy_holds_no_updater_up(home: Path) -> None:
    handle = os.open(home, os.O_RDONLY)  # as anybody may who can read it
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with locks.used(home):
            assert locks.is_used(home)
    finally:
        os.close(handle)


def test_the_updater_keeps_its_copy_when_the_release_is_damaged(home: Path) -> None:
    first, second = added(home, "0.1.0"), added(home, "0.2.0")
    switch.copy_updater(home, first)
    (home / "releases" / second / "__main__.py").write_text("broken")
    with pytest.raises(Damaged):
        switch.copy_updater(home, second)
    assert switch.linked(home, switch.UPDATER) == first


def test_promise_16_all_is_flushed_before_the_link_moves(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file and folder of a release is on the disk before its name, and its name before the link."""
    flushed: list[str] = []
    real = os.fsync

    def note(handle: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", note)
    name = added(home, "0.1.0")
    files = [path for path in flushed if path.startswith(str(home / "releases"))]
    inside = {path.rpartition(".new/")[2] for path in files if ".new/" in path}
    assert {"__main__.py", "manifest.json", "app/x.py", "app"} <= inside
    assert flushed[-1] == str(home / "releases")
    switch.switch(home, name)
    assert flushed[-1] == str(home)
