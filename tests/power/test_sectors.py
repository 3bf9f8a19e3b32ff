"""Whatever a disk drops of unflushed sectors, in whatever order it wrote: nothing acknowledged is lost."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.power.checking import LOST, parsed, problems
from tests.power.sectors import Call, Platter, recorded

pytestmark = pytest.mark.long

OPTIONS = ("--steps", "12", "--checkpoint", "20", "--unarmed")  # the log is folded into the file now and then
FALLS, CONTROL_FALLS = 150, 20


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    return recorded(tmp_path_factory.mktemp("recorded"), *OPTIONS)


def falls(folder: Path, calls: list[Call], number: int, rng: random.Random, flushes: bool) -> list[str]:
    """What is wrong after `number` of the calls that follow the opening, each with the disk of its own."""
    opened = next(index for index, call in enumerate(calls) if b"open" in call.data and call.kind == "say")
    chosen = set(rng.sample(range(opened + 1, len(calls)), number))
    platter, said, found = Platter(), b"", []
    for index, call in enumerate(calls):
        if index == opened and not flushes:
            platter.lies()
        if call.kind == "say":
            said += call.data
        else:
            platter.take(call)
        if index in chosen:
            own = folder / str(index)
            own.mkdir()
            platter.fall(own, rng)
            found += [f"call {index}: {problem}" for problem in problems(own, parsed(said))]
            shutil.rmtree(own)
    return found


def test_loses_nothing_whatever_was_not_flushed(
    tmp_path: Path, calls: list[Call], rng: random.Random
) -> None:
    assert sum(call.kind == "fdatasync" and call.name == "state.db" for call in calls) > 3, "no checkpoints"
    assert falls(tmp_path, calls, FALLS, rng, flushes=True) == []


def test_sees_the_loss_of_a_disk_that_lies_about_its_flush(
    tmp_path: Path, calls: list[Call], rng: random.Random
) -> None:
    found = falls(tmp_path, calls, CONTROL_FALLS, rng, flushes=False)
    assert [problem for problem in found if LOST in problem]
