"""`plimsoll update` and `plimsoll release`, from keys to a release that is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.cli import main, updating
from app.cli.updating import Wanted, wanted
from app.clock import VirtualClock
from app.update import machine, orders, state, switch
from app.update.decide import Exposure
from app.update.machine import Page
from tests.guards import PROGRAM_PATIENCE, ROOT
from tests.update.repositories import PASSPHRASE, Site, made, name_of, serving
from tests.update.worlds import World

PYTHON = machine.here(Path("/nowhere")).python
ARCH = machine.here(Path("/nowhere")).arch


class Appliance:
    """A repository, and a device on which 0.1.0 is installed, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.memory = folder, folder / "home", folder / "memory"
        self.config, self.site = folder / "plimsoll.toml", folder / "site"
        (self.memory / "downloads").mkdir(parents=True)
        self.home.mkdir()
        (folder / "passphrase").write_bytes(PASSPHRASE + b"\n")

    def file(self, version: str) -> Path:
        return made(self.folder / f"plimsoll-{version}", version, arch=ARCH, pythons=[PYTHON])

    def install(self, version: str) -> None:
        file = self.file(version)
        switch.add(self.home, file, name_of(file))
        switch.switch(self.home, name_of(file))

    def release(self, what: str, *subjects: str) -> int:
        places = ["--repository", str(self.site), "--keys", str(self.folder / "keys")]
        return main(
            ["release", what, *subjects, *places, "--passphrase-file", str(self.folder / "passphrase")]
        )

    def update(self, what: str, *words: str) -> int:
        places = ["--config", str(self.config), "--home", str(self.home), "--memory", str(self.memory)]
        return main(["update", what, *places, *words])

    def unit(self, name: str) -> int:
        """What starting that unit does."""
        return self.update("fetch" if name == updating.FETCHING else "switch")

    def settings(self, site: Site, **changes: object) -> None:
        values = {"url": site.url, "root_file": str(self.site / "metadata" / "1.root.json"), **changes}
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        self.config.write_text("\n".join(["[update]", *lines]))


@pytest.fixture
def appliance(tmp_path: Path) -> Appliance:
    appliance = Appliance(tmp_path)
    appliance.install("0.1.0")
    assert appliance.release("init") == 0
    return appliance


@pytest.fixture
def site(appliance: Appliance) -> Iterator[Site]:
    with serving(appliance.site) as site:
        appliance.settings(site)
        yield site


