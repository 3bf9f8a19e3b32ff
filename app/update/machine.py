"""The installed appliance as the updater sees and touches it: systemd, page, folders, the board's name.

What is decided about it is in `decide`; the steps are in `run`.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Timer

from app import durable
from app.clock import NS, Clock
from app.errors import Later
from app.update import locks, switch
from app.update.artifact import Manifest
from app.update.decide import Exposure, Here, Probe

SERVICE, SAFE, BACKUP = "plimsoll.service", "plimsoll-safe.service", "plimsoll-backup.service"
CALL_LIMIT_S = 90  # for one order to systemd: the service has 15 s to stop and is killed then
BACKUP_LIMIT_S = 600  # as its unit has
PROBE_LIMIT_S = 1.0
ANSWER_LIMIT = 65_536  # bytes
MODEL = Path("/sys/firmware/devicetree/base/model")
MODEL_LIMIT = 200  # bytes
BOARDS = (("UNO Q", "uno-q"),)  # part of the model's name -> what a release calls it
OTHER = "generic"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SHOWN = ("ActiveState", "NRestarts", "InvocationID")
MOVING = frozenset({"activating", "reloading", "deactivating"})
UP = MOVING | {"active"}

Call = Callable[[Sequence[str], float], str]


@dataclass(frozen=True, slots=True)
class Page:
    """Where the service answers, on this machine."""

    host: str = "127.0.0.1"
    port: int = 8080


class Systemd:
    """The service under systemd. `lock` is held by the service while it is exposed; `journal` is its file."""

    def __init__(self, page: Page, lock: Path, journal: Path, clock: Clock, call: Call | None = None) -> None:
        self._page, self._lock, self._journal, self._clock = page, lock, journal, clock
        self._call = call or _call

    def start(self) -> None:
        with suppress(Later):  # it never failed
            self._call(("systemctl", "reset-failed", SERVICE), CALL_LIMIT_S)
        self._call(("systemctl", "start", "--no-block", SERVICE), CALL_LIMIT_S)

    def stop(self) -> None:
        with suppress(Later):  # it is not there where the page was never needed
            self._call(("systemctl", "stop", SAFE), CALL_LIMIT_S)
        self._call(("systemctl", "stop", SERVICE), CALL_LIMIT_S)

    def probe(self) -> Probe:
        shown = self._shown()
        state, restarts = shown.get("ActiveState", ""), shown.get("NRestarts", "0")
        seen = healthz(self._page) if state in UP else {}
        found = probed(seen, state == "active", int(restarts) if restarts.isdigit() else 0, state == "failed")
        return replace(found, moving=state in MOVING)

    def pause(self, duration_ns: int) -> None:
        Event().wait(duration_ns / NS)

    @contextmanager
    def quiet(self) -> Iterator[Exposure]:
        """A service that was ready before we had its lock, and is the same one with the lock in our hand, has
        nothing open. One that starts, perhaps over a position that outlived its end, has not been asked.
        """
        before = self._shown()
        with locks.kept(self._lock) as found:
            now = self._shown()
            if now.get("ActiveState", "active") not in UP:
                yield Exposure.CLEAR
            elif now == before and now.get("ActiveState") == "active":
                yield found
            else:
                yield Exposure.UNKNOWN

    def back_up(self) -> None:
        if self._journal.exists():
            self._call(("systemctl", "start", BACKUP), BACKUP_LIMIT_S)

    def uptime(self) -> tuple[str, int]:
        return durable.read(BOOT_ID, MODEL_LIMIT).decode().strip(), self._clock.mono_ns() // NS

    def _shown(self) -> dict[str, str]:
        text = self._call(("systemctl", "show", "-p", ",".join(SHOWN), SERVICE), CALL_LIMIT_S)
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _call(words: Sequence[str], limit_s: float) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise Later(words[0], f"{' '.join(words[1:])} took more than {limit_s:.0f} s") from None
    if done.returncode:
        raise Later(words[0], f"{' '.join(words[1:])}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def healthz(page: Page) -> dict[str, object]:
    """What the page says of the service, empty when it has not said it within a second."""
    connection = http.client.HTTPConnection(page.host, page.port, timeout=PROBE_LIMIT_S)
    try:
        connection.connect()
        with _ended(connection.sock, PROBE_LIMIT_S):
            connection.request("GET", "/healthz")
            document = json.loads(connection.getresponse().read(ANSWER_LIMIT))
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return {}
    finally:
        connection.close()
    return document if isinstance(document, dict) else {}


@contextmanager
def _ended(link: socket.socket, limit_s: float) -> Iterator[None]:
    """Shut `link` in time: its own limit holds for each piece, and a byte now and then would never end."""

    def shut() -> None:
        with suppress(OSError):  # it ended by itself
            link.shutdown(socket.SHUT_RDWR)

    timer = Timer(limit_s, shut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def probed(seen: dict[str, object], ready: bool, restarts: int, failed: bool) -> Probe:
    """What the supervisor and the page say, together."""
    problems = seen.get("problems")
    lines = [str(each) for each in problems] if isinstance(problems, list) else []
    ills = {"venue"} if any(line.startswith("venue") for line in lines) else set()
    # Not by its reason in the trading state: that may be over and wait for a person.
    ills |= {"board"} if seen.get("board") == "silent" else set()
    version = seen.get("version")
    return Probe(
        ready=ready,
        version=version if isinstance(version, str) else "",
        journal=seen.get("journal") == "ok",
        restarts=restarts,
        failed=failed,
        ills=frozenset(ills),
        safe=(lines[0] if lines else "safe mode") if seen.get("state") == "safe" else "",
    )


def installed(home: Path) -> Manifest | None:
    """The manifest of the release that is linked, None when there is none that can be read."""
    return switch.manifest(home, switch.linked(home))


def here(home: Path, model: Path = MODEL) -> Here:
    """This machine and what is installed on it."""
    manifest = installed(home)
    return Here(
        current=switch.linked(home),
        arch=os.uname().machine,
        board=_board(model),
        python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        schema=manifest.schema if manifest else 0,
    )


def _board(model: Path) -> str:
    try:
        name = durable.read(model, MODEL_LIMIT).decode("utf-8", "replace")
    except OSError:
        return OTHER
    return next((board for part, board in BOARDS if part in name), OTHER)
