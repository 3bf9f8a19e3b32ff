"""A board in software, for demo and development: a switch that can be opened, lights that can be read.

It protects nobody: no contact, no microcontroller, no deadman. Settings say so with `board.required = false`.
"""

from __future__ import annotations

from app.engine.ports import Trips
from app.engine.snapshot import BoardView, Snapshot

# What the board's LEDs would show for each trading state.
LIGHTS = {"active": "green", "reducing": "amber", "halted": "red"}


class StandIn:
    """`ports.Panel` without hardware. The switch starts closed; once opened it stays open until closed."""

    def __init__(self) -> None:
        self.light = "red"
        self.beats = 0
        self.closed = True
        self._engine: Trips | None = None

    def connect(self, engine: Trips) -> None:
        """Give the engine a fresh session with the contact as it is."""
        self._engine = engine
        engine.on_panel(True, self.closed)

    def open(self, cause: str = "stand-in switch opened") -> None:
        """What the physical switch does: a direct call, ahead of every queue."""
        self.closed = False
        if self._engine is not None:
            self._engine.trip(cause)
            self._engine.on_panel(True, False)

    def close(self) -> None:
        """Closing the contact allows a re-arm; it never re-arms."""
        self.closed = True
        if self._engine is not None:
            self._engine.on_panel(True, True)

    def show(self, snapshot: Snapshot) -> None:
        self.light = LIGHTS.get(snapshot.state, "red")

    def heartbeat(self, mono_ns: int) -> None:
        self.beats += 1

    def view(self) -> BoardView:
        state = "run" if self.light == "green" else "ready" if self.closed else "tripped"
        return BoardView(mode="stand-in", state=state, contacts="closed" if self.closed else "open")
