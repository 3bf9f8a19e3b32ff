"""Plants each offence the suite's guards forbid, in a tree of its own, and sees it caught."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.guards import PROGRAM_PATIENCE, ROOT

APP_CODE = """
import os, socket, sqlite3, subprocess, sys, time

pause = time.sleep
def sleep(): pause(0)
def fsync():
    with open(__file__) as file: os.fsync(file.fileno())
def database(): sqlite3.connect(":memory:").close()
def lookup(): socket.getaddrinfo("127.0.0.1", 80)
def child(): subprocess.run([sys.executable, "-c", ""], check=True)
"""

OFFENCES = """
import asyncio, contextlib, socket, sqlite3, time, warnings
import pytest
from hypothesis import given, strategies as st
from app import blocking

def dial(host, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as plug:
        plug.settimeout(0.01)
        plug.connect((host, 9))

def test_bad_connects_outside(): dial("192.0.2.1")
def test_bad_connects_outside_v6(): dial("2001:db8::1", socket.AF_INET6)
def test_bad_swallows_the_guard():
    with contextlib.suppress(AssertionError):
        dial("192.0.2.1")
def test_bad_datagram_outside():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.sendto(b"", ("192.0.2.1", 9))
def test_bad_looks_up_a_name(): socket.getaddrinfo("plimsoll.invalid", 80)
async def test_bad_async_connects_outside():
    await asyncio.open_connection("192.0.2.1", 9)

async def test_bad_sleeps_in_the_loop(): blocking.sleep()
async def test_bad_fsync_in_the_loop(): blocking.fsync()
async def test_bad_database_in_the_loop(): blocking.database()
async def test_bad_lookup_in_the_loop(): blocking.lookup()
async def test_bad_child_in_the_loop(): blocking.child()

kept = []
async def test_bad_leaves_a_task(): kept.append(asyncio.create_task(asyncio.sleep(3600)))
async def test_bad_leaves_a_task_that_waits_in_its_clean_up():
    async def stubborn():
        try: await asyncio.sleep(3600)
        finally: await asyncio.sleep(3600)
    kept.append(asyncio.create_task(stubborn()))
    await asyncio.sleep(0)
async def test_bad_leaves_a_failure():
    async def fail(): raise KeyError("nobody looks")
    asyncio.create_task(fail())
    await asyncio.sleep(0)
@given(st.integers())
async def test_bad_leaves_a_task_under_hypothesis(n): kept.append(asyncio.create_task(asyncio.sleep(3600)))
def test_bad_warns(): warnings.warn("careful")
def test_bad_leaves_a_socket_open(): socket.socket()

def test_bad_leaves_a_socket_in_a_cycle():
    cycle = [socket.socket()]
    cycle.append(cycle)
async def connected(socket_):
    _, writer = await asyncio.open_connection(sock=socket_)
    return writer
def test_bad_leaves_a_connection_open():
    ours, theirs = socket.socketpair()
    with theirs: kept.append(asyncio.run(connected(ours)))
async def test_bad_leaves_a_connection_open_in_its_own_loop():
    ours, theirs = socket.socketpair()
    with theirs: kept.append(await connected(ours))
async def test_bad_listens_on():
    kept.append(await asyncio.start_server(lambda *_: None, "127.0.0.1", 0))
async def test_bad_leaves_a_child():
    kept.append(await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE))

def test_good_connects_to_loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()): pass
def test_good_localhost_is_looked_up(): socket.getaddrinfo("localhost", 80)
def test_good_closes_a_connection_last_of_all():
    ours, theirs = socket.socketpair()
    async def close(): (await connected(ours)).close()
    with theirs: asyncio.run(close())
def test_good_sleeps_outside_the_loop(): blocking.sleep()
async def test_good_looks_at_a_database(): sqlite3.connect(":memory:").close()
async def test_good_blocks_in_a_thread(): await asyncio.to_thread(blocking.database)
async def test_good_awaits_its_task(): await asyncio.create_task(asyncio.sleep(0))
@given(st.integers())
async def test_good_awaits_under_hypothesis(n): await asyncio.sleep(0)
async def test_good_starts_a_child():
    child = await asyncio.create_subprocess_exec("true")
    await child.wait()
"""

LEAK = """
import socket

def test_leaks():
    cycle = [socket.socket()]
    cycle.append(cycle)
"""

LOGS = """
import logging, sys

def test_sets_up_logging(capsys):
    logging.basicConfig(level=logging.DEBUG, handlers=[logging.StreamHandler(sys.stderr)], force=True)

def test_logs():
    logging.getLogger("x").error("said")
    assert logging.getLogger().level == logging.WARNING

def test_is_still_recorded(caplog):
    logging.getLogger("x").error("said")
    assert caplog.messages == ["said"]
"""

SKIPS = """
import pytest

