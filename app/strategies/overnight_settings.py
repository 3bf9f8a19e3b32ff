"""The numbers of the overnight range breakout. Times are New York local times, points are price units."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from fractions import Fraction

from app.errors import SettingsError
from app.strategies.settings import about

NAME = "overnight_range"
SESSION_OPEN = time(18)  # New York; the night cannot begin before the session does
LAST_END = time(16)  # New York, 15:00 Chicago: eight minutes before the engine flattens on its own
DAILY_ATR_LIMIT = 40  # sessions; the venue keeps about two months of minutes, and days are built of them

_OFF = Fraction(0)
_POINTS = Fraction(100_000)  # far above any instrument's range: a bound against slips, not a rule
_STOP = Fraction(1, 20), Fraction(20)
_TARGET = Fraction(1, 20), Fraction(50)
_EDGE = Fraction(1, 100), Fraction(5)


@dataclass(frozen=True, slots=True)
class OvernightRangeSettings:
    """Every number of the strategy. Raises SettingsError when they contradict each other."""

    symbol: str = field(default="ES", metadata=about("ticker; the venue's active contract is traded"))
    contracts: int = field(default=1, metadata=about("size of each entry", "contracts", 1, 1_000))
    range_start: time = field(
        default=SESSION_OPEN, metadata=about("the night begins; later than range_end = the evening before")
    )
    range_end: time = field(default=time(9, 30), metadata=about("the night ends, the entries are placed"))
    window_end: time = field(
        default=time(15, 45),
        metadata=about("entries are cancelled, the position is closed", high=LAST_END),
    )
    grace_minutes: int = field(default=5, metadata=about("a late start may still place", "minutes", 0, 60))
    minimum_bars: int = field(default=10, metadata=about("one-minute bars a night needs", "bars", 1, 1_440))
    atr_bars: int = field(default=14, metadata=about("completed bars in the ATR", "bars", 2, 200))
    atr_minutes: int = field(default=5, metadata=about("length of a bar of the ATR", "minutes", 1, 60))
    entry_offset_ticks: int = field(default=1, metadata=about("entries beyond the range", "ticks", 0, 1_000))
    stop_atr: Fraction = field(default=Fraction(5, 4), metadata=about("stop from the entry", "ATR", *_STOP))
    target_atr: Fraction = field(
        default=Fraction(2), metadata=about("target from the entry", "ATR", *_TARGET)
    )
    min_stop_ticks: int = field(
        default=4, metadata=about("least distance of the stop; the venue refuses less", "ticks", 4, 1_000)
    )
    breakeven_points: Fraction = field(
        default=_OFF,
        metadata=about("gain that moves the stop to the entry; 0 = never", "points", _OFF, _POINTS),
    )
    breakeven_offset_ticks: int = field(
        default=0, metadata=about("that stop beyond the entry, in profit", "ticks", 0, 1_000)
    )
    range_min_points: Fraction = field(
        default=_OFF, metadata=about("stay out below this range; 0 = off", "points", _OFF, _POINTS)
    )
    range_max_points: Fraction = field(
        default=_OFF, metadata=about("stay out above this range; 0 = off", "points", _OFF, _POINTS)
    )
    gap_max_points: Fraction = field(
        default=_OFF,
        metadata=about(
            "stay out when the night's last price is further from the last session's close; 0 = off",
            "points",
            _OFF,
            _POINTS,
        ),
    )
    atr_min_points: Fraction = field(
        default=_OFF, metadata=about("stay out below this ATR; 0 = off", "points", _OFF, _POINTS)
    )
    atr_max_points: Fraction = field(
        default=_OFF, metadata=about("stay out above this ATR; 0 = off", "points", _OFF, _POINTS)
    )
    zones: bool = field(
        default=False, metadata=about("target = near edge of a zone of the daily ATR around the night's open")
    )
    use_daily_atr: bool = field(
        default=False, metadata=about("stop and target in daily ATRs instead of the ATR above")
    )
    daily_atr_days: int = field(
        default=14, metadata=about("sessions in the daily ATR", "sessions", 2, DAILY_ATR_LIMIT)
    )
    zone_inner: Fraction = field(
        default=Fraction(1, 2), metadata=about("near edge from the open", "half daily ATR", *_EDGE)
    )
    zone_outer: Fraction = field(
        default=Fraction(618, 1000), metadata=about("far edge, shown only", "half daily ATR", *_EDGE)
    )

    def __post_init__(self) -> None:
        if not self.range_end < self.window_end:
            raise SettingsError(f"strategy.{NAME}.window_end", "must be after range_end")
        if self.range_end <= self.range_start < SESSION_OPEN:
            raise SettingsError(f"strategy.{NAME}.range_start", "must be 18:00 or later, or before range_end")
        for what in ("range", "atr"):
            low, high = getattr(self, f"{what}_min_points"), getattr(self, f"{what}_max_points")
            if high and low > high:
                raise SettingsError(f"strategy.{NAME}.{what}_min_points", f"is above {what}_max_points")
        if self.zone_outer < self.zone_inner:
            raise SettingsError(f"strategy.{NAME}.zone_outer", "must not be nearer than zone_inner")