def test_from_signing_to_a_release_that_is_installed(
    appliance: Appliance, site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert appliance.update("check") == 0
    assert "The newest is installed." in capsys.readouterr().out
    file = appliance.file("0.2.0")
    assert appliance.release("sign", str(file)) == 0 and appliance.release("publish") == 0
    assert appliance.update("check", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["offer"] == name_of(file)
    assert appliance.update("fetch") == 0
    world = World(appliance.folder, VirtualClock(0))
    world.start()
    monkeypatch.setattr(updating, "Systemd", lambda *_: world)
    assert appliance.update("switch") == 0
    assert switch.linked(appliance.home).startswith("0.1.0")  # update.automatic is false
    appliance.settings(site, automatic=True)
    world.exposed = Exposure.EXPOSED
    assert appliance.update("switch") == 3
    world.exposed = Exposure.CLEAR
    assert appliance.update("switch") == 0
    assert switch.linked(appliance.home) == name_of(file) == world.runs
    assert appliance.update("switch") == 0
    assert appliance.update("status", "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["installed"] == name_of(file) and told["update"]["outcome"] == "committed"
    monkeypatch.setattr(updating, "_is_root", lambda: True)
    monkeypatch.setattr(updating, "_start", lambda unit: appliance.unit(unit) in (0, 3))
    world.exposed = Exposure.EXPOSED
    assert appliance.update("rollback") == 3
    assert "waits" in capsys.readouterr().out
    assert appliance.update("rollback", "--now") == 0
    assert switch.linked(appliance.home).startswith("0.1.0") and world.runs.startswith("0.1.0")
    assert appliance.update("confirm") == 0 and appliance.update("recover") == 0
    assert appliance.update("failed") == 0  # somebody started it again
    world.stop()
    assert appliance.update("failed") == 1
    world.exposed = Exposure.CLEAR
    assert appliance.update("rollback") == 1
    assert "no earlier release" in capsys.readouterr().out
    assert appliance.update("apply") == 0
    assert "failed here before" in capsys.readouterr().out


def test_only_root_orders_an_update(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(updating, "_is_root", lambda: False)
    assert appliance.update("apply") == 1
    assert "sudo plimsoll update apply" in capsys.readouterr().err
    assert not (appliance.memory / orders.FILE).exists()


def test_an_order_whose_fetch_fails_is_taken_back(
    appliance: Appliance, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.status["/metadata/timestamp.json"] = 503
    monkeypatch.setattr(updating, "_is_root", lambda: True)
    monkeypatch.setattr(updating, "_start", lambda unit: appliance.unit(unit) in (0, 3))
    assert appliance.update("apply", "--now") == 1
    assert "503" in capsys.readouterr().out
    assert not (appliance.memory / orders.FILE).exists()
    assert appliance.update("switch") == 0


@pytest.mark.parametrize("what", ["check", "fetch"])
def test_promise_17_root_leaves_downloads_to_whom_they_belong(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """What root made there could not be replaced by the unit, which would never fetch again. He is told where
    releases come from, and nothing else that the settings say.
    """
    appliance.config.write_text(
        '[notify]\nurl = "https://ntfy.sh/secret"\n[update]\nurl = "https://example.org/\\"x"\n'
    )
    calls: list[tuple[list[str], dict[str, object]]] = []
    given: list[tuple[Path, int, int]] = []
    told = ""

    def run(words: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        nonlocal told
        told = Path(words[words.index("--config") + 1]).read_text()
        calls.append((words, how))
        return subprocess.CompletedProcess(words, 7)

    downloads = appliance.memory / "downloads"
    other = SimpleNamespace(st_uid=4_242, st_gid=4_243)
    monkeypatch.setattr(updating, "_is_root", lambda: True)
    monkeypatch.setattr(
        Path, "stat", lambda path, **how: other if path == downloads else os.stat(path, **how)
    )
    monkeypatch.setattr(updating.subprocess, "run", run)
    monkeypatch.setattr(os, "chown", lambda path, *owner: given.append((Path(path), *owner)))
    assert appliance.update(what) == 7
    ((words, how),) = calls
    assert words[words.index("update") + 1] == what and str(appliance.config) not in words
    assert tomllib.loads(told) == {"update": {"url": 'https://example.org/"x', "root_file": ""}}
    copy = Path(words[words.index("--config") + 1])
    assert not copy.exists() and given == [(copy, 4_242, 4_243), (copy.parent, 4_242, 4_243)]
    assert (how["user"], how["group"], how["extra_groups"]) == (4_242, 4_243, [])
    assert not list(downloads.iterdir())


def test_keeps_trading_and_says_so_when_it_cannot_look(
    appliance: Appliance, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.status["/metadata/timestamp.json"] = 503
    assert appliance.update("fetch") == 1
    assert "503" in capsys.readouterr().err
    assert appliance.update("status") == 0
    out = capsys.readouterr().out
    assert "Last look" in out and "503" in out and "0.1.0" in out


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [({"url": ""}, 2, "update.url"), ({"root_file": "/nowhere"}, 1, "update.root")],
)
def test_says_what_is_missing(
    appliance: Appliance,
    site: Site,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    code: int,
    words: str,
) -> None:
    appliance.settings(site, **change)
    assert appliance.update("fetch") == code
    assert words in capsys.readouterr().err


def test_status_says_what_failed(appliance: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    linked = switch.linked(appliance.home)
    state.save(
        appliance.memory, state.Ota(good=linked, trial="0.3.0-b", previous="0.0.9-c", bad=("0.2.0-a",))
    )
    assert appliance.update("status") == 0
    out = capsys.readouterr().out
    for words in ("Installed: 0.1.0", "Before it: 0.0.9-c", "On trial: 0.3.0-b", "Failed here: 0.2.0-a"):
        assert words in out
    (appliance.memory / "ota.json").write_text("{")
    assert appliance.update("status") == 0
    assert "Problem: ota.json is unusable" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["", "= broken", "update = 3", "[update]\nurl = 3\nautomatic = 1", "[web]\nport = true", "\udcff"]
)
def test_settings_broken_by_hand_do_not_take_the_way_back_away(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plimsoll.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    assert wanted(file) == wanted(tmp_path / "none") == Wanted()


@pytest.mark.parametrize(
    ("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("[::]", "127.0.0.1"), ("192.168.1.5", "192.168.1.5")]
)
def test_asks_the_page_where_the_settings_say_it_is(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, host: str, asked: str
) -> None:
    pages: list[Page] = []

    def world(page: Page, *_: object) -> World:
        pages.append(page)
        return World(appliance.folder, VirtualClock(0))

    monkeypatch.setattr(updating, "Systemd", world)
    appliance.config.write_text(f'[web]\nhost = "{host}"\nport = 8081\n')
    assert appliance.update("confirm") == 0
    assert pages == [Page(asked, 8081)]


@pytest.mark.parametrize("words", [["rotate", "nobody"], ["publish", "this"], ["sign", "/nowhere"]])
def test_release_refuses_what_it_does_not_know(appliance: Appliance, words: list[str]) -> None:
    assert appliance.release(*words) in (1, 3)


def test_release_rotates_and_withdraws(appliance: Appliance, site: Site) -> None:
    file = appliance.file("0.2.0")
    assert appliance.release("sign", str(file)) == 0
    assert appliance.release("rotate", "timestamp", "root") == 0
    assert appliance.update("fetch") == 0
    assert appliance.release("withdraw", file.name) == 0 and appliance.release("publish") == 0
    assert appliance.update("check") == 0


PROBE = """
import re, sys
from app.cli import main
code = main(["update", "check", "--config", sys.argv[1], "--home", sys.argv[2], "--memory", sys.argv[3]])
status = open("/proc/self/status").read()
print(code, re.search(r"VmHWM:\\s+(\\d+) kB", status)[1], sys.modules["cryptography"])
"""
CHECK_KB = 30_000  # the highest that looking for a release may ever hold


def test_a_look_takes_little_memory_and_no_code_that_is_not_ours(appliance: Appliance, site: Site) -> None:
    words = [sys.executable, "-c", PROBE, str(appliance.config), str(appliance.home), str(appliance.memory)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PROGRAM_PATIENCE)
    assert done.returncode == 0, done.stderr
    code, kilobytes, cryptography = done.stdout.splitlines()[-1].split()
    assert (code, cryptography) == ("0", "None") and int(kilobytes) < CHECK_KB
