"""Both twins of native.sequences against oracles that simulate every sequence from the start."""

from __future__ import annotations

import importlib
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from itertools import combinations
from math import comb
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native import sequences_py

sequences_c = importlib.import_module("native.sequences_c")
sequences_run = importlib.import_module("native.sequences_run")

TWINS = pytest.mark.parametrize(
    "twin", [sequences_py, sequences_c, sequences_run], ids=["pure", "held", "run"]
)
STEPS = 1000

Case = dict[str, Any]
Ranked = list[tuple[float, tuple[int, ...]]]


def ints(values: Any) -> array[int]:
    return array("q", values)


def floats(values: Any) -> array[float]:
    return array("d", values)


def portfolio(twin: ModuleType, case: Case) -> Any:
    return twin.Portfolio(
        case["cash"],
        *[ints(case[name]) for name in ("values", "countries", "groups")],
        *[floats(case[name]) for name in ("merits", "wanted", "wanted_countries", "wanted_groups")],
        case["weights"],
        case["scales"],
    )


def actions(twin: ModuleType, case: Case) -> Any:
    return twin.Actions(*[ints(column) for column in zip(*case["actions"], strict=True)] or [ints([])] * 3)


def search(twin: ModuleType, case: Case, depth: int = 4, k: int = 10) -> Ranked:
    return twin.search(portfolio(twin, case), actions(twin, case), depth, k)


def simulate(case: Case, sequence: tuple[int, ...]) -> tuple[int, list[int]] | None:
    """Cash and values after the sequence, or None when it is not allowed."""
    cash, values = case["cash"], list(case["values"])
    for index in sequence:
        security, change, fee = case["actions"][index]
        cash -= change + fee
        values[security] += change
        if cash < 0 or values[security] < 0:
            return None
    touched = [case["actions"][index][0] for index in sequence]
    return None if len(set(touched)) < len(touched) else (cash, values)


def held(values: list[int], parts: list[int], count: int) -> list[int]:
    return [
        sum(value for value, where in zip(values, parts, strict=True) if where == part)
        for part in range(count)
    ]


def facets(case: Case, values: list[int]) -> list[tuple[list[int], list[float]]]:
    """What is held and wanted of each security, country and group."""
    countries = held(values, case["countries"], len(case["wanted_countries"]))
    groups = held(values, case["groups"], len(case["wanted_groups"]))
    return [
        (values, case["wanted"]),
        (countries, case["wanted_countries"]),
        (groups, case["wanted_groups"]),
    ]


def exact_score(case: Case, sequence: tuple[int, ...]) -> Fraction:
    """The definition, in fractions."""
    outcome = simulate(case, sequence)
    assert outcome is not None
    total = case["cash"] + sum(case["values"])
    merit, *shares, cost = map(Fraction, case["weights"])
    earned = sum(value * Fraction(each) for value, each in zip(outcome[1], case["merits"], strict=True))
    score = merit * earned / total - cost * sum(case["actions"][index][2] for index in sequence) / total
    for weight, scale, (have, want) in zip(shares, case["scales"], facets(case, outcome[1]), strict=True):
        off = sum(
            abs(Fraction(value, total) - Fraction(share)) for value, share in zip(have, want, strict=True)
        )
        score += weight * max(Fraction(0), 1 - off / len(have) / Fraction(scale))
    return score


def plain_score(case: Case, sequence: tuple[int, ...]) -> float | None:
    """The definition in float64, from the start, in the order of summation that the module promises."""
    outcome = simulate(case, sequence)
    if outcome is None:
        return None
    total = case["cash"] + sum(case["values"])
    merit, *shares, cost = case["weights"]
    linear = 0.0
    for value, each in zip(case["values"], case["merits"], strict=True):
        linear += value * each
    linear = merit * linear / total
    for index in sequence:
        security, change, fee = case["actions"][index]
        linear += (merit * case["merits"][security] * change - cost * fee) / total
    for weight, scale, (have, want) in zip(shares, case["scales"], facets(case, outcome[1]), strict=True):
        off = sum(abs(value - round(share * total)) for value, share in zip(have, want, strict=True))
        linear += max(0.0, weight - off * (weight / (scale * len(have) * total)))
    return linear


