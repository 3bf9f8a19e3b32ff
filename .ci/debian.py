"""Debian packages of another release or architecture, unpacked into a folder and never installed.

apt works in folders of its own, so neither this machine's packages nor its lists change; packages are signed
and apt checks that. A mirror may be weeks old, which makes nothing worse that is built and tested here. It is
the one that this machine's own apt uses.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Event

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}  # Debian's words for the kernel's
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))
CONFIGURATION = """\
Dir "{folder}";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "{folder}/none";
Dir::State::status "{folder}/status";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "{retries}";
"""
RETRIES = 5  # of one file, with pauses that grow
ATTEMPTS, PAUSE_S = 3, 20.0  # of all: a mirror that is being renewed names files that it has no more
SECONDS = 300  # for any one step; the largest set takes about 10 on a good line


class UnavailableError(Exception):
    """The packages are not to be had on this machine now; the text says why."""


def unpacked(folder: Path, suite: str, arch: str, packages: Sequence[str]) -> Path:
    """Fetch and unpack `packages` as `folder`, if this is the first time; returns it.

    `arch` is Debian's word: amd64, arm64. Processes side by side wait for each other. Raises
    UnavailableError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(folder.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(folder, suite, arch, packages)
    return folder


def mirror(places: Sequence[Path] = SOURCES) -> str:
    """The first archive of Debian itself in this machine's apt sources, of either format.

    Raises UnavailableError when there is none.
    """
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.glob("*")))]
    for file in files:
        for line in file.read_text(errors="replace").splitlines():
            found = re.match(r"(?:URIs:|deb(?:\s+\[[^]]*\])?)\s+(\S+/debian/?)(?:\s|$)", line)
            if found:
                return found[1]
    raise UnavailableError("this machine's apt knows no archive of Debian")


def _fetch(target: Path, suite: str, arch: str, packages: Sequence[str]) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise UnavailableError("packages come by apt-get, which this system has not")
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        _prepare(folder, suite, arch)
        _download(folder, packages)
        for package in sorted(folder.glob("*.deb")):
            _run(folder, "dpkg-deb", "-x", package.name, "root")
        (folder / "root").rename(target)


def _download(folder: Path, packages: Sequence[str]) -> None:
    for left in reversed(range(ATTEMPTS)):
        try:
            _run(folder, "apt-get", "-qq", "update")
            _run(folder, "apt-get", "-qq", "download", *packages)
            return
        except UnavailableError:
            if not left:
                raise
            Event().wait(PAUSE_S)


def _prepare(folder: Path, suite: str, arch: str) -> None:
    for inner in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial"):
        (folder / inner).mkdir(parents=True)
    (folder / "var/cache/apt/archives/partial").mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
    (folder / "apt.conf").write_text(CONFIGURATION.format(folder=folder, arch=arch, retries=RETRIES))


def _run(folder: Path, *words: str) -> None:
    environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{words[0]} took longer than {SECONDS} s") from None
    if done.returncode:
        reasons = done.stderr.strip().splitlines() or [f"{words[0]} failed"]
        raise UnavailableError(reasons[-1][:200])
