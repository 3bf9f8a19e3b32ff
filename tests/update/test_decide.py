"""The decisions, each rule from both sides; how it goes on after any interruption."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.update.decide import (
    HEALTH_LIMIT_NS,
    PROBES_GOOD,
    RESTARTS_MAX,
    TRIES_MAX,
    WORDS,
    Judge,
    Offer,
    Probe,
    Step,
    Way,
    choose,
    needed,
    recover,
    refuse,
    way_back,
)
from app.update.state import Ota
from app.update.versions import parse, version_of
from tests.update.repositories import ARCH, BOARD, PYTHON, SCHEMA, here

NAMES = ("0.1.0-aa", "0.2.0-bb", "0.3.0-cc", "")


def offer(version: str = "0.2.0", **changes: Any) -> Offer:
    usual = Offer(
        target=version, name=f"{version}-bb", version=version, arch=ARCH, boards=(BOARD,), pythons=(PYTHON,),
        schema=SCHEMA, schema_oldest=1, min_from="0", length=10, unpacked=40, sha256="0" * 64,
    )  # fmt: skip
    return replace(usual, **changes)


def test_the_steps_are_numbered_without_a_gap_and_each_has_words() -> None:
    assert [int(step) for step in Step] == list(range(1, len(Step) + 1))
    assert WORDS.keys() == set(Step) and len(set(WORDS.values())) == len(Step)


@pytest.mark.parametrize(
    ("change", "machine", "ota", "rule"),
    [
        ({}, {}, Ota(), ""),
        ({"arch": "aarch64"}, {}, Ota(), "arch"),
        ({"boards": ("uno-q",)}, {}, Ota(), "board"),
        ({"boards": ("uno-q", BOARD)}, {}, Ota(), ""),
        ({"pythons": ("3.11",)}, {}, Ota(), "python"),
        ({}, {}, Ota(bad=("0.2.0-other",)), "bad"),
        ({}, {}, Ota(floor="0.2.0"), ""),
        ({}, {}, Ota(floor="0.2.1"), "floor"),
        ({}, {"current": "0.2.1-aa"}, Ota(), "floor"),
        ({"schema": SCHEMA + 1}, {}, Ota(), ""),
        ({"schema": SCHEMA + 2}, {}, Ota(), ""),
        ({"schema": SCHEMA + 2, "schema_oldest": SCHEMA}, {}, Ota(), ""),
        ({"schema": SCHEMA + 2, "schema_oldest": SCHEMA + 1}, {}, Ota(), "schema"),
        ({"schema": SCHEMA - 1}, {}, Ota(), "schema"),
        ({"min_from": "0.1.0"}, {}, Ota(), ""),
        ({"min_from": "0.1.1"}, {}, Ota(), "min_from"),
        ({}, {"free": needed(offer())}, Ota(), ""),
        ({}, {"free": needed(offer()) - 1}, Ota(), "space"),
    ],
)
def test_refuses_by_rule(change: dict[str, Any], machine: dict[str, Any], ota: Ota, rule: str) -> None:
    no = refuse(offer(**change), here(**machine), ota)
    assert (no.rule if no else "") == rule


def test_chooses_the_newest_that_may_be_installed() -> None:
    offers = [offer("0.2.0"), offer("0.10.0"), offer("0.9.0"), offer("0.11.0", arch="sparc")]
    found, no = choose(offers, here(), Ota())
    assert found == offers[1] and no is None
    assert choose([], here(), Ota()) == (None, None)
    assert choose([offer("0.1.0", name="0.1.0-00000000")], here(), Ota()) == (None, None)
    found, no = choose([offers[3]], here(), Ota())
    assert found is None and no is not None and no.rule == "arch"


def test_another_build_of_the_running_version_is_no_update() -> None:
    assert choose([offer("0.1.0", name="0.1.0-other")], here(), Ota()) == (None, None)


@pytest.mark.parametrize(
    ("ota", "linked", "whole", "way"),
    [
        (Ota(good="a"), "a", (), Way.REST),
        (Ota(good="a"), "hand", (), Way.REST),
        (Ota(good="a"), "", ("a",), Way.MEND),
        (Ota(good="a", trial="b"), "a", ("a", "b"), Way.TRY),
        (Ota(good="a", trial="b", tries=TRIES_MAX - 1), "b", ("a", "b"), Way.TRY),
        (Ota(good="a", trial="b", tries=TRIES_MAX), "b", ("a", "b"), Way.BACK),
        (Ota(good="a", trial="b"), "a", ("a",), Way.BACK),
        (Ota(good="a", trial="b", back=True), "b", ("a", "b"), Way.BACK),
    ],
)
def test_goes_on_after_an_interruption(ota: Ota, linked: str, whole: tuple[str, ...], way: Way) -> None:
    assert recover(ota, linked, whole)[0] is way


@given(
    st.builds(
        Ota,
        good=st.sampled_from(NAMES),
        previous=st.sampled_from(NAMES),
        trial=st.sampled_from(NAMES),
        tries=st.integers(0, 5),
        back=st.booleans(),
    ),
    st.sampled_from(NAMES),
    st.sets(st.sampled_from(NAMES[:3])),
)
def test_promise_9_no_interruption_gives_a_third_try_or_a_damaged_release(
    ota: Ota, linked: str, whole: set[str]
) -> None:
    way, why = recover(ota, linked, whole)
    if way is Way.TRY:
        assert ota.tries < TRIES_MAX and ota.trial in whole and not ota.back
    assert (why == "") == (way in (Way.TRY, Way.REST))
    target = way_back(ota, whole)
    assert target == "" or (target in whole and target != ota.trial)


WELL = Probe(ready=True, version="0.2.0", journal=True)


def judged(*probes: Probe, before: frozenset[str] = frozenset(), step_ns: int = 1) -> tuple[bool | None, str]:
    judge, verdict = Judge("0.2.0", before, 0), None
    for number, probe in enumerate(probes, 1):
        verdict = judge.see(probe, number * step_ns)
    return verdict, judge.last


def test_promise_8_keeps_a_release_that_is_well_several_times_in_a_row() -> None:
    assert judged(*[WELL] * (PROBES_GOOD - 1))[0] is None
    assert judged(*[WELL] * PROBES_GOOD)[0] is True
    late = replace(WELL, journal=False)
    assert judged(*[WELL] * (PROBES_GOOD - 1), late, WELL)[0] is None


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        (Probe(), "did not answer"),
        (replace(WELL, ready=False), "never said that it is ready"),
        (replace(WELL, journal=False), "journal"),
        (replace(WELL, ills=frozenset({"board"})), "board"),
    ],
)
def test_promise_8_goes_back_when_its_time_is_over(probe: Probe, why: str) -> None:
    assert judged(probe, step_ns=HEALTH_LIMIT_NS - 1)[0] is None
    verdict, last = judged(probe, step_ns=HEALTH_LIMIT_NS)
    assert verdict is False and why in last


@pytest.mark.parametrize(
    "probe", [replace(WELL, version="0.1.0"), Probe(restarts=RESTARTS_MAX + 1), Probe(failed=True)]
)
def test_promise_8_goes_back_at_once_for_what_waiting_cannot_mend(probe: Probe) -> None:
    assert judged(probe)[0] is False


def test_promise_8_what_was_ill_before_need_not_be_well_now() -> None:
    ill = replace(WELL, ills=frozenset({"venue"}))
    assert judged(*[ill] * PROBES_GOOD, before=frozenset({"venue"}))[0] is True
    assert judged(*[ill] * PROBES_GOOD, before=frozenset({"board"}))[0] is None


@pytest.mark.parametrize("text", ["", "1.", ".1", "1.x", "1.2.3.4.5", "-1", "1.2-3", "1234567890", "²"])
def test_rejects_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="no version"):
        parse(text)
    assert version_of(f"{text}-abc") in ("0", "1.2")


def test_versions_compare_as_numbers() -> None:
    assert parse("0.10.0") > parse("0.9") and parse("1.2.0") == parse("1.2") and parse("0") == ()
