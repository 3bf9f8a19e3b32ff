"""Rows, goals and drift of the benchmarks; nothing is timed here."""

from __future__ import annotations

import pytest

from tests.bench.figures import drifted, least, measured, most, percentile, table


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.951, 96), (0.99, 99), (1.0, 100)]
)
def test_takes_the_smallest_sample_that_covers_the_share(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


def test_refuses_a_percentile_of_nothing() -> None:
    with pytest.raises(IndexError):
        percentile([], 0.5)


@pytest.mark.parametrize(
    ("goal", "met"), [(most(2), True), (most(1.9), False), (least(2), True), (least(2.1), False)]
)
def test_holds_a_goal_at_its_bound(goal: dict[str, float], met: bool) -> None:
    assert measured("job", "figure", "ms", [1, 2, 3], goal)["met"] is met


def test_misses_when_one_of_two_goals_is_missed() -> None:
    row = measured("job", "figure", "ms", [1, 2, 30], most(2), most(10, "p99"))
    assert row["met"] is False
    assert "NO" in table([row])


def test_says_nothing_of_a_figure_without_a_goal() -> None:
    assert measured("job", "figure", "ms", [1.0])["met"] is None


def test_names_what_moved_by_more_than_a_fifth_and_nothing_else() -> None:
    before = [
        measured("job", "a", "ms", [10.0]),
        {"job": "pair", "go_ns": 50, "ratio_go": 1.0, "ratio_c": 2.0},
    ]
    after = [
        measured("job", "a", "ms", [12.0]),
        {"job": "pair", "go_ns": 99, "ratio_go": 1.21, "ratio_c": 1.6},
    ]
    assert list(drifted(after, before)) == ["pair ratio_go: 1 -> 1.21 (+21%)"]


def test_names_what_cannot_be_compared() -> None:
    before = [{"job": "pair", "ratio_go": 0.5}, {"job": "gone", "ratio_go": 1}]
    after = [{"job": "pair", "ratio_go": None, "missing": ["go"]}, {"job": "new", "ratio_go": 1}]
    assert list(drifted(after, before)) == ["pair ratio_go: 0.5 -> missing", "new: was not measured before"]


def test_names_the_rows_that_a_job_no_longer_has_but_not_the_jobs_that_were_not_asked_for() -> None:
    before = [{"job": "sent", "figure": f"{n} clients", "ratio_go": 0.1} for n in (1, 10)]
    before.append({"job": "other", "ratio_go": 1.0})
    failed = [{"job": "sent", "failed": "exit code 1"}]
    assert list(drifted(failed, before)) == [
        "sent: failed: exit code 1",
        "sent 1 clients: is not measured any more",
        "sent 10 clients: is not measured any more",
    ]
    assert list(drifted(before[:1], before)) == ["sent 10 clients: is not measured any more"]


def test_shows_rows_of_both_shapes() -> None:
    text = table([measured("job", "a", "ms", [1234.5]), {"job": "pair", "cython_ns": 8.5, "go_ns": 8.1}])
    assert "1,234" in text
    assert "pair: cython_ns 8.50  go_ns 8.10" in text
