"""Fixtures and rules of the whole suite: recorded data, seeds, guards, and no skip where CI is set.

What a developer may set: PLIMSOLL_SEED=N draws other numbers, PLIMSOLL_HYPOTHESIS=explore looks further,
PLIMSOLL_SHUFFLE=1 runs files and tests in another order (the seed's), PLIMSOLL_GC=1 collects after each test,
so that what is left in a cycle fails the test that left it and not only its file.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import random
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests import guards, stages

guards.install()

# One seed replays the whole suite; PLIMSOLL_SEED explores another.
SEED = int(os.environ.get("PLIMSOLL_SEED", "20131007"))

# A busy machine draws slowly: neither an example nor its drawing is timed.
UNTIMED = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("fast", UNTIMED, max_examples=50, derandomize=True)
hypothesis.settings.register_profile("ci", UNTIMED, max_examples=200, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("explore", UNTIMED, max_examples=2000, print_blob=True)
PROFILE = os.environ.get("PLIMSOLL_HYPOTHESIS") or ("ci" if os.environ.get("CI") else "fast")
hypothesis.settings.load_profile(PROFILE)


EVERY_TEST = bool(os.environ.get("PLIMSOLL_GC"))
SHUFFLED = bool(os.environ.get("PLIMSOLL_SHUFFLE"))
REPLAY = f"plimsoll: PLIMSOLL_SEED={SEED} PLIMSOLL_HYPOTHESIS={PROFILE}"


def pytest_configure(config: pytest.Config) -> None:
    """Measure minutes per stage where somebody wants them; a worker's times come to its controller."""
    if os.environ.get(stages.VARIABLE) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(stages.Meter(config.getoption("numprocesses", None) or 1))


def pytest_report_header() -> str:
    return REPLAY


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int) -> None:
    """Say with which seed a failure can be replayed; the quiet mode shows no header."""
    if exitstatus:
        terminalreporter.write_line(REPLAY)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded market data beside the checkout; skips where there is none."""
    folder = guards.ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no recorded data: ../shared/data is not there")
    return folder


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """A random source that depends on the suite's seed and the test's name alone."""
    return random.Random(f"{SEED}:{request.node.nodeid}")


@pytest.fixture(autouse=True)
def nothing_left_to_the_collector() -> Iterator[None]:
    """With PLIMSOLL_GC, fail the very test that left an open file, socket, database or child in a cycle."""
    yield
    if EVERY_TEST:
        gc.collect()


@pytest.fixture(autouse=True, scope="module")
def nothing_left_to_another_file() -> Iterator[None]:
    """What a file's tests left in cycles is collected before the next one: a leak fails where it was made."""
    yield
    gc.collect()


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not look through it each time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Fail a test that left the machine, blocked the loop or left a connection open, even if the error was
    swallowed on the way; loops and fixtures of modules end here too.
    """
    yield
    found, guards.offences[:] = "; ".join(guards.offences), []
    if found:
        pytest.fail(found, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """A test that configures logging leaves no handler that writes to its captured standard error."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    done = yield
    root.handlers[:] = handlers
    root.setLevel(level)
    return done


@pytest.fixture
async def nothing_left_running() -> AsyncIterator[None]:
    """Fail an async test that leaves a task behind or an exception nobody fetched."""
    unhandled: list[str] = []

    def remember(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        unhandled.append(f"{context.get('message')}: {context.get('exception')!r}")

    asyncio.get_running_loop().set_exception_handler(remember)
    before = asyncio.all_tasks()
    yield
    left = await guards.leftovers(before)
    if left:
        pytest.fail(f"tasks left running: {', '.join(left)}", pytrace=False)
    if unhandled:
        pytest.fail(f"left to the loop's exception handler: {'; '.join(unhandled)}", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> None:
    """Give every async test the guard above; an autouse fixture would start a loop for plain tests too."""
    inner = getattr(getattr(obj, "hypothesis", None), "inner_test", obj)
    if inspect.iscoroutinefunction(inner) and collector.istestfunction(obj, name):
        pytest.mark.usefixtures("nothing_left_running")(obj)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With PLIMSOLL_SHUFFLE, files come in another order and so do the tests in each: the seed says which."""
    if SHUFFLED:
        files = sorted({item.path for item in items})
        place = dict(zip(random.Random(SEED).sample(files, len(files)), range(len(files)), strict=True))
        drawn = random.Random(SEED)
        items.sort(key=lambda item: (place[item.path], drawn.random()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI set a skip is a failure: what was not run was not tested."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI") or not reporter.stats.get("skipped"):
        return
    reporter.write_line("")
    reporter.write_line(f"CI is set: {len(reporter.stats['skipped'])} skipped, which is a failure", red=True)
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
