"""The file for the board, cross-built here: on the board's processor, emulated, it starts, it trades, and its
twins agree.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

import native
from app.clock import NS
from app.domain.calendar import NEW_YORK
from app.update.artifact import Manifest, differences, manifest_of, unpack
from tests import bundled
from tests.aarch64 import target
from tests.bench import appliance
from tests.guards import ROOT
from tests.soak.auditor import STATES, Books, read_journal, read_venue
from tests.soak.auditor import differences as disagreements

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the board is emulated on x86_64 only"),
]

START_S = 120  # two seconds on an idle machine
SUITE_S = 1_200  # two minutes on an idle machine
MOST_BYTES = 15_000_000
EM_AARCH64 = 183  # elf.h
# Every twin against its other and its oracles, and the golden vectors of board link, venue and engine.
TWINS = (
    *(f"tests/native/test_{name}.py" for name in native.MODULES),
    *("tests/native/test_state.py", "tests/native/test_shadow.py", "tests/native/test_bad_input.py"),
    *("tests/mcu/test_vectors.py", "tests/venues/topstepx/test_codec.py", "tests/engine/test_twins.py"),
)
# What takes the pure twin 47 s and is asked of the compiled one too, and two that are about threads.
LEFT_OUT = (
    "test_ranks_every_sequence_of_25_actions_up_to_depth_4[pure]",
    "test_lets_other_threads_run_while_two_search",
    "test_sees_a_search_that_keeps_the_lock",
)
LEAST_PASSED = 1_500
ACCOUNT = 1001
ALIVE = ("working", "suspended")
FAST, SLOW = 20, 2  # simulated seconds a second: to the opening, and across it
FILL_S, FLAT_S = 180, 180


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return target.machine(tmp_path_factory.mktemp("target") / "debian")
    except target.UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def built(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled.build(tmp_path_factory.mktemp("bundle"), target.ARCH)


@pytest.fixture(scope="module")
def manifest(built: Path) -> Manifest:
    return manifest_of(built)


@pytest.fixture(scope="module")
def release(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases") / "release"
    unpack(built, folder)
    return folder


def test_is_small_and_says_what_it_is_for(built: Path, manifest: Manifest) -> None:
    assert built.stat().st_size <= MOST_BYTES
    assert os.access(built, os.X_OK) and built.read_bytes().startswith(b"#!/usr/bin/python3 -sE\n")
    assert (manifest.arch, manifest.pythons) == (target.ARCH, (target.PYTHON,))


def test_the_same_sources_give_the_same_bytes_elsewhere(built: Path, tmp_path: Path) -> None:
    """In another folder, time zone, language and order of hashes; compiled anew."""
    away = {"TMPDIR": str(tmp_path), "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    again = bundled.make(tmp_path / "dist", target.ARCH, **away)
    ours, theirs = manifest_of(built).files, manifest_of(again).files
    assert [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)] == []
    assert again.read_bytes() == built.read_bytes()


def test_holds_every_compiled_module_and_all_of_them_for_the_board(manifest: Manifest, release: Path) -> None:
    for name in native.MODULES:
        assert f"native/{name}_c.cpython-313-{target.ARCH}-linux-gnu.so" in manifest.files
    modules = [release / name for name in manifest.files if name.endswith(".so")]
    machines = {path.name: struct.unpack_from("<H", path.read_bytes(), 18)[0] for path in modules}
    assert len(machines) > len(native.MODULES)
    assert {name: number for name, number in machines.items() if number != EM_AARCH64} == {}


def test_starts_out_of_the_file_and_leaves_its_folder_as_it_was(
    python: Path, built: Path, manifest: Manifest, tmp_path: Path
) -> None:
    for _ in range(2):
        done = target.run([python, "-sE", built, "--help"], START_S, XDG_CACHE_HOME=tmp_path)
        assert done.returncode == 0 and "usage: plimsoll" in done.stdout, done.stderr
    (unpacked,) = (tmp_path / "plimsoll").iterdir()
    assert unpacked.name == manifest.name
    assert list(differences(unpacked)) == []


def test_refuses_another_machine_in_words(built: Path, tmp_path: Path) -> None:
    done = target.run([sys.executable, "-sE", built, "--help"], START_S, XDG_CACHE_HOME=tmp_path)
    assert done.returncode == 1
    assert f"this file is for Python {target.PYTHON} on {target.ARCH}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_runs_on_its_compiled_modules(python: Path, release: Path) -> None:
    code = "import os, native; print(os.uname().machine, *sorted(set(native.active().values())))"
    done = target.run([python, "-c", code], START_S, release)
    assert done.stdout.split() == [target.ARCH, "compiled"], done.stderr


def test_its_twins_agree_with_each_other_their_oracles_and_the_golden_vectors(
    python: Path, release: Path, tmp_path: Path
) -> None:
    """The suite's own tests of the twins, with 50 examples for each property."""
    place, tools = tmp_path / "release", tmp_path / "tools"
    shutil.copytree(release, place)
    shutil.copytree(ROOT / "tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    target.install_tools(tools)
    words = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long", *TWINS]
    words += [f"--deselect=tests/native/test_sequences.py::{name}" for name in LEFT_OUT]
    done = target.run(words, SUITE_S, place, PYTHONPATH=tools, PLIMSOLL_HYPOTHESIS="fast", HOME=tmp_path)
    passed = re.search(r"^(\d+) passed(?:, \d+ deselected)? in", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and passed, f"{done.stdout[-3000:]}{done.stderr[-2000:]}"
    assert int(passed[1]) >= LEAST_PASSED


class Demo:
    """The appliance on its own simulator, both on the emulated processor."""

    def __init__(self, command: list[str | Path], home: Path, child: appliance.Child) -> None:
        self.data, self._command, self._child = home / "data", command, child
        settings = tomllib.loads((home / "plimsoll.toml").read_text())
        self.venue = str(settings["topstepx"]["rest_url"])

    async def clock(self, rate: int) -> datetime:
        """Let the market run at `rate`; what its clock shows, in New York."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.venue}/sim/clock", json={"rate": rate}) as response,
        ):
            assert response.status == 200
            answer = await response.json(content_type=None)
        return datetime.fromtimestamp(answer["utc_ns"] / NS, UTC).astimezone(NEW_YORK)

    async def passes(self, wall: str, rate: int) -> bool:
        return (await self.clock(rate)).strftime("%H:%M:%S") >= wall

    def fills(self) -> int:
        assert self._child.alive, self._child.said()
        return len(read_journal(self.data / "state.db")[1])

    async def tell(self, *words: str) -> int:
        """A command of the owner's, on the emulated processor too."""
        log = self.data.with_name("command.log")
        command = await appliance.spawn(log, *self._command, *words, "--data-dir", self.data)
        return await command.stop_by_itself()

    async def is_flat(self) -> bool:
        """Whether service and venue both say that nothing is left; an answer that fails says nothing."""
        snapshot = await appliance.status(self.data)
        venue = await read_venue(self.venue, ACCOUNT)
        left = [order for order in venue.orders.values() if STATES[order["status"]] in ALIVE]
        return snapshot.get("positions") == [] and not venue.positions and not left

    async def books(self) -> list[str]:
        """Where service and venue disagree, in words."""
        orders, fills = read_journal(self.data / "state.db")
        snapshot = await appliance.status(self.data)
        return disagreements(await read_venue(self.venue, ACCOUNT), Books(snapshot, orders, fills))


@asynccontextmanager
async def demo(python: Path, release: Path, home: Path) -> AsyncIterator[Demo]:
    command: list[str | Path] = [python, "-sE", release / "__main__.py"]
    log = home / "demo.log"
    child = await appliance.spawn(log, *command, "demo", "--home", home, "--port", "18164")
    try:
        await appliance.until(
            lambda: "is trading its simulator" in log.read_text() or not child.alive, "the demo", START_S
        )
        assert child.alive, child.said()
        yield Demo(command, home, child)
        assert await child.stop() == 0, child.said()
    finally:
        await child.kill()


async def test_trades_on_its_simulator_and_is_flat_when_told(
    python: Path, release: Path, tmp_path: Path
) -> None:
    async with demo(python, release, tmp_path) as running:
        await appliance.until_async(lambda: running.passes("09:29:50", FAST), "the opening", FILL_S)
        await running.clock(SLOW)
        await appliance.until(lambda: running.fills() >= 1, "a fill of the strategy", FILL_S)
        assert await running.tell("flatten") == 0
        await appliance.until_async(running.is_flat, "flat", FLAT_S)
        assert running.fills() >= 2
        assert await running.books() == []
