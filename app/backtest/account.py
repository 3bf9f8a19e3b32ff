"""The account of a replayed venue: position, FIFO lots, fees and balance. The venue's own books, apart
from our ledger, so that the engine's daily check of balance against ledger checks something."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from app.domain.events import AccountReport
from app.domain.orders import Side

ACCOUNT_ID = 1
ACCOUNT_NAME = "REPLAY"


@dataclass(slots=True)
class Account:
    """Money in micro-USD. `fee_round_turn_micro` is charged for one contract in and out, half on either
    side.
    """

    balance_micro: int
    tick_value_micro: int
    fee_round_turn_micro: int
    # (signed contracts, price in ticks), oldest first, all of one sign
    _lots: deque[tuple[int, int]] = field(default_factory=deque)

    @property
    def net(self) -> int:
        return sum(size for size, _ in self._lots)

    def book(self, side: Side, size: int, price_ticks: int) -> tuple[int, int | None]:
        """Fees and gross P&L of one execution; gross is None when it closes nothing."""
        gross, closed, left = 0, 0, size
        while left and self._lots and self._lots[0][0] * side < 0:
            held, entry = self._lots[0]
            take = min(left, abs(held))
            gross += (entry - price_ticks) * side * take * self.tick_value_micro
            rest = held + side * take
            self._lots.popleft()
            if rest:
                self._lots.appendleft((rest, entry))
            closed, left = closed + take, left - take
        if left:
            self._lots.append((side * left, price_ticks))
        # an odd micro of the round turn falls on the way out
        half = self.fee_round_turn_micro // 2
        fees = left * half + closed * (self.fee_round_turn_micro - half)
        self.balance_micro += gross - fees
        return fees, gross if closed else None

    def report(self) -> AccountReport:
        return AccountReport(ACCOUNT_ID, ACCOUNT_NAME, self.balance_micro, can_trade=True, simulated=True)
