"""What follows when the twins of a native module disagree: it is journalled, told, and nothing trades on it.

Where an order depends on the module (`native.modes.REFUSING`) that order is refused and entries stop until a
person re-arms. Elsewhere the module has gone over to its pure twin already; here that becomes an exception
which outlasts restarts until the owner clears it. Comparing is `native.shadow`'s; this is who listens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import native
from app.clock import Clock
from app.engine.events import EventLog
from app.engine.ports import Journal
from app.engine.records import TwinException, TwinsDiffered
from app.engine.trading import Trading
from app.errors import Refused, SettingsError, clean
from app.risk.state import Code, Kind
from native import Difference
from native.modes import MODULES, REFUSING, refusal

BRIEF = 120  # characters of each result in the owner's line; the record has all that was kept
# The calls that an order waits for. Any other difference stops entries and refuses nothing: a cancel leaves
# with the pure twin's bytes, and what a rule tells the gate may be on the way to a close.
DECIDING = frozenset({"Gate.check", "Writer.place", "Writer.modify"})


class Twins:
    """The listener of `native.listen`, and the exceptions that stand."""

    def __init__(self, clock: Clock, journal: Journal, log: EventLog, trading: Trading) -> None:
        self._clock, self._journal, self._log, self._trading = clock, journal, log, trading
        self.exceptions: dict[str, str] = {}  # module -> what differed

    def begin(self, standing: Iterable[TwinException], untold: Iterable[Difference]) -> None:
        """Say which exceptions stand, and take what differed before anybody could listen."""
        for each in standing:
            self.exceptions[each.module] = each.why
            hint = f"plimsoll native clear {each.module} REASON"
            self._log.add("warning", Code.TWINS, f"native.{each.module} runs on its pure twin; {hint}")
        for difference in untold:
            self.differed(difference)

    def differed(self, difference: Difference) -> None:
        """Raises Refused for a call that an order depends on."""
        told, now = difference, self._clock.utc_ns()
        record = TwinsDiffered(
            told.module, told.function, told.arguments, told.compiled, told.pure, self._clock.utc_ns()
        )
        self._journal.append([record])
        text = f"native.{told.module}: the twins of {told.function} differ: "
        text += f"compiled {clean(told.compiled, BRIEF)}, pure {clean(told.pure, BRIEF)}"
        if told.module in REFUSING:
            self._stop(told, text)
            return
        self.exceptions[told.module] = text
        self._journal.append([TwinException(told.module, True, "plimsoll", text, now)])
        hint = f"runs on its pure twin until: plimsoll native clear {told.module} REASON"
        self._log.add("alarm", Code.TWINS, f"{text}; {hint}")

    def clear(self, by: str, why: str) -> None:
        """End an exception; `why` is the module and the reason. It counts from the next start on.

        Raises Refused without a reason, or when no exception stands for the module.
        """
        module, _, reason = why.strip().partition(" ")
        check(module, reason, self.exceptions)
        del self.exceptions[module]
        self._journal.append([TwinException(module, False, by, reason.strip(), self._clock.utc_ns())])
        text = (
            f"native.{module}: exception cleared by {by}: {reason.strip()}; it counts from the next start on"
        )
        self._log.add("info", Code.TWINS, text)

    def _stop(self, told: Difference, text: str) -> None:
        if not self._trading.restrict(Code.TWINS, Kind.PERSON, text):
            self._log.add("alarm", Code.TWINS, text)
        if told.function in DECIDING or told.module == "matching":
            raise Refused(f"native.{told.module}", f"the twins of {told.function} differ")


def check(module: str, reason: str, standing: Iterable[str]) -> None:
    """Raises Refused unless an exception of `module` stands and there is a reason to end it."""
    known = ", ".join(standing) or "none stands"
    if module not in MODULES:
        raise Refused("native.module", module, ", ".join(MODULES))
    if module not in standing:
        raise Refused("native.exception", module, known)
    if not reason.strip():
        raise Refused("native.reason", "", "", f"say why: plimsoll native clear {module} REASON")


def select(wanted: Mapping[str, str], every: int, dev: bool) -> None:
    """Run each native module as the settings say, the environment over them. Raises SettingsError."""
    for name, mode in wanted.items():
        if problem := refusal(name, mode):
            raise SettingsError(f"native.{name}", problem)
    try:
        native.select(wanted, every)
        native.require_compiled(dev)
    except native.NativeError as error:
        raise SettingsError("native", error) from None


def take_up(standing: Iterable[TwinException]) -> None:
    """Run what an exception stands for on its pure twin: before anything is built of it."""
    for each in standing:
        native.fall_back(each.module)
