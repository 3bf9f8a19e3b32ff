"""A whole machine with systemd as its first process, in a container, and the LAN that it hangs on.

    from tests.booted.machine import Machine

    with Machine(folder_of_a_root, tmp_path / "one") as machine:   # copies the root; nothing runs yet
        machine.put(artifact, "/root/plimsoll")                    # a file into it, while it runs or not
        machine.boot()                                             # returns the seconds to "running"
        machine.run("/root/plimsoll", "install")                   # a command in it; .stdout, .returncode
        machine.systemctl("restart", "plimsoll")
        machine.show("plimsoll", "ActiveState", "SubState")        # {"ActiveState": "active", …}
        machine.journal("plimsoll")                                # its log
        machine.visit("/", port=8080)                              # the page as a neighbour sees it
        machine.until(lambda: …, "what is waited for")             # asks again until it is true
        machine.reboot()                                           # as the owner does it
        machine.cut()                                              # kill -9 of everything at once
        machine.boot()
        machine.stop()                                             # and cut at the end of `with`, in any case

`machine.root` is its file system, to be read and (while it is stopped) written from outside. Several machines
run side by side without knowing of each other: each has its own mount, network and process space and its own
control group, and a name made of the process's number. The machine is 192.168.77.10 (`plimsoll.local`) on a
LAN whose only other guest, 192.168.77.1, is where `visit` and `on_lan` come from; neither reaches the real
network. When the test's process dies, the kernel ends the machine.

What it is not: the disk does not lose what was written (the power tests cut that), memory limits are not
enforced where the host counts memory elsewhere, and the clock is the host's.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.booted import roots

ADDRESS, NEIGHBOUR = "192.168.77.10", "192.168.77.1"
NETWORK = f"[Match]\nName=host0\n[Network]\nAddress={ADDRESS}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
SYNCHRONIZED = "/run/systemd/timesync/synchronized"
BOOT_S = 90.0  # three seconds on an idle machine
STOP_S = 60.0
COMMAND_S = 120.0
PAUSE_S = 0.05  # between two questions
ANSWER_S = 60.0  # for the page
# What happens by the hour would happen in whichever test runs then.
BY_THE_HOUR = ("apt-daily", "apt-daily-upgrade", "dpkg-db-backup", "plimsoll-backup", "plimsoll-update")
HOURLESS = "[Timer]\nOnCalendar=\nOnCalendar=2099-01-01\n"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAMESPACES = ("-m", "-u", "-i", "-n", "-p", "-C")
CGROUP = Path("/sys/fs/cgroup")
# $1 the control group, $2 the root. On some hosts control groups are of the first kind, which systemd will
# not have; below /run the container would leave locks and mount points, named like another test's machine.
START = f"""
set -e
umount -R {CGROUP} 2>/dev/null || true
mount -t cgroup2 none {CGROUP}
mount -t tmpfs none /run
mkdir -p {CGROUP}/$1
echo $$ >{CGROUP}/$1/cgroup.procs
ip link set lo up
exec setpriv --pdeathsig KILL systemd-nspawn --quiet --directory="$2" --machine=plimsoll --boot \\
    --console=pipe --register=no --keep-unit --network-veth --link-journal=no --resolv-conf=off \\
    --timezone=off "${{@:3}}"
"""
VISIT = """
import http.client, json, sys
asked = json.load(sys.stdin)
connection = http.client.HTTPConnection(asked["host"], asked["port"], timeout=asked["timeout"])
try:
    connection.request(asked["method"], asked["path"], asked["body"], asked["headers"])
    answer = connection.getresponse()
    print(json.dumps([answer.status, dict(answer.getheaders()), answer.read(10_000_000).decode()]))
except (OSError, http.client.HTTPException) as error:
    print(json.dumps([0, {}, f"{type(error).__name__}: {error}"]))
