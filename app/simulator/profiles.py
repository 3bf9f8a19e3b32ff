"""What each market looks like on an average day: price level, daily volatility, volume, and how a day
breathes.

Numbers only, rounded by hand from how these futures traded in 2025 and 2026; they make a believable market,
not a forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

EQUITY, ENERGY, METAL, OTHER = "equity", "energy", "metal", "other"


@dataclass(frozen=True, slots=True)
class Family:
    """One underlying. `price` is the level its walk returns to, `daily` the standard deviation of a day's
    return.

    Families of one `group` move together with correlation `shared` (0 to 1, to the group's common factor).
    """

    price: float
    daily: float
    group: str = OTHER
    shared: float = 0.3


FAMILIES: dict[str, Family] = {
    "ES": Family(6600, 0.009, EQUITY, 0.95),
    "NQ": Family(24500, 0.013, EQUITY, 0.92),
    "YM": Family(46500, 0.0085, EQUITY, 0.9),
    "RTY": Family(2450, 0.013, EQUITY, 0.85),
    "NKD": Family(49000, 0.013, EQUITY, 0.6),
    "6E": Family(1.16, 0.0045),
    "6B": Family(1.32, 0.005),
    "6C": Family(0.71, 0.0035),
    "6A": Family(0.65, 0.006),
    "6N": Family(0.57, 0.006),
    "6S": Family(1.25, 0.005),
    "6J": Family(0.0065, 0.006),
    "6M": Family(0.054, 0.007),
    "ZT": Family(104.0, 0.001),
    "ZF": Family(109.0, 0.0022),
    "ZN": Family(112.5, 0.0035),
    "TN": Family(115.0, 0.0045),
    "ZB": Family(116.5, 0.006),
    "UB": Family(119.0, 0.008),
    "CL": Family(60.0, 0.021, ENERGY, 0.8),
    "NG": Family(4.2, 0.035, ENERGY, 0.2),
    "RB": Family(1.9, 0.021, ENERGY, 0.8),
    "HO": Family(2.4, 0.022, ENERGY, 0.8),
    "BTC": Family(95000, 0.027),
    "ETH": Family(3200, 0.038),
    "GC": Family(4100, 0.011, METAL, 0.85),
    "SI": Family(50.0, 0.02, METAL, 0.8),
    "HG": Family(5.0, 0.014, METAL, 0.5),
    "PL": Family(1550, 0.017, METAL, 0.7),
    "ZC": Family(425, 0.014),
    "ZW": Family(530, 0.016),
    "ZS": Family(1120, 0.012),
    "ZL": Family(50.0, 0.018),
    "ZM": Family(320, 0.016),
    "LE": Family(215, 0.01),
    "HE": Family(80.0, 0.014),
}

# Contracts traded on an average day; what is not listed is a quiet product.
DAY_VOLUME = {
    "ES": 1_400_000, "MES": 1_000_000, "NQ": 600_000, "MNQ": 1_500_000, "RTY": 200_000, "M2K": 120_000,
    "YM": 150_000, "MYM": 150_000, "CL": 300_000, "MCL": 120_000, "GC": 220_000, "MGC": 250_000,
    "SI": 80_000, "NG": 150_000, "HG": 60_000, "6E": 180_000, "ZN": 1_500_000, "ZF": 1_000_000,
    "ZB": 400_000, "ZT": 600_000,
}  # fmt: skip
QUIET_VOLUME = 40_000

# Volatility by Chicago wall clock: (minutes after midnight of the trade date, negative the evening before,
# weight). Between two points the weight runs in a straight line.
Shape = tuple[tuple[int, float], ...]
_EQUITY_DAY: Shape = (
    (-420, 0.9), (-390, 0.5), (-300, 0.4), (0, 0.4), (110, 0.5), (120, 0.9), (240, 0.7), (420, 0.8),
    (450, 1.2), (509, 1.0), (510, 3.2), (540, 2.4), (600, 1.6), (690, 1.05), (780, 0.95), (840, 1.3),
    (885, 1.9), (900, 2.2), (901, 0.9), (960, 0.5), (1440, 0.5),
)  # fmt: skip
_PIT_DAY: Shape = (
    (-420, 0.8), (-360, 0.5), (60, 0.5), (120, 0.9), (400, 0.9), (440, 1.6), (480, 2.2), (540, 2.6),
    (600, 1.9), (720, 1.2), (810, 1.8), (812, 0.8), (960, 0.4), (1440, 0.4),
)  # fmt: skip
SHAPES: dict[str, Shape] = {EQUITY: _EQUITY_DAY, ENERGY: _PIT_DAY, METAL: _PIT_DAY, OTHER: _PIT_DAY}


def weight(group: str, minute: float) -> float:
    """Relative volatility of a market of `group` at a Chicago wall-clock minute of the trade date."""
    shape = SHAPES[group]
    for (left, low), (right, high) in pairwise(shape):
        if left <= minute < right:
            return low + (high - low) * (minute - left) / (right - left)
    return shape[-1][1]