def brute_force(case: Case, depth: int, k: int) -> Ranked:
    found = []
    for size in range(depth + 1):
        for sequence in combinations(range(len(case["actions"])), size):
            score = plain_score(case, sequence)
            if score is not None:
                found.append((score, sequence))
    return sorted(found, key=lambda each: (-each[0], len(each[1]), each[1]))[:k]


@st.composite
def cases(draw: Callable[..., Any], least_cash: int = 1) -> Case:
    """Small portfolios in which cash, positions and shared securities often forbid a sequence."""
    size = draw(st.integers(1, 6))
    country_count, group_count = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    micro = st.integers(0, 5_000_000_000) | st.sampled_from([0, 1, 1_000_000_000])
    share = st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0])
    change = st.integers(-2_000_000_000, 2_000_000_000) | st.sampled_from([0, 1_000_000_000, -1_000_000_000])

    def list_of(each: Any, count: int) -> list[Any]:
        return draw(st.lists(each, min_size=count, max_size=count))

    action = st.tuples(st.integers(0, size - 1), change, st.sampled_from([0, 2_000_000, 1]))
    return {
        "cash": draw(st.integers(least_cash, 3_000_000_000)),
        "values": list_of(micro, size),
        "countries": list_of(st.integers(0, country_count - 1), size),
        "groups": list_of(st.integers(0, group_count - 1), size),
        "merits": list_of(st.floats(-2, 2) | st.just(0.5), size),
        "wanted": list_of(share, size),
        "wanted_countries": list_of(share, country_count),
        "wanted_groups": list_of(share, group_count),
        "actions": draw(st.lists(action, max_size=7)),
        "weights": list_of(st.sampled_from([0.0, 0.15, 0.6, 1.0]), 5),
        "scales": list_of(st.sampled_from([0.1, 0.3]), 3),
    }


def small_case(**changed: Any) -> Case:
    case: Case = {
        "cash": 1_000_000_000,
        "values": [2_000_000_000, 1_000_000_000, 0],
        "countries": [0, 1, 1],
        "groups": [0, 0, 1],
        "merits": [0.1, 0.2, 0.3],
        "wanted": [0.3, 0.3, 0.3],
        "wanted_countries": [0.4, 0.5],
        "wanted_groups": [0.5, 0.4],
        "actions": [(0, -500_000_000, 2_000_000), (1, 400_000_000, 2_000_000), (2, 700_000_000, 2_000_000)],
        "weights": [0.6, 0.1, 0.15, 0.15, 1.0],
        "scales": [0.2, 0.3, 0.3],
    }
    return case | changed


def wide_case(count: int) -> Case:
    """As many securities as actions, money for all: every choice of up to 8 actions is a sequence."""
    return {
        "cash": 3 * 10**10,  # so little that single actions carry countries and groups past their targets
        "values": [10**9 + 7_000_003 * index for index in range(count)],
        "countries": [index % 6 for index in range(count)],
        "groups": [index % 10 for index in range(count)],
        "merits": [0.02 + (index * 37 % 17) / 100 for index in range(count)],
        "wanted": [0.9 / count] * count,
        "wanted_countries": [0.15] * 6,
        "wanted_groups": [0.09] * 10,
        "actions": [(index, (index * 53 % 29 - 9) * 10**8, 2_000_000) for index in range(count)],
        "weights": [0.6, 0.1, 0.15, 0.15, 1.0],
        "scales": [0.2, 0.3, 0.3],
    }


@TWINS
@given(case=cases(), depth=st.integers(0, 4), k=st.integers(1, 30))
def test_equals_a_simulation_from_the_start_to_the_last_bit(
    twin: ModuleType, case: Case, depth: int, k: int
) -> None:
    assert search(twin, case, depth, k) == brute_force(case, depth, k)


