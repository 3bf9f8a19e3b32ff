"""Trading state: computed, never set. It is the most restrictive of the open reasons.

Pure. The engine owns one `Reasons`; everything that stops trading opens a reason here and everything that
ends it closes that reason, so that page, CLI and journal always show *why*.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum


class TradingState(IntEnum):
    """Ordered by restriction. REDUCING: only orders that take exposure away. HALTED pursues a goal."""

    ACTIVE = 0
    REDUCING = 1
    HALTED = 2


class Kind(StrEnum):
    """Who ends a reason: a deliberate re-arm, the calendar, or the condition itself."""

    PERSON = "person"
    TIME = "time"
    CONDITION = "condition"


class Goal(IntEnum):
    """What the engine pursues while a reason is open. Ordered: FLAT includes NO_ENTRIES."""

    NONE = 0
    NO_ENTRIES = 1
    FLAT = 2


class Code(StrEnum):
    """Every reason there is."""

    NOT_ARMED = "not_armed"  # fresh, missing, unreadable or restored latch
    SWITCH = "switch"
    HALT = "halt"
    FLATTEN = "flatten"
    MAXIMUM_LOSS = "maximum_loss"
    DIFFERENCE = "difference"
    JOURNAL = "journal"
    SILENCE_HOLDS = "silence_holds"  # more than 3 silence holds in an hour
    DAILY_LOSS = "daily_loss"
    LOSS_REDUCING = "loss_reducing"  # 90 % of a loss limit
    SESSION_CLOSED = "session_closed"
    START = "start"
    RECONNECT = "reconnect"
    RECONCILING = "reconciling"  # a quiet read disagreed; the next ones prove or end it
    LINK_SILENCE = "link_silence"
    STALE_FEED = "stale_feed"
    CLOCK = "clock"
    PNL_UNKNOWN = "pnl_unknown"  # a position is open and its P&L or closing cost is not known
    FLOOR_UNKNOWN = "floor_unknown"
    ACCOUNT = "account"  # canTrade false, or not listed
    UNPROTECTED = "unprotected"  # a position without a working stop
    BOTH_FILLED = "both_filled"  # both sides of an OCO pair filled
    UNKNOWN_ORDER = "unknown_order"
    TWINS = "twins"  # the twins of a native module that orders depend on differ


@dataclass(frozen=True, slots=True)
class Reason:
    """Why trading is restricted. `scope` is "*" or an account id; `until_ns` (market time) ends TIME ones."""

    code: Code
    kind: Kind
    scope: str
    since_ns: int
    detail: str = ""
    state: TradingState = TradingState.HALTED
    goal: Goal = Goal.NO_ENTRIES
    until_ns: int = 0
    by: str = ""

    @property
    def key(self) -> tuple[Code, str]:
        return self.code, self.scope


class Reasons:
    """The open reasons, at most one of each code and scope. Opening one again can only make it stronger."""

    def __init__(self, reasons: Iterable[Reason] = ()) -> None:
        self._open = {reason.key: reason for reason in reasons}

    def open(self, reason: Reason) -> bool:
        """Open it, or make the open one as strong in every respect; False when that changed nothing.

        `since_ns` stays the first; the newest detail that strengthened it is told.
        """
        old = self._open.get(reason.key)
        merged = reason if old is None else _stronger(old, reason)
        if merged == old:
            return False
        self._open[reason.key] = merged
        return True

    def close(self, code: Code, scope: str = "*") -> Reason | None:
        """Close it and return it; None when it was not open."""
        return self._open.pop((code, scope), None)

    def get(self, code: Code, scope: str = "*") -> Reason | None:
        return self._open.get((code, scope))

    def of(self, scope: str) -> list[Reason]:
        """All reasons that bind `scope` (its own and the global ones), most restrictive and oldest first."""
        bound = [r for r in self._open.values() if r.scope in ("*", scope)]
        return sorted(bound, key=_severity)

    def all(self) -> list[Reason]:
        return sorted(self._open.values(), key=_severity)

    def state(self, scope: str) -> TradingState:
        """The most restrictive state of the open reasons; ACTIVE when there is none."""
        bound = (r.state for r in self._open.values() if r.scope in ("*", scope))
        return max(bound, default=TradingState.ACTIVE)

    def goal(self, scope: str) -> Goal:
        bound = (r.goal for r in self._open.values() if r.scope in ("*", scope))
        return max(bound, default=Goal.NONE)


def _severity(reason: Reason) -> tuple[int, int, int, Code]:
    return -reason.state, -reason.goal, reason.since_ns, reason.code


def _stronger(old: Reason, new: Reason) -> Reason:
    """`old` raised to whatever of `new` is stricter; `old` itself when nothing is."""
    kind = Kind.PERSON if Kind.PERSON in (old.kind, new.kind) else new.kind
    state, goal = max(old.state, new.state), max(old.goal, new.goal)
    until_ns = max(old.until_ns, new.until_ns)
    if (kind, state, goal, until_ns) == (old.kind, old.state, old.goal, old.until_ns):
        return old
    return replace(new, kind=kind, state=state, goal=goal, until_ns=until_ns, since_ns=old.since_ns)
