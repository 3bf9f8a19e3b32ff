"""`plimsoll doctor`: one table of checks over an installed appliance, each with what to do about it.

A check reads and changes nothing. One that cannot look says so: unknown is never "well". What needs another
package of ours (the journal, the native modules) comes in as a question.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from app import durable
from app.clock import NS, Clock
from app.config import AccountFile, Settings, load_accounts, load_file
from app.errors import PlimsollError, SettingsError, clean
from app.install import units
from app.install.host import Door
from app.install.places import KEY_MODE, ROOT, SETTINGS_MODE, USER, Places, user_id
from app.update import artifact, state, switch, telling
from app.update.artifact import Damaged

State: TypeAlias = Literal["ok", "look", "bad"]
OK: State = "ok"
LOOK: State = "look"  # to know, or to do one day; the doctor still ends with 0
BAD: State = "bad"
FREE_BAD, FREE_LOOK = 200_000_000, 1_000_000_000  # bytes: a trading day writes 150 MB at most
BACKUP = "%Y%m%dT%H%M%SZ"
BACKUP_DAYS = 2  # a day may be missed
WEAR_LOOK, WEAR_BAD = 8, 10  # eMMC tenths of its life used, as JESD84-B51 counts them: 0x0B is over
NEWS_NS = 24 * 3_600 * NS  # the updater tries twice a day: nobody goes on with a wait told of before
FILE_LIMIT = 262_144  # bytes of a unit
FROM_FILE = "plimsoll install, from its file"
SHOWN = 3  # things named in one line; the rest is counted
COMPATIBLE = "arduino,imola"  # the UNO Q, first in its device tree
ROUTER = "arduino-router.service"
SYNCHRONIZED = "run/systemd/timesync/synchronized"


class Finding(NamedTuple):
    """What a check found, in words, and how it is mended ("" = nothing to do)."""

    state: State
    words: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. `native`, `journal`, `backup` return what is wrong ("" = nothing), the last of them
    why the newest backup failed; `page` the HTTP status that
    an URL answers with, `health` the JSON object there; both raise OSError.
    """

    places: Places
    host: Door
    clock: Clock
    native: Callable[[], str]
    journal: Callable[[], str]
    backup: Callable[[], str]
    page: Callable[[str], int]
    health: Callable[[str], dict[str, Any]]

    def settings(self) -> Settings:
        """Raises SettingsError."""
        return load_file(self.places.settings)

    @property
    def release(self) -> Path:
        return self.places.home / switch.CURRENT


def examine(patient: Patient) -> Iterator[tuple[str, Finding]]:
    """Every check by its name, in order. Never raises."""
    for name, check in CHECKS:
        try:
            yield name, check(patient)
        except SettingsError as error:
            yield name, Finding(LOOK, f"not checked, for the settings are wrong ({error.key})")
        except (PlimsollError, Damaged, OSError, ValueError) as error:
            yield name, Finding(BAD, f"cannot be checked: {clean(error)}", "run it with sudo")


def _settings(patient: Patient) -> Finding:
    try:
        settings = patient.settings()
        accounts = load_accounts(patient.places.accounts)
    except SettingsError as error:
        return Finding(BAD, f"{error.key} {error.problem}", _mend(patient.places.settings, patient.places))
    if open_to := _readers(patient):
        return Finding(BAD, open_to, FROM_FILE)
    missing = _unstated(settings, accounts)
    if missing:
        return Finding(LOOK, f"mode {settings.mode}; nothing is stated about {missing}", "plimsoll setup")
    return Finding(OK, f"mode {settings.mode}")


def _mend(settings: Path, places: Places) -> str:
    """How wrong settings are put right, by whoever may read them."""
    may = not settings.exists() or os.access(settings, os.R_OK)
    return f"edit {places.shown(settings)}" if may else "run it with sudo"


def _readers(patient: Patient) -> str:
    """What is wrong with who may read the settings: the service must, and strangers to a secret in it must
    not; "" = nothing.
    """
    found, name = patient.places.settings.stat(), patient.places.shown(patient.places.settings)
    mode = stat.S_IMODE(found.st_mode)
    if mode != SETTINGS_MODE:
        return f"{name} has mode {mode:o}; {SETTINGS_MODE:o} is right, for it may hold a secret"
    if patient.host.live and found.st_gid != (user_id(patient.places, USER) or (0, 0))[1]:
        return f"{name} does not belong to the group {USER}: the service cannot read it"
    return ""


