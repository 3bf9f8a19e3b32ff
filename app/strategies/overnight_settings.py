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
DAILY_BARS_LIMIT = 29  # sessions; a month and a half of minutes is about what the venue keeps

_OFF = Fraction(0)
_POINTS = Fraction(100_000)  # far above any instrument's range: a bound against slips, not a rule
_RATIO = Fraction(1, 10), Fraction(50)


@dataclass(frozen=True, slots=True)
class OvernightRangeSettings:
    """Every number of the strategy. Raises SettingsError when they contradict each other."""

    symbol: str = field(default="ES", metadata=about("ticker; the venue's active contract is traded"))
    quantity: int = field(default=1, metadata=about("size of each entry", "contracts", 1, 150))
    range_start: time = field(
        default=SESSION_OPEN, metadata=about("the night begins; later than entry_time = the evening before")
    )
    entry_time: time = field(default=time(9, 30), metadata=about("the night ends, the entries are placed"))
    window_end: time = field(
        default=time(15, 45),
        metadata=about("entries are cancelled, the position is closed", high=LAST_END),
    )
    grace_minutes: int = field(default=5, metadata=about("a late start may still place", "minutes", 0, 60))
    min_bars: int = field(default=10, metadata=about("one-minute bars a night needs", "bars", 1, 900))
    atr_bars: int = field(default=14, metadata=about("completed bars in the ATR", "bars", 1, 100))
    atr_minutes: int = field(default=5, metadata=about("length of a bar of the ATR", "minutes", 1, 60))
    entry_offset_ticks: int = field(default=1, metadata=about("entries beyond the range", "ticks", 1, 100))
    stop_atr: Fraction = field(default=Fraction(5, 4), metadata=about("stop from the entry", "ATR", *_RATIO))
    target_atr: Fraction = field(default=Fraction(2), metadata=about("target from the entry", "ATR", *_RATIO))
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
    daily_atr_bars: int = field(
        default=14, metadata=about("sessions in the daily ATR", "sessions", 1, DAILY_BARS_LIMIT)
    )
    zone_near: Fraction = field(
        default=Fraction(1, 2), metadata=about("near edge from the open", "half daily ATR", *_RATIO)
    )
    zone_far: Fraction = field(
        default=Fraction(618, 1000), metadata=about("far edge, shown only", "half daily ATR", *_RATIO)
    )

    def __post_init__(self) -> None:
        if not self.entry_time < self.window_end:
            raise SettingsError(f"strategy.{NAME}.window_end", "must be after entry_time")
        if self.entry_time <= self.range_start < SESSION_OPEN:
            raise SettingsError(
                f"strategy.{NAME}.range_start", "must be 18:00 or later, or before entry_time"
            )
        if self.zone_far < self.zone_near:
            raise SettingsError(f"strategy.{NAME}.zone_far", "must not be nearer than zone_near")
