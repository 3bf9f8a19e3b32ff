"""Minutes per stage: a long test has the stage of its folder, what was done for others is not counted twice,
and what is over its ceiling is said.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import stages
from tests.guards import ROOT


def told(nodeid: str, duration: float, *keywords: str) -> SimpleNamespace:
    return SimpleNamespace(nodeid=nodeid, duration=duration, keywords=dict.fromkeys(keywords, 1))


def test_every_place_of_a_stage_is_there() -> None:
    places = [place for stage in stages.LONG for place in stage.places]
    assert [place for place in places if not (ROOT / place).exists()] == []


@pytest.mark.parametrize(
    ("folder", "ceiling"),
    [("aarch64", 8), ("booted", 10), ("power", 3), ("browser", 5), ("board", 5), ("soak", None)],
)
def test_a_long_test_has_the_ceiling_of_its_folder(folder: str, ceiling: float | None) -> None:
    assert stages.CEILINGS[stages.stage_of(f"tests/{folder}/test_x.py::test_y")] == ceiling


def test_adds_up_by_stage_and_gives_what_was_done_for_others_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "stages"
    monkeypatch.setenv(stages.VARIABLE, str(file))
    monkeypatch.setenv("PLIMSOLL_NATIVE", "pure")
    meter = stages.Meter()
    meter.pytest_runtest_logreport(told("tests/test_clock.py::test_a", 2.0))
    stages.aside(stages.BUNDLE, 100.0)
    meter.pytest_runtest_logreport(told("tests/booted/test_b.py::test_b", 130.0, "long"))
    meter.pytest_runtest_logreport(told("tests/booted/test_b.py::test_c", 15.0, "long"))
    meter.pytest_sessionfinish()
    found = dict(line.split("\t") for line in file.read_text().splitlines())
    assert found.pop(stages.PYTEST.name)
    assert re.fullmatch(r"fast, Python 3\.\d+, pure twins", next(iter(found)))
    assert list(found.values()) == ["2.00", "45.00", "100.00"]


def test_counts_once_what_workers_did_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "stages"
    monkeypatch.setenv(stages.VARIABLE, str(file))
    meter = stages.Meter(workers=2)
    for _ in range(2):
        meter.pytest_runtest_logreport(told("tests/test_clock.py::test_a", 30.0))
    meter.pytest_sessionfinish()
    assert "\t30.00\n" in file.read_text()


def test_says_what_took_longer_than_it_may() -> None:
    lines = ["compile\t240", "fast, Python 3.11\t150.0", "compile\t300", "fuzz\t9999", "power cuts\t100"]
    rows = stages.table(lines).splitlines()
    assert [row.split()[0] for row in rows] == ["stage", "compile", "fast,", "fuzz", "power", "together"]
    assert [" ".join(row.split()) for row in rows if "LONGER" in row] == [
        "compile 9.0 8 LONGER THAN IT MAY BE",
        "fast, Python 3.11 2.5 2 LONGER THAN IT MAY BE",
    ]
