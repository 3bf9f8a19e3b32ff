"""The watch: both loss limits from both sides of every line, and nothing good of what is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.instruments import Instrument, by_symbol
from app.domain.units import MICRO
from app.risk.limits import Limits
from app.risk.watch import (
    DAILY_LOSS,
    FLOOR_UNKNOWN,
    MAXIMUM_LOSS,
    UNKNOWN,
    Level,
    Verdict,
    assess_both,
    calm_from,
    closing_cost_micro,
)
from tests.risk.views import LIMITS, limits

ES, MES, NKD = by_symbol("ES"), by_symbol("MES"), by_symbol("NKD")
DLL, MLL, FLOOR = 1_000 * MICRO, 2_000 * MICRO, 48_000 * MICRO
CLOSE_ES = 4 * 12_500_000 + 1_890_000  # 4 ticks and half of 3.78 USD
RICH = FLOOR + 10 * MLL

Positions = list[tuple[Instrument, int]]


def daily(day_net: int | None, positions: Positions | None = None, **changes: object) -> Verdict:
    return assess_both(limits(**changes), day_net, RICH, FLOOR, positions or [])[0]


def maximum(equity: int | None, floor: int | None = FLOOR, positions: Positions | None = None) -> Verdict:
    return assess_both(LIMITS, 0, equity, floor, positions or [])[1]


@pytest.mark.parametrize(
    ("lost", "level"),
    [
        (-500 * MICRO, Level.OK),
        (0, Level.OK),
        (750 * MICRO - 1, Level.OK),
        (750 * MICRO, Level.ALARM),
        (900 * MICRO - 1, Level.ALARM),
        (900 * MICRO, Level.REDUCING),
        (1_000 * MICRO - 1, Level.REDUCING),
        (1_000 * MICRO, Level.FLAT),
        (5_000 * MICRO, Level.FLAT),
    ],
)
def test_daily_loss_while_flat(lost: int, level: Level) -> None:
    assert daily(-lost) == Verdict(level, DAILY_LOSS, -lost, -DLL)


@pytest.mark.parametrize(
    ("room", "level"),
    [
        (500 * MICRO + 1, Level.OK),
        (500 * MICRO, Level.ALARM),
        (200 * MICRO + 1, Level.ALARM),
        (200 * MICRO, Level.REDUCING),
        (1, Level.REDUCING),
        (0, Level.FLAT),
        (-1, Level.FLAT),
    ],
)
def test_maximum_loss_while_flat(room: int, level: Level) -> None:
    assert maximum(FLOOR + room) == Verdict(level, MAXIMUM_LOSS, FLOOR + room, FLOOR)


@pytest.mark.parametrize(("net", "contracts"), [(1, 1), (-3, 3)])
def test_goes_flat_before_the_limit_by_what_closing_costs(net: int, contracts: int) -> None:
    reserve = contracts * CLOSE_ES
    assert daily(-DLL + reserve, [(ES, net)]).level is Level.FLAT
    assert daily(-DLL + reserve + 1, [(ES, net)]).level is not Level.FLAT
    assert maximum(FLOOR + reserve, positions=[(ES, net)]).level is Level.FLAT
    assert maximum(FLOOR + reserve + 1, positions=[(ES, net)]).level is not Level.FLAT


def test_a_reserve_beyond_the_percent_lines_goes_flat_at_once() -> None:
    assert daily(0, [(ES, 20)]).level is Level.FLAT


def test_closing_costs_are_slippage_and_one_way_fees_of_all_that_is_open() -> None:
    assert closing_cost_micro(LIMITS, [(ES, 2), (MES, -3), (NKD, 0)]) == 2 * CLOSE_ES + 3 * (
        5_000_000 + 610_000
    )
    assert closing_cost_micro(LIMITS, []) == 0
    assert closing_cost_micro(LIMITS, [(NKD, 1)]) is None


def test_an_account_without_a_daily_limit_has_none() -> None:
    assert daily(-(10**12), [(ES, 1)], daily_loss_limit_micro=None) == Verdict(
        Level.OK, DAILY_LOSS, -(10**12), None
    )


@pytest.mark.parametrize("positions", [[], [(ES, 1)]])
def test_an_unknown_floor_closes(positions: Positions) -> None:
    assert maximum(RICH, None, positions) == Verdict(Level.REDUCING, FLOOR_UNKNOWN, RICH, None)


def test_unknown_money_closes_while_a_position_is_open() -> None:
    for positions in ([(ES, 1)], [(ES, -1)]):
        assert daily(None, positions) == Verdict(Level.REDUCING, UNKNOWN, None, -DLL)
        assert maximum(None, positions=positions) == Verdict(Level.REDUCING, UNKNOWN, None, FLOOR)
    assert daily(None).level is Level.OK
    assert maximum(None).level is Level.OK


def test_unknown_closing_fees_close_while_a_position_is_open() -> None:
    assert daily(0, [(NKD, 1)]) == Verdict(Level.REDUCING, UNKNOWN, 0, -DLL)
    assert maximum(RICH, positions=[(NKD, 1)]).rule == UNKNOWN


def test_positions_may_come_from_a_generator() -> None:
    both = assess_both(LIMITS, -DLL + CLOSE_ES, RICH, FLOOR, ((ES, n) for n in (1,)))
    assert both[0].level is Level.FLAT


@st.composite
def settings(draw: st.DrawFn) -> Limits:
    reducing = draw(st.integers(1, 100))
    return limits(
        daily_loss_limit_micro=draw(st.integers(MICRO, 10**10)),
        maximum_loss_limit_micro=draw(st.integers(MICRO, 10**10)),
        alarm_percent=draw(st.integers(1, reducing)),
        reducing_percent=reducing,
        slippage_reserve_ticks=draw(st.integers(0, 50)),
    )


@given(settings(), st.integers(-(10**10), 2 * 10**10), st.integers(-5, 5))
def test_each_line_is_exact(these: Limits, room: int, net: int) -> None:
    """The same reading of both limits, from first principles: Fractions of the limit that are used up."""
    reserve = closing_cost_micro(these, [(ES, net)]) or 0
    for most, verdict in (
        (these.daily_loss_limit_micro or 0, None),
        (these.maximum_loss_limit_micro, None),
    ):
        day = room - (these.daily_loss_limit_micro or 0)
        both = assess_both(these, day, FLOOR + room, FLOOR, [(ES, net)])
        verdict = both[0] if most is these.daily_loss_limit_micro else both[1]
        used = most - room
        if room <= reserve:
            assert verdict.level is Level.FLAT
        else:
            assert (verdict.level >= Level.REDUCING) is (used * 100 >= most * these.reducing_percent)
            assert (verdict.level >= Level.ALARM) is (used * 100 >= most * these.alarm_percent)


@given(settings(), st.lists(st.integers(-(10**10), 10**10), min_size=2, max_size=2), st.integers(-5, 5))
def test_losing_more_is_never_judged_milder(these: Limits, days: list[int], net: int) -> None:
    worse, better = (assess_both(these, day, FLOOR + 10**9 + day, FLOOR, [(ES, net)]) for day in sorted(days))
    assert all(now.level >= before.level for now, before in zip(worse, better, strict=True))


@given(settings(), st.integers(-5, 5), st.integers(-3, 3), st.integers(-3, 3), st.booleans())
def test_calm_is_where_both_limits_say_nothing(
    these: Limits, net: int, day_more: int, equity_more: int, has_daily: bool
) -> None:
    if not has_daily:
        these = replace(these, daily_loss_limit_micro=None)
    day_from, equity_from = calm_from(these, FLOOR, closing_cost_micro(these, [(ES, net)]) or 0)
    assert (day_from is None) is (not has_daily)
    day, equity = (day_from or 0) + day_more, equity_from + equity_more
    daily, maximum = assess_both(these, day, equity, FLOOR, [(ES, net)])
    assert (daily.level is Level.OK) is (day_from is None or day_more >= 0)
    assert (maximum.level is Level.OK) is (equity_more >= 0)
