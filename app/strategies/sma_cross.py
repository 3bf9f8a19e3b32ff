"""A plain crossing of two moving averages: for replays, benchmarks and as the smallest complete strategy.

Market entries with a native bracket when the fast average of one-minute closes crosses the slow one. One
position at a
time: a cross against it closes it, and the next entry waits for the next cross. Nothing here claims an edge.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.instruments import by_symbol
from app.domain.intents import Close, Intent, Place
from app.domain.market import MINUTE_NS, Bar
from app.domain.orders import Bracket, OrderType, Side
from app.errors import SettingsError
from app.strategies.quiet import Quiet
from app.strategies.settings import about
from native import indicators

NAME = "sma_cross"


@dataclass(frozen=True, slots=True)
class SmaCrossSettings:
    symbol: str = field(default="ES", metadata=about("ticker; the venue's active contract is traded"))
    contracts: int = field(default=1, metadata=about("size of each entry", "contracts", 1, 150))
    fast: int = field(default=10, metadata=about("closes in the fast average", "bars", 1, 1_000))
    slow: int = field(default=30, metadata=about("closes in the slow average", "bars", 2, 1_000))
    stop_ticks: int = field(default=16, metadata=about("protective stop from the entry", "ticks", 4, 1_000))
    target_ticks: int = field(
        default=32, metadata=about("target from the entry; 0 = none", "ticks", 0, 1_000)
    )

    def __post_init__(self) -> None:
        if self.fast >= self.slow:
            raise SettingsError(f"strategy.{NAME}.fast", "must be less than slow")


class SmaCross(Quiet):
    """Its only memory, the averages, comes back with the history."""

    name = NAME

    def __init__(self, settings: SmaCrossSettings) -> None:
        """Raises Refused for an unknown symbol."""
        by_symbol(settings.symbol)
        self.settings, self.symbol = settings, settings.symbol
        self._fast, self._slow = indicators.Sma(settings.fast), indicators.Sma(settings.slow)
        self._bars = 0  # closes taken, counted to one more than the slow average needs
        self._above = 0  # 1 fast above slow, -1 below, 0 not known yet
        self._last_ns = 0

    def wants_bars_from(self, utc_ns: int) -> int:
        return utc_ns - (self.settings.slow + 1) * MINUTE_NS

    def on_bar(self, bar: Bar) -> Sequence[Intent]:
        if bar.start_ns <= self._last_ns:
            return ()
        self._last_ns = bar.start_ns
        before, self._above = self._above, self._take(bar.close_ticks)
        crossed = before and self._above and before != self._above
        fresh = self._view.utc_ns() < bar.start_ns + 2 * MINUTE_NS  # bars of the history make no orders
        return self._turn(Side(self._above), bar.start_ns) if crossed and fresh else ()

    def skim(self, starts: Sequence[int], closes: Sequence[int], begin: int, end: int) -> int:
        """Take bars (start in UTC ns, close in ticks) from `begin` on, before `end`, up to the first on which
        the averages cross; returns the index after them. None of them makes an intent.
        """
        first = bisect_right(starts, self._last_ns, begin, end)  # those before are known
        after, self._above = indicators.uncrossed(self._fast, self._slow, self._above, closes, first, end)
        if after > first:
            self._last_ns = starts[after - 1]
        self._bars = min(self._bars + after - first, self.settings.slow + 1)
        return after

    def facts(self) -> Mapping[str, str]:
        trend = {1: "above", -1: "below"}.get(self._above, "")
        return {"fast": trend, "bars": str(self._bars)}

    def _take(self, close: int) -> int:
        """The side of the fast average after `close`; averages that are equal keep the side they had."""
        self._bars = min(self._bars + 1, self.settings.slow + 1)
        return self._side(self._fast.update(close), self._slow.update(close))

    def _side(self, fast: float, slow: float) -> int:
        """0 while the slow average is not a number yet.

        Sums of ticks are exact in float64, and means of at most 1,000 whole numbers that differ do so by a
        millionth or more: comparing the means is comparing the fractions.
        """
        return _sign(fast, slow) or self._above

    def _turn(self, side: Side, bar_ns: int) -> Sequence[Intent]:
        net = self._view.net(self.symbol)
        if net * side < 0:
            return (Close(NAME, self._contract, "the averages crossed back"),)
        if net or any(self._view.orders()):
            return ()
        s = self.settings
        bracket = Bracket(s.stop_ticks, s.target_ticks)
        ref = f"{NAME}-{bar_ns // MINUTE_NS}"
        return (Place(NAME, self._contract, side, s.contracts, OrderType.MARKET, ref, bracket=bracket),)


def _sign(fast: float, slow: float) -> int:
    return (fast > slow) - (fast < slow)
