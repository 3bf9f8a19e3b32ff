"""The harness itself: machines side by side, on a LAN of their own, that leave nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.booted import roots
from tests.booted.machine import ADDRESS, Machine


def test_keeps_two_machines_apart_and_leaves_nothing(trixie: Path, tmp_path: Path) -> None:
    with Machine(trixie, tmp_path / "one") as one, Machine(trixie, tmp_path / "two") as two:
        for machine in (one, two):
            machine.boot()
            machine.run(
                "systemd-run", "--unit=page", "python3", "-m", "http.server", "8080", "--directory=/srv"
            )
        one.write("/srv/which", "one")
        assert one.until(lambda: one.visit("/which")[2] == "one", "its page")
        assert two.until(lambda: two.visit("/which")[0] == 404, "its page")
        assert ADDRESS in one.run("hostname", "-I").stdout
        two.cut()
        assert one.value("page", "ActiveState") == "active"
        pid = one.leader
        one.stop()
        assert not Path(f"/proc/{pid}").exists()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["console.log"]


def test_keeps_the_disk_over_a_reboot_and_a_cut(trixie: Path, tmp_path: Path) -> None:
    with Machine(trixie, tmp_path) as machine:
        machine.boot()
        machine.run("tee", "/root/kept", text="kept")
        machine.reboot()
        assert machine.run("cat", "/root/kept").stdout == "kept"
        machine.cut()
        machine.boot()
        assert machine.read("/root/kept") == "kept"
        assert (
            len(machine.run("journalctl", "--list-boots", "--no-pager", "--quiet").stdout.splitlines()) == 3
        )


def test_a_mirror_that_fails_is_asked_again_within_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["404 Not Found", "404 Not Found", ""]

    def debootstrap(folder: Path, suite: str) -> str:
        assert not folder.exists(), "what the attempt before left"
        folder.mkdir()
        return answers.pop(0)

    monkeypatch.setattr(roots, "PAUSE_S", 0)
    monkeypatch.setattr(roots, "_debootstrap", debootstrap)
    roots._make(tmp_path / "root", "trixie")
    assert (tmp_path / "root").is_dir() and answers == []
    answers += ["no route"] * roots.ATTEMPTS
    with pytest.raises(roots.UnavailableError, match="no route"):
        roots._make(tmp_path / "other", "trixie")
    assert answers == [] and [path.name for path in tmp_path.iterdir()] == ["root"]