def _unstated(settings: Settings, accounts: AccountFile | None) -> str:
    known = accounts or AccountFile()
    unstated = [str(number) for number in settings.topstepx.accounts if known.of(number) is None]
    return (
        f"account {', '.join(unstated)}" if unstated else "" if settings.topstepx.accounts else "any account"
    )


def _key(patient: Patient) -> Finding:
    key = patient.places.key
    name = patient.places.shown(key)
    if not key.exists():
        return Finding(BAD, f"{name} is missing: the service cannot log in", "plimsoll setup")
    found = key.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
        return Finding(BAD, f"{name} has mode {stat.S_IMODE(found.st_mode):o}", f"chmod {KEY_MODE:o} {name}")
    if patient.host.live and (found.st_uid, found.st_gid) != user_id(patient.places, ROOT):
        return Finding(BAD, f"{name} does not belong to root", f"chown root:root {name}")
    if not found.st_size:
        return Finding(LOOK, "no key was given yet", "plimsoll setup")
    return Finding(OK, f"{name}, for root alone")


def _data(patient: Patient) -> Finding:
    folder = patient.places.data
    name, wanted = patient.places.shown(folder), user_id(patient.places, USER)
    found = folder.stat()
    if found.st_mode & 0o077:
        return Finding(
            BAD, f"{name} is open to others (mode {stat.S_IMODE(found.st_mode):o})", f"chmod 700 {name}"
        )
    if patient.host.live and (found.st_uid, found.st_gid) != wanted:
        return Finding(BAD, f"{name} does not belong to {USER}", f"chown -R {USER}:{USER} {name}")
    elsewhere = patient.settings().data_dir
    if str(elsewhere) != name:
        fix = f"remove data_dir from the settings: the service may write {name} alone"
        return Finding(BAD, f"the settings say {elsewhere}", fix)
    return Finding(OK, f"{name}, for {USER} alone")


def _space(patient: Patient) -> Finding:
    free = shutil.disk_usage(patient.places.data).free
    words = f"{free // 10**6} MB free"
    if free < FREE_LOOK:
        return Finding(
            BAD if free < FREE_BAD else LOOK, words, "free some space; plimsoll backup --list, apt clean"
        )
    return Finding(OK, words)


def _clock(patient: Patient) -> Finding:
    fix = "connect it to the network; timedatectl set-ntp true"
    if (patient.places.root / SYNCHRONIZED).exists():
        return Finding(OK, "set by the network")
    if not patient.host.live:
        return Finding(LOOK, "not asked: this is not the machine that runs")
    said = patient.host.run("timedatectl", "show", "--property=NTPSynchronized", "--value").strip()
    return Finding(OK, "set by the network") if said == "yes" else Finding(BAD, "not set by the network", fix)


def _python(patient: Patient) -> Finding:
    manifest = _manifest(patient)
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if running in manifest.pythons:
        return Finding(OK, running)
    wanted = " or ".join(manifest.pythons)
    return Finding(BAD, f"{running}, the release is for {wanted}", "install the release for this Debian")


def _native(patient: Patient) -> Finding:
    problem = patient.native()
    return Finding(BAD, problem, FROM_FILE) if problem else Finding(OK, "compiled")


def _units(patient: Patient) -> Finding:
    edited = [
        patient.places.shown(target)
        for source, target in units.shipped(patient.release, patient.places)
        if not _same(source, target)
    ]
    if edited:
        fix = "put changes into systemctl edit plimsoll, then plimsoll install"
        return Finding(BAD, f"not as shipped: {_some(edited)}", fix)
    own = [path for path in patient.places.units.glob("plimsoll*.d/*") if not _is_made(path, patient)]
    return Finding(OK, f"as shipped; your own: {_some(own)}" if own else "as shipped")


def _is_made(path: Path, patient: Patient) -> bool:
    return path.relative_to(patient.places.units).as_posix() in units.OURS


def _drop_ins(patient: Patient) -> Finding:
    for name, text in units.drop_ins(patient.settings(), patient.places.root).items():
        path = patient.places.units / name
        there = durable.read(path, FILE_LIMIT).decode(errors="replace") if path.exists() else ""
        if there != text:
            return Finding(BAD, f"{name} is not what the settings say", "plimsoll install")
    return Finding(OK, "as the settings say")


