"""What a person cannot prevent: a full disk, a clock that is wrong. Nothing trades, and the page says why."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.mcu import unoq
from tests.booted.appliance import DATA, SERVICE, Appliance
from tests.booted.outcomes import Outcomes

FILL = f"dd if=/dev/zero of={DATA}/filling bs=4096 2>/dev/null || true"
SHIM = "/usr/local/lib/clock.so"
CLOCK = f"/etc/systemd/system/{SERVICE}.d/90-clock.conf"
LINES = "/etc/systemd/system/plimsoll-board.service.d/90-here.conf"
# The container has the host's clock; this gives the service another one.
SHIM_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += atoll(getenv("CLOCK_OFFSET_S"));
    return failed;
}
"""


@pytest.fixture(scope="module")
def running(running: Appliance) -> Appliance:
    running.ready()
    return running


@pytest.fixture
def small(running: Appliance) -> Iterator[Appliance]:
    """Its data on a disk of four megabytes."""
    running.systemctl("stop", SERVICE)
    running.run(
        "sh", "-ec", f"mv {DATA} /root/data; mkdir {DATA}; mount -t tmpfs -o size=4M,mode=700 none {DATA}"
    )
    running.run("sh", "-ec", f"cp -a /root/data/. {DATA}; chown plimsoll: {DATA}")
    running.systemctl("reset-failed")
    running.systemctl("start", SERVICE)
    running.rearm()
    yield running
    running.systemctl("stop", SERVICE)
    running.run("sh", "-ec", f"umount {DATA}; rmdir {DATA}; mv /root/data {DATA}")


def test_a_full_disk_halts_and_is_told(small: Appliance, outcomes: Outcomes) -> None:
    small.run("sh", "-c", FILL)
    small.plimsoll("halt")
    small.until(lambda: "full" in small.told().get("journal", ""), "the journal's trouble")
    refused = small.run("plimsoll", "rearm", check=False)
    assert refused.returncode == 3 and "full" in refused.stderr
    small.halted()
    assert "500 MB are wanted" in small.plimsoll("status")
    assert small.page()[0] == 200 and small.value(SERVICE, "NRestarts") == "0"
    small.until(lambda: "journal" in small.status_line(), "systemd is told")
    outcomes.tell("the disk is full", "halted, re-arm refused; page, CLI and STATUS say so; no restart")
    small.run("rm", f"{DATA}/filling")
    small.systemctl("restart", SERVICE)  # what was lost is read anew before anything is written again
    small.rearm()


def test_starts_on_a_full_disk_and_trades_nothing(small: Appliance, outcomes: Outcomes) -> None:
    small.systemctl("stop", SERVICE)
    small.run("sh", "-c", FILL)
    small.systemctl("start", SERVICE)
    small.ready()
    assert "store.unusable" in small.told()["safe"] and "free space" in small.status_line()
    assert small.page()[0] == 200
    outcomes.tell("the disk is full at the start", "safe mode: page and CLI say so")


@pytest.fixture
def astray(running: Appliance, tmp_path: Path) -> Iterator[Appliance]:
    """With the machine's own clock, for which the tests give an offset."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "the native modules were compiled with one"
    source, shim = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(SHIM_SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(shim), str(source)], check=True, timeout=60)
    running.put(shim, SHIM)
    running.set('clock = "simulator"', 'clock = "system"')
    yield running
    running.set('clock = "system"', 'clock = "simulator"')
    (running.root / CLOCK.lstrip("/")).unlink()
    running.systemctl("daemon-reload")
    running.systemctl("reset-failed")
    running.systemctl("restart", SERVICE)


@pytest.mark.parametrize(("year", "offset_s"), [(1970, -(10**10)), (2040, 5 * 10**8)])
def test_a_wrong_clock_closes_trading_and_is_told(
    astray: Appliance, outcomes: Outcomes, year: int, offset_s: int
) -> None:
    environment = f"LD_PRELOAD={SHIM} CLOCK_OFFSET_S={offset_s}"
    astray.write(CLOCK, f"[Service]\nEnvironment={environment}\n")
    astray.systemctl("daemon-reload")
    astray.systemctl("reset-failed")
    astray.systemctl("restart", SERVICE)
    astray.ready()
    astray.until(lambda: "clock" in astray.status_line(), "systemd is told")
    astray.halted()
    assert astray.page()[0] == 200
    assert astray.run("plimsoll", "rearm", check=False).returncode == 3
    outcomes.tell(f"the clock says {year}", "READY, halted, the clock named; page and CLI answer")


def test_the_boards_lines_are_set_by_root_whenever_the_service_asks(running: Appliance) -> None:
    """This machine is no UNO Q: its chip and command are stand-ins, and without that condition it is one."""
    box, said = running, "/var/log/gpioset"
    skipped = box.show("plimsoll-board.service", "ConditionResult", "ActiveState")
    assert skipped["ActiveState"] == "inactive"
    box.run("touch", "/dev/gpiochip1")
    box.write("/usr/local/bin/gpioset", f'#!/bin/sh\necho "$(id -un) $*" >>{said}\n', 0o755)
    box.write(LINES, "[Unit]\nConditionFirmware=\n[Service]\nReadWritePaths=/var/log\n")
    box.systemctl("daemon-reload")
    box.run("setpriv", "--reuid=plimsoll", "--clear-groups", "touch", f"/run/plimsoll/{unoq.LINES_ASKED}")
    box.until(
        lambda: (box.root / said.lstrip("/")).exists() and len(box.read(said).splitlines()) == 2, "two lines"
    )
    wanted = [" ".join(("root", *unoq.gpioset(line)[1:])) for line in (unoq.BOOT0_LOW, unoq.UART_ON)]
    assert box.read(said).splitlines() == wanted
    assert box.run(
        "nsenter", "-t", str(box.pid), "-m", "-r", "test", "-e", "/dev/gpiochip1", check=False
    ).returncode
