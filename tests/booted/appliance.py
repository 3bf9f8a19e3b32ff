"""An installed appliance on a booted machine, with the simulator as its venue: what the tests say and ask.

    with Appliance(installed, tmp_path) as box:   # `installed`: the folder of the fixture of that name
        box.boot()
        box.ready()                               # until the service says so
        box.plimsoll("rearm")                     # the command line there
        box.told()["state"]                       # `plimsoll status`, as it is for programs
        box.status_line()                         # what systemctl status shows
        box.pid, box.resident_bytes()
        box.post("/api/halt")                     # as the page on the LAN sends it

The venue's clock is the simulator's (a Thursday morning), so that the session is open whenever a test runs.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from tests.booted.machine import Machine

SERVICE, SOCKET, SAFE, PORT = "plimsoll.service", "plimsoll.socket", "plimsoll-safe.service", 8080
SETTINGS, KEY = "/etc/plimsoll/plimsoll.toml", "/etc/plimsoll/credentials/topstepx.key"
DATA = "/var/lib/plimsoll"
FILE = "/root/plimsoll-install"
ANSWERS_FILE = "/root/answers.toml"
ANSWERS = """\
mode = "simulate"
user_name = "demo"
api_key = "demo-key"
account = 1001
start_balance = "50000"
floor = "48000"
as_of = 2026-11-20
maximum_loss_limit = "2000"
daily_loss_limit = "1000"
max_minis = 5
symbols = ["ES"]
board = "none"
resume = true
"""
# It starts late in the day after each boot, as a real venue's clock never goes back.
VENUE = """\
[Unit]
Description=The simulated venue
Before=plimsoll.service
[Service]
ExecStart=/usr/local/bin/plimsoll simulate --port 8090 --date 2026-06-11 --start 10:00
ExecStartPost=/bin/sh -c 'until ss -ltn | grep -q :8090; do sleep 0.05; done'
DynamicUser=yes
[Install]
WantedBy=multi-user.target
"""
PASSWORD = "a long password"
CODE = r"one-time code +((?:[A-Z2-7]{4}-){3}[A-Z2-7]{4})"
PRIVILEGED = ("/api/rearm", "/api/halt", "/api/flatten", "/api/logout", "/api/claim", "/api/login")
CHANGE = {"Content_Type": "application/json", "X_Plimsoll": "1"}  # what the page's own script sends


class Appliance(Machine):
    """A machine on which Plimsoll is, or will be, installed."""

    def install(self, artifact: Path) -> str:
        """Put the file there and run it, as the owner does; what it printed."""
        self.put(artifact, FILE)
        return self.run(FILE, "install").stdout

    def set_up(self, answers: str = ANSWERS) -> str:
        """Start the venue and answer the questions by a file; what was printed."""
        self.write("/etc/systemd/system/venue.service", VENUE)
        self.systemctl("daemon-reload")
        self.systemctl("enable", "--now", "venue.service")
        said = self.answer(answers)
        self.set('clock = "system"', 'clock = "simulator"')
        self.systemctl("restart", SERVICE)
        self.ready()
        return said

    def stranger(self) -> dict[str, int]:
        """How the page answers who has not logged in, by path; the service trades before and after."""
        self.rearm()
        found = {path: self.visit(path, port=PORT)[0] for path in ("/", "/api/snapshot")}
        wrong = {"code": "AAAA-AAAA-AAAA-AAAA", "password": PASSWORD}
        found |= {path: self.post(path, wrong)[0] for path in PRIVILEGED}
        self.active()
        found["/api/stop-entries"] = self.post("/api/stop-entries")[0]
        self.stopped()
        found["/api/rearm"] = self.post("/api/rearm", wrong)[0]
        self.stopped()
        self.rearm()
        return found

    def claim(self, printed: str) -> None:
        """Set the first password on the page, with the one-time code that the installer `printed`."""
        (code,) = re.findall(CODE, printed)
        status, said = self.post("/api/claim", {"code": code, "password": PASSWORD})
        assert status == 200, said

    def answer(self, answers: str) -> str:
        self.write(ANSWERS_FILE, answers, 0o600)
        said = self.plimsoll("setup", "--answers", ANSWERS_FILE)
        (self.root / ANSWERS_FILE.lstrip("/")).unlink()
        return said

    def set(self, old: str, new: str) -> None:
        """Change the settings file, in which `old` stands once; it holds at the next start."""
        text = self.read(SETTINGS)
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in the settings"
        self.write(SETTINGS, text.replace(old, new))

    def plimsoll(self, *words: str, check: bool = True) -> str:
        done = self.run("plimsoll", *words, check=check)
        return done.stdout + done.stderr

    def told(self) -> dict[str, Any]:
        """`plimsoll status --json`; {} while nobody answers, in safe mode its reason as `safe`."""
        done = self.run("plimsoll", "status", "--json", check=False)
        try:
            found: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            return {}
        return found.get("snapshot", found)

    def status_line(self) -> str:
        """STATUS= as systemd holds it."""
        return self.value(SERVICE, "StatusText")

    @property
    def pid(self) -> int:
        return int(self.value(SERVICE, "MainPID"))

    def ready(self, other_than: int = 0) -> float:
        """Until the service is ready and is not the process `other_than`; the monotonic second."""

        def found() -> dict[str, str]:
            shown = self.show(SERVICE, "ActiveState", "MainPID", "ActiveEnterTimestampMonotonic")
            up = shown["ActiveState"] == "active" and shown["MainPID"] not in ("0", str(other_than))
            return shown if up else {}

        return int(self.until(found, "the service is ready")["ActiveEnterTimestampMonotonic"]) / 1e6

    def rearm(self) -> None:
        """As the owner does it, once the service has compared its books, and until it trades."""
        self.until(lambda: self.told().get("synced"), "the books compared")
        self.plimsoll("rearm")
        self.active()

    def active(self) -> None:
        """Until it trades."""
        self._in_state("active")

    def halted(self) -> None:
        """Until it says that it is halted."""
        self._in_state("halted")

    def stopped(self) -> None:
        """Until a person's word stops the entries."""
        self.until(lambda: "halt" in self.reasons(), "the stop of a person")

    def _in_state(self, state: str) -> None:
        self.until(lambda: self.told().get("state") == state, f"the state {state}")

    def resident_bytes(self) -> int:
        """The service's memory."""
        status = self.run("cat", f"/proc/{self.pid}/status").stdout
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def post(self, path: str, value: Any = None, **headers: str) -> tuple[int, str]:
        """A change as the page sends it, from the LAN: status and body."""
        sent = {**CHANGE, **headers}
        status, _, body = self.visit(path, port=PORT, method="POST", body=json.dumps(value or {}), **sent)
        return status, body

    def log_in(self) -> str:
        """With the password that was claimed; the cookie."""
        _, given, said = self.visit(
            "/api/login", port=PORT, method="POST", body=json.dumps({"password": PASSWORD}), **CHANGE
        )
        assert "Set-Cookie" in given, said
        return given["Set-Cookie"].partition(";")[0]

    def page(self) -> tuple[int, str]:
        """The page from the LAN: status and body."""
        status, _, body = self.visit("/", port=PORT)
        return status, body

    def reasons(self) -> list[str]:
        """Codes of why it does not trade."""
        return [reason["code"] for reason in self.told().get("reasons", [])]

    def kill(self, signal: str = "KILL") -> float:
        """A signal to the service's process; the second on the monotonic clock."""
        now = time.monotonic()
        self.systemctl("kill", "--kill-whom=main", f"--signal={signal}", SERVICE)
        return now
