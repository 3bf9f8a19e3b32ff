"""MicroPython 1.25 for tests: Debian trixie's package, unpacked into ``.cache`` and never installed.

``command()`` gives the command line that runs it. apt works in folders of its own there, so neither this
machine's packages nor its lists of packages change; the packages are signed, apt checks that.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.guards import ROOT

CACHE = ROOT / ".cache" / "micropython"
SOURCE = (
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main"
)
# The interpreter and all it links with, the C library too: this machine may have an older one.
PACKAGES = (
    "micropython",
    "libffi8",
    "libmbedcrypto16",
    "libmbedtls21",
    "libmbedx509-7",
    "libc6",
    "libgcc-s1",
)
CONFIGURATION = """\
Dir "{folder}";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "{folder}/none";
Dir::State::status "{folder}/status";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
"""
SECONDS = 300  # for any one step; the whole takes about 5 on a good line


class UnavailableError(Exception):
    """There is no MicroPython to be had on this machine now."""


def command(*, heap: str = "1m") -> list[str]:
    """Return the words that start MicroPython with a heap of that size; skips where there is none to be had.

    With ``CI`` set that is a failure.
    """
    try:
        root = unpacked()
    except UnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(f"no MicroPython: {error}", pytrace=False)
        pytest.skip(f"no MicroPython: {error}")
    loader = next(root.glob("usr/lib*/**/ld-linux*.so.*"))
    libraries = next(root.glob("usr/lib/*-linux-gnu*"))
    return [
        *(str(loader), "--library-path", str(libraries), str(root / "usr" / "bin" / "micropython")),
        *("-X", f"heapsize={heap}"),
    ]


def board() -> list[str]:
    """Return the words that start the virtual MicroPython board; ``--link`` and ``--control`` follow them."""
    return [*command(heap="256k"), str(ROOT / "board" / "micropython" / "main.py")]


def unpacked() -> Path:
    """Return the folder that holds the packages' files, after fetching them if this is the first time."""
    CACHE.parent.mkdir(exist_ok=True)
    with open(CACHE.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if not CACHE.is_dir():
            _fetch()
    return CACHE


def _fetch() -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise UnavailableError("it comes by apt-get, which this system has not")
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as name:
        folder = Path(name)
        _prepare(folder)
        _run(folder, "apt-get", "-qq", "update")
        _run(folder, "apt-get", "-qq", "download", *PACKAGES)
        for package in folder.glob("*.deb"):
            _run(folder, "dpkg-deb", "-x", package.name, "root")
        (folder / "root").rename(CACHE)


def _prepare(folder: Path) -> None:
    for inner in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial"):
        (folder / inner).mkdir(parents=True)
    (folder / "var/cache/apt/archives/partial").mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(SOURCE + "\n")
    (folder / "apt.conf").write_text(CONFIGURATION.format(folder=folder))


def _run(folder: Path, *words: str) -> None:
    environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{words[0]} took longer than {SECONDS} s") from None
    if done.returncode:
        reasons = done.stderr.strip().splitlines() or [f"{words[0]} failed"]
        raise UnavailableError(reasons[-1][:200])
