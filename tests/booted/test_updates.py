"""Updates on a booted machine, through the units that do them: what becomes of good and bad releases, of an
updater that is killed, of a machine whose plug is pulled, and of a repository that lies.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from app.store.schema import STATE, version_of
from app.update import state
from app.update.decide import Step
from tests.booted.appliance import DATA, SERVICE, SETTINGS, Appliance
from tests.booted.outcomes import Outcomes
from tests.booted.releases import CUT, DEFECTS, ROOT_FILE, URL, Shelf, migrating, plant_updater, release

JOURNAL = f"{DATA}/state.db"
MEMORY, LOCK = "/var/lib/plimsoll-update", "/run/plimsoll/update.lock"
COPY = "/run/settings"
SWITCH, CONFIRM, UPDATE = "plimsoll-switch.service", "plimsoll-confirm.service", "plimsoll-update.service"
APPLIED_S = 5.0  # the goal, without the download, on an idle machine
PATIENCE = 4  # times as long on a loaded one
CHECK_KB = 30_000
# The same rules with shorter times, so that a test does not wait for a watchdog of ten seconds.
HASTY = "[Service]\nTimeoutStartSec=12\nWatchdogSec=8\nTimeoutStopSec=5\nRestartSec=300ms\n"
LATE = "ends once it was kept"
AFTER_A_CUT = "ends at its start after a power cut"
FORWARD = [step for step in Step if Step.UNPACK <= step <= Step.COPY]
WAY_BACK = [step for step in Step if step >= Step.BACK]
PULLED = (Step.INTENT, Step.SWITCH, Step.HEALTH, Step.COPY)


@dataclass
class Desk:
    """The machine, its repository, and a new version for each release that is wanted."""

    box: Appliance
    shelf: Shelf
    artifact: Path
    folder: Path
    minor: int = 1
    waiting: str = ""

    def make(self, *edits: Any, **more: Any) -> Path:
        self.minor += 1
        return release(self.artifact, self.folder, f"0.{self.minor}.0", *edits, **more)

    def offer(self, *edits: Any, **more: Any) -> str:
        """A release on the shelf; its name."""
        return self.shelf.offer(self.make(*edits, **more))

    def pending(self) -> str:
        """A good release that is neither installed nor known to be bad: the last one, or a new one."""
        if self.waiting in (self.linked, "") or self.waiting in self.ota()["bad"]:
            self.waiting = self.offer()
        return self.waiting

    def apply(self, *words: str) -> tuple[int, str]:
        """`plimsoll update apply`: exit code and what it said."""
        # No owner asks six times in ten seconds, which is systemd's limit for any unit.
        self.box.systemctl("reset-failed", UPDATE, SWITCH, check=False)
        done = self.box.run("plimsoll", "update", "apply", *words, check=False, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def ota(self) -> dict[str, Any]:
        """What the updater remembers; power that goes before its first update leaves it nothing."""
        found, problem = state.load(self.box.root / MEMORY.lstrip("/"), self.linked)
        assert not problem
        return asdict(found)

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.box.read(f"{MEMORY}/audit.jsonl").splitlines()]

    @property
    def linked(self) -> str:
        return (self.box.root / "opt/plimsoll/current").readlink().name

    def offered_file(self, name: str) -> str:
        """Of the release `name`, as it is served."""
        return f"plimsoll-{name.partition('-')[0]}-linux-x86_64"

    @property
    def locked(self) -> bool:
        """Whether the service, or an updater, holds the update lock."""
        return bool(self.box.run("flock", "--nonblock", LOCK, "true", check=False).returncode)

    @property
    def updater(self) -> str:
        return (self.box.root / "opt/plimsoll/updater").readlink().name

    def page(self) -> str:
        """The version that answers on the LAN, "" = none does. Safe mode says none."""
        status, _, body = self.box.visit("/healthz", port=8080)
        return str(json.loads(body).get("version", "")) if status else ""

    def told(self) -> dict[str, Any]:
        """`plimsoll update status`."""
        return json.loads(self.box.plimsoll("update", "status", "--json"))

    def settled(self) -> str:
        """Until nothing is under way; the release that is linked, remembered and answers on the LAN."""

        def over() -> bool:
            """A unit that is to begin after another has a job before its state says so."""
            jobs = self.box.systemctl("list-jobs", "--no-legend", SWITCH, CONFIRM)
            return not self.ota()["trial"] and not jobs

        self.box.until(over, "the end of the update", 300)
        name = self.linked
        assert self.ota()["good"] == name
        self.box.until(lambda: self.page() == name.partition("-")[0], f"the page of {name}")
        self.box.ready()
        return name

    def seconds(self, first: str, last: str) -> float:
        """Between two kinds of rows of the newest update in the audit."""
        rows = self.audit()
        ends = max(number for number, row in enumerate(rows) if row["what"] == last)
        begins = max(number for number, row in enumerate(rows[:ends]) if row["what"] == first)
        return (rows[ends]["at_ns"] - rows[begins]["at_ns"]) / 1e9


def settle(box: Appliance) -> None:
    """The settings of who signs his own releases and has them installed by themselves."""
    head, section, rest = box.read(SETTINGS).partition("[update]")
    for old, new in (
        ('url = ""', f'url = "{URL}"'),
        ("automatic = false", "automatic = true"),
        ('root_file = ""', f'root_file = "{ROOT_FILE}"'),
    ):
        assert old in rest
        rest = rest.replace(old, new, 1)
    box.write(SETTINGS, head + section + rest)


@pytest.fixture(scope="module")
def desk(installed: Path, artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("updates")
    with Appliance(installed, folder / "box") as box:
        plant_updater(box)
        settle(box)
        box.write(f"/etc/systemd/system/{SERVICE}.d/hasty.conf", HASTY)
        shelf = Shelf(box, folder / "repository")
        box.boot()
        box.systemctl("disable", "--now", "plimsoll-update.timer")
        yield Desk(box, shelf, artifact, folder)


@pytest.fixture
def calm(desk: Desk) -> Desk:
    """Well, and not exposed: nothing is armed."""
    desk.box.systemctl("reset-failed")
    desk.box.systemctl("start", SERVICE)
    desk.box.ready()
    desk.box.plimsoll("halt")
    desk.box.until(lambda: desk.box.told().get("synced"), "the books compared")
    # Given back by the service's look once a second; until then an update waits for its timer.
    desk.box.until(lambda: not desk.locked, "its lock")
    return desk


def test_a_look_is_small_and_installs_nothing(calm: Desk, outcomes: Outcomes) -> None:
    before = calm.linked
    name = calm.offer()
    measure = (
        "import resource, subprocess, sys\n"
        "said = subprocess.run(['plimsoll', 'update', 'check'], capture_output=True, text=True)\n"
        "print(said.stdout, said.stderr, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    said = calm.box.run("python3", "-c", measure).stdout
    kilobytes = int(said.split()[-1])
    assert f"{name} can be installed" in said and calm.linked == before
    outcomes.tell("plimsoll update check", f"nothing changed, {kilobytes / 1000:.1f} MB at most")
    assert kilobytes <= CHECK_KB


def test_keeps_a_good_release_and_the_latch(calm: Desk, outcomes: Outcomes) -> None:
    before, name = calm.linked, calm.offer()
    assert calm.apply()[0] == 0
    assert calm.settled() == name == calm.updater
    seconds = calm.seconds("unpack", "committed")
    ota, told = calm.ota(), calm.told()
    assert (ota["previous"], ota["floor"]) == (before, name.partition("-")[0])
    assert told["installed"] == name and told["update"]["outcome"] == "committed"
    view = calm.box.told()
    assert view["state"] == "halted" and "halt" in [reason["code"] for reason in view["reasons"]]
    outcomes.tell("a good release", "kept, still halted by hand", seconds)
    assert seconds < APPLIED_S * PATIENCE


@pytest.mark.parametrize("defect", [each for each in DEFECTS if each not in (LATE, AFTER_A_CUT)])
def test_takes_back_a_release_that(calm: Desk, outcomes: Outcomes, defect: str) -> None:
    before, name = calm.linked, calm.offer(*DEFECTS[defect])
    code, said = calm.apply()
    assert code == 1 and "was taken back" in said
    refused(calm, before, name)
    outcomes.tell(
        f"a release that {defect}", calm.told()["update"]["words"], calm.seconds("unpack", "went back")
    )


def test_takes_back_a_release_that_says_it_is_another(calm: Desk, outcomes: Outcomes) -> None:
    before, name = calm.linked, calm.offer(says="9.9.9")
    assert calm.apply()[0] == 1
    refused(calm, before, name)
    words = calm.told()["update"]["words"]
    assert "it says it is 9.9.9" in words
    outcomes.tell("a release that answers as another", words, calm.seconds("unpack", "went back"))


def test_takes_back_a_release_that_ends_once_it_was_kept(calm: Desk, outcomes: Outcomes) -> None:
    """Five starts that do not last, within a day of uptime after the update: plimsoll-failed goes back."""
    before, name = calm.linked, calm.offer(*DEFECTS[LATE])
    calm.apply()
    calm.box.until(lambda: name in calm.ota()["bad"], "the way back", 180)
    refused(calm, before, name, updater=name)
    words = calm.told()["update"]["words"]
    assert "soon after the update" in words
    outcomes.tell("a release that ends once it was kept", words, calm.seconds("committed", "went back"))


def test_a_release_before_opens_the_journal_that_the_one_after_migrated(
    calm: Desk, outcomes: Outcomes
) -> None:
    """Promise 11: backed up first, only added to, never put back: no fill can be lost on the way back."""
    old = STATE.version
    before, name = calm.linked, calm.offer(*migrating(old), *DEFECTS[LATE], schema=old + 1)
    calm.apply()
    calm.box.until(lambda: name in calm.ota()["bad"], "the way back", 180)
    assert calm.settled() == before
    ask = f"import sqlite3; print(sqlite3.connect({JOURNAL!r}).execute('PRAGMA user_version').fetchone()[0])"
    stamp = int(calm.box.run("python3", "-c", ask).stdout)
    assert version_of(stamp) == old + 1, "it was never migrated"
    assert json.loads(calm.box.visit("/healthz", port=8080)[2])["journal"] == "ok"
    assert [row["what"] for row in calm.audit()].count("backup") > 0
    outcomes.tell("a release that migrates the journal, then ends", "the one before works on with it")


def refused(desk: Desk, before: str, name: str, updater: str = "") -> None:
    """Back on `before`, which says so; `name` is remembered and not tried again."""
    assert desk.settled() == before and desk.ota()["bad"][-1] == name
    assert desk.updater == (updater or before)
    shown = desk.box.until(lambda: desk.box.told().get("update", {}).get("failed"), "the service knows")
    assert name in shown
    assert "was taken back" in desk.box.plimsoll("status")
    code, said = desk.apply()
    assert code == 0 and "failed here before" in said and desk.linked == before


def test_waits_while_the_service_may_trade(calm: Desk, outcomes: Outcomes) -> None:
    before, name = calm.linked, calm.offer()
    calm.box.rearm()
    calm.box.until(lambda: calm.locked, "the lock, taken by a look once a second")
    assert calm.apply()[0] == 3 and calm.linked == before and "waits" in calm.told()["update"]["words"]
    outcomes.tell("a good release while trading is active", calm.told()["update"]["words"])
    assert calm.apply("--now")[0] == 0
    assert calm.settled() == name and "told" in [row["what"] for row in calm.audit()]
    calm.box.active()
    outcomes.tell(
        "... and --now", "kept, trading resumed as armed before", calm.seconds("unpack", "committed")
    )


def test_goes_back_when_an_operator_says_so(calm: Desk) -> None:
    before, name = calm.linked, calm.offer()
    assert calm.apply()[0] == 0 and calm.settled() == name
    assert "an operator said so" in calm.box.plimsoll("update", "rollback")
    assert calm.settled() == before and calm.ota()["bad"][-1] == name
    calm.box.until(
        lambda: "no earlier release" in calm.box.plimsoll("update", "rollback", check=False),
        "the service compared its books, and there is no way further back",
    )


def test_one_updater_at_a_time(calm: Desk) -> None:
    """The second waits for the first, which renews the copy that both run from, and finds nothing to do."""
    name = calm.offer()
    one = "/usr/bin/python3 -sE /opt/plimsoll/updater/__main__.py update switch --config " + SETTINGS
    fetch = one.replace("switch", "fetch").replace(SETTINGS, COPY)
    # As systemd does for the unit that fetches.
    calm.box.run("install", "-o", "plimsoll-update", "-m", "400", SETTINGS, COPY)
    calm.box.run("runuser", "-u", "plimsoll-update", "--", *fetch.split())
    both = f"{one} & first=$!; {one} & second=$!; wait $first; echo $?; wait $second; echo $?"
    done = calm.box.run("sh", "-c", both)
    assert done.stdout.split()[-2:] == ["0", "0"], done.stderr
    assert calm.settled() == name
    assert sum(row["what"] == "unpack" and name in row["words"] for row in calm.audit()) == 1


@pytest.mark.parametrize("step", FORWARD, ids=lambda step: step.name)
def test_an_updater_killed_on_its_way(calm: Desk, outcomes: Outcomes, step: Step) -> None:
    before, name = calm.linked, calm.pending()
    calm.box.write(CUT, f"{step.name} kill")
    calm.apply()
    runs = calm.settled()
    assert not (calm.box.root / CUT.lstrip("/")).exists(), "it was never killed"
    assert runs == (before if step <= Step.INTENT else name)
    outcomes.tell(f"kill -9 of the updater at step {step} {step.name}", "old" if runs == before else "new")


@pytest.mark.parametrize("step", WAY_BACK, ids=lambda step: step.name)
def test_an_updater_killed_on_its_way_back(calm: Desk, outcomes: Outcomes, step: Step) -> None:
    before, name = calm.linked, calm.offer(*DEFECTS["ends at its start"])
    calm.box.write(CUT, f"{step.name} kill")
    calm.apply()
    assert calm.settled() == before and calm.ota()["bad"][-1] == name
    assert not (calm.box.root / CUT.lstrip("/")).exists(), "it was never killed"
    outcomes.tell(f"kill -9 of the updater at step {step} {step.name}", "old, the bad one remembered")


@pytest.mark.parametrize("step", PULLED, ids=lambda step: step.name)
def test_a_plug_pulled(calm: Desk, outcomes: Outcomes, step: Step) -> None:
    before, name = calm.linked, calm.pending()
    pulled(calm, step)
    runs = calm.settled()
    assert runs == (before if step <= Step.INTENT else name)
    outcomes.tell(f"power lost at step {step} {step.name}", "old" if runs == before else "new")


def pulled(desk: Desk, step: Step, version: str = "") -> None:
    """The machine's power goes when the updater has come to `step` and `version` answers, and comes back."""
    desk.box.write(CUT, f"{step.name} stop")
    desk.box.systemctl("start", "--no-block", UPDATE)
    order = desk.box.root / CUT.lstrip("/")
    desk.box.until(lambda: not order.exists(), f"step {step.name}", 120)
    if version:
        desk.box.until(lambda: desk.page() == version, f"the page of {version}", 120)
    desk.box.cut()
    desk.box.boot("")


