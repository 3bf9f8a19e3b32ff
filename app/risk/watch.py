"""The watch over the loss limits: a pure verdict on every quote, fill, account event and 1 s timer. It acts
on nothing.

Both limits have the same three lines: 75 % tells the owner, 90 % ends entries, and the limit less what
closing now would cost (slippage reserve and closing fees of what is open) goes flat, so that the venue
never has to. All integers: percent lines are compared by cross multiplication, never divided.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from app.domain.instruments import Instrument
from app.risk.exposure import one_way_fee_micro
from app.risk.limits import Limits


class Level(IntEnum):
    """Ordered by severity."""

    OK = 0
    ALARM = 1
    REDUCING = 2
    FLAT = 3


DAILY_LOSS = "watch.daily_loss"
MAXIMUM_LOSS = "watch.maximum_loss"
FLOOR_UNKNOWN = "watch.floor_unknown"
UNKNOWN = "watch.unknown"  # P&L, equity or the cost of closing is not known while a position is open


@dataclass(frozen=True, slots=True)
class Verdict:
    """`value_micro` is today's P&L or the equity, `limit_micro` its limit; None = not known, or no limit."""

    level: Level
    rule: str
    value_micro: int | None = None
    limit_micro: int | None = None


def closing_cost_micro(limits: Limits, positions: Iterable[tuple[Instrument, int]]) -> int | None:
    """What closing all `positions` (instrument, signed net) may cost beyond the mark: slippage reserve and
    one-way fees.

    None when the fee of an open product is not known.
    """
    total = 0
    for instrument, net in positions:
        if net == 0:
            continue
        if instrument.fee_round_turn_micro is None:
            return None
        slippage = instrument.tick_value_micro * limits.slippage_reserve_ticks
        total += abs(net) * (slippage + one_way_fee_micro(instrument))
    return total


def assess_daily(
    limits: Limits, day_net_micro: int | None, reserve_micro: int | None, is_open: bool
) -> Verdict:
    """The daily loss limit: the day's net P&L, fees and unrealised included, against minus the limit."""
    most = limits.daily_loss_limit_micro
    if most is None:
        return Verdict(Level.OK, DAILY_LOSS, day_net_micro, None)
    if day_net_micro is None or reserve_micro is None:
        return Verdict(Level.REDUCING if is_open else Level.OK, UNKNOWN, day_net_micro, -most)
    return Verdict(
        _level(limits, most + day_net_micro, most, reserve_micro), DAILY_LOSS, day_net_micro, -most
    )


def assess_maximum(
    limits: Limits,
    equity_micro: int | None,
    floor_micro: int | None,
    reserve_micro: int | None,
    is_open: bool,
) -> Verdict:
    """The maximum loss limit: balance and unrealised P&L against the floor; an unknown floor closes."""
    if floor_micro is None:
        return Verdict(Level.REDUCING, FLOOR_UNKNOWN, equity_micro, None)
    if equity_micro is None or reserve_micro is None:
        return Verdict(Level.REDUCING if is_open else Level.OK, UNKNOWN, equity_micro, floor_micro)
    room = equity_micro - floor_micro
    level = _level(limits, room, limits.maximum_loss_limit_micro, reserve_micro)
    return Verdict(level, MAXIMUM_LOSS, equity_micro, floor_micro)


def assess_both(
    limits: Limits,
    day_net_micro: int | None,
    equity_micro: int | None,
    floor_micro: int | None,
    positions: Iterable[tuple[Instrument, int]],
) -> tuple[Verdict, Verdict]:
    """(daily loss, maximum loss): they open different reasons, so both are told."""
    held = [(instrument, net) for instrument, net in positions if net]
    reserve = closing_cost_micro(limits, held)
    return (
        assess_daily(limits, day_net_micro, reserve, bool(held)),
        assess_maximum(limits, equity_micro, floor_micro, reserve, bool(held)),
    )


def calm_from(limits: Limits, floor_micro: int, reserve_micro: int) -> tuple[int | None, int]:
    """(the day's net P&L, the equity) from which up both verdicts are OK while closing costs `reserve_micro`.

    The first is None without a daily limit. What is watched on every quote is so compared, not judged anew.
    """
    daily, maximum = limits.daily_loss_limit_micro, limits.maximum_loss_limit_micro
    equity = floor_micro + _calm_room(limits, maximum, reserve_micro)
    return None if daily is None else _calm_room(limits, daily, reserve_micro) - daily, equity


def _calm_room(limits: Limits, allowance_micro: int, reserve_micro: int) -> int:
    """The least room at which `_level` is OK."""
    percent = min(limits.alarm_percent, limits.reducing_percent)
    return max(reserve_micro + 1, allowance_micro - (allowance_micro * percent - 1) // 100)


def _level(limits: Limits, room_micro: int, allowance_micro: int, reserve_micro: int) -> Level:
    """`room_micro` is what may still be lost of `allowance_micro`."""
    if room_micro <= reserve_micro:
        return Level.FLAT
    used_hundredths = (allowance_micro - room_micro) * 100
    if used_hundredths >= allowance_micro * limits.reducing_percent:
        return Level.REDUCING
    if used_hundredths >= allowance_micro * limits.alarm_percent:
        return Level.ALARM
    return Level.OK
