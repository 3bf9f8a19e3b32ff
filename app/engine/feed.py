"""The feed as a condition of trading: silence in session hours closes it, the next quote opens it again."""

from __future__ import annotations

from collections.abc import Mapping

from app.clock import NS, Clock
from app.engine.book import Book
from app.engine.trading import Trading
from app.risk.state import Code


class FeedWatch:
    """Checked every second. Silence counts from open, link or last quote, whichever was latest."""

    def __init__(self, clock: Clock, book: Book, trading: Trading, silence_ns: int) -> None:
        self._clock, self._book, self._trading, self._silence_ns = clock, book, trading, silence_ns
        self._from_mono_ns = 0

    def check(self, link_up: bool, contracts: Mapping[str, str]) -> None:
        """`contracts` maps symbols to contracts that must be quoted."""
        now = self._clock.mono_ns()
        closed = self._trading.reasons.get(Code.SESSION_CLOSED) is not None
        if closed or not link_up or not self._from_mono_ns:
            self._from_mono_ns = now  # nobody quotes a closed market
        since = now - self._silence_ns
        silent = [symbol for symbol, contract in contracts.items() if self._quoted_ns(contract) < since]
        if silent:
            words = f"no quote for {self._silence_ns // NS} s: {', '.join(silent)}"
            self._trading.hold(Code.STALE_FEED, words)
        elif not closed and all(contract in self._book.quotes for contract in contracts.values()):
            self._trading.release(Code.STALE_FEED)

    def silent_mono_ns(self, contracts: Mapping[str, str]) -> int:
        """Until then no check finds silence, whatever is not quoted; 0 = the next one may."""
        return min((self._quoted_ns(c) + self._silence_ns for c in contracts.values()), default=0)

    def _quoted_ns(self, contract: str) -> int:
        quote = self._book.quotes.get(contract)
        return max(self._from_mono_ns, quote.recv_mono_ns if quote is not None else 0)
