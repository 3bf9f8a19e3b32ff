"""Passing over bars and ticks that change nothing changes nothing: the reports are equal byte for byte."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.backtest.bars_csv import HEADER
from app.backtest.replay import Run, replay
from app.domain.market import MINUTE_NS

NS = 1_000_000_000
WEEK = "esz13_1m_2013-10-06_2013-10-11.csv.gz"
FRIDAY_NOON_NS = 1_381_510_800 * NS  # 2013-10-11 17:00 UTC: a close, a weekend and an opening follow
RICH = {"start_balance": "1000000", "maximum_loss_limit": "1000000", "daily_loss_limit": "0"}


def told(path: Path, strategy: str, values: dict[str, str], skipping: bool) -> tuple[object, ...]:
    report = replay(path, "ES", strategy, values, skipping=skipping)
    return report.as_json(), report.equity, [str(event) for event in report.events]


@pytest.mark.parametrize(
    ("strategy", "values"),
    [
        ("sma_cross", RICH),
        ("sma_cross", RICH | {"target_ticks": "0", "stop_ticks": "40"}),
        ("sma_cross", {"contracts": "5", "fast": "2", "slow": "5"}),  # runs into both loss limits
        ("sma_cross", {"daily_loss_limit": "300", "fast": "60", "slow": "240"}),
        ("overnight_range", {}),
    ],
)
def test_a_recorded_week_is_the_same_with_and_without(
    shared_data: Path, strategy: str, values: dict[str, str]
) -> None:
    path = shared_data / WEEK
    assert told(path, strategy, values, True) == told(path, strategy, values, False)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    gaps=st.sampled_from([0.0, 0.02, 0.3]),
    spread=st.integers(0, 6),
    values=st.fixed_dictionaries(
        {
            "fast": st.sampled_from(["1", "3", "10"]),
            "slow": st.sampled_from(["11", "30"]),
            "stop_ticks": st.sampled_from(["4", "16", "70"]),
            "target_ticks": st.sampled_from(["0", "6", "32"]),
            "contracts": st.sampled_from(["1", "4"]),
            "daily_loss_limit": st.sampled_from(["0", "200", "1000"]),
            "maximum_loss_limit": st.sampled_from(["600", "100000"]),
        }
    ),
)
def test_made_markets_are_the_same_with_and_without(
    tmp_path_factory: pytest.TempPathFactory, seed: int, gaps: float, spread: int, values: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("made") / "made.csv"
    path.write_text(made(random.Random(seed), gaps, spread))
    assert told(path, "sma_cross", values, True) == told(path, "sma_cross", values, False)


def test_hears_the_watch_on_a_bar_that_fills_nothing(tmp_path: Path) -> None:
    """Bought at 6641 with a stop at 6606: the close at 6611 is beyond three quarters of the daily limit."""
    closes = [*[6600] * 6, 6590, 6640, 6640, *[6611] * 4]
    path, lines = tmp_path / "dip.csv", [HEADER]
    for minute, close in enumerate(closes):
        when = f"2013-10-08T14:{minute:02}:00Z"
        lines.append(",".join([when, *[f"{close / 4:.2f}"] * 4, "7"]))
    path.write_text("\n".join(lines) + "\n")
    values = {"stop_ticks": "35", "target_ticks": "0", "fast": "2", "slow": "5", "daily_loss_limit": "500"}
    full = told(path, "sma_cross", values, False)
    assert "watch.daily_loss" in str(full)
    assert told(path, "sma_cross", values, True) == full


def made(rng: random.Random, gaps: float, spread: int) -> str:
    """Friday noon to Monday morning: minutes are missing, and one gap is longer than a day."""
    lines, close = [HEADER], 6_600
    for minute in range(66 * 60):
        start = FRIDAY_NOON_NS + minute * MINUTE_NS
        closed = 4 * 60 <= minute < 53 * 60
        if closed or rng.random() < gaps:
            continue
        opened, close = close + rng.randint(-2, 2), close + rng.randint(-4, 4)
        high, low = max(opened, close) + rng.randint(0, spread), min(opened, close) - rng.randint(0, spread)
        when = datetime.fromtimestamp(start // NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(",".join([when, *(f"{p / 4:.2f}" for p in (opened, high, low, close)), "7"]))
    return "\n".join(lines) + "\n"


def test_skips_most_bars_of_a_calm_market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    happen = Run._happen
    monkeypatch.setattr(Run, "_happen", lambda run, bar: (taken.append(bar.start_ns), happen(run, bar)))
    path = tmp_path / "made.csv"
    path.write_text(made(random.Random(7), 0.0, 1))
    report = replay(path, "ES", "sma_cross", {"fast": "60", "slow": "240", **RICH})
    assert report.fills
    assert len(taken) < report.bars / 4
    everyone = len(taken)
    replay(path, "ES", "sma_cross", {"fast": "60", "slow": "240", **RICH}, skipping=False)
    assert len(taken) - everyone == report.bars
