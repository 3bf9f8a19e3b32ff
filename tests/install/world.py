"""A fresh machine in a folder, a release as a file, and an init and user database that remember.

Files are real; `Machine` stands for systemctl, useradd and chown, and keeps what they keep, so that a second
run finds what the first one did.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from app.clock import SystemClock
from app.errors import Theirs
from app.install import steps, units
from app.install.places import Places
from app.update.artifact import MANIFEST, Manifest, manifest_of
from app.web.claim import CODE_FILE
from tests.guards import ROOT

ELF = b"\x7fELF\x02\x01" + bytes(10) + struct.pack("<HH", 3, 62)  # an x86_64 program's header
PASSWD = "root:x:0:0:root:/root:/bin/bash\n"
GROUP = "root:x:0:\ndialout:x:20:\n"
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n'


def machine(root: Path) -> Places:
    """A Debian 13 on x86_64 with systemd and Python 3.13, never touched."""
    files = {
        "etc/os-release": DEBIAN,
        "etc/passwd": PASSWD,
        "etc/group": GROUP,
        "etc/hostname": "Plimsoll\n",
        "usr/lib/systemd/systemd": "",
        units.UDEV: "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for folder in ("usr/bin", "run/systemd/system", "etc/systemd/system", "opt", "var/lib"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "usr/bin/python3.13").write_bytes(ELF)
    (root / "usr/bin/python3").symlink_to("python3.13")
    return Places(root)


def release(path: Path, version: str = "1.2.3", more: str = "", **changes: object) -> Path:
    """An artifact with the project's own units and samples; `more` is added to the sample settings."""
    shipped = sorted((ROOT / "systemd").iterdir())
    files = {f"systemd/{file.name}": file.read_bytes() for file in shipped if file.is_file()}
    files["systemd/plimsoll.toml"] += more.encode()
    files["__main__.py"] = b"raise SystemExit\n"
    listed = {name: [hashlib.sha256(data).hexdigest(), len(data)] for name, data in files.items()}
    head = {"version": version, "commit": "a1", "arch": "x86_64", "pythons": ["3.11", "3.13"]}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps({**head, "files": listed, **changes}))
        for name, data in files.items():
            archive.writestr(name, data)
    return path


class Machine:
    """The init, the users and the owners of one root. `effect` is called before each change."""

    live = True

    def __init__(self, root: Path, effect: Callable[[], None] = lambda: None) -> None:
        self.root, self.effect = root, effect
        self.memory = root / "memory.json"  # survives a killed installer, as the machine does

    def run(self, *command: str) -> str:
        match command:
            case ("systemctl", "show", what, *names) if "ActiveState" in what:
                return "active\n" if names[-1] in self.known("active") else "inactive\n"
            case ("systemctl", "show", *_):
                return f"NeedDaemonReload={'no' if self.known('loaded') == self.on_disk() else 'yes'}\n"
            case ("timedatectl", *_):
                return "yes\n"
        self.effect()
        match command:
            case ("useradd", *_, name):
                number = 100 + len((self.root / "etc/passwd").read_text().splitlines())
                self.add("etc/passwd", f"{name}:x:{number}:{number}::/:/usr/sbin/nologin\n")
                self.add("etc/group", f"{name}:x:{number}:\n")
            case ("usermod", "--append", "--groups", group, name):
                path = self.root / "etc/group"
                lines = path.read_text().splitlines()
                path.write_text(
                    "".join(f"{line}{name if line.startswith(group) else ''}\n" for line in lines)
                )
            case ("userdel", name):
                path = self.root / "etc/passwd"
                path.write_text(
                    "".join(x for x in path.read_text().splitlines(True) if not x.startswith(name + ":"))
                )
            case ("systemctl", "enable", *names):
                self.remember("enabled", {*self.known("enabled"), *names})
            case ("systemctl", "disable", "--now", *names):
                for name in names:
                    if os.path.realpath(self.root / "etc/systemd/system" / name) == os.devnull:
                        raise Theirs("systemctl disable", f"Unit {name} is masked.")
                self.remember("enabled", self.known("enabled") - {*names})
                self.remember("active", self.known("active") - {*names})
            case ("systemctl", "--no-block", "start" | "restart" as what, *names):
                self.remember("active", {*self.known("active"), *names})
                self.remember(what, {*self.known(what), *names})
            case ("systemctl", "daemon-reload"):
                self.remember("loaded", self.on_disk())
            case ("udevadm", *_):
                self.remember("udev", {"read"})
            case _:
                raise AssertionError(f"an unexpected command: {command}")
        return ""

    def says(self, *command: str) -> bool:
        if command[1] == "reset-failed":
            return True
        if command[1] == "stop":
            if (stuck := command[-1] in self.known("stuck")) is False:
                self.remember("active", self.known("active") - {command[-1]})
            return not stuck
        what = {"is-enabled": "enabled", "is-active": "active"}[command[1]]
        return command[-1] in self.known(what)

    def own(self, path: Path, owner: tuple[int, int], names: str, handle: int = -1) -> bool:
        line = f"{path.relative_to(self.root)} {names}"
        if line in self.known("owners"):
            return False
        self.effect()
        self.remember("owners", {*self.known("owners"), line})
        return True

    def known(self, what: str) -> set[str]:
        if not self.memory.exists():
            return set()
        return set(json.loads(self.memory.read_text()).get(what, []))

    def remember(self, what: str, values: set[str]) -> None:
        held = json.loads(self.memory.read_text()) if self.memory.exists() else {}
        self.memory.write_text(json.dumps({**held, what: sorted(values)}, sort_keys=True))

    def on_disk(self) -> set[str]:
        units = self.root / "etc/systemd/system"
        files = (path for path in units.rglob("*") if path.is_file() and not path.name.startswith("."))
        return {f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files}

    def add(self, name: str, line: str) -> None:
        path = self.root / name
        path.write_text(path.read_text() + line)


def make_code(data: Path) -> str:
    (data / CODE_FILE).write_text("a code's hash")
    return "ABCD-EFGH"


def claimed(data: Path) -> str:
    return "code" if (data / CODE_FILE).exists() else ""


def job(places: Places, host: Machine, file: Path) -> steps.Install:
    manifest: Manifest = manifest_of(file)
    return steps.Install(places, host, SystemClock(), file, manifest, make_code, claimed)


def install(places: Places, host: Machine, file: Path) -> dict[str, str]:
    """What each step said."""
    said: dict[str, str] = {}
    steps.run(job(places, host, file), said.__setitem__)
    return said


def tree(root: Path) -> dict[str, object]:
    """Everything below a root: modes, contents, where links lead."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
    return found
