"""The limits of one account: numbers with units, bounds and reasons. No rules live here (`gate`, `watch`).

What belongs to the account has no default, because a limit nobody stated is not a limit. The rest are the
owner's settings; a value outside its bounds is a SettingsError that names the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.errors import SettingsError

NS = 1_000_000_000
MS = 1_000_000
MICRO = 1_000_000

BOUNDS: dict[str, tuple[int, int]] = {
    "max_contracts_tenths": (1, 10_000),  # one micro to 1,000 minis: nobody's account holds more
    "maximum_loss_limit_micro": (MICRO, 1_000_000 * MICRO),  # a limit of nothing would only ever be closed
    "daily_loss_limit_micro": (MICRO, 1_000_000 * MICRO),
    "max_contracts_symbol_default": (0, 1_000),  # 0 = only symbols that are listed
    "max_order_contracts": (1, 1_000),
    "collar_ticks": (1, 10_000),  # beyond 10,000 ticks (2,500 ES points) it is no collar
    "max_quote_age_ns": (50 * MS, 60 * NS),  # less than a round trip lets nothing pass; a minute is no quote
    "approval_life_ns": (10 * MS, 5 * NS),  # must outlive a slow flash write, never a change of mind
    "orders_per_minute": (1, 160),  # the venue's 200 less the 40 kept for cancels and closes
    "orders_per_day": (1, 100_000),
    "duplicate_window_ns": (100 * MS, 3_600 * NS),
    "alarm_percent": (1, 100),
    "reducing_percent": (1, 100),
    "slippage_reserve_ticks": (0, 1_000),
    "stop_deadline_ns": (100 * MS, 60 * NS),
    "min_bracket_ticks": (4, 1_000),  # the venue refuses fewer than 4
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every number the gate and the watch need. Contracts in `_tenths` are tenths of a mini (a micro is 1).

    Raises SettingsError (`risk.<field>`) for a value outside `BOUNDS`.
    """

    max_contracts_tenths: int  # of the account, worst case over positions and working orders
    maximum_loss_limit_micro: int  # distance of the trailing floor; the floor itself is `rules`
    daily_loss_limit_micro: int | None  # None = stated: this account has none

    max_contracts_symbol: Mapping[str, int] = field(default_factory=dict)  # contracts by ticker ("ES")
    max_contracts_symbol_default: int = 5  # contracts of a ticker not listed: the smallest account's minis
    max_order_contracts: int = 10  # of one order: a slip of the finger, not a strategy, asks for more
    collar_ticks: int = 400  # entry price to market; an overnight range of 100 ES points still fits
    max_quote_age_ns: int = 2 * NS  # an index future quotes many times a second; 2 s of silence is a question
    approval_life_ns: int = 500 * MS  # approval to bytes; half a second later is another market
    orders_per_minute: int = 30  # places and modifies; leaves most of the venue's 200 for reads
    orders_per_day: int = 500  # a trading day of an unattended strategy has dozens
    duplicate_window_ns: int = 10 * NS  # the same wish twice within it is an echo, not a wish
    alarm_percent: int = 75  # of a loss limit: tell the owner
    reducing_percent: int = 90  # of a loss limit: no more entries
    slippage_reserve_ticks: int = 4  # a contract open: what closing at the market may cost beyond the mark
    stop_deadline_ns: int = 2 * NS  # fill to working stop; the venue's legs work about 8 ms after it
    min_bracket_ticks: int = 4  # the venue's own minimum for a protective stop
    require_bracket: bool = True  # refuse an entry without a stop: a power cut must leave it protected

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if value is None and name == "daily_loss_limit_micro":
                continue
            if type(value) is not int or not low <= value <= high:
                raise SettingsError(f"risk.{name}", f"{value} is outside {low}..{high}")
        for symbol, most in self.max_contracts_symbol.items():
            if type(most) is not int or not 0 <= most <= BOUNDS["max_contracts_symbol_default"][1]:
                key = f"risk.max_contracts_symbol.{symbol}"
                raise SettingsError(key, f"{most} is outside 0..{BOUNDS['max_contracts_symbol_default'][1]}")
        if self.alarm_percent > self.reducing_percent:
            raise SettingsError("risk.alarm_percent", f"{self.alarm_percent} is above reducing_percent")

    def max_contracts_of(self, symbol: str) -> int:
        """Contracts allowed in all expiries of an exchange ticker together."""
        return self.max_contracts_symbol.get(symbol, self.max_contracts_symbol_default)
