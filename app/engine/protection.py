"""Every position has a working stop at the venue, or it goes: checked 2 s after each fill and each lost stop.

Half way there an unprotected position is re-read, so that the verdict rests on the venue's word and not on a
lost event.
"""

from __future__ import annotations

from collections.abc import Callable

from app.clock import Clock
from app.engine.book import Book


class Protection:
    """`read` begins a complete read, `unprotected` is told of a contract that stayed without a stop."""

    def __init__(
        self,
        clock: Clock,
        book: Book,
        deadline_ns: int,
        read: Callable[[], None],
        unprotected: Callable[[str], None],
    ) -> None:
        self._clock, self._book, self._deadline_ns = clock, book, deadline_ns
        self._read, self._unprotected = read, unprotected
        self._watched: set[str] = set()

    def watch(self, contract: str) -> None:
        """A fill or the loss of a stop: the position must be covered before the deadline."""
        if contract in self._watched or self._book.protected(contract):
            return
        self._watched.add(contract)
        self._clock.call_later(self._deadline_ns // 2, self._look, contract)
        self._clock.call_later(self._deadline_ns, self._judge, contract)

    def _look(self, contract: str) -> None:
        if not self._book.protected(contract):
            self._read()

    def _judge(self, contract: str) -> None:
        self._watched.discard(contract)
        if not self._book.protected(contract):
            self._unprotected(contract)
