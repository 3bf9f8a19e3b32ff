"""`plimsoll uninstall`: the way back. Data, settings and backups stay unless the owner says otherwise twice.

Who decides whether a position is open is the caller; here the answer only counts. Like the installer it may
be interrupted anywhere and is completed by its next run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app import durable
from app.errors import Refused, Theirs
from app.install import units
from app.install.host import Door
from app.install.places import OWN_UNITS, UPDATE_USER, USER, Places, user_id

RULES_FILE = "60-plimsoll.rules"
STAMPS = "var/lib/systemd/timers"  # when a timer that is caught up ran last
FIRST_AWAY = (".timer", ".path", ".socket", ".service", ".target")  # nothing may start what was just stopped


@dataclass(frozen=True, slots=True)
class Removal:
    """`purge` takes data, settings, backups and users too; `cache`: of the installer's file."""

    places: Places
    host: Door
    purge: bool = False
    cache: Path | None = None


def require(exposed: str, told: bool) -> None:
    """Raises Refused while a position is open, or may be, unless the caller was told to go on."""
    if exposed and not told:
        advice = (
            "close it first (plimsoll flatten), or say --with-open-positions: its stop stays at the venue"
        )
        raise Refused("uninstall.exposed", exposed, hint=advice)


def run(job: Removal, say: Callable[[str, str], None]) -> None:
    """Every step in order; `say(step, what was done)`, "" = nothing. Raises the first failure."""
    for name, step in STEPS:
        say(name, step(job))


def kept(places: Places) -> list[str]:
    """What an uninstall without purge leaves, for telling."""
    return [places.shown(path) for path in (places.etc, places.data, places.update) if path.exists()]


def _ours(places: Places) -> list[Path]:
    """Our units as they lie there, those first that could start others."""
    found = [path for path in places.units.glob(f"{OWN_UNITS}*") if path.suffix in units.UNIT_KINDS]
    return sorted(found, key=lambda path: (FIRST_AWAY.index(path.suffix), path.name))


def _stop(job: Removal) -> str:
    found = _ours(job.places)
    masked = [path.name for path in found if os.path.realpath(path) == os.devnull]
    names = [path.name for path in found if path.name not in masked]
    if names:
        job.host.run("systemctl", "disable", "--now", *names)
    for name in masked:  # which systemd does not disable; its links go with the units
        job.host.says("systemctl", "stop", name)
        if job.host.says("systemctl", "is-active", "--quiet", name):
            raise Theirs("systemctl stop", f"{name} is masked and still runs")
    return "; masked, now stopped too: ".join(filter(None, (", ".join(names), ", ".join(masked))))


def _units(job: Removal) -> str:
    """The service's own file goes last: while it is there, the next run still knows what to stop."""
    gone = [*_made(job), *_ours(job.places)]
    for path in gone:
        path.unlink(missing_ok=True)
        _drop_empty(path.parent, job.places.units)
    if gone:
        durable.flush(job.places.units)
    return ", ".join(path.name for path in gone)


def _made(job: Removal) -> Iterator[Path]:
    """What the installer wrote besides units; with `purge` the owner's own drop-ins too."""
    named = [job.places.units / name for name in units.OURS]
    if job.purge:
        named += job.places.units.glob(f"{OWN_UNITS}*.d/*")
    for unit in _ours(job.places):  # what disabling one that is masked has left
        named += job.places.units.glob(f"*.wants/{unit.name}")
    named += [job.places.rules / RULES_FILE, job.places.command]
    named += (job.places.root / STAMPS).glob(f"stamp-{OWN_UNITS}*")
    yield from (path for path in dict.fromkeys(named) if path.exists() or path.is_symlink())


def _drop_empty(folder: Path, units_folder: Path) -> None:
    if folder.parent == units_folder and folder.suffix in (".d", ".wants") and not any(folder.iterdir()):
        folder.rmdir()


def _reload(job: Removal) -> str:
    units.read_again(job.places, job.host)
    return ""


def _releases(job: Removal) -> str:
    folders = (job.places.home, *([job.cache] if job.cache else []))
    return ", ".join(filter(None, (_tree(job.places, folder) for folder in folders)))


def _purge(job: Removal) -> str:
    if not job.purge:
        return ""
    gone = [_tree(job.places, path) for path in (job.places.data, job.places.update, job.places.etc)]
    for name in (USER, UPDATE_USER):
        if user_id(job.places, name) is not None:
            job.host.run("userdel", name)
            gone.append(f"user {name}")
    return ", ".join(filter(None, gone))


def _tree(places: Places, folder: Path) -> str:
    """Remove a folder and all that is in it; a link is removed, never followed."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
    else:
        return ""
    durable.flush(folder.parent)
    return places.shown(folder)


STEPS: tuple[tuple[str, Callable[[Removal], str]], ...] = (
    ("stop", _stop),
    ("units", _units),
    ("reload", _reload),
    ("releases", _releases),
    ("data, settings, users", _purge),
)
