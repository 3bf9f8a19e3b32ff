"""The virtual clock of a replay: what happens *at* an instant comes before the timers due at it."""

from __future__ import annotations

from app.clock import VirtualClock


class ReplayClock(VirtualClock):
    """A bar that closed at 09:30 is heard before whatever was set for 09:30 runs, as on the live desk."""

    def arrive(self, utc_ns: int) -> None:
        """Fire every timer due strictly before `utc_ns`, then stand at it; its own timers wait for
        `settle`.
        """
        self.advance_to(utc_ns - 1)
        self._move(utc_ns)

    def settle(self) -> None:
        """Fire what is due now, and what that sets for now."""
        self.advance_to(self.now_utc)