def test_skips(): pytest.skip("the tool is not here")
def test_passes(): pass
"""


def run(
    folder: Path, source: str, environment: Mapping[str, str], *words: str
) -> subprocess.CompletedProcess[str]:
    """Run ``source`` as a test file under the project's own conftest and settings, in a tree of its own."""
    tests = folder / "tests"
    tests.mkdir(parents=True)
    (folder / "app").mkdir()
    (folder / "app" / "__init__.py").touch()
    (folder / "app" / "blocking.py").write_text(APP_CODE)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("conftest.py", "guards.py", "stages.py"):
        shutil.copy(ROOT / "tests" / name, tests)
    (tests / "test_planted.py").write_text(source)
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key != "CI" and not key.startswith(("PYTEST", "PLIMSOLL"))
    }
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--junit-xml=report.xml",
            *words,
        ],
        cwd=folder,
        env=inherited | dict(environment),
        capture_output=True,
        text=True,
        timeout=PROGRAM_PATIENCE,
    )


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Each planted test with what it was told; an empty list when it passed."""
    folder = tmp_path_factory.mktemp("planted") / "tree"
    done = run(folder, OFFENCES, {"PLIMSOLL_GC": "1"})
    assert done.returncode == 1, done.stdout + done.stderr
    said: dict[str, list[str]] = {}
    for case in ET.parse(folder / "report.xml").iter("testcase"):
        said.setdefault(case.get("name", ""), []).extend(
            f"{problem.get('message')} {problem.text}"
            for problem in case
            if problem.tag in ("failure", "error")
        )
    return said


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        ("connects_outside", "socket outside loopback: 192.0.2.1:9"),
        ("connects_outside_v6", "socket outside loopback: 2001:db8::1:9"),
        ("swallows_the_guard", "socket outside loopback: 192.0.2.1:9"),
        ("datagram_outside", "socket outside loopback: 192.0.2.1:9"),
        ("looks_up_a_name", "name lookup outside loopback: plimsoll.invalid"),
        ("async_connects_outside", "socket outside loopback: 192.0.2.1:9"),
        ("sleeps_in_the_loop", "blocking call in the loop: time.sleep"),
        ("fsync_in_the_loop", "blocking call in the loop: os.fsync"),
        ("database_in_the_loop", "blocking call in the loop: sqlite3.connect"),
        ("lookup_in_the_loop", "blocking call in the loop: socket.getaddrinfo"),
        ("child_in_the_loop", "blocking call in the loop: subprocess.Popen"),
        ("leaves_a_task", "tasks left running: "),
        ("leaves_a_task_that_waits_in_its_clean_up", "tasks left running: "),
        ("leaves_a_task_under_hypothesis", "tasks left running: "),
        ("leaves_a_failure", "nobody looks"),
        ("warns", "careful"),
        ("leaves_a_socket_open", "ResourceWarning"),
        ("leaves_a_socket_in_a_cycle", "ResourceWarning"),
        ("leaves_a_connection_open", "left open when its loop closed: <_SelectorSocketTransport fd="),
        ("leaves_a_connection_open_in_its_own_loop", "left open when its loop closed: "),
        ("listens_on", "left open when its loop closed: descriptor "),
        ("leaves_a_child", "left open when its loop closed: <_UnixSubprocessTransport pid="),
    ],
)
def test_catches_the_planted_offence(verdicts: dict[str, list[str]], planted: str, message: str) -> None:
    assert any(message in text for text in verdicts[f"test_bad_{planted}"])


def test_lets_everything_else_pass(verdicts: dict[str, list[str]]) -> None:
    good = {name: said for name, said in verdicts.items() if name.startswith("test_good_")}
    assert len(good) == 9
    assert not any(good.values()), good


def test_every_planted_offence_fails(verdicts: dict[str, list[str]]) -> None:
    assert not [name for name, said in verdicts.items() if name.startswith("test_bad_") and not said]


def test_a_leak_fails_in_the_file_that_made_it(tmp_path: Path) -> None:
    done = run(tmp_path / "tree", LEAK, {})
    assert done.returncode == 1 and "ERROR at teardown of test_leaks" in done.stdout, done.stdout


def test_a_test_leaves_logging_as_it_was(tmp_path: Path) -> None:
    done = run(tmp_path / "tree", LOGS, {})
    assert done.returncode == 0 and "--- Logging error ---" not in done.stdout + done.stderr, done.stdout


@pytest.mark.parametrize(
    ("environment", "words", "code"),
    [({}, (), 0), ({"CI": "1"}, (), 1), ({"CI": "1"}, ("--numprocesses", "1"), 1)],
    ids=["at_home", "with_CI", "with_CI_and_workers"],
)
def test_a_skip_fails_only_with_ci(
    tmp_path: Path, environment: dict[str, str], words: tuple[str, ...], code: int
) -> None:
    done = run(tmp_path / "tree", SKIPS, environment, *words)
    assert done.returncode == code, done.stdout + done.stderr
    assert "the tool is not here" in done.stdout
    assert ("CI is set: 1 skipped" in done.stdout) == bool(code)


def test_a_failure_names_its_seed(tmp_path: Path) -> None:
    source = "def test_draws(rng):\n    assert rng.random() == 2\n"
    first, again, other = (
        run(tmp_path / name, source, {"PLIMSOLL_SEED": seed}).stdout
        for name, seed in (("first", "7"), ("again", "7"), ("other", "8"))
    )
    drawn = [re.search(r"assert (0\.\d+) == 2", text) for text in (first, again, other)]
    assert "PLIMSOLL_SEED=7 PLIMSOLL_HYPOTHESIS=fast" in first
    assert drawn[0] and drawn[1] and drawn[2]
    assert drawn[0][1] == drawn[1][1] != drawn[2][1]
