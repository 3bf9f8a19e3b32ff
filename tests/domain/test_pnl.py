"""What is read of the ledger: today, weeks, drawdown. Unknown stays unknown."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import Fill
from app.domain.ledger import Day, Ledger
from app.domain.market import Quote
from app.domain.orders import Side
from app.domain.pnl import balance_points, day_pnl, max_drawdown_micro, total, week_end, weeks
from app.domain.units import micro

ES, NQ = "CON.F.US.EP.Z26", "CON.F.US.ENQ.Z26"
TODAY = date(2026, 11, 20)
NOW = int(datetime(2026, 11, 20, 15, tzinfo=UTC).timestamp()) * 10**9

amounts = st.integers(-(10**12), 10**12)


def ledger_of(*rows: tuple[str, Side, int, date]) -> Ledger:
    ledger = Ledger()
    for number, (contract, side, ticks, day) in enumerate(rows):
        ledger.book(Fill(number, 0, 1, contract, side, 1, ticks, 1_890_000, NOW + number), "manual", day)
    return ledger


def test_today_is_gross_less_fees_plus_what_is_open() -> None:
    yesterday = TODAY - timedelta(days=1)
    ledger = ledger_of(
        (ES, Side.BUY, 100, yesterday),
        (ES, Side.SELL, 104, TODAY),
        (NQ, Side.SELL, 50, TODAY),
    )
    today = day_pnl(ledger, {NQ: Quote(NQ, bid_ticks=40, ask_ticks=44)}, TODAY)
    assert today.gross_micro == micro("50")
    assert today.fees_micro == micro("3.78")
    assert today.realised_micro == micro("46.22")
    assert today.unrealised_micro == micro("30")
    assert today.net_micro == micro("76.22")


def test_today_is_unknown_while_an_open_contract_has_no_price() -> None:
    ledger = ledger_of((ES, Side.BUY, 100, TODAY), (NQ, Side.SELL, 50, TODAY))
    today = day_pnl(ledger, {ES: Quote(ES, 100, 101, 100)}, TODAY)
    assert today.unrealised_micro is None
    assert today.net_micro is None
    assert today.realised_micro == -2 * 1_890_000


def test_a_day_without_fills_is_zero_and_known() -> None:
    assert day_pnl(Ledger(), {}, TODAY).net_micro == 0


@pytest.mark.parametrize(
    ("day", "ends"),
    [
        (date(2026, 11, 15), date(2026, 11, 21)),  # Sunday
        (date(2026, 11, 20), date(2026, 11, 21)),
        (date(2026, 11, 21), date(2026, 11, 21)),
        (date(2026, 11, 22), date(2026, 11, 28)),
    ],
)
def test_a_week_runs_from_sunday_to_saturday(day: date, ends: date) -> None:
    assert week_end(day) == ends


def test_weeks_agree_with_the_venue(shared_data: Path) -> None:
    facts = json.loads((shared_data / "pnl_calendar.json").read_text())
    days = [
        Day(date.fromisoformat(d["date"]), micro(d["net"]), 0, d["trades"], 2 * d["trades"])
        for d in facts["days"]
    ]
    found = {str(ends): (week.net_micro, week.trades) for ends, week in weeks(reversed(days)).items()}
    assert found == {w["ends"]: (micro(w["net"]), w["trades"]) for w in facts["weeks"]}
    assert total(days).net_micro == sum(micro(w["net"]) for w in facts["weeks"])


def test_drawdown_starts_at_the_starting_balance() -> None:
    assert max_drawdown_micro([90, 95, 80, 120, 110], 100) == 20
    assert max_drawdown_micro([101, 102], 100) == 0
    assert max_drawdown_micro([], 100) == 0
    assert max_drawdown_micro([99], 100) == 1


@given(st.lists(amounts, max_size=30), amounts)
def test_drawdown_is_the_deepest_fall_between_any_two_points(points: list[int], start: int) -> None:
    line = [start, *points]
    falls = [line[i] - line[j] for i in range(len(line)) for j in range(i, len(line))]
    assert max_drawdown_micro(points, start) == max(falls)


def test_balance_moves_with_every_fill() -> None:
    ledger = ledger_of((ES, Side.BUY, 100, TODAY), (ES, Side.SELL, 104, TODAY))
    assert balance_points(ledger, micro("100")) == [micro("98.11"), micro("146.22")]
