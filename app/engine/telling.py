"""What the engine tells the board by itself: that the work loop turns, and the picture when it changed."""

from __future__ import annotations

from collections.abc import Callable

from app.clock import Clock, Timer
from app.engine.ports import Panel
from app.engine.settings import EngineSettings
from app.engine.snapshot import Snapshot


class Telling:
    """One panel's heartbeats and pictures. A period of 0 in the settings turns its half off."""

    def __init__(
        self, clock: Clock, panel: Panel, settings: EngineSettings, picture: Callable[[], Snapshot]
    ) -> None:
        self._clock, self._panel, self._picture = clock, panel, picture
        self._beat_ns, self._show_ns = settings.heartbeat_ns, settings.show_ns
        self._shown_mono_ns = -settings.show_ns
        self._beating: Timer | None = None
        self._showing: Timer | None = None

    def begin(self) -> None:
        """Start the heartbeats."""
        if self._beat_ns:
            self._beat()

    def stop(self) -> None:
        """Idempotent."""
        for timer in (self._beating, self._showing):
            if timer is not None:
                timer.cancel()
        self._beating = self._showing = None

    def show(self) -> None:
        """Something changed: show it now, or as soon as the period allows; never leave it unshown."""
        if not self._show_ns or self._showing is not None:
            return
        wait_ns = self._shown_mono_ns + self._show_ns - self._clock.mono_ns()
        if wait_ns <= 0:
            self._show()
        else:
            self._showing = self._clock.call_later(wait_ns, self._show)

    def _show(self) -> None:
        self._showing = None
        self._shown_mono_ns = self._clock.mono_ns()
        self._panel.show(self._picture())

    def _beat(self) -> None:
        self._beating = self._clock.call_later(self._beat_ns, self._beat)
        self._panel.heartbeat(self._clock.mono_ns())
