"""The switch as the engine sees it: silence is a hold, too many holds or a long silence are a trip."""

from __future__ import annotations

from collections import deque

from app.clock import Clock, Timer
from app.engine.settings import SILENCE_HOLDS_PER_HOUR, SILENCE_WINDOW_NS
from app.engine.trading import Trading
from app.risk.state import Code, Goal, Kind


class Board:
    """Freshness and contact of the board's session. Until it has spoken it is silent and open."""

    def __init__(self, clock: Clock, trading: Trading, flatten_after_ns: int) -> None:
        self._clock, self._trading, self._flatten_after_ns = clock, trading, flatten_after_ns
        self.fresh = False
        self.contact_closed = False
        self._holds: deque[int] = deque(maxlen=SILENCE_HOLDS_PER_HOUR + 1)
        self._timer: Timer | None = None

    @property
    def closed(self) -> bool:
        """The switch allows trading: contact closed and the session fresh."""
        return self.fresh and self.contact_closed

    @property
    def words(self) -> str:
        return "silent" if not self.fresh else "closed" if self.contact_closed else "open"

    def begin(self) -> None:
        """At the start: a board that has not spoken is a silent one."""
        if not self.fresh:
            self._trading.hold(Code.LINK_SILENCE, "the board has not spoken yet")

    def on_panel(self, fresh: bool, closed: bool) -> None:
        """The session became fresh or silent, or the contact moved."""
        was_fresh, self.fresh, self.contact_closed = self.fresh, fresh, closed
        if not fresh and was_fresh:
            self._silent()
        elif fresh:
            self._heard()
        if fresh and not closed:
            self._trading.restrict(Code.SWITCH, Kind.PERSON, "switch open", goal=Goal.FLAT, by="switch")

    def _silent(self) -> None:
        now = self._clock.mono_ns()
        self._holds.append(now)
        self._trading.hold(Code.LINK_SILENCE, "the board is silent")
        self._timer = self._clock.call_later(self._flatten_after_ns, self._too_long)
        if len(self._holds) > SILENCE_HOLDS_PER_HOUR and now - self._holds[0] <= SILENCE_WINDOW_NS:
            words = f"more than {SILENCE_HOLDS_PER_HOUR} silences of the board within an hour"
            self._trading.restrict(Code.SILENCE_HOLDS, Kind.PERSON, words)

    def _heard(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._trading.release(Code.LINK_SILENCE)

    def _too_long(self) -> None:
        self._timer = None
        seconds = self._flatten_after_ns // 1_000_000_000
        words = f"the board was silent for {seconds} s"
        self._trading.restrict(Code.SWITCH, Kind.PERSON, words, goal=Goal.FLAT, by="silence")
