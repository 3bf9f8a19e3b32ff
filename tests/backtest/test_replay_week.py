"""The recorded week of ES: against an independent derivation, against itself, and against looking ahead."""

from __future__ import annotations

import gzip
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.backtest.replay import replay
from tests.backtest import oracle

FILE = "esz13_1m_2013-10-06_2013-10-11.csv.gz"
KEYS = ["bars", "orders", "fills", "trades", "days", "gross", "fees", "net", "max_drawdown"]
DAY_KEYS = ["date", "high", "low", "atr", "buy_stop", "sell_stop", "gross", "fees", "net", "trades"]


@pytest.fixture(scope="module")
def recording(shared_data: Path) -> Path:
    return shared_data / FILE


@pytest.fixture(scope="module")
def text(recording: Path) -> str:
    return replay(recording, "ES", "overnight_range", {}).as_json()


@pytest.fixture(scope="module")
def week(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def entries(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [order for order in report["orders"] if order["role"] == "entry"]


ORDER_KEYS = [
    "tag",
    "strategy",
    "contract",
    "role",
    "type",
    "side",
    "size",
    "filled",
    "limit",
    "stop",
    "bracket_stop",
    "bracket_target",
    "oco",
    "parent",
    "state",
    "reason",
    "created",
    "updated",
]
FILL_KEYS = ["id", "order", "strategy", "contract", "time", "date", "side", "size", "price", "gross", "fees"]
TRADE_KEYS = [
    "strategy",
    "contract",
    "date",
    "side",
    "size",
    "entry_time",
    "entry_price",
    "exit_time",
    "exit_price",
    "gross",
    "fees",
    "net",
]


def test_the_shape_is_the_documented_one(week: dict[str, Any]) -> None:
    assert list(week) == KEYS
    assert [list(week[name][0]) for name in ("orders", "fills", "trades")] == [
        ORDER_KEYS,
        FILL_KEYS,
        TRADE_KEYS,
    ]
    assert all(list(day) == DAY_KEYS for day in week["days"])
    assert week["bars"] == 6826


def test_ranges_atr_and_entries_agree_with_an_independent_derivation(
    week: dict[str, Any], recording: Path
) -> None:
    expected = oracle.days(recording)
    assert len(expected) == len(week["days"]) == 5
    for day, wanted in zip(week["days"], expected, strict=True):
        assert day["date"] == str(wanted["date"])
        for key in ("high", "low", "buy_stop", "sell_stop"):
            assert Decimal(day[key]) == wanted[key], (day["date"], key)
        assert isinstance(wanted["atr"], Decimal)
        assert abs(Decimal(day["atr"]) - wanted["atr"]) <= Decimal("0.0000000005")


def test_the_orders_carry_those_prices_and_brackets(week: dict[str, Any], recording: Path) -> None:
    placed = entries(week)
    for number, wanted in enumerate(oracle.days(recording)):
        buy, sell = placed[2 * number : 2 * number + 2]
        assert (buy["side"], sell["side"]) == ("buy", "sell")
        assert Decimal(buy["stop"]) == wanted["buy_stop"]
        assert Decimal(sell["stop"]) == wanted["sell_stop"]
        for order in (buy, sell):
            assert Decimal(order["bracket_stop"]) == wanted["stop"]
            assert Decimal(order["bracket_target"]) == wanted["target"]
            assert order["created"] == f"{wanted['date']}T13:30:00Z"
            assert order["contract"] == "CON.F.US.EP.Z13"
            assert order["oco"] == f"overnight_range-{wanted['date']}"


def test_every_fill_lies_in_its_bar_and_follows_the_model(week: dict[str, Any], recording: Path) -> None:
    bars = {bar[0].strftime("%Y-%m-%dT%H:%M:%SZ"): bar for bar in oracle.rows(recording)}
    orders = {order["tag"]: order for order in week["orders"]}
    assert len(week["fills"]) == 10
    for fill in week["fills"]:
        _, opened, high, low, _ = bars[fill["time"]]
        order, price = orders[fill["order"]], Decimal(fill["price"])
        assert low <= price <= high
        if order["role"] == "entry":
            stop = Decimal(order["stop"])
            assert price == (max(stop, opened) if order["side"] == "buy" else min(stop, opened))
        elif order["role"] == "target":
            assert price == Decimal(order["limit"])
            assert low < price < high


def test_the_first_touch_after_the_entry_time_is_the_fill(week: dict[str, Any], recording: Path) -> None:
    bars = oracle.rows(recording)
    for wanted in oracle.days(recording):
        day = wanted["date"]
        assert isinstance(day, date)
        opened = f"{day}T13:30:00Z"
        touched = next(
            bar[0].strftime("%Y-%m-%dT%H:%M:%SZ")
            for bar in bars
            if f"{bar[0]:%Y-%m-%dT%H:%M:%SZ}" >= opened
            and (bar[2] >= wanted["buy_stop"] or bar[3] <= wanted["sell_stop"])  # type: ignore[operator]
        )
        first = next(fill for fill in week["fills"] if fill["date"] == str(day))
        assert first["time"] == touched


def test_the_parts_sum_to_the_whole_exactly(week: dict[str, Any]) -> None:
    for key in ("gross", "fees", "net"):
        whole = Decimal(week[key])
        assert sum(Decimal(day[key]) for day in week["days"]) == whole
        assert sum(Decimal(trade[key]) for trade in week["trades"]) == whole
    assert Decimal(week["gross"]) - Decimal(week["fees"]) == Decimal(week["net"])
    assert sum(day["trades"] for day in week["days"]) == len(week["trades"])
    assert sum(Decimal(f["fees"]) for f in week["fills"]) == Decimal(week["fees"])
    assert sum(Decimal(f["gross"]) for f in week["fills"] if f["gross"]) == Decimal(week["gross"])


def test_gross_is_the_distance_between_entry_and_exit(week: dict[str, Any]) -> None:
    for trade in week["trades"]:
        sign = 1 if trade["side"] == "buy" else -1
        points = (Decimal(trade["exit_price"]) - Decimal(trade["entry_price"])) * sign
        assert Decimal(trade["gross"]) == points * 50 * trade["size"]
        assert trade["fees"] == "3.78"


def test_the_drawdown_is_at_least_that_of_the_closed_trades(week: dict[str, Any]) -> None:
    balance = peak = deepest = Decimal(0)
    for trade in week["trades"]:
        balance += Decimal(trade["net"])
        peak = max(peak, balance)
        deepest = max(deepest, peak - balance)
    assert Decimal(week["max_drawdown"]) >= deepest > 0


def test_one_pair_a_day_and_one_trade_at_most(week: dict[str, Any]) -> None:
    days = [order["oco"] for order in entries(week)]
    assert all(days.count(day) == 2 for day in set(days))
    assert all(day["trades"] <= 1 for day in week["days"])


def test_the_same_file_prints_the_same_bytes(recording: Path, text: str) -> None:
    assert replay(recording, "ES", "overnight_range", {}).as_json() == text


def test_no_money_is_a_float(week: dict[str, Any]) -> None:
    def floats(value: object) -> bool:
        if isinstance(value, dict):
            return any(map(floats, value.values()))
        return any(map(floats, value)) if isinstance(value, list) else isinstance(value, float)

    assert not floats(week)


@pytest.mark.parametrize("strategy", ["overnight_range", "sma_cross"])
@pytest.mark.parametrize("bars", [931, 1000, 2300, 3767])
def test_what_happens_later_changes_nothing_before(
    recording: Path, tmp_path: Path, strategy: str, bars: int
) -> None:
    with gzip.open(recording, "rt") as file:
        lines = file.readlines()
    cut = tmp_path / "cut.csv"
    cut.write_text("".join(lines[: bars + 1]))
    whole = replay(recording, "ES", strategy, {}).as_dict()
    part = replay(cut, "ES", strategy, {}).as_dict()
    assert part["bars"] == bars
    assert part["fills"] == whole["fills"][: len(part["fills"])]
    assert part["trades"] == whole["trades"][: len(part["trades"])]
    assert part["days"][:-1] == whole["days"][: len(part["days"]) - 1]
    end = lines[bars].split(",")[0]
    later = [fill for fill in whole["fills"] if fill["time"] <= end]
    assert part["fills"] == later
    placed = [(o["tag"], o["stop"], o["side"]) for o in entries(part)]
    assert placed == [(o["tag"], o["stop"], o["side"]) for o in entries(whole)][: len(placed)]


def test_settings_reach_strategy_account_and_fill_model(recording: Path) -> None:
    values = {"contracts": "2", "fee_round_turn": "2.5", "stop_slippage_ticks": "1", "start_balance": "60000"}
    week = replay(recording, "ES", "overnight_range", values).as_dict()
    assert all(order["size"] == 2 for order in week["orders"])
    assert week["fees"] == "25.00"
    entry = next(o for o in entries(week) if o["state"] == "filled")
    fill = next(f for f in week["fills"] if f["order"] == entry["tag"])
    assert Decimal(fill["price"]) - Decimal(entry["stop"]) == Decimal("0.25")


def test_the_gate_is_not_bypassed(recording: Path) -> None:
    week = replay(recording, "ES", "overnight_range", {"contracts": "3"}).as_dict()
    assert len(week["fills"]) > 0
    refused = replay(recording, "ES", "overnight_range", {"contracts": "6"})
    assert refused.as_dict()["orders"] == []
    assert "gate.account_contracts" in refused.as_table()


def test_the_daily_loss_limit_ends_the_day(recording: Path) -> None:
    report = replay(recording, "ES", "sma_cross", {})
    for day in report.as_dict()["days"]:
        assert Decimal(day["net"]) > -1000
    assert any(event.code == "gate.daily_loss" for event in report.events)


def test_breakeven_moves_the_stop_in_the_venue(recording: Path) -> None:
    week = replay(recording, "ES", "overnight_range", {"breakeven_points": "1"}).as_dict()
    friday = week["trades"][-1]
    assert (friday["date"], friday["gross"], friday["entry_price"]) == (
        "2013-10-11",
        "0.00",
        friday["exit_price"],
    )


def test_nothing_is_left_open_after_the_window(recording: Path) -> None:
    far = {"stop_atr": "20", "target_atr": "45", "daily_loss_limit": "0", "maximum_loss_limit": "40000"}
    week = replay(recording, "ES", "overnight_range", far).as_dict()
    exits = [order for order in week["orders"] if order["role"] == "exit"]
    assert [order["created"][11:] for order in exits] == ["19:45:00Z"] * len(exits)
    assert len(exits) == len(week["trades"]) == 5
    for fill in week["fills"]:
        if fill["order"] in {order["tag"] for order in exits}:
            assert fill["time"].endswith("T19:45:00Z")
    assert all(o["state"] in ("filled", "cancelled") for o in week["orders"])
