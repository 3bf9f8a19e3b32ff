"""The file an owner gets, on a fresh Debian 13: installed, set up, found from the LAN, taken away."""

from __future__ import annotations

import re
from pathlib import Path

from tests.booted.appliance import (
    ANSWERS,
    CODE,
    DATA,
    FILE,
    KEY,
    PORT,
    PRIVILEGED,
    SERVICE,
    Appliance,
)
from tests.booted.conftest import Installed
from tests.booted.machine import ADDRESS, BY_THE_HOUR
from tests.booted.outcomes import Outcomes

UNIT = f"/etc/systemd/system/{SERVICE}"
MDNS = """
import socket, struct, sys
name = b"".join(bytes([len(part)]) + part.encode() for part in sys.argv[1].split(".")) + b"\\0"
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("192.168.77.1"))
asker.settimeout(2)
asker.sendto(struct.pack(">6H", 1, 0, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1), ("224.0.0.251", 5353))
print(socket.inet_ntoa(asker.recv(1500)[-4:]))
"""
# What an uninstall without --purge says it keeps; the journal of systemd and what this test put there itself.
KEPT = (
    *(DATA, "/var/lib/plimsoll-update", "/etc/plimsoll", "/var/log/journal", FILE),
    *(f"/etc/systemd/system/{timer}.timer.d" for timer in BY_THE_HOUR),
)


def test_installs_and_says_where_the_page_is(installing: Installed) -> None:
    said = installing.said["install"]
    assert "http://plimsoll.local:8080/" in said and "sudo plimsoll setup" in said
    assert re.search(CODE, said)


def test_the_page_answers_before_the_setup(installing: Installed) -> None:
    assert "<title>" in installing.said["page"]


def test_a_second_run_changes_nothing(installing: Installed) -> None:
    steps = [line.split(None, 1) for line in installing.said["again"].splitlines() if line.startswith("  ")]
    assert steps and all("unchanged" in line[1] for line in steps), installing.said["again"]


def test_the_doctor_finds_nothing_bad_after_the_setup(installing: Installed) -> None:
    assert "BAD" not in installing.said["doctor"] and "ok    service" in installing.said["doctor"]
    assert "The service starts again with it." in installing.said["setup"]


def test_the_page_is_found_by_name_from_the_lan(box: Appliance) -> None:
    def asked() -> str:
        return box.on_lan("python3", "-I", "-c", MDNS, "plimsoll.local").stdout.strip()

    assert box.until(asked, "an answer to plimsoll.local") == ADDRESS
    by_name = box.visit("/", port=PORT, Host=f"plimsoll.local:{PORT}")
    by_number = box.visit("/", port=PORT)
    assert (by_name[0], by_number[0]) == (200, 200)
    assert box.visit("/", port=PORT, Host="evil.example")[0] in (400, 403, 421)


def test_nothing_happens_by_the_hour(box: Appliance) -> None:
    """Not here, where the tests of any hour of any day are the same."""
    elapse = {timer: box.value(f"{timer}.timer", "NextElapseUSecRealtime") for timer in BY_THE_HOUR}
    assert [timer for timer, when in elapse.items() if "2099" not in when] == []


def test_the_lan_may_read_and_stop_entries_until_a_login_exists(installing: Installed) -> None:
    answered = dict(installing.answered)
    assert [answered.pop(path) for path in ("/", "/api/snapshot", "/api/stop-entries")] == [200, 200, 200]
    assert set(answered) == set(PRIVILEGED)
    assert {path for path, status in answered.items() if status not in (401, 403, 404)} == set(), answered


def test_who_logs_in_may_halt_and_nobody_else(box: Appliance) -> None:
    assert box.visit("/api/snapshot", port=PORT)[0] == box.post("/api/halt")[0] == 401
    cookie = box.log_in()
    assert box.visit("/api/snapshot", port=PORT, Cookie=cookie)[0] == 200
    assert box.post("/api/halt", Cookie=cookie)[0] == 200
    box.halted()


def test_the_key_is_for_the_unit_alone(box: Appliance) -> None:
    copy = box.run("stat", "--format=%a %U", f"/run/credentials/{SERVICE}/{Path(KEY).name}").stdout.split()
    assert copy[0] in ("400", "440")
    for path in (KEY, f"/run/credentials/{SERVICE}/{Path(KEY).name}"):
        assert box.run("setpriv", "--reuid=nobody", "--clear-groups", "cat", path, check=False).returncode
    assert "demo-key" not in box.journal(SERVICE) and "demo-key" not in box.status_line()
    environment = box.run("cat", f"/proc/{box.pid}/environ").stdout
    assert "demo-key" not in environment


