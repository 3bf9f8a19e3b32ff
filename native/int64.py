"""Signed 64-bit integers that never wrap: sums and products beyond raise OverflowError.

The pure side; ``int64.pxd`` has the same functions for the compiled twins, inline.
"""

from __future__ import annotations

from typing import Any

MOST = 9223372036854775807
_BEYOND = "integer outside the signed 64-bit range"


def whole(value: Any) -> int:
    """Return ``value``; OverflowError outside 64 bits, TypeError for no integer."""
    if not isinstance(value, int):
        raise TypeError(f"an integer is needed, not {type(value).__name__}")
    if not -MOST - 1 <= value <= MOST:
        raise OverflowError(_BEYOND)
    return value


def plus(a: int, b: int) -> int:
    return whole(a + b)


def minus(a: int, b: int) -> int:
    return whole(a - b)


def times(a: int, b: int) -> int:
    return whole(a * b)


def size(a: int) -> int:
    """``abs``; the most negative number has none."""
    return whole(abs(a))
