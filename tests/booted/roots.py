"""Debian systems to boot, each made once by debootstrap and kept in `.cache/`; a test gets a copy.

    folder = root("trixie")            # never changed
    copy(folder, tmp_path / "root")    # a second, less where the file system shares blocks

The mirror is the one that this machine's own apt uses. Which packages are in it is part of a root's name, so
a change here makes another root.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path

from tests.guards import ROOT

sys.path.insert(0, str(ROOT / ".ci"))
debian = importlib.import_module("debian")  # `.ci` cannot be a package by its name

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "python3", "iproute2", "procps"),
    *("ca-certificates", "tzdata", "avahi-daemon", "libnss-mdns"),
)
TOOLS = ("systemd-nspawn", "debootstrap", "unshare", "nsenter", "setpriv", "ip")
MAKING_S = 900  # 45 s on a good line
ATTEMPTS, PAUSE_S = debian.ATTEMPTS, debian.PAUSE_S
# Whatever it mounts and starts ends with it, also when it is killed in the middle.
APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
UNWANTED = ("var/lib/apt/lists", "var/cache/apt", "usr/share/doc", "usr/share/man", "usr/share/locale")
MEMORY = Path("/dev/shm")
PREFIX = "plimsoll-booted-"
PLENTY = 8_000_000_000  # bytes
HOST_NAME = "plimsoll"


class UnavailableError(Exception):
    """No system can be booted on this machine; the text says why."""


def require() -> None:
    """Raises UnavailableError where no system can be booted."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise UnavailableError(
            f"{', '.join(missing)} not installed (apt install debootstrap systemd-container)"
        )
    if os.geteuid():
        raise UnavailableError("only root can boot a system in a container")


def root(suite: str) -> Path:
    """The folder of a system to boot, "trixie" or "bookworm"; made on first use, by one process at a time.

    Raises UnavailableError.
    """
    require()
    digest = hashlib.sha256(" ".join((*PACKAGES, *UNWANTED)).encode()).hexdigest()
    folder = ROOT / ".cache" / f"booted-{suite}-{digest[:8]}"
    folder.parent.mkdir(exist_ok=True)
    with open(folder.with_name(folder.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _make(folder, suite)
    return folder


def place(folder: Path) -> Path:
    """Where a machine's root goes: into memory where there is plenty, for a disk takes long to write and to
    trim three hundred megabytes; else into `folder`. What killed processes left in memory is removed.
    """
    for left in MEMORY.glob(f"{PREFIX}*"):
        if not Path("/proc", left.name.removeprefix(PREFIX).partition("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)
    if not MEMORY.is_dir() or min(shutil.disk_usage(MEMORY).free, _memory_free()) < PLENTY:
        return folder / "root"
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY)) / "root"


def _memory_free() -> int:
    """Bytes; 0 where it cannot be told."""
    found = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    return int(found[1]) * 1024 if found else 0


def copy(folder: Path, to: Path) -> None:
    """A machine of its own: a journal that outlives a reboot, an identity, a network."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(folder), str(to)], check=True, timeout=MAKING_S)
    (to / "var/log/journal").mkdir(exist_ok=True)
    (to / "etc/hostname").write_text(f"{HOST_NAME}\n")
    (to / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {HOST_NAME}\n")
    (to / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    _enable(to, "systemd-networkd.service")


def _make(folder: Path, suite: str) -> None:
    scratch = folder.with_name(folder.name + ".new")
    try:
        for attempt in range(ATTEMPTS):
            threading.Event().wait(PAUSE_S if attempt else 0)
            shutil.rmtree(scratch, ignore_errors=True)
            trouble = _debootstrap(scratch, suite)
            if not trouble:
                break
        else:
            raise UnavailableError(f"debootstrap {suite}: {trouble}")
        for path in UNWANTED:
            shutil.rmtree(scratch / path, ignore_errors=True)
        scratch.rename(folder)
    except debian.UnavailableError as error:
        raise UnavailableError(f"debootstrap {suite}: {error}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _debootstrap(folder: Path, suite: str) -> str:
    """The system into `folder`; what went wrong, "" = nothing."""
    words = ("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}")
    try:
        made = subprocess.run(
            [*APART, *words, suite, str(folder), debian.mirror()],
            capture_output=True,
            text=True,
            timeout=MAKING_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return str(error)
    return (made.stdout + made.stderr).strip()[-400:] if made.returncode else ""


def _enable(folder: Path, unit: str) -> None:
    subprocess.run(
        ["systemctl", f"--root={folder}", "enable", unit], check=True, capture_output=True, timeout=MAKING_S
    )
