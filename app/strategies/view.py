"""What the strategies of this package ask of the engine: the read-only view, as a Protocol of their own.

The same shape as the engine's `StrategyView`; it is repeated because pure strategies import nothing of the
engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from app.domain.market import Quote
from app.domain.orders import Order


class View(Protocol):
    def utc_ns(self) -> int: ...
    def quote(self, symbol: str) -> Quote | None: ...
    def net(self, symbol: str) -> int:
        """Signed contracts this strategy holds."""

    def orders(self) -> Iterable[Order]:
        """This strategy's live orders."""

    def open(self) -> bool:
        """Entries would be let through now: trading is active and the account was read since the link came
        up.
        """
