"""The one error tree. Everything Plimsoll raises on purpose is one of these few types.

    PlimsollError
    |-- Ours              a bug: an invariant of our own code does not hold
    |   `-- IllegalTransition   a state machine was given an event its table does not have
    |-- Theirs            bad data from outside: venue, board, file, person on the LAN
    |-- Later             not now: the same request may succeed when repeated
    |   |-- Unreachable         no connection, no answer, 5xx
    |   `-- RateLimited         a budget is spent; `retry_after_ns` says when
    `-- Refused           a rule said no; names the rule, the value and the limit
        |-- SettingsError       a setting is unknown, of the wrong type or out of bounds
        |-- LoginRefused        the venue knows us and says no
        `-- Unable              a condition of the machine, not a trading rule: missing, taken, full

Errors carry fields, not formatted prose; `str(error)` is one line fit for the owner's eyes and never holds a
secret. Exit codes of the command line follow the tree: Refused 3, SettingsError 2, everything else 1.
"""

from __future__ import annotations

PEER_TEXT_LIMIT = (
    200  # characters of a peer's text kept in a message: enough to recognise, too few to flood a log
)
NOT_YOURS = "you may not read it: use sudo (where the service says this: sudo plimsoll doctor)"
OWN_TEXT_LIMIT = 2_000  # of our own words in a SettingsError: they may list every key or ticker there is


def clean(text: object, limit: int = PEER_TEXT_LIMIT) -> str:
    """`text` from outside as one printable line of at most `limit` characters."""
    line = "".join(c if c.isprintable() else "?" for c in str(text)[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"


class PlimsollError(Exception):
    """Root of the tree; never raised itself."""

    exit_code = 1


class Ours(PlimsollError):
    """A bug in Plimsoll. It is not handled, it is fixed."""


class IllegalTransition(Ours):
    """`machine` in `state` was given `event`; nothing was changed."""

    def __init__(self, machine: str, state: str, event: str) -> None:
        super().__init__(f"{machine}: {event} is not possible in state {state}")
        self.machine, self.state, self.event = machine, state, event


class Theirs(PlimsollError):
    """`source` sent something that cannot be right; `problem` says what."""

    def __init__(self, source: str, problem: object) -> None:
        super().__init__(f"{source}: {clean(problem)}")
        self.source = source
        self.problem = clean(problem)


class Later(PlimsollError):
    """`source` cannot do it now; repeating a read may help, repeating an order never does."""

    def __init__(self, source: str, problem: object) -> None:
        super().__init__(f"{source}: {clean(problem)}")
        self.source = source
        self.problem = clean(problem)


class Unreachable(Later):
    """No connection, a time-out, a dropped link or a 5xx answer. For an order the outcome is unknown."""


class RateLimited(Later):
    """A request budget is spent. `retry_after_ns` is a duration on the monotonic clock."""

    def __init__(self, source: str, retry_after_ns: int) -> None:
        super().__init__(source, f"rate limit, retry in {retry_after_ns / 1e9:.1f} s")
        self.retry_after_ns = retry_after_ns


class Refused(PlimsollError):
    """A rule said no. `rule` is its stable name, `value` what was asked or found, `limit` what is allowed."""

    exit_code = 3

    def __init__(self, rule: str, value: object = "", limit: object = "", hint: str = "") -> None:
        parts = [f"{rule}: {clean(value)}" if str(value) else rule]
        if str(limit):
            parts.append(f"limit {clean(limit)}")
        if hint:
            parts.append(hint)
        super().__init__("; ".join(parts))
        self.rule, self.value, self.limit, self.hint = rule, clean(value), clean(limit), hint


class SettingsError(Refused):
    """The setting `key` is unknown, of the wrong type or out of bounds; `problem` says what to write."""

    exit_code = 2

    def __init__(self, key: str, problem: object) -> None:
        words = clean(problem, OWN_TEXT_LIMIT)
        super().__init__(f"setting {key}", "", "", words)
        self.key, self.problem = key, words


class Unable(Refused):
    """Something on this machine is missing, taken or full; a person mends it. No trading rule was asked."""

    exit_code = 1


class LoginRefused(Refused):
    """The venue refused the credentials or the account. Retried last and slowest."""