def test_a_plug_pulled_under_a_release_that_does_not_start_again(calm: Desk, outcomes: Outcomes) -> None:
    before, name = calm.linked, calm.offer(*DEFECTS[AFTER_A_CUT])
    pulled(calm, Step.HEALTH, name.partition("-")[0])
    assert calm.settled() == before and calm.ota()["bad"][-1] == name
    words = calm.told()["update"]["words"]
    outcomes.tell(f"power lost at HEALTH of a release that {AFTER_A_CUT}", words)


def test_a_repository_that_lies_changes_nothing(calm: Desk, outcomes: Outcomes) -> None:
    before, shelf = calm.linked, calm.shelf
    site = calm.box.root / "srv/releases"
    shutil.copytree(site / "metadata", calm.folder / "older")
    name = calm.offer()
    assert name.partition("-")[0] in calm.box.plimsoll("update", "check")

    def said() -> str:
        code, words = calm.apply()
        assert code == 1 and calm.linked == before and calm.page() == before.partition("-")[0]
        return words

    timestamp = site / "metadata" / "timestamp.json"
    signed = timestamp.read_text()
    begin = re.search(r'"sig": ?"', signed)
    assert begin, signed
    other = "1" if signed[begin.end()] == "0" else "0"
    timestamp.write_text(signed[: begin.end()] + other + signed[begin.end() + 1 :])
    outcomes.tell("a timestamp with a byte changed", said().splitlines()[0])
    shelf.put()
    file = next((site / "targets").glob(f"*.{calm.offered_file(name)}"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    outcomes.tell("a release with a bit changed", said().splitlines()[0])
    file.write_bytes(whole[: len(whole) // 2])
    outcomes.tell("a release cut in half", said().splitlines()[0])
    file.write_bytes(whole)
    shutil.copytree(calm.folder / "older", site / "metadata", dirs_exist_ok=True)
    outcomes.tell("the repository of before", said().splitlines()[0])
    shelf.put()
    clock = shelf.repository.clock
    shelf.repository.clock = type(clock)(clock.wall_ns() - 61 * 86_400 * 1_000_000_000)
    shelf.repository.tool.publish()
    shelf.put()
    words = said()
    assert "update info stale" in words
    calm.box.until(
        lambda: "update info stale" in calm.box.told().get("update", {}).get("looked", ""),
        "the service says so too",
    )
    outcomes.tell("metadata that expired yesterday", words.splitlines()[0])
    shelf.repository.clock = clock
    shelf.repository.tool.publish()
    shelf.put()
    assert calm.apply()[0] == 0 and calm.settled() == name
