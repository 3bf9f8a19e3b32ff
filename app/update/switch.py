"""Release folders and the one link that says which of them runs. No decision is made here.

releases/<version>-<digest>/   unpacked, never changed again
current -> releases/...        replaced by a rename: there is no moment without it
updaters/<version>-<digest>/   a copy of its own for the updater, `updater` leads to it
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from app import durable
from app.update import artifact, locks
from app.update.artifact import Damaged, Manifest

RELEASES = "releases"
CURRENT = "current"
UPDATERS = "updaters"
UPDATER = "updater"


def linked(home: Path, link: str = CURRENT) -> str:
    """The name of the release that `link` leads to, "" when it leads to none."""
    try:
        target = home / os.readlink(home / link)
    except OSError:
        return ""
    return target.name if target.is_dir() else ""


def switch(home: Path, release: str) -> None:
    """Make `release` the one that the next start runs. Raises OSError; then the old one still is."""
    if not (home / RELEASES / release).is_dir():
        raise FileNotFoundError(f"no release {release} in {home / RELEASES}")
    durable.point(home / CURRENT, f"{RELEASES}/{release}")


def manifest(home: Path, release: str) -> Manifest | None:
    """What `release` says of itself, None when it is not there or unreadable."""
    if not release:
        return None
    try:
        data = durable.read(home / RELEASES / release / artifact.MANIFEST, artifact.MANIFEST_LIMIT)
        return artifact.parse_head(data)
    except (OSError, Damaged):
        return None


def add(home: Path, file: Path, name: str) -> None:
    """Unpack `file` as release `name`, durably. Raises Damaged, OSError; then there is no such release."""
    manifest = artifact.manifest_of(file)
    if manifest.name != name:
        raise Damaged(f"{file} holds {manifest.name}, not {name}")
    folder = home / RELEASES / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists() and not is_whole(folder):
        shutil.rmtree(folder)  # nobody runs from it: what runs is never offered again
    artifact.unpack(file, folder)


def whole(home: Path, names: Iterable[str]) -> list[str]:
    """Those of `names` whose every byte is as its manifest says."""
    return [name for name in names if name and is_whole(home / RELEASES / name)]


def is_whole(folder: Path) -> bool:
    """What was added does not count: root's Python may have left its cache, which is no reason to lose a way
    back; `plimsoll doctor` tells of it.
    """
    try:
        return next(artifact.changes(folder), None) is None
    except (OSError, Damaged):
        return False


def prune(home: Path, kept: Iterable[str]) -> list[str]:
    """Remove all releases but `kept`, and what an interrupted unpacking left; returns their names."""
    keep = {*kept, linked(home)}
    gone = [path for path in sorted((home / RELEASES).iterdir()) if path.name not in keep]
    for path in gone:
        hidden = path.with_name(f".{path.name.lstrip('.')}.gone")  # a release is whole or has no name
        path.rename(hidden)
        shutil.rmtree(hidden)
    return [path.name for path in gone]


def copy_updater(home: Path, release: str) -> None:
    """Give the updater a copy of `release` of its own. The one it runs from stays until the link moved."""
    if linked(home, UPDATER) == release and is_whole(home / UPDATERS / release):
        return
    folder = home / UPDATERS / release
    begun = folder.with_name(f".{release}.new")
    shutil.rmtree(begun, ignore_errors=True)
    shutil.copytree(home / RELEASES / release, begun)
    durable.settle(begun)
    if not is_whole(begun):
        raise Damaged(f"{release} is not what its manifest says")
    shutil.rmtree(folder, ignore_errors=True)
    begun.rename(folder)
    durable.flush(folder.parent)
    durable.point(home / UPDATER, f"{UPDATERS}/{release}")


def prune_updaters(home: Path) -> None:
    """Remove the updater's older copies, but none that an updater runs from."""
    kept = linked(home, UPDATER)
    for path in (home / UPDATERS).glob("*"):
        if path.name != kept and not locks.is_used(path):
            shutil.rmtree(path, ignore_errors=True)