"""
numbers = itertools.count()


class Machine:
    """One system; see the module. `options` are more words for systemd-nspawn."""

    def __init__(self, system: Path, folder: Path, *options: str) -> None:
        self.root, self.options = roots.place(folder), options
        self._console = folder / "console.log"
        self._group = f"plimsoll-{os.getpid()}-{next(numbers)}"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.leader = 0  # its first process, by the host's number; 0 = it does not run
        self.began_ns = 0  # monotonic, of the last start
        folder.mkdir(parents=True, exist_ok=True)
        roots.copy(system, self.root)
        self.write("/etc/systemd/network/10-lan.network", NETWORK)
        self.write("/etc/tmpfiles.d/clock.conf", f"f {SYNCHRONIZED}\n")  # the host keeps the time
        for timer in BY_THE_HOUR:
            self.write(f"/etc/systemd/system/{timer}.timer.d/90-hourless.conf", HOURLESS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.cut()
        finally:
            shutil.rmtree(self.root, ignore_errors=True)
            if self.root.parent.parent == roots.MEMORY:
                self.root.parent.rmdir()

    # Files.

    def put(self, file: Path, path: str, mode: int = 0o755) -> None:
        """A file of this machine to `path` there."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        target.chmod(mode)

    def write(self, path: str, text: str, mode: int | None = None) -> None:
        """A file at `path` there, made new: who holds the old one open goes on with that. Its mode stays."""
        target = self.root / path.lstrip("/")
        if mode is None:
            mode = target.stat().st_mode & 0o7777 if target.exists() else 0o644
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f"{target.name}.harness")
        scratch.write_text(text)
        scratch.chmod(mode)
        scratch.replace(target)

    def read(self, path: str) -> str:
        """A file's text; not for what lies below /run, /tmp or /dev there (`run("cat", …)` is)."""
        return (self.root / path.lstrip("/")).read_text(errors="replace")

    # Power.

    def boot(self, state: str = "running") -> float:
        """Start it; the seconds until systemd says `state` ("" = any in which the start is over)."""
        assert self._nspawn is None, "it runs already"
        self.began_ns = time.monotonic_ns()
        words = ["unshare", "--mount", "--net", "--propagation", "private", "bash", "-c", START, "bash"]
        with self._console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                [*words, self._group, str(self.root), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                env={"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_LOCK": "0"},
            )
        try:
            self.until(self._is_up, "the machine's first process", BOOT_S)
            self._join_lan()
            found = self._booted()
        except BaseException:
            self.cut()
            raise
        failed = self.run("systemctl", "--failed", "--plain", "--no-legend", check=False).stdout
        assert not state or found == state, f"{found}: {failed}\n{self.console()}"
        return (time.monotonic_ns() - self.began_ns) / 1e9

    def reboot(self, state: str = "running") -> float:
        """`systemctl reboot`, and up again; the seconds of the start."""
        self._shut_down("reboot")
        return self.boot(state)

    def stop(self) -> None:
        """`systemctl poweroff`."""
        if self._nspawn is not None:
            self._shut_down("poweroff")

    def cut(self) -> None:
        """Every process there dies now, as when the plug is pulled. Harmless when nothing runs."""
        if self._nspawn is None:
            return
        for pid in (self.leader, self._nspawn.pid):
            if pid:
                _end(pid)
        self._over()

    # Questions and commands.

    def run(
        self, *words: str, check: bool = True, timeout: float = COMMAND_S, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """A command there, as root; `text` is its standard input. With `check` it must end with 0."""
        assert self.leader, "it does not run"
        within = ["nsenter", "-t", str(self.leader), *NAMESPACES, "env", "-i"]
        done = subprocess.run(
            [*within, f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8", "SYSTEMD_PAGER=cat", *words],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done

    def systemctl(self, *words: str, check: bool = True) -> str:
        return self.run("systemctl", *words, check=check).stdout.strip()

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit by name."""
        said = self.systemctl("show", f"--property={','.join(names)}", unit)
        return dict(line.partition("=")[::2] for line in said.splitlines())

    def value(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.show(unit, name)[name]

    def journal(self, unit: str = "", *words: str) -> str:
        """The log of this boot: of a unit, or everything that was said until now."""
        self.run("journalctl", "--sync")
        chosen = ("--unit", unit) if unit else ()
        return self.run(
            "journalctl", "--boot", "--no-pager", "--output=short-monotonic", *chosen, *words
        ).stdout

    def console(self) -> str:
        """The end of what the machine's console showed."""
        return self._console.read_text(errors="replace")[-8_000:] if self._console.exists() else ""

    def until(self, true: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
        """The first true answer of `true`. Fails with the log when none came in time."""
        pause, end_ns = threading.Event(), time.monotonic_ns() + round(seconds * 1e9)
        while True:
            found = true()
            if found:
                return found
            if time.monotonic_ns() > end_ns:
                log = (
                    self.run("journalctl", "-b", "-n", "80", check=False).stdout
                    if self.leader
                    else self.console()
                )
                raise AssertionError(f"not within {seconds} s: {what}\n{log}")
            pause.wait(PAUSE_S)

    # The LAN.

    def on_lan(
        self, *words: str, text: str = "", timeout: float = COMMAND_S
    ) -> subprocess.CompletedProcess[str]:
        """A command of the host, on the machine's LAN."""
        assert self._nspawn is not None, "it does not run"
        within = ["nsenter", "-t", str(self._nspawn.pid), "-n"]
        return subprocess.run(
            [*within, *words], input=text, capture_output=True, text=True, timeout=timeout, check=False
        )

    def visit(
        self,
        path: str = "/",
        *,
        port: int = 8080,
        method: str = "GET",
        body: str | None = None,
        **headers: str,
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and body of the page as a neighbour sees it; `headers` by name, `_` for `-`.

        Status 0 = no answer, and the body says why.
        """
        asked = {
            "host": ADDRESS,
            "port": port,
            "method": method,
            "path": path,
            "body": body,
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
            "timeout": ANSWER_S,
        }
        done = self.on_lan(sys.executable, "-I", "-c", VISIT, text=json.dumps(asked))
        assert done.returncode == 0, done.stderr
        status, given, content = json.loads(done.stdout)
        return status, given, content

    # How it is done.

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, f"the container ended:\n{self.console()}"
        self.leader = next(_first_processes(self._nspawn.pid), 0)
        if not self.leader:
            return False
        return self.run("test", "-S", "/run/systemd/private", check=False).returncode == 0

    def _join_lan(self) -> None:
        for words in (
            ("addr", "add", f"{NEIGHBOUR}/24", "dev", "ve-plimsoll"),
            ("link", "set", "ve-plimsoll", "up"),
        ):
            done = self.on_lan("ip", *words)
            assert done.returncode == 0, done.stderr

    def _booted(self) -> str:
        """systemd's word for itself, once its start is over."""
        asked = self.run("systemctl", "is-system-running", "--wait", check=False, timeout=BOOT_S)
        return asked.stdout.strip()

    def _shut_down(self, how: str) -> None:
        self.systemctl(how, check=False)
        try:
            assert self._nspawn is not None
            self._nspawn.wait(STOP_S)
        except subprocess.TimeoutExpired:
            console = self.console()
            self.cut()
            raise AssertionError(f"{how} took longer than {STOP_S} s:\n{console}") from None
        self._over()

    def _over(self) -> None:
        """Every trace of it outside its root is away."""
        assert self._nspawn is not None
        self._nspawn.wait(STOP_S)
        self._nspawn, self.leader = None, 0
        _drop_group(self._group)


def _end(pid: int) -> None:
    """Kill a process and return when it is gone: the first one of a space goes after every other in it."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        gone = select.poll()
        gone.register(handle, select.POLLIN)
        assert gone.poll(STOP_S * 1_000), f"process {pid} was killed and lives after {STOP_S} s"
    finally:
        os.close(handle)


def _first_processes(parent: int) -> Iterator[int]:
    """Children of `parent` that are the first process of a space of their own."""
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            lines = dict(line.partition(":\t")[::2] for line in status.read_text().splitlines())
            if lines.get("PPid") == str(parent) and re.fullmatch(r"\d+\s.*\b1", lines.get("NSpid", "")):
                yield int(status.parent.name)


def _drop_group(name: str) -> None:
    """Remove the control group, once the last process in it is gone."""
    script = f"""
umount -R {CGROUP} 2>/dev/null || true
mount -t cgroup2 none {CGROUP}
find {CGROUP}/{name} -depth -type d -exec rmdir {{}} +
"""
    for _ in range(20):
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            capture_output=True,
            timeout=STOP_S,
            check=False,
        )
        if done.returncode == 0:
            return
        threading.Event().wait(PAUSE_S)
