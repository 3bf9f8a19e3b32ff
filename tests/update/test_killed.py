"""kill -9 of the real updater at each numbered step and at fifty random moments: old or new, never a mix."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.guards import ROOT
from tests.update.killing import FORWARD, RANDOM_CASES, WAY_BACK, Step

LIMIT_S = 600  # a few seconds of an idle machine


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.update.killing", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_promise_1_old_or_new_and_never_a_mix(cases: list[dict[str, Any]]) -> None:
    assert [case for case in cases if not case["consistent"]] == []
    assert len(cases) == len(FORWARD) + len(WAY_BACK) + RANDOM_CASES


def test_promise_1_each_was_really_killed_and_recovered_without_network(cases: list[dict[str, Any]]) -> None:
    assert [case for case in cases if not case["killed"]] == []
    assert {case["boots"] for case in cases} == {1}


def test_promise_2_before_the_intent_it_stays_old_and_from_there_it_becomes_new(
    cases: list[dict[str, Any]],
) -> None:
    outcome = {case["case"]: case["linked"] for case in cases if case["case"].startswith("step")}
    for step in FORWARD:
        assert outcome[f"step {step.name}"] == ("old" if step <= Step.INTENT else "new"), step
    assert {outcome[f"step {step.name}"] for step in WAY_BACK} == {"old"}


def test_random_moments_end_both_ways(cases: list[dict[str, Any]]) -> None:
    ends = [case["linked"] for case in cases if case["case"].startswith("moment") and not case["behaviour"]]
    assert {"old", "new"} == set(ends)
    assert {case["linked"] for case in cases if case["behaviour"]} == {"old"}
