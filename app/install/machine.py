"""Whether a machine can carry a release, decided before anything on it is changed.

It is read from its files (`/etc/os-release`, the header of its Python), so that an image of another
architecture can be judged too.
"""

from __future__ import annotations

import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from app.errors import Unable
from app.update.artifact import Manifest

FILE_LIMIT = 65_536  # bytes of os-release
MACHINES = {62: "x86_64", 183: "aarch64"}  # ELF's e_machine
DEBIANS = {"x86_64": ("12", "13"), "aarch64": ("13",)}
SYSTEMD = ("usr/lib/systemd/systemd", "lib/systemd/systemd")
SYSTEMD_LIBRARY = "*/systemd/libsystemd-shared-*.so"
BOOTED = "run/systemd/system"  # there while systemd is the init, see sd_booted(3)
COPIES = 3  # of an unpacked release: this one, the one before, the updater's own
DATA_BYTES = 256_000_000  # journal, backups and logs of some months


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found. Empty = could not be told."""

    debian: str  # "13"
    name: str  # for people
    arch: str
    python: str  # "3.13"
    systemd: bool  # installed, and on a machine that runs: the init
    free: int  # bytes


def look(root: Path, live: bool) -> Machine:
    """The machine below `root`. Never raises: what cannot be read is empty, and is then refused."""
    release = _os_release(root)
    python, arch = _python(root)
    systemd = any((root / path).exists() for path in SYSTEMD) and (not live or (root / BOOTED).exists())
    debian = release.get("VERSION_ID", "") if release.get("ID") == "debian" else ""
    free = shutil.disk_usage(root / "opt" if (root / "opt").exists() else root).free
    return Machine(debian, release.get("PRETTY_NAME", "unknown"), arch, python, systemd, free)


def systemd_version(root: Path) -> int:
    """The number of the systemd that is installed, by its library's name; 0 = cannot be told."""
    found = (re.search(r"-(\d+)", path.name) for path in (root / "usr/lib").glob(SYSTEMD_LIBRARY))
    return max((int(number[1]) for number in found if number), default=0)


def require(machine: Machine, manifest: Manifest) -> None:
    """Raises Refused for the first thing that a release needs and the machine has not."""
    if machine.arch != manifest.arch:
        raise _refused("arch", machine.arch or "unknown", manifest.arch, "take the file for this machine")
    known = DEBIANS.get(manifest.arch, ())
    if machine.debian not in known:
        wanted = f"Debian {' or '.join(known)}"
        raise _refused("system", machine.name, wanted, "elsewhere it was never tried")
    if not machine.systemd:
        raise _refused("systemd", "is not the init here", "systemd", "a container without it cannot carry it")
    if machine.python not in manifest.pythons:
        wanted = f"Python {' or '.join(manifest.pythons)}"
        raise _refused(
            "python", f"/usr/bin/python3 is {machine.python or 'missing'}", wanted, "apt install python3"
        )
    needed = COPIES * sum(size for _, size in manifest.files.values()) + DATA_BYTES
    if machine.free < needed:
        raise _refused(
            "space", f"{machine.free // 10**6} MB free", f"{needed // 10**6} MB", "free some space"
        )


def _refused(what: str, found: str, wanted: str, advice: str) -> Unable:
    return Unable(f"install.{what}", found, f"needs {wanted}", advice)


def _os_release(root: Path) -> dict[str, str]:
    try:
        with (root / "etc/os-release").open("rb") as file:
            text = file.read(FILE_LIMIT).decode(errors="replace")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {key: value.strip("\"'") for key, _, value in pairs}


def _python(root: Path) -> tuple[str, str]:
    """Version and architecture of the machine's own Python, by its name and its header."""
    link = root / "usr/bin/python3"
    try:
        name = str(link.readlink()) if link.is_symlink() else link.name
        with (link.parent / Path(name).name).open("rb") as file:
            header = file.read(20)
    except OSError:
        return "", ""
    version = re.fullmatch(r"python(\d+\.\d+)", Path(name).name)
    little = len(header) == 20 and header[:4] == b"\x7fELF" and header[5] == 1
    arch = MACHINES.get(struct.unpack_from("<H", header, 18)[0], "") if little else ""
    return version[1] if version else "", arch
