"""Debian 12 with its Python 3.11 and systemd 252: the same file, installed and ready."""

from __future__ import annotations

from pathlib import Path

from tests.booted.appliance import SAFE, SERVICE, Appliance
from tests.booted.outcomes import Outcomes


def test_installs_runs_and_comes_back_on_debian_12(
    bookworm: Path, artifact: Path, tmp_path: Path, outcomes: Outcomes
) -> None:
    with Appliance(bookworm, tmp_path) as box:
        box.boot()
        box.install(artifact)
        assert not [
            line
            for line in box.install(artifact).splitlines()
            if line.startswith("  ") and "unchanged" not in line
        ]
        box.set_up()
        assert "BAD" not in box.plimsoll("doctor")
        assert "Unknown" not in box.run("systemd-analyze", "verify", "--man=no", SERVICE, SAFE).stderr
        box.rearm()
        before = box.pid
        killed = box.kill()
        ready = box.ready(other_than=before)
        box.active()
        assert (
            "exposure level for plimsoll.service: 1.1 OK"
            in box.run("systemd-analyze", "security", SERVICE).stdout
        )
        outcomes.tell("Debian 12: kill -9 of the service", "READY again, trading resumed", ready - killed)
        box.reboot()
        box.ready()
        box.active()
