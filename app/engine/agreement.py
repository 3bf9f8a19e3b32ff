"""Does the account agree with the book? Judges complete reads, settles past days.

Trading stays closed until a complete read agrees; a disagreement is proven by three quiet reads, not by one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from app.clock import Clock
from app.domain.events import AccountSnapshot
from app.engine import adjust
from app.engine.book import Book
from app.engine.events import EventLog
from app.engine.money import Money
from app.engine.ports import Journal
from app.engine.reader import Reads
from app.engine.reconcile import Baseline, differences, end_balances, total_net_micro
from app.engine.settings import DISPUTE_READ_NS
from app.engine.trading import Trading
from app.errors import Refused
from app.risk.rules import AccountRules
from app.risk.state import Code, Goal, Kind, TradingState


class Agreement:
    """`found` is what the last complete read did not agree with; `agreed` is called when one did."""

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        book: Book,
        money: Money,
        trading: Trading,
        reads: Reads,
        rules: AccountRules | None,
        log: EventLog,
        agreed: Callable[[], None],
    ) -> None:
        self._clock, self._journal, self._book, self._money = clock, journal, book, money
        self._trading, self._reads, self._rules, self._log = trading, reads, rules, log
        self._agreed = agreed
        self.found: list[str] = []

    def judge(self, snapshot: AccountSnapshot) -> None:
        """Compare the book, into which `snapshot` was already taken, with it."""
        baseline = self._money.baseline or self._settled_baseline()
        self.found = differences(self._book, snapshot, baseline)
        quiet = self._reads.quiet
        proven = self._reads.on_snapshot(self.found)
        if proven:
            self._trading.restrict(Code.DIFFERENCE, Kind.PERSON, "; ".join(self.found))
            self._trading.end(Code.RECONCILING, "proof")
        if not self.found and baseline is None and not quiet:
            # what was heard meanwhile may be in the ledger and not in the balance: the next read tells
            self._clock.call_later(DISPUTE_READ_NS, self._reads.now)
            self._agreed()
        elif not self.found:
            balance_micro = snapshot.account.balance_micro
            self._money.baseline = baseline or Baseline(balance_micro, total_net_micro(self._book))
            self._agree(balance_micro)
        elif quiet:
            self._book.synced = False
            self._doubt()

    def _agree(self, balance_micro: int) -> None:
        self._book.synced = True
        self._settle(balance_micro)
        self._trading.release(Code.DIFFERENCE)
        self._trading.release(Code.RECONCILING)
        self._agreed()

    def _doubt(self) -> None:
        """Nothing was heard during the read and yet it differs: no entries until the next ones tell."""
        if self._trading.reasons.get(Code.DIFFERENCE) is None:
            words, state = "; ".join(self.found), TradingState.REDUCING
            self._trading.restrict(Code.RECONCILING, Kind.CONDITION, words, goal=Goal.NONE, state=state)

    def accept(self, by: str, why: str) -> None:
        """The owner explains: the venue's word is the new truth. Raises Refused without a reason to."""
        if not why:
            raise Refused("accept_difference.reason", "", "", "say why, in words")
        if not self.found:
            raise Refused("accept_difference.none", "", "", "the last complete read agreed")
        day = self._money.trade_date()
        if day is None:
            raise Refused("accept_difference.clock", "", "", "the clock is not set")
        adjust.accept(self._book, self._journal, self._log, self._clock.utc_ns(), day)
        self._money.forget_balances()
        self._log.add("warning", "accept_difference", f"{by}: {why}")
        self._reads.now()

    def _settled_baseline(self) -> Baseline | None:
        """The last settled balance; every execution since then was read at the start."""
        last = max(self._money.balances, default=None)
        if last is None:
            return None
        before = sum(d.net_micro for d in self._book.ledger.days() if d.trade_date <= last)
        return Baseline(self._money.balances[last], before)

    def _settle(self, balance_micro: int) -> None:
        """Keep the end-of-day balances that follow from a balance that agreed."""
        today = self._money.trade_date()
        if self._rules is None or today is None or not self._money.day_known:
            return
        self._settle_ended(balance_micro, today)
        past = end_balances(self._book, balance_micro, today, self._money.end_of_days)
        for day in sorted(past):
            if day > self._rules.as_of:
                self._money.settle(day, past[day])

    def _settle_ended(self, balance_micro: int, today: date) -> None:
        """The day that ended at the last roll: executions of the new day cannot precede its open."""
        ended = self._money.ended
        seen = self._money.trade_date_of(self._book.venue_utc_ns)  # the venue's clock says so too
        if ended is not None and ended < today and seen == today and not self._book.positions():
            self._money.settle(ended, balance_micro - self._book.ledger.net_micro(today))
            self._money.ended = None
