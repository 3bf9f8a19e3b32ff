"""Every position has a working stop at the venue, or it goes: judged 2 s after a fill or the loss of a stop
left it bare.

Half way there a bare position is re-read, so that the verdict rests on the venue's word and not on a lost
event. Cover ends the count; what is bared later has its own two seconds.
"""

from __future__ import annotations

from collections.abc import Callable

from app.clock import Clock, Timer
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
        self._bare: dict[str, tuple[Timer, Timer]] = {}

    def check(self, contract: str) -> None:
        """A fill, a position or a stop of `contract` changed: begin the count, or end it."""
        if self._book.protected(contract):
            self._stop(contract)
        elif contract not in self._bare:
            look = self._clock.call_later(self._deadline_ns // 2, self._read)
            judge = self._clock.call_later(self._deadline_ns, self._judge, contract)
            self._bare[contract] = (look, judge)

    def _stop(self, contract: str) -> None:
        for timer in self._bare.pop(contract, ()):
            timer.cancel()

    def _judge(self, contract: str) -> None:
        self._stop(contract)
        if not self._book.protected(contract):
            self._unprotected(contract)
