"""Points and ticks as exact fractions, and prices as text. What is rounded here is only shown."""

from __future__ import annotations

from fractions import Fraction

from app.domain.instruments import Instrument
from app.domain.units import NANO, PRICE_DIGITS
from native import fixed


def in_ticks(instrument: Instrument, points: Fraction) -> Fraction:
    """A distance in price units as ticks (20 ES points are 80)."""
    return points * NANO / instrument.tick_nano


def price_text(instrument: Instrument, ticks: Fraction | int | None) -> str:
    """Decimal text of a price or distance, to at most 9 places (half to even); "" for None."""
    if ticks is None:
        return ""
    return str(fixed.format_decimal(round(ticks * instrument.tick_nano), PRICE_DIGITS, instrument.decimals))