def _release(patient: Patient) -> Finding:
    name = switch.linked(patient.places.home)
    if not name:
        return Finding(BAD, "the link to the release leads nowhere", FROM_FILE)
    wrong = list(artifact.differences(patient.release))
    if wrong:
        return Finding(BAD, f"{name}: {_some(wrong)}", FROM_FILE)
    return Finding(OK, f"{name}, whole")


def _updater(patient: Patient) -> Finding:
    """Its own copy, from which it updates, goes back and starts: a broken one is noticed by nobody else."""
    name = switch.linked(patient.places.home, switch.UPDATER)
    if not name:
        return Finding(BAD, "it has no copy of a release to run from", FROM_FILE)
    wrong = list(artifact.differences(patient.places.home / switch.UPDATER))
    if wrong:
        return Finding(BAD, f"its copy of {name}: {_some(wrong)}", FROM_FILE)
    remembered, problem = state.load(patient.places.update, switch.linked(patient.places.home))
    if problem:
        return Finding(LOOK, problem, "plimsoll update status; the next update writes it anew")
    said = telling.told(patient.places.update)
    if said.get("overdue") is True and patient.clock.wall_ns() - said.get("at_ns", 0) < NEWS_NS:
        return Finding(BAD, str(said.get("words", "")), "plimsoll status; plimsoll update apply --now")
    if remembered.trial:
        return Finding(LOOK, f"{remembered.trial} is on trial", "plimsoll update status")
    return Finding(OK, f"runs from its copy of {name}")


def _service(patient: Patient) -> Finding:
    if not patient.host.live:
        return Finding(LOOK, "not asked: this is not the machine that runs")
    if idle := _idle(patient):
        return Finding(BAD, f"{_some(idle)} should run at every start", FROM_FILE)
    state = patient.host.run(
        "systemctl", "show", "--property=ActiveState", "--value", "plimsoll.service"
    ).strip()
    if not patient.host.says("systemctl", "is-enabled", "--quiet", "plimsoll.service"):
        return Finding(
            BAD, f"{state}, and does not start with the machine", "systemctl enable plimsoll.service"
        )
    if state == "active":
        return Finding(OK, "runs, and starts with the machine")
    return Finding(BAD, state or "unknown", "systemctl status plimsoll; journalctl -u plimsoll")


def _idle(patient: Patient) -> list[str]:
    """Units beside the service that do not start with the machine, or timers and sockets that do not wait."""
    names = [name for name in units.to_enable(patient.release) if name != "plimsoll.service"]
    waiting = [name for name in names if name.endswith((".timer", ".socket"))]
    says = patient.host.says
    off = [name for name in names if not says("systemctl", "is-enabled", "--quiet", name)]
    return off + [
        name for name in waiting if name not in off and not says("systemctl", "is-active", "--quiet", name)
    ]


def _board(patient: Patient) -> Finding:
    board = patient.settings().board
    if not board.required:
        return Finding(LOOK, "none: no switch protects the account", "connect one, then plimsoll setup")
    if board.mode == "virtual":
        return Finding(LOOK, "a board in software", "plimsoll setup")
    found = _machine(patient.places.root)
    if board.mode in ("owner", "guest") and found != COMPATIBLE:
        here = found or "a machine without a device tree"
        return Finding(BAD, f'mode "{board.mode}" is for the UNO Q, this is {here}', "plimsoll setup")
    device = patient.places.root / board.device.relative_to("/")
    if board.mode != "guest" and not device.exists():
        return Finding(BAD, f"{board.device} is not there", "check the cable, or plimsoll setup")
    return Finding(OK, f"{board.mode}, {board.device}")


def _router(patient: Patient) -> Finding:
    board = patient.settings().board
    if not board.required or board.mode not in ("owner", "guest"):
        return Finding(OK, "not needed")
    there = (patient.places.root / board.router.relative_to("/")).exists()
    runs = patient.host.says("systemctl", "is-active", "--quiet", ROUTER)
    if board.mode == "guest" and not (there and runs):
        return Finding(BAD, "does not run, and the board is reached through it", f"systemctl start {ROUTER}")
    if runs and not there:
        return Finding(
            BAD, f"runs without {board.router}, so it cannot be asked for the port", f"restart {ROUTER}"
        )
    return Finding(OK, "runs" if runs else "does not run; the port is ours")


