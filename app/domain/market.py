"""Market data as the desk sees it: quotes, trades, bars. Prices are integer ticks of the instrument, times
UTC ns.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_NS = 60_000_000_000


@dataclass(slots=True)
class Quote:
    """The merged top of book of one contract. None = the venue has not said.

    `utc_ns` is the venue's stamp of the last change, `recv_mono_ns` our monotonic time of receipt: ages for
    safety are counted from the latter.
    """

    contract: str
    bid_ticks: int | None = None
    ask_ticks: int | None = None
    last_ticks: int | None = None
    utc_ns: int = 0
    recv_mono_ns: int = 0


@dataclass(frozen=True, slots=True)
class MarketTrade:
    """One execution on the exchange's tape (not ours)."""

    contract: str
    price_ticks: int
    size: int
    utc_ns: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, stamped with its OPEN time. A minute without a trade has no bar."""

    start_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume: int
