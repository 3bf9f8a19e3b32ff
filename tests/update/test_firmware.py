"""New firmware after an update: only halted and flat, only with a way back, only so often."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Refused
from app.update import renewal
from app.update.firmware import BACKS_MAX, BY_HAND, TRIES_MAX, Act, Facts, Memory, begun, decide
from tests.update.benches import HALF, NEW, OLD, Machine

DUE = Facts(ships=NEW, version=1, runs=OLD, stopped=True, open_="", kept=OLD, kept_version=1, starts=True)
HALVED = replace(DUE, runs="", writing=NEW)
SPENT = Memory(wanted=NEW, tries=TRIES_MAX)
# Of one firmware: a writing and its way back for each try, and those of the way back alone.
MOST_WRITES = 2 * TRIES_MAX + 2 * BACKS_MAX
MOST_RUNS = 30


@pytest.mark.parametrize(
    ("facts", "memory", "act", "words"),
    [
        (DUE, Memory(), Act.WRITE, ""),
        (replace(DUE, runs=NEW), Memory(), Act.REST, ""),
        (replace(DUE, ships=""), Memory(), Act.REST, ""),
        (replace(DUE, runs=""), Memory(), Act.REST, ""),  # silent: nobody knows what is there
        (replace(DUE, runs="", foreign=True), Memory(), Act.WRITE, ""),
        (replace(DUE, runs="", kept_version=2), Memory(), Act.WRITE, ""),  # it can only be silent to us
        (replace(DUE, stopped=False), Memory(), Act.WAIT, "until trading is halted"),
        (replace(DUE, open_="a position is open"), Memory(), Act.WAIT, "waits: a position is open"),
        (replace(DUE, trial="0.2.0-x"), Memory(), Act.WAIT, "0.2.0-x is on trial"),
        (replace(DUE, kept=""), Memory(), Act.REST, "no image is kept"),
        (replace(DUE, kept="c" * 16), Memory(), Act.REST, "no image is kept"),
        (replace(DUE, starts=False), Memory(), Act.REST, "another Arduino core"),
        (DUE, SPENT, Act.GIVE_UP, ""),
        (DUE, Memory(bad=(NEW,)), Act.REST, f"firmware {NEW} failed here"),
        (DUE, replace(SPENT, wanted=OLD), Act.WRITE, ""),  # tries of another firmware are its own
        (HALVED, Memory(), Act.WRITE, ""),
        (replace(HALVED, stopped=False), Memory(), Act.WAIT, "until trading is halted"),
        (HALVED, SPENT, Act.BACK, ""),
        (replace(HALVED, ships=""), Memory(), Act.BACK, ""),
        (HALVED, replace(SPENT, backs=BACKS_MAX), Act.REST, "could not be written back"),
        (replace(HALVED, ships=""), Memory(backs=BACKS_MAX), Act.REST, "could not be written back"),
        (replace(HALVED, kept=""), Memory(), Act.REST, "half of an image"),
        (replace(HALVED, runs=NEW, stopped=False), Memory(), Act.KEEP, ""),
        (replace(HALVED, runs=OLD, stopped=False), Memory(), Act.FORGET, ""),
    ],
)
def test_decides(facts: Facts, memory: Memory, act: Act, words: str) -> None:
    decided, why = decide(facts, memory)
    assert decided is act and words in why
    assert bool(why) == bool(words)
    assert act is not Act.REST or not words or BY_HAND in why


@given(
    facts=st.builds(
        Facts,
        ships=st.sampled_from(["", OLD, NEW]),
        version=st.just(1),
        runs=st.sampled_from(["", OLD, NEW]),
        foreign=st.booleans(),
        stopped=st.booleans(),
        open_=st.sampled_from(["", "a position is open"]),
        trial=st.sampled_from(["", "0.2.0-x"]),
        kept=st.sampled_from(["", OLD, NEW]),
        kept_version=st.sampled_from([0, 1, 2]),
        starts=st.booleans(),
        writing=st.sampled_from(["", OLD, NEW]),
    ),
    memory=st.builds(
        Memory,
        wanted=st.sampled_from(["", OLD, NEW]),
        tries=st.integers(0, TRIES_MAX),
        backs=st.integers(0, BACKS_MAX),
        bad=st.sampled_from([(), (NEW,)]),
    ),
)
def test_writes_only_halted_flat_committed_and_with_a_way_back(facts: Facts, memory: Memory) -> None:
    act, _ = decide(facts, memory)
    if act in (Act.WRITE, Act.BACK):
        assert facts.stopped and not facts.open_ and not facts.trial
        assert facts.kept and facts.starts and facts.runs in ("", facts.kept)
    if act is Act.WRITE:
        assert facts.ships not in memory.bad
        assert begun(memory, act, facts).tries <= TRIES_MAX
    if act is Act.BACK:
        assert facts.writing and begun(memory, act, facts).backs <= BACKS_MAX


def test_renews_and_is_quiet_from_then_on(tmp_path: Path) -> None:
    machine = Machine(tmp_path).keeps()
    assert machine.run() == renewal.WRITTEN
    assert (machine.holds, machine.compiled, machine.writes) == (NEW, 1, 1)
    assert machine.memory.words == f"the board runs firmware {NEW}"
    assert machine.run() == renewal.RESTED and machine.memory.words == ""
    told = (tmp_path / renewal.FILE).stat().st_mtime_ns
    assert machine.run() == renewal.RESTED
    assert (tmp_path / renewal.FILE).stat().st_mtime_ns == told, (
        "the timer writes nothing when nothing is new"
    )


@pytest.mark.parametrize(
    ("snapshot", "open_", "trial", "words"),
    [
        ({"state": "active", "armed": True}, "", "", "until trading is halted"),
        ({"state": "reducing", "armed": True}, "", "", "until trading is halted"),
        ({"state": "halted", "armed": False}, "the service is exposed", "", "the service is exposed"),
        ({"state": "halted", "armed": False}, "", "0.2.0-x", "on trial"),
    ],
)
def test_waits_and_says_so(
    tmp_path: Path, snapshot: dict[str, object], open_: str, trial: str, words: str
) -> None:
    machine = Machine(tmp_path).keeps()
    machine.snapshot, machine.open_, machine.trial = snapshot, open_, trial
    assert machine.run() == renewal.WAITS
    assert words in machine.memory.words and machine.writes == 0
    machine.snapshot, machine.open_, machine.trial = {"state": "halted", "armed": False}, "", ""
    assert machine.run() == renewal.WRITTEN


def test_a_service_that_cannot_be_asked_is_no_consent(tmp_path: Path) -> None:
    machine = Machine(tmp_path).keeps()
    machine.snapshot = None
    assert machine.run() == renewal.RESTED and machine.writes == 0


def test_firmware_that_never_greets_is_tried_twice_and_given_up(tmp_path: Path) -> None:
    machine = Machine(tmp_path).keeps()
    machine.deaf.add(NEW)
    assert machine.settle(MOST_RUNS) == [renewal.FAILED_NOW] * TRIES_MAX + [renewal.RESTED] * 2
    assert (machine.holds, machine.memory.bad) == (OLD, (NEW,))
    assert machine.writes == 2 * TRIES_MAX
    assert BY_HAND in machine.memory.words


def test_firmware_that_does_not_outlive_a_reset_is_not_written_for_ever(tmp_path: Path) -> None:
    machine = Machine(tmp_path).keeps()
    for _ in range(5):
        machine.settle(MOST_RUNS)
        machine.holds = OLD
    assert machine.writes == 1 and BY_HAND in machine.memory.words


def test_a_board_of_another_protocol_is_renewed_and_can_go_back_to_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path).keeps(version=2)
    machine.foreign.add(OLD)
    machine.deaf.add(NEW)
    machine.snapshot = {"state": "reducing", "armed": True}  # such a board cannot run, so nothing trades
    assert machine.run() == renewal.FAILED_NOW and machine.holds == OLD
    machine.deaf.clear()
    assert machine.run() == renewal.WRITTEN and machine.holds == NEW


def test_goes_to_and_fro_between_releases_without_a_compiler(tmp_path: Path) -> None:
    """After a release went back, the firmware before it is kept."""
    machine = Machine(tmp_path).keeps(NEW).keeps(OLD)
    assert machine.run() == renewal.WRITTEN
    assert (machine.holds, machine.compiled) == (NEW, 0)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"bad": []}x', '{"bad": [], "tries": "2"}', '{"bad": [], "x": 1}']
)
def test_a_damaged_memory_writes_nothing(tmp_path: Path, text: str) -> None:
    machine = Machine(tmp_path).keeps()
    (tmp_path / renewal.FILE).write_text(text)
    with pytest.raises(Refused, match=r"firmware\.memory"):
        machine.run()
    assert machine.writes == 0


@pytest.mark.parametrize("deaf", [False, True])
def test_a_cut_at_every_point_leaves_firmware_that_has_a_name(tmp_path: Path, deaf: bool) -> None:
    whole = _settled(tmp_path / "whole", (), deaf)
    for point in range(1, whole.points + 1):
        assert _settled(tmp_path / str(point), (point,), deaf).writes <= MOST_WRITES
    assert whole.points > 20


@given(cuts=st.lists(st.integers(1, 120), min_size=2, max_size=6, unique=True), deaf=st.booleans())
def test_cuts_upon_cuts_leave_firmware_that_has_a_name_or_say_what_is_left(
    cuts: list[int], deaf: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert _settled(Path(folder), tuple(sorted(cuts)), deaf).writes <= MOST_WRITES


def _settled(folder: Path, cuts: tuple[int, ...], deaf: bool) -> Machine:
    machine = Machine(folder, cuts).keeps()
    if deaf:
        machine.deaf.add(NEW)
    machine.settle(MOST_RUNS)
    kept, writing = machine.shelf.current(), machine.shelf.writing()
    if machine.holds == HALF or not machine.speaks:
        assert len(cuts) > BACKS_MAX and BY_HAND in machine.memory.words
        return machine
    assert kept is not None and kept.artefact.firmware_hash == machine.holds and writing is None
    assert machine.holds == (OLD if NEW in machine.memory.bad else NEW)
    return machine
