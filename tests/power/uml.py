"""A whole machine whose plug can be pulled: User-Mode Linux, a kernel that is a process.

Killing it loses what the guest's kernel held in memory; the image keeps what its disk was given. Debian has
had one that runs on today's processors since 7.2, so it and its C library come from the unstable
distribution, unpacked into a folder of their own and used as the root of that one process. Everything here
belongs into a mount and network space of its own (`APART`), where the guest's network card is a tap device.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.guards import ROOT
from tests.power.disk import run

sys.path.insert(0, str(ROOT / ".ci"))
debian = importlib.import_module("debian")  # `.ci` cannot be a package by its name

APART = ("unshare", "--mount", "--net", "--propagation", "private", "--")
HOST, GUEST = "192.168.78.1", "192.168.78.2"
NETWORK = f"[Match]\nName=vec0\n[Network]\nAddress={GUEST}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
PACKAGES = ("user-mode-linux", "libc6", "libgcc-s1")
MEMORY_MB = 512
ENDS_S = 30.0


class UnavailableError(Exception):
    """No such machine can be had here; the text says why."""


def kernel() -> Path:
    """The folder with the kernel and what it needs; fetched once. Raises UnavailableError."""
    if os.uname().machine != "x86_64":
        raise UnavailableError("User-Mode Linux is for x86_64")
    try:
        return Path(debian.unpacked(ROOT / ".cache" / "uml", "sid", "amd64", PACKAGES))
    except debian.UnavailableError as error:
        raise UnavailableError(str(error)) from None


class Plugged:
    """The machine in the file `image`. `folder` is for its console's text and for mounting."""

    def __init__(self, system: Path, image: Path, folder: Path) -> None:
        self._system, self._image, self._mounted = system, image, folder / "mounted"
        self._console = folder / "console.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._mounted.mkdir()
        self._furnish()
        for words in (
            ("link", "set", "lo", "up"),
            ("tuntap", "add", "dev", "tap0", "mode", "tap"),
            ("addr", "add", f"{HOST}/24", "dev", "tap0"),
            ("link", "set", "tap0", "up"),
        ):
            run("ip", *words)

    def _furnish(self) -> None:
        """What the kernel's process finds below its root."""
        for name in ("proc", "dev", "tmp", "image"):
            (self._system / name).mkdir(exist_ok=True)
        for name in ("lib", "lib64"):
            if not (self._system / name).exists():
                (self._system / name).symlink_to(f"usr/{name}")
        run("mount", "--bind", "/dev", self._system / "dev")
        for place in ("tmp", "dev/shm"):  # the guest's memory is a file there
            run("mount", "-t", "tmpfs", "tmpfs", self._system / place)
        run("mount", "-t", "proc", "proc", self._system / "proc")
        run("mount", "--bind", self._image.parent, self._system / "image")

    def boot(self) -> None:
        """Power on; returns at once."""
        assert self._process is None, "it runs already"
        disk = (f"ubd0=/image/{self._image.name}", "root=/dev/ubda", "rw")
        quiet = ("con=null", "con0=null,fd:1", "panic=-1", "net.ifnames=0", "uml_dir=/tmp/", "umid=plugged")
        words = ("/usr/bin/linux.uml", f"mem={MEMORY_MB}M", *disk, *quiet)
        with self._console.open("ab") as console:
            drain = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=console)  # it wants no plain file
            self._process = subprocess.Popen(
                ["chroot", str(self._system), *words, "vec0:transport=tap,ifname=tap0,depth=128"],
                stdin=subprocess.DEVNULL, stdout=drain.stdin, stderr=console, start_new_session=True,
            )  # fmt: skip
            assert drain.stdin is not None
            drain.stdin.close()  # it ends with the machine

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def console(self) -> str:
        return self._console.read_text(errors="replace")[-4_000:] if self._console.exists() else ""

    def pull(self) -> None:
        """Power off, now: every process of it ends. Harmless when nothing runs."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(ENDS_S)
        self._process = None

    @contextlib.contextmanager
    def disk(self) -> Iterator[Path]:
        """Its disk, mounted while it does not run, as its own next boot would find it."""
        assert self._process is None, "it runs"
        run("mount", "-o", "loop", self._image, self._mounted)
        try:
            yield self._mounted
        finally:
            run("umount", self._mounted)
