"""Days made for one question each: both sides in one bar, gaps, missing minutes, early closes, weekends."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.backtest.bars_csv import HEADER
from app.backtest.replay import replay
from tests.strategies.desk import MINUTE_NS, NS, flat_bars, new_york

Row = tuple[int, int, int, int, int]  # start ns, open, high, low, close in ticks of ES


def flat(day: date, hour: int, minute: int, count: int, low: int = 6600, high: int = 6608) -> list[Row]:
    """`count` minutes of one height, closing in its middle."""
    bars = flat_bars(new_york(day, hour, minute), count, low, high)
    return [(b.start_ns, b.open_ticks, b.high_ticks, b.low_ticks, b.close_ticks) for b in bars]


def one(day: date, hour: int, minute: int, *prices: int) -> list[Row]:
    opened, high, low, close = prices
    return [(new_york(day, hour, minute), opened, high, low, close)]


def run(folder: Path, bars: Iterable[Row], **settings: str) -> dict[str, Any]:
    lines = [HEADER]
    for start, *prices in bars:
        when = datetime.fromtimestamp(start // NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(",".join([when, *(f"{p / 4:.2f}" for p in prices), "7"]))
    path = folder / "made.csv"
    path.write_text("\n".join(lines) + "\n")
    return replay(path, "ES", "overnight_range", settings).as_dict()


def fills(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(fill["time"][11:16], fill["side"], fill["price"]) for fill in report["fills"]]


def ticks(price: int) -> str:
    return f"{price / 4:.2f}"


DAY = date(2013, 10, 8)
NIGHT = flat(
    DAY, 8, 0, 90
)  # 1650.00 to 1652.00: entries 1652.25 and 1649.75, ATR 8 ticks, stop 10, target 16
CALM = flat(DAY, 9, 30, 10)


@pytest.mark.parametrize(
    ("opened", "first", "leg"), [(6603, ("sell", 6599), 6609), (6605, ("buy", 6609), 6599)]
)
def test_a_bar_that_touches_both_entries_fills_one_and_stops_it(
    tmp_path: Path, opened: int, first: tuple[str, int], leg: int
) -> None:
    report = run(
        tmp_path, [*NIGHT, *one(DAY, 9, 30, opened, 6615, 6595, 6604), *flat(DAY, 9, 31, 30, 6590, 6620)]
    )
    side, price = first
    other = "buy" if side == "sell" else "sell"
    assert fills(report) == [("13:30", side, ticks(price)), ("13:30", other, ticks(leg))]
    assert sorted(o["state"] for o in report["orders"] if o["role"] == "entry") == ["cancelled", "filled"]
    assert report["days"][0]["trades"] == 1


def test_an_entry_that_the_market_jumps_over_fills_at_the_open(tmp_path: Path) -> None:
    jump = one(DAY, 9, 40, 6612, 6614, 6611, 6613)
    report = run(tmp_path, [*NIGHT, *CALM, *jump, *one(DAY, 9, 41, 6613, 6629, 6612, 6620)])
    assert fills(report) == [("13:40", "buy", "1653.00"), ("13:41", "sell", "1657.00")]
    assert report["trades"][0]["gross"] == "200.00"


@pytest.mark.parametrize(("high", "hit"), [(6625, False), (6626, True)])
def test_a_target_must_be_traded_through(tmp_path: Path, high: int, hit: bool) -> None:
    entry = one(DAY, 9, 40, 6607, 6609, 6606, 6609)
    report = run(tmp_path, [*NIGHT, *CALM, *entry, *one(DAY, 9, 41, 6610, high, 6609, 6620)])
    assert fills(report)[1:] == ([("13:41", "sell", "1656.25")] if hit else [])


def test_a_stop_comes_before_the_target_of_the_same_bar(tmp_path: Path) -> None:
    entry = one(DAY, 9, 40, 6607, 6609, 6606, 6609)
    report = run(tmp_path, [*NIGHT, *CALM, *entry, *one(DAY, 9, 41, 6610, 6640, 6599, 6620)])
    assert fills(report)[1:] == [("13:41", "sell", "1649.75")]


def test_a_quote_that_is_a_minute_old_is_refused_by_the_gate(tmp_path: Path) -> None:
    report = run(tmp_path, [*NIGHT[:-1], *CALM])
    assert report["orders"] == []
    day = report["days"][0]
    assert (day["buy_stop"], day["sell_stop"], day["trades"]) == ("1652.25", "1649.75", 0)


def test_entries_outlive_minutes_without_a_trade(tmp_path: Path) -> None:
    report = run(tmp_path, [*NIGHT, *CALM, *flat(DAY, 11, 45, 1, 6604, 6612)])
    assert fills(report) == [("15:45", "buy", "1652.25")]


def test_the_end_of_the_window_closes_at_the_next_price_with_slippage(tmp_path: Path) -> None:
    entry = one(DAY, 9, 40, 6607, 6609, 6606, 6609)
    held = flat(DAY, 15, 40, 5, 6612, 6614)
    last = one(DAY, 15, 45, 6615, 6616, 6614, 6615)
    report = run(tmp_path, [*NIGHT, *CALM, *entry, *held, *last, *flat(DAY, 15, 46, 30, 6500, 6700)])
    assert fills(report) == [("13:40", "buy", "1652.25"), ("19:45", "sell", "1653.50")]
    assert {o["state"] for o in report["orders"]} == {"filled", "cancelled"}


def test_a_close_waits_for_the_next_bar_and_is_sent_once(tmp_path: Path) -> None:
    entry = one(DAY, 9, 40, 6607, 6609, 6606, 6609)
    report = run(tmp_path, [*NIGHT, *CALM, *entry, *flat(DAY, 15, 40, 5, 6612, 6614), *flat(DAY, 15, 52, 9)])
    assert fills(report)[1:] == [("19:52", "sell", "1650.75")]
    assert [o["role"] for o in report["orders"]].count("exit") == 1


def test_an_early_close_ends_the_window_before_the_venue_does(tmp_path: Path) -> None:
    day = date(
        2013, 11, 29
    )  # the day after Thanksgiving: flat by 11:45 Chicago, ours at 11:43 = 12:43 New York
    night = [*flat(day, 8, 0, 90), *flat(day, 9, 30, 10)]
    entry, rest = one(day, 9, 40, 6607, 6609, 6606, 6609), flat(day, 9, 41, 185, 6605, 6612)
    report = run(tmp_path, [*night, *entry, *rest])
    assert fills(report)[0] == ("14:40", "buy", "1652.25")
    (exit_order,) = [o for o in report["orders"] if o["role"] == "exit"]
    assert "17:41" <= exit_order["created"][11:16] <= "17:43"
    assert len(report["trades"]) == 1


def test_a_weekend_and_a_clock_change_lie_between_two_nights(tmp_path: Path) -> None:
    friday, monday = date(2013, 11, 1), date(2013, 11, 4)  # New York leaves summer time on the Sunday
    bars: list[Row] = []
    for day in (friday, monday):
        eve = day - timedelta(days=1)
        bars += flat(eve, 18, 0, 1, 6590, 6608)  # the first minute of the night makes the low
        bars += [*flat(day, 8, 0, 90), *flat(day, 9, 30, 10)]
    report = run(tmp_path, bars)
    assert [(d["date"], d["low"], d["sell_stop"]) for d in report["days"]] == [
        ("2013-11-01", "1647.50", "1647.25"),
        ("2013-11-04", "1647.50", "1647.25"),
    ]
    entries = [o for o in report["orders"] if o["role"] == "entry"]
    assert [o["created"] for o in entries[::2]] == ["2013-11-01T13:30:00Z", "2013-11-04T14:30:00Z"]


def test_a_file_that_ends_in_a_position_reports_its_fees_and_no_invented_exit(tmp_path: Path) -> None:
    report = run(tmp_path, [*NIGHT, *CALM, *one(DAY, 9, 40, 6607, 6609, 6602, 6603)])
    assert len(report["fills"]) == 1
    assert report["trades"] == []
    assert (report["gross"], report["fees"], report["net"]) == ("0.00", "1.89", "-1.89")
    assert report["max_drawdown"] == "76.89"  # six ticks under the entry at the last close, and the fee


def test_a_minute_outside_every_session_makes_no_night(tmp_path: Path) -> None:
    stray = [(new_york(DAY, 17, 30) - 24 * 60 * MINUTE_NS, 6600, 6900, 6300, 6600)]
    report = run(tmp_path, [*stray, *NIGHT, *CALM])
    assert report["days"][-1]["high"] == "1652.00"