@TWINS
@given(
    case=cases(least_cash=10**9)
)  # a target is rounded to a micro-unit, which must be small beside the total
def test_scores_what_the_definition_says(twin: ModuleType, case: Case) -> None:
    for score, sequence in search(twin, case, depth=3, k=50):
        assert abs(Fraction(score) - exact_score(case, sequence)) < Fraction(1, 10**8)


@cache
def best_of_25() -> Ranked:
    return brute_force(wide_case(25), 4, 1000)


@TWINS
def test_ranks_every_sequence_of_25_actions_up_to_depth_4(twin: ModuleType) -> None:
    assert search(twin, wide_case(25), 4, 1000) == best_of_25()


@TWINS
def test_ranks_doing_nothing_like_any_other(twin: ModuleType) -> None:
    dear = small_case(actions=[(0, -1_000_000, 900_000)], weights=[0.0, 0.0, 0.0, 0.0, 1.0])
    assert search(twin, dear)[0] == (0.0, ())
    assert search(twin, small_case(actions=[])) == search(twin, small_case(), depth=0)


@TWINS
def test_keeps_ties_in_order_shorter_first_then_by_index(twin: ModuleType) -> None:
    even = small_case(cash=2_000_000_000, weights=[0.0] * 5)
    expected = [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    assert [sequence for _, sequence in search(twin, even, 3, 8)] == expected
    for k in range(1, 8):
        assert [sequence for _, sequence in search(twin, even, 3, k)] == expected[:k]


@TWINS
def test_never_spends_cash_that_a_later_sale_would_bring(twin: ModuleType) -> None:
    purchase, sale = (2, 1_000_000_000, 0), (0, -1_000_000_000, 0)
    late = small_case(cash=500_000_000, actions=[purchase, sale])
    assert {sequence for _, sequence in search(twin, late)} == {(), (1,)}
    early = small_case(cash=500_000_000, actions=[sale, purchase])
    assert {sequence for _, sequence in search(twin, early)} == {(), (0,), (0, 1)}


@TWINS
@pytest.mark.parametrize(("fee", "allowed"), [(500_000_000, True), (500_000_001, False)])
def test_pays_the_fee_from_cash(twin: ModuleType, fee: int, allowed: bool) -> None:
    case = small_case(cash=1_000_000_000, actions=[(2, 500_000_000, fee)])
    assert ((0,) in [sequence for _, sequence in search(twin, case)]) is allowed


@TWINS
@pytest.mark.parametrize(("change", "allowed"), [(-1_000_000_000, True), (-1_000_000_001, False)])
def test_sells_no_more_than_is_held(twin: ModuleType, change: int, allowed: bool) -> None:
    case = small_case(actions=[(1, change, 0)])
    assert ((0,) in [sequence for _, sequence in search(twin, case)]) is allowed


@TWINS
def test_touches_no_security_twice(twin: ModuleType) -> None:
    case = small_case(actions=[(1, 1_000_000, 0), (1, 2_000_000, 0), (2, 1_000_000, 0)])
    assert {sequence for _, sequence in search(twin, case)} == {(), (0,), (1,), (2,), (0, 2), (1, 2)}


@TWINS
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cash": -1}, "cash_micro must be within 0 and"),
        ({"cash": 10**15 + 1}, "cash_micro must be within"),
        ({"cash": 10**15}, "total must be within 1 and"),
        ({"cash": 0, "values": [0, 0, 0]}, "total must be within 1 and"),
        ({"cash": 1.5}, "cash_micro must be a whole number"),
        ({"cash": True}, "cash_micro must be a whole number"),
        ({"values": [1, -1, 1]}, "values must be within 0 and"),
        ({"values": [1] * 501}, "values has more than 500 entries"),
        ({"countries": [0, 1, 2]}, "countries must be within 0 and 1, not 2"),
        ({"countries": [0, 1]}, "countries needs 3 entries, not 2"),
        ({"groups": [0, 0, -1]}, "groups must be within 0 and 1, not -1"),
        ({"wanted_groups": []}, "groups must be within 0 and -1"),
        ({"wanted_countries": [0.0] * 101}, "country_targets has more than 100 entries"),
        ({"merits": [0.1, float("nan"), 0.1]}, "merits must be within"),
        ({"merits": [0.1, float("inf"), 0.1]}, "merits must be within"),
        ({"wanted": [0.1, 1.1, 0.1]}, "security_targets must be within"),
        ({"wanted_countries": [float("nan"), 0.5]}, "country_targets must be within"),
        ({"weights": [1.0] * 4}, "weights needs 5 entries, not 4"),
        ({"weights": [-0.1] + [1.0] * 4}, "weights must be within"),
        ({"scales": [0.0, 0.3, 0.3]}, "scales must be within"),
        ({"actions": [(-1, 1, 0)]}, "securities must be within 0 and 499, not -1"),
        ({"actions": [(3, 1, 0)]}, "an action on a security that the portfolio lacks"),
        ({"actions": [(0, 10**15 + 1, 0)]}, "changes must be within"),
        ({"actions": [(0, 1, -1)]}, "fees must be within 0 and"),
        ({"actions": [(0, 1, 0)] * 65}, "securities has more than 64 entries"),
    ],
)
def test_rejects_what_does_not_fit(twin: ModuleType, changed: Case, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        search(twin, small_case(**changed))


@TWINS
@pytest.mark.parametrize(
    ("depth", "k", "words"),
    [
        (-1, 1, "depth must be within 0 and 8"),
        (9, 1, "depth must be within 0 and 8"),
        (True, 1, "depth must be a whole number"),
        (1, 0, "k must be within 1 and 1000"),
        (1, 1001, "k must be within 1 and 1000"),
        (1, 2.0, "k must be a whole number"),
    ],
)
def test_rejects_a_depth_or_number_out_of_bounds(twin: ModuleType, depth: int, k: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        search(twin, small_case(), depth, k)


@TWINS
def test_rejects_a_search_without_end(twin: ModuleType) -> None:
    assert sum(comb(64, size) for size in range(7)) > sequences_py.MAX_SEQUENCES
    with pytest.raises(ValueError, match="more than 50000000 of them"):
        search(twin, wide_case(64), 6, 1)


@TWINS
def test_rejects_lists_and_arrays_of_another_type(twin: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"securities must be array\('q'\)"):
        twin.Actions([0], ints([1]), ints([0]))
    with pytest.raises(ValueError, match=r"changes must be array\('q'\)"):
        twin.Actions(ints([0]), floats([1.0]), ints([0]))


def test_offers_the_same_names_with_and_without_the_lock() -> None:
    constants = {name for name in vars(sequences_py) if name.isupper() and not name.startswith("_")}
    for twin in (sequences_c, sequences_run):
        assert constants | {"Actions", "Portfolio", "search"} <= set(vars(twin))
    assert sequences_run.MAX_DEPTH == sequences_py.MAX_DEPTH
    assert sequences_run.search is not sequences_c.search


@pytest.fixture
def unasked() -> Iterator[None]:
    """No thread is asked to let the interpreter's lock go: another runs only when one lets go by itself."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60.0)
    yield
    sys.setswitchinterval(interval)


def steps_during_two_searches(twin: ModuleType) -> int:
    """How far this thread counts while two others search; 0 when a search keeps the lock to its end."""
    case, begun, finished = wide_case(50), threading.Semaphore(0), threading.Event()
    holding, wanted = portfolio(twin, case), actions(twin, case)

    def searching() -> None:
        begun.release()
        twin.search(holding, wanted, 6, 10)
        finished.set()

    threads = [threading.Thread(target=searching) for _ in range(2)]
    for thread in threads:
        thread.start()
        begun.acquire()
    steps = 0
    while steps < STEPS and not finished.is_set():
        steps += 1
    for thread in threads:
        thread.join()
    return steps


def test_lets_other_threads_run_while_two_search(unasked: None) -> None:
    # Three tries: on a crowded machine a search may end before this thread gets a core at all.
    assert any(steps_during_two_searches(sequences_run) == STEPS for _ in range(3))


def test_sees_a_search_that_keeps_the_lock(unasked: None) -> None:
    assert steps_during_two_searches(sequences_c) == 0