def _page(patient: Patient) -> Finding:
    web = patient.settings().web
    host = "127.0.0.1" if web.host in ("0.0.0.0", "::", "localhost") else web.host.strip("[]")
    url = f"http://{f'[{host}]' if ':' in host else host}:{web.port}/"
    try:
        status = patient.page(url)
    except OSError as error:
        return Finding(
            BAD, f"{url} does not answer: {clean(error)}", "systemctl status plimsoll.socket plimsoll"
        )
    if status >= 500:
        return Finding(BAD, f"{url} answers {status}", "journalctl -u plimsoll")
    return _health(patient, url)


def _health(patient: Patient, url: str) -> Finding:
    """The page of safe mode answers too: whether anything is traded is asked of the service."""
    told = patient.health(f"{url}healthz")
    problems = told.get("problems")
    words = "; ".join(clean(each, 200) for each in problems) if isinstance(problems, list) else ""
    if told.get("state") == "safe":
        return Finding(BAD, words or "safe mode", clean(told.get("advice", "")) or "journalctl -u plimsoll")
    if told.get("ok") is not True:
        return Finding(LOOK, words or "the service does not say that it is well", "plimsoll status")
    return Finding(OK, f"{url} answers, and the service is well")


def _journal(patient: Patient) -> Finding:
    problem = patient.journal()
    return (
        Finding(BAD, problem, "plimsoll backup --list, plimsoll restore")
        if problem
        else Finding(OK, "readable")
    )


def _backups(patient: Patient) -> Finding:
    folder = patient.places.data / "backups"
    now = datetime.fromtimestamp(patient.clock.wall_ns() // NS, UTC).strftime(BACKUP)
    named = (path.name for path in folder.iterdir() if re.fullmatch(r"\d{8}T\d{6}Z", path.name))
    found = sorted(name for name in named if name <= now)  # one of a clock that was ahead hides no gap
    if failed := patient.backup():
        return Finding(BAD, failed, "mend what it names, then sudo systemctl start plimsoll-backup")
    if not found:
        return Finding(LOOK, "none yet", "plimsoll backup")
    made = datetime.strptime(found[-1], BACKUP).replace(tzinfo=UTC)
    days = (patient.clock.wall_ns() // NS - int(made.timestamp())) // 86_400
    if days > BACKUP_DAYS:
        return Finding(BAD, f"the last is {days} days old", "systemctl status plimsoll-backup.timer")
    return Finding(OK, f"{len(found)}, the last of {made:%Y-%m-%d %H:%M} UTC")


def _wear(patient: Patient) -> Finding:
    tenths = 0
    for file in sorted((patient.places.root / "sys/block").glob("mmcblk*/device/life_time")):
        values = [int(word, 16) for word in durable.read(file, 100).decode().split()]
        tenths = max(tenths, *values)
    if not tenths:
        return Finding(OK, "no eMMC tells its wear")
    words = f"{'over its life' if tenths > WEAR_BAD else f'at most {tenths * 10} % of its life used'}"
    state = BAD if tenths > WEAR_BAD else LOOK if tenths >= WEAR_LOOK else OK
    return Finding(
        state, f"eMMC {words}", "" if state == OK else "plan for another board; plimsoll backup --to DIR"
    )


def _manifest(patient: Patient) -> artifact.Manifest:
    return artifact.parse_manifest(durable.read(patient.release / artifact.MANIFEST, artifact.MANIFEST_LIMIT))


def _same(source: Path, target: Path) -> bool:
    try:
        return durable.read(source, FILE_LIMIT) == durable.read(target, FILE_LIMIT)
    except OSError:
        return False


def _machine(root: Path) -> str:
    """The first name in the device tree, "" without one."""
    try:
        with (root / "proc/device-tree/compatible").open("rb") as file:
            return file.read(200).split(b"\0")[0].decode(errors="replace")
    except OSError:
        return ""


def _some(names: list[str] | list[Path]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more


CHECKS: tuple[tuple[str, Callable[[Patient], Finding]], ...] = (
    ("settings", _settings),
    ("key", _key),
    ("data folder", _data),
    ("disk space", _space),
    ("clock", _clock),
    ("python", _python),
    ("release", _release),
    ("native modules", _native),
    ("units", _units),
    ("drop-ins", _drop_ins),
    ("updater", _updater),
    ("service", _service),
    ("board", _board),
    ("router", _router),
    ("page", _page),
    ("journal", _journal),
    ("backups", _backups),
    ("wear", _wear),
)