def test_an_empty_key_is_told_and_a_missing_one_made(box: Appliance, outcomes: Outcomes) -> None:
    box.write(KEY, "", 0o600)
    box.systemctl("restart", SERVICE)
    assert "topstepx.key" in box.told()["safe"] and box.page()[0] == 200
    outcomes.tell("the venue's key is empty", "safe mode: page and CLI say so")
    (box.root / KEY.lstrip("/")).unlink()
    done = box.run("plimsoll", "doctor", check=False)
    assert done.returncode == 1 and "the service cannot log in" in done.stdout
    box.systemctl("restart", SERVICE)
    assert f"{KEY} is missing" in box.told()["safe"] and box.page()[0] == 200
    outcomes.tell("the venue's key is missing", "safe mode: page and CLI say so; doctor names the key")
    box.run(FILE, "install")
    box.write(KEY, "demo-key\n", 0o600)
    assert "The service starts again with it." in box.answer(ANSWERS)
    box.until(lambda: "state" in box.told(), "the service, which is not in safe mode")


def test_a_unit_edited_by_hand_is_found_and_put_right(box: Appliance, outcomes: Outcomes) -> None:
    shipped = box.read(UNIT)
    box.write(UNIT, shipped.replace("NoNewPrivileges=yes", "NoNewPrivileges=no"))
    assert box.value(SERVICE, "NeedDaemonReload") == "yes"
    done = box.run("plimsoll", "doctor", check=False)
    assert done.returncode == 1 and f"not as shipped: {UNIT}" in done.stdout
    box.run(FILE, "install")
    assert box.read(UNIT) == shipped
    assert box.show(SERVICE, "NeedDaemonReload", "NoNewPrivileges") == {
        "NeedDaemonReload": "no",
        "NoNewPrivileges": "yes",
    }
    outcomes.tell("a unit edited by hand", "doctor names it, install puts it right")


def test_is_shut_in_as_tightly_as_it_says(box: Appliance) -> None:
    assert exposure(box) <= 1.1
    pid = str(box.pid)
    seen = box.run("nsenter", "-t", pid, "-m", "-r", "ls", "/").stdout.split()
    assert {"home", "boot", "srv", "mnt"}.isdisjoint(seen)
    status = box.run("cat", f"/proc/{pid}/status").stdout
    assert "CapEff:\t0000000000000000" in status and "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status
    assert int(box.run("cat", f"/proc/{pid}/stat").stdout.rsplit(")")[-1].split()[16]) == -5, "its priority"


def test_a_board_at_a_usb_port_is_let_in_and_missed(box: Appliance, outcomes: Outcomes) -> None:
    """Its drop-in lets devices come and go; without one trading is closed, and the page says why."""
    usb = ANSWERS.replace('board = "none"', 'board = "serial"\ndevice = "/dev/ttyACM0"')
    box.answer(usb)  # the clock of the settings stays as it is
    box.until(lambda: box.value(SERVICE, "PrivateDevices") == "no", "the drop-in")
    box.ready()
    assert exposure(box) <= 1.4
    box.until(lambda: "panel" in box.reasons() or "board" in box.status_line(), "the missing board is told")
    box.halted()
    assert box.page()[0] == 200
    refused = box.run("plimsoll", "rearm", check=False)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    outcomes.tell(
        "the board's serial port is gone at start", "READY, halted, the board named; page and CLI answer"
    )
    box.answer(ANSWERS)
    box.until(lambda: box.value(SERVICE, "PrivateDevices") == "yes", "no drop-in")
    box.ready()


def test_leaves_nothing_but_what_it_says(installed: Path, trixie: Path, tmp_path: Path) -> None:
    with Appliance(installed, tmp_path) as box:
        box.boot()
        box.ready()
        box.run("ln", "-sf", "/dev/null", "/etc/systemd/system/plimsoll-update.timer")
        box.systemctl("daemon-reload")
        said = box.plimsoll("uninstall")
        assert "masked, now stopped too: plimsoll-update.timer" in said
        assert f"Kept: /etc/plimsoll, {DATA}, /var/lib/plimsoll-update" in said
        assert box.visit("/", port=PORT)[0] == 0
        assert box.run("systemctl", "list-unit-files", "--no-legend", "plimsoll*", check=False).stdout == ""
        box.run("rm", "/etc/systemd/system/venue.service")
        box.stop()
        left = [name for name in names(box.root) - names(trixie) if "plimsoll" in name]
        assert [name for name in sorted(left) if not name.startswith(KEPT)] == []
        assert DATA in left and "/etc/plimsoll/plimsoll.toml" in left
        box.boot()


def exposure(box: Appliance) -> float:
    said = box.run("systemd-analyze", "security", "--no-pager", SERVICE).stdout
    found = re.search(r"exposure level for plimsoll.service: ([0-9.]+)", said)
    assert found, said
    return float(found[1])


def names(root: Path) -> set[str]:
    return {f"/{path.relative_to(root)}" for path in root.rglob("*")}
