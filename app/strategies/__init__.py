"""Strategies, one module each: events in, intents out. Pure; the engine meets them by its `Strategy`
protocol.

`build` is the registry: the only place that knows them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.domain.calendar import TradingCalendar
from app.errors import SettingsError
from app.strategies.overnight_range import OvernightRange, OvernightRangeSettings
from app.strategies.settings import Description, describe, parse
from app.strategies.sma_cross import SmaCross, SmaCrossSettings

__all__ = ["NAMES", "Strategy", "build", "settings_of"]

Strategy = OvernightRange | SmaCross

_SETTINGS: dict[str, type] = {"overnight_range": OvernightRangeSettings, "sma_cross": SmaCrossSettings}
_BUILD: dict[str, Callable[..., Strategy]] = {
    "overnight_range": OvernightRange,
    "sma_cross": lambda settings, _calendar: SmaCross(settings),
}
NAMES = tuple(_BUILD)


def build(name: str, settings: Mapping[str, object], calendar: TradingCalendar | None = None) -> Strategy:
    """The strategy `name` with `settings` (text, TOML values, or a mix); what is missing has its default.

    `calendar` carries the owner's overrides. Raises SettingsError for an unknown name, key or value.
    """
    _require(name)
    return _BUILD[name](parse(_SETTINGS[name], f"strategy.{name}", settings), calendar)


def settings_of(name: str) -> list[Description]:
    """Every setting of the strategy `name` with unit, bounds, default and meaning. Raises SettingsError."""
    _require(name)
    return describe(_SETTINGS[name])


def _require(name: str) -> None:
    if name not in _BUILD:
        raise SettingsError(f"strategy.{name}", f"unknown; known are {', '.join(NAMES)}")
