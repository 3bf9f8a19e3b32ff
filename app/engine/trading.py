"""Trading state: opens and closes reasons, keeps the durable latch and the halt epoch. Decides nothing about
orders.

State is computed from the reasons (`app.risk.state`). Every restriction raises `epoch`, so that approvals
made before it die inside the write. Restricting never waits for the disk; re-arming always does.
"""

from __future__ import annotations

from collections.abc import Callable

from app.clock import Clock
from app.engine.events import EventLog
from app.engine.ports import Journal
from app.engine.records import ArmedChanged, Latch, ReasonClosed, ReasonOpened, Record
from app.risk.state import Code, Goal, Kind, Reason, Reasons, TradingState

EVERYWHERE = "*"
# The session's own hours say nothing about danger: no alarm, and they come and go every day.
_QUIET = frozenset({Code.SESSION_CLOSED, Code.START, Code.NOT_ARMED})


class Trading:
    """The reasons of one engine. `changed` is called after every change, with nothing else running in
    between.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        log: EventLog,
        scope: str,
        resume: bool,
        changed: Callable[[], None],
        confirmed: Callable[[], bool],
    ) -> None:
        self._clock, self._journal, self._log = clock, journal, log
        self._scope, self._resume, self._changed, self._confirmed = scope, resume, changed, confirmed
        self.reasons = Reasons()
        self.armed = False
        self.epoch = 1
        self._persons = 0  # PERSON reasons given so far
        self._unwritten = 0  # of these, how many are not on disk
        self._rearming = False
        self._over: set[Code] = set()  # holds whose condition has ended, kept open until a person re-arms

    def restore(self, latch: Latch | None, unfinished: Goal) -> None:
        """Take the latch back from the journal; without one, only a person may start trading.

        `unfinished` is the goal that was not confirmed when the process ended: its reason lives on past its
        hour until it is.
        """
        now = self._clock.utc_ns()
        for reason in latch.reasons if latch else ():
            owed = unfinished is Goal.FLAT and reason.goal is Goal.FLAT
            if reason.kind is not Kind.TIME or reason.until_ns > now or owed:
                self.reasons.open(reason)
        self.armed = bool(latch and latch.armed)
        self._say_why_not_armed("not armed" if latch else "the latch is missing or unreadable")

    def _say_why_not_armed(self, why: str) -> None:
        """Trading state is computed from reasons: a desk that is not armed must have one."""
        if not self.armed and not self.person_reasons():
            now = self._clock.utc_ns()
            self.reasons.open(Reason(Code.NOT_ARMED, Kind.PERSON, EVERYWHERE, now, why))

    def person_reasons(self) -> list[Reason]:
        return [r for r in self.reasons.all() if r.kind is Kind.PERSON]

    @property
    def state(self) -> TradingState:
        return self.reasons.state(self._scope)

    @property
    def latched(self) -> bool:
        """Whether all that a person must end is on disk. One that the disk refused never will be."""
        return not self._unwritten

    @property
    def goal(self) -> Goal:
        return self.reasons.goal(self._scope)

    def because(self) -> str:
        """The most restrictive reason in one line, "" when trading is open."""
        bound = self.reasons.of(self._scope)
        return f"{bound[0].code}: {bound[0].detail}".rstrip(": ") if bound else ""

    def restrict(
        self,
        code: Code,
        kind: Kind,
        detail: str,
        *,
        goal: Goal = Goal.NO_ENTRIES,
        state: TradingState = TradingState.HALTED,
        until_ns: int = 0,
        by: str = "",
    ) -> bool:
        """Open a reason at once and journal it without waiting. False when it was open already."""
        now = self._clock.utc_ns()
        self._over.discard(code)
        reason = Reason(code, kind, EVERYWHERE, now, detail, state, goal, until_ns, by)
        if not self.reasons.open(reason):
            if kind is Kind.PERSON and self._rearming:
                self._disarm(reason)  # said again while a re-arm waits for the disk: the later word wins
            return False
        self.epoch += 1
        self._record(self.reasons.get(code) or reason)  # as merged with what was open before
        level = (
            "info" if code in _QUIET else "alarm" if kind is Kind.PERSON or goal is Goal.FLAT else "warning"
        )
        self._log.add(level, code, f"{state.name} {detail}".strip())
        self._changed()
        return True

    def until(
        self,
        until_ns: int | None,
        code: Code,
        detail: str,
        *,
        goal: Goal = Goal.NO_ENTRIES,
        state: TradingState = TradingState.HALTED,
    ) -> bool:
        """Restrict until the calendar says otherwise; None = the hour is not known, so a person must say."""
        kind = Kind.PERSON if until_ns is None else Kind.TIME
        return self.restrict(code, kind, detail, goal=goal, state=state, until_ns=until_ns or 0)

    def hold(self, code: Code, detail: str) -> bool:
        """A condition closes trading: entries refused and cancelled, protective orders stay."""
        return self.restrict(code, Kind.CONDITION, detail)

    def release(self, code: Code) -> None:
        """The condition of a hold is over: it ends by itself only if durably armed and `resume`, else by a
        re-arm.
        """
        reason = self.reasons.get(code)
        if reason is None or code in self._over:
            return
        if self.armed and self._resume:
            self.end(code, "itself")
        else:
            self._over.add(code)
            self._changed()

    def waits_for_rearm(self, code: Code) -> bool:
        return code in self._over

    def end(self, code: Code, by: str) -> None:
        """Close a reason, journalled."""
        reason = self.reasons.close(code)
        self._over.discard(code)
        if reason is None:
            return
        self._journal.append([ReasonClosed(reason, by, self._clock.utc_ns())])
        if code not in _QUIET:
            self._log.add("info", code, f"ended by {by}")
        self._say_why_not_armed(f"{code} ended by {by}")
        self._changed()

    def expire(self) -> None:
        """Close TIME reasons whose end has come; one that wants FLAT only when the venue confirmed it."""
        now = self._clock.utc_ns()
        for reason in self.reasons.all():
            owed = reason.goal is Goal.FLAT and not self._confirmed()
            if reason.kind is Kind.TIME and 0 < reason.until_ns <= now and not owed:
                self.end(reason.code, "the calendar")

    def rearm(self, by: str, why: str) -> None:
        """Open trading once it is durable: closes PERSON reasons and holds that are over.

        A PERSON reason that comes while the disk writes wins: it also wrote the last word on the latch.
        """
        persons, now = self._persons, self._clock.utc_ns()
        closing = [r for r in self.reasons.all() if r.kind is Kind.PERSON or r.code in self._over]
        records: list[Record] = [ReasonClosed(reason, by, now) for reason in closing]
        records.append(ArmedChanged(True, by, why, now))
        self._rearming = True
        self._journal.append(records, lambda error: self._armed(error, persons, closing, by))

    def _armed(self, error: Exception | None, persons: int, closing: list[Reason], by: str) -> None:
        self._rearming = False
        if error is not None or persons != self._persons:
            self._journal.disarm()
            self._log.add(
                "alarm", "rearm", "re-arm not done: " + (str(error) if error else "a halt came first")
            )
            return
        self.armed = True
        for reason in closing:
            if reason.kind is Kind.PERSON or reason.code in self._over:  # a hold that came back stays
                self.reasons.close(reason.code, reason.scope)
                self._over.discard(reason.code)
        self._log.add("info", "rearm", f"armed by {by}")
        self._changed()

    def _record(self, reason: Reason) -> None:
        self._journal.append([ReasonOpened(reason)])
        # A difference ends by a read that agrees (rule 6 of the design), so it leaves the desk armed.
        if reason.kind is Kind.PERSON and reason.code is not Code.DIFFERENCE:
            self._disarm(reason)

    def _disarm(self, reason: Reason) -> None:
        self.armed = False
        self._persons += 1
        self._journal.disarm()
        why = f"{reason.code}: {reason.detail}"
        self._unwritten += 1
        last_word = ArmedChanged(False, reason.by or "plimsoll", why, self._clock.utc_ns())
        self._journal.append([last_word], self._written)

    def _written(self, error: Exception | None) -> None:
        if error is None:
            self._unwritten -= 1
