"""The one P&L, live: the day, the equity and the floor that gate, watch, page and journal all read.

The loss limits are watched here on every quote of an open position, every fill, every account event and every
second.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from app.clock import Clock
from app.domain.instruments import Instrument, by_contract
from app.domain.pnl import DayPnl, day_pnl, unrealised_micro
from app.domain.units import cents
from app.engine.book import Book
from app.engine.events import EventLog
from app.engine.hours import Hours
from app.engine.ports import Journal
from app.engine.reconcile import Baseline, total_net_micro
from app.engine.records import AccountSeen, EndOfDay
from app.engine.trading import Trading
from app.errors import Refused
from app.risk.gate import GateView
from app.risk.limits import Limits
from app.risk.rules import AccountRules, floor_after
from app.risk.state import Code, Goal, Kind, TradingState
from app.risk.watch import (
    FLOOR_UNKNOWN,
    UNKNOWN,
    Level,
    Verdict,
    assess_both,
    calm_from,
    closing_cost_micro,
)

_LIMIT_CODE = {"watch.daily_loss": Code.DAILY_LOSS, "watch.maximum_loss": Code.MAXIMUM_LOSS}


class Money:
    """P&L, equity and floor of one account, and the watch over its limits. `rules` None = the floor was never
    stated.
    """

    def __init__(
        self,
        clock: Clock,
        hours: Hours,
        journal: Journal,
        book: Book,
        trading: Trading,
        limits: Limits,
        rules: AccountRules | None,
        log: EventLog,
    ) -> None:
        self._clock, self._hours, self._journal = clock, hours, journal
        self._book, self._trading, self._limits, self._rules = book, trading, limits, rules
        self._log = log
        self.end_of_days: dict[date, EndOfDay] = {}
        self._floor_of_days = -1  # settled days that the floor below knows
        self._floor_micro: int | None = None
        self._trusted_from = date.min  # balances of earlier days were overruled by an accepted difference
        # A balance that agreed, and the ledger's net at that moment; `agreement` sets it.
        self.baseline: Baseline | None = None
        self.ended: date | None = None  # a trading day that ended and is not settled yet
        self.day_known = False  # today's executions were read from the venue since 17:00 Chicago
        self._alarmed: dict[str, date] = {}
        self._calm_basis: tuple[object, ...] = ()
        self._calm_open_micro: int | None = None

    # -- what everybody reads

    def trade_date(self) -> date | None:
        return self._hours.trade_date()

    def trade_date_of(self, utc_ns: int) -> date | None:
        return self._hours.trade_date(utc_ns)

    def today(self) -> DayPnl | None:
        """Today's P&L; None until today's executions are known."""
        day = self.trade_date()
        if day is None or not self.day_known:
            return None
        return day_pnl(self._book.ledger, self._book.quotes, day)

    def floor_micro(self) -> int | None:
        """The maximum-loss floor; it only ever rises."""
        if self._rules is not None and self._floor_of_days != len(
            self.end_of_days
        ):  # days are only ever added
            self._floor_of_days = len(self.end_of_days)
            self._floor_micro = floor_after(self._rules, self.end_of_days.values())
        return self._floor_micro

    def equity_micro(self, today: DayPnl | None) -> int | None:
        """Balance and unrealised P&L: the venue breaches in real time on this."""
        flat = self.flat_equity_micro()
        if flat is None or today is None or today.unrealised_micro is None:
            return None
        return flat + today.unrealised_micro

    def flat_equity_micro(self) -> int | None:
        """The equity less what is open: the balance, or less where the ledger says so."""
        account = self._book.account
        if account is None:
            return None
        if self.baseline is None:
            return account.balance_micro
        # an account event may be late or lost: the ledger knows the fill already
        booked = total_net_micro(self._book) - self.baseline.net_before_micro
        return min(account.balance_micro, self.baseline.balance_micro + booked)

    def fill_view(self, view: GateView) -> None:
        """Complete a GateView with P&L, balance, equity and floor."""
        today = self.today()
        view.day_net_micro = today.net_micro if today is not None else None
        view.balance_micro = self._book.account.balance_micro if self._book.account else None
        view.equity_micro, view.floor_micro = self.equity_micro(today), self.floor_micro()

    # -- the watch

    def watch(self) -> None:
        """Judge both loss limits now and restrict trading by the verdict."""
        if not self._book.read_once or self._book.account is None:
            return
        if self._is_calm():
            return
        today = self.today()
        day_net, equity = today.net_micro if today is not None else None, self.equity_micro(today)
        daily, maximum = assess_both(self._limits, day_net, equity, self.floor_micro(), self._held())
        self._heed(daily)
        self._heed(maximum)
        self._heed_unknown([verdict for verdict in (daily, maximum) if verdict.rule == UNKNOWN])

    def calm_open_micro(self) -> int | None:
        """The open P&L from which up the watch has nothing to say; None = not known, or it may at any.

        Prices alone do not move it, so it is found once for each of what does.
        """
        book, day, days = self._book, self._hours.trade_date(), len(self.end_of_days)
        basis = (book.ledger.changes, day, days, self.day_known, book.account, self.baseline)
        if basis != self._calm_basis:
            self._calm_basis, self._calm_open_micro = basis, self._find_calm(day)
        return self._calm_open_micro

    def _find_calm(self, day: date | None) -> int | None:
        flat, floor = self.flat_equity_micro(), self.floor_micro()
        try:
            held = [(by_contract(contract), net) for contract, net in self._book.positions().items()]
        except Refused:  # the watch says so every time
            return None
        reserve = closing_cost_micro(self._limits, held)
        if day is None or not self.day_known or flat is None or floor is None or reserve is None:
            return None
        day_net, equity = calm_from(self._limits, floor, reserve)
        if day_net is None:
            return equity - flat
        return max(equity - flat, day_net - self._book.ledger.net_micro(day))

    def _is_calm(self) -> bool:
        """Judging the limits would bring no word and end no reason."""
        if self._trading.reasons.get(Code.PNL_UNKNOWN) is not None:
            return False
        least, open_micro = self.calm_open_micro(), unrealised_micro(self._book.ledger, self._book.quotes)
        return least is not None and open_micro is not None and open_micro >= least

    def _held(self) -> Iterable[tuple[Instrument, int]]:
        held = []
        for contract, net in self._book.positions().items():
            try:
                held.append((by_contract(contract), net))
            except Refused:
                self._trading.hold(Code.ACCOUNT, f"position in unknown product {contract}")
        return held

    def _heed(self, verdict: Verdict) -> None:
        if verdict.rule == FLOOR_UNKNOWN:
            self._trading.hold(Code.FLOOR_UNKNOWN, "the account file states no floor for this account")
            return
        if verdict.rule == UNKNOWN or verdict.level is Level.OK:
            return
        if verdict.value_micro is None or verdict.limit_micro is None:
            return
        words = f"{verdict.rule}: {cents(verdict.value_micro)} against limit {cents(verdict.limit_micro)} USD"
        if verdict.level is Level.ALARM:
            self._alarm(verdict.rule, words)
        elif verdict.level is Level.REDUCING:
            self._until_next_day(Code.LOSS_REDUCING, words, Goal.NO_ENTRIES, TradingState.REDUCING)
        else:
            self._flat(_LIMIT_CODE[verdict.rule], words)

    def _heed_unknown(self, verdicts: list[Verdict]) -> None:
        """A position whose P&L or closing cost is not known: nothing more is opened until it is."""
        if any(verdict.level is Level.REDUCING for verdict in verdicts):
            words = "a position is open and its P&L is not known"
            state = TradingState.REDUCING
            self._trading.restrict(Code.PNL_UNKNOWN, Kind.CONDITION, words, state=state)
        elif self._trading.reasons.get(Code.PNL_UNKNOWN) is not None:
            self._trading.release(Code.PNL_UNKNOWN)

    def _alarm(self, rule: str, words: str) -> None:
        day = self.trade_date()
        if day is not None and self._alarmed.get(rule) != day:
            self._alarmed[rule] = day
            self._log.add("warning", rule, words)

    def _flat(self, code: Code, words: str) -> None:
        if code is Code.MAXIMUM_LOSS:
            self._trading.restrict(code, Kind.PERSON, words, goal=Goal.FLAT)
        else:
            self._until_next_day(code, words, Goal.FLAT, TradingState.HALTED)

    def _until_next_day(self, code: Code, words: str, goal: Goal, state: TradingState) -> None:
        self._trading.until(self._hours.next_day_ns(), code, words, goal=goal, state=state)

    # -- the account and its days

    def seen(self) -> None:
        """Journal the account as it is now."""
        if self._book.account is not None:
            self._journal.append([AccountSeen(self._book.account, self._clock.utc_ns())])

    def restore(self, end_of_days: Iterable[EndOfDay]) -> None:
        for day in end_of_days:
            if day.account_id == self._book.account_id:
                self.end_of_days[day.trade_date] = day

    def settle(self, day: date, balance_micro: int) -> None:
        """`day` ended with this balance: keep it, raise the floor, durably. A day already settled stays as it
        is.
        """
        if day in self.end_of_days:
            return
        self.end_of_days[day] = EndOfDay(self._book.account_id, day, balance_micro, 0)
        floor = self.floor_micro() or 0
        self.end_of_days[day] = EndOfDay(self._book.account_id, day, balance_micro, floor)
        self._journal.append([self.end_of_days[day]])
        self._log.add(
            "info", "end_of_day", f"{day}: balance {cents(balance_micro)}, floor {cents(floor)} USD"
        )

    @property
    def balances(self) -> dict[date, int]:
        """End-of-day balances against which today's balance may be judged."""
        days = self.end_of_days.items()
        return {day: end.balance_micro for day, end in days if day >= self._trusted_from}

    def forget_balances(self) -> None:
        """The owner explained a balance (a payout, a reset): the past no longer adds up to the present."""
        self.baseline = None
        self._trusted_from = self.trade_date() or date.max

    def last_known_day(self) -> date | None:
        """The newest day whose end balance is settled or was stated; executions after it are read back at the
        start.
        """
        days = [*self.end_of_days, *([self._rules.as_of] if self._rules else [])]
        return max(days, default=None)
