"""What the night came to: the entries and their brackets in ticks, or why there are none today.

Pure arithmetic on a `Night`: no order, no phase, no clock. Distances round up to whole ticks and a stop is
never nearer than the rule says, so a position may risk a tick more than the ATR asks, never less room than
it needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

from app.domain.bars import mean_true_range
from app.domain.instruments import Instrument
from app.strategies.night import Day, Night
from app.strategies.overnight_settings import OvernightRangeSettings
from app.strategies.prices import in_ticks, price_text
from app.strategies.settings import written

MIN_TARGET_TICKS = 1  # a target at the entry price would be no target


class StayOut(Exception):
    """No entries, and why. `final` = nothing that may still arrive today changes it. Never leaves this
    package.
    """

    def __init__(self, why: str, final: bool = True) -> None:
        super().__init__(why)
        self.final = final


@dataclass(frozen=True, slots=True)
class Plan:
    """Ticks: the night's range, the ATR, the two entry prices, and the distances of their brackets.

    `zone_above` and `zone_below` are the (near, far) edges of the zones when they are switched on.
    """

    high: int
    low: int
    bars: int
    atr: Fraction
    buy_stop: int
    sell_stop: int
    stop: int
    buy_target: int
    sell_target: int
    zone_above: tuple[Fraction, Fraction] | None = None
    zone_below: tuple[Fraction, Fraction] | None = None


def distance(ticks: Fraction, least: int) -> int:
    """Whole ticks of a bracket leg: rounded up, at least `least`."""
    return max(least, ceil(ticks))


def measure(night: Night, day: Day, s: OvernightRangeSettings) -> Plan:
    """The plan of `day` from the bars before its entry time. Raises StayOut while bars are missing."""
    span = night.range(day.range_ns, day.entry_ns)
    if span is None or span.bars < s.minimum_bars:
        known = 0 if span is None else span.bars
        raise StayOut(f"the night has {known} one-minute bars, {s.minimum_bars} are needed", final=False)
    atr = _daily_atr(night, day, s) if s.use_daily_atr else _atr(night, day, s)
    target = distance(s.target_atr * atr, MIN_TARGET_TICKS)
    plan = Plan(
        high=span.high,
        low=span.low,
        bars=span.bars,
        atr=atr,
        buy_stop=span.high + s.entry_offset_ticks,
        sell_stop=span.low - s.entry_offset_ticks,
        stop=distance(s.stop_atr * atr, s.min_stop_ticks),
        buy_target=target,
        sell_target=target,
    )
    return _aim_at_zones(plan, night, day, s, span.open) if s.zones else plan


def _atr(night: Night, day: Day, s: OvernightRangeSettings) -> Fraction:
    bars = night.bars_of(s.atr_minutes, s.atr_bars + 1, day.entry_ns)
    atr = mean_true_range(bars, s.atr_bars)
    if atr is None:
        needs = f"{s.atr_bars} bars of {s.atr_minutes} minutes and the one before"
        raise StayOut(f"the ATR needs {needs}, {len(bars)} are known", final=False)
    return atr


def _daily_atr(night: Night, day: Day, s: OvernightRangeSettings) -> Fraction:
    """Of whole sessions built from their minutes; a venue's daily bars are cut elsewhere."""
    sessions = night.sessions(s.daily_atr_days + 1, day.entry_ns)
    atr = mean_true_range(sessions, s.daily_atr_days)
    if atr is None:
        needs = f"{s.daily_atr_days} whole sessions and the one before"
        raise StayOut(f"the daily ATR needs {needs}, {len(sessions)} are known", final=False)
    return atr


def _aim_at_zones(plan: Plan, night: Night, day: Day, s: OvernightRangeSettings, opened: int) -> Plan:
    """Targets at the near edges of the zones above and below the night's open; a zone that an entry has
    already passed keeps the ATR's target."""
    daily = _daily_atr(night, day, s)
    near, far = s.zone_inner * daily / 2, s.zone_outer * daily / 2
    above, below = opened + near - plan.buy_stop, plan.sell_stop - (opened - near)
    return replace(
        plan,
        buy_target=distance(above, MIN_TARGET_TICKS) if above > 0 else plan.buy_target,
        sell_target=distance(below, MIN_TARGET_TICKS) if below > 0 else plan.sell_target,
        zone_above=(opened + near, opened + far),
        zone_below=(opened - near, opened - far),
    )


def check_filters(
    plan: Plan, night: Night, day: Day, s: OvernightRangeSettings, instrument: Instrument
) -> None:
    """The owner's optional filters. Raises StayOut."""
    _within(instrument, "range", Fraction(plan.high - plan.low), s.range_min_points, s.range_max_points)
    _within(instrument, "ATR", plan.atr, s.atr_min_points, s.atr_max_points)
    if s.gap_max_points:
        span, before = night.range(day.range_ns, day.entry_ns), night.sessions(1, day.entry_ns)
        if span is None or not before:
            raise StayOut("the last session's close is not known", final=False)
        gap = Fraction(abs(span.close - before[0].close_ticks))
        _within(instrument, "gap", gap, Fraction(0), s.gap_max_points)


def _within(instrument: Instrument, what: str, ticks: Fraction, low: Fraction, high: Fraction) -> None:
    value = price_text(instrument, ticks)
    if ticks < in_ticks(instrument, low):
        raise StayOut(f"{what} {value} is below {written(low)}")
    if high and ticks > in_ticks(instrument, high):
        raise StayOut(f"{what} {value} is above {written(high)}")
