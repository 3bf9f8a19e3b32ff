"""A strategy without a wish: it answers every hook of the engine's `Strategy` with nothing.

Others are made from it and say only what they do. No strategy's rule belongs here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.domain.events import Fill
from app.domain.intents import Intent
from app.domain.market import Bar, Quote
from app.domain.orders import Order
from app.strategies.view import View


class Quiet:
    """Needs no history, sets no time, remembers nothing. A subclass sets `name` and `symbol`."""

    name: str
    symbol: str
    _contract = ""
    _view: View

    def start(self, contract: str, view: View) -> None:
        self._contract, self._view = contract, view

    def wants_bars_from(self, utc_ns: int) -> int:
        return 0

    def next_time(self, utc_ns: int) -> int:
        return 0

    def on_bar(self, bar: Bar) -> Sequence[Intent]:
        return ()

    def on_quote(self, quote: Quote) -> Sequence[Intent]:
        return ()

    def on_time(self, utc_ns: int) -> Sequence[Intent]:
        return ()

    def on_order(self, order: Order) -> Sequence[Intent]:
        return ()

    def on_fill(self, fill: Fill, order: Order) -> Sequence[Intent]:
        return ()

    def on_refused(self, intent: Intent, rule: str, text: str) -> Sequence[Intent]:
        return ()

    def state(self) -> str:
        return ""

    def restore(self, text: str) -> None:
        return

    def facts(self) -> Mapping[str, str]:
        return {}
