"""Scaled integers: money in micro-units, prices in ticks, and the exact text forms of both.

Nothing here knows an instrument or a venue. Arithmetic that multiplies two scaled integers goes through
`muldiv` (128 bit, half to even), so that the compiled and the pure twin raise the same OverflowError.
"""

from __future__ import annotations

from native import fixed

MICRO = 1_000_000  # micro-units in one unit of a currency
MONEY_DIGITS = 6
NANO = 1_000_000_000
PRICE_DIGITS = 9  # the finest tick of section 3.9 of the venue's list, 0.0000005, needs 7


def muldiv(a: int, b: int, divisor: int) -> int:
    """`a * b / divisor`, half to even; see `native.fixed`, whose twin is asked for at each call."""
    return int(fixed.muldiv(a, b, divisor))


def micro(text: str) -> int:
    """The exact micro-units of decimal `text` ("-12.34" -> -12_340_000). Raises ValueError."""
    return int(fixed.parse_decimal(text, MONEY_DIGITS))


def money(amount_micro: int) -> str:
    """Exact decimal text with at least two places ("-12.34"); no currency sign, no grouping."""
    return str(fixed.format_decimal(amount_micro, MONEY_DIGITS, 2))


def cents(amount_micro: int) -> str:
    """Money for a person: two places, half to even, thousands grouped ("-1,234.50")."""
    whole, rest = divmod(abs(fixed.muldiv(amount_micro, 1, 10_000)), 100)
    return f"{'-' if amount_micro < 0 and (whole or rest) else ''}{whole:,}.{rest:02}"
