"""Promise 12: a disk that is full from any operation of an update on: what runs is old or new."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.guards import ROOT

LIMIT_S = 600  # a few seconds of an idle machine


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("filled")
    words = [sys.executable, "-m", "tests.update.filling", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_promise_12_what_runs_on_a_full_disk_is_what_is_linked(cases: list[dict[str, Any]]) -> None:
    assert [case for case in cases if case["ran"] != case["linked"] or case["ran"] == "nothing"] == []
    assert {case["ran"] for case in cases} == {"old", "new"}


def test_promise_12_with_space_again_it_ends_as_it_should(cases: list[dict[str, Any]]) -> None:
    assert [case for case in cases if not case["consistent"]] == []
    assert {case["at last"] for case in cases if case["behaviour"]} == {"old"}
    assert len(cases) > 20
