"""The switch as the engine sees it: silence is a hold, too many holds or a long silence are a trip."""

from __future__ import annotations

from collections import deque

from app.clock import NS, Clock, Timer
from app.engine.settings import SILENCE_HOLDS_PER_HOUR, SILENCE_WINDOW_NS, EngineSettings
from app.engine.trading import Trading
from app.risk.state import Code, Kind


class Board:
    """Freshness and contact of the board's session. Until it has spoken it is silent and open.

    The hold of a silence is opened here; the engine releases it, for it must also know its books agree.
    """

    def __init__(self, clock: Clock, trading: Trading, settings: EngineSettings) -> None:
        self._clock, self._trading = clock, trading
        self._on_trip, self._flatten_after_ns = settings.on_trip, settings.link_flatten_after_ns
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
        """At the start: a board that has not spoken is a silent one, though not one that fell silent."""
        if not self.fresh:
            self._hold("the board has not spoken yet")

    def stop(self) -> None:
        """Stop the timer of the silence."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def trip(self, cause: str, by: str = "switch") -> None:
        """The switch was opened, or what counts as that: until a person re-arms."""
        self._trading.restrict(Code.SWITCH, Kind.PERSON, cause, goal=self._on_trip, by=by)

    def on_panel(self, fresh: bool, closed: bool) -> None:
        """The session became fresh or silent, or the contact moved."""
        was_fresh, self.fresh, self.contact_closed = self.fresh, fresh, closed
        if fresh:
            self.stop()
            if not closed:
                self.trip("switch open")
        elif was_fresh:
            self._fell_silent()

    def _fell_silent(self) -> None:
        now = self._clock.mono_ns()
        self._holds.append(now)
        self._hold("the board is silent")
        if len(self._holds) > SILENCE_HOLDS_PER_HOUR and now - self._holds[0] <= SILENCE_WINDOW_NS:
            words = f"more than {SILENCE_HOLDS_PER_HOUR} silences of the board within an hour"
            self._trading.restrict(Code.SILENCE_HOLDS, Kind.PERSON, words)

    def _hold(self, words: str) -> None:
        self._trading.hold(Code.LINK_SILENCE, words)
        self._timer = self._clock.call_later(self._flatten_after_ns, self._too_long)

    def _too_long(self) -> None:
        self._timer = None
        self.trip(f"the board was silent for {self._flatten_after_ns // NS} s", by="silence")
