"""Commands by a person: one table for the page, the unix socket and the board. No transport lives here.

Every command is answered at once with a plain dict (JSON-able) and is audited. `rearm` is possible only where
the caller says so (`ALLOWED`): the CLI on this machine, never the LAN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from app.engine.snapshot import Snapshot
from app.errors import Refused, clean

WHY_LIMIT = 200  # characters of a person's reason kept in the audit


class Controls(Protocol):
    """The part of the engine that commands may touch."""

    def snapshot(self) -> Snapshot: ...
    def halt(self, by: str, why: str) -> None: ...
    def flatten(self, by: str, why: str) -> None: ...
    def rearm(self, by: str, why: str) -> None: ...
    def accept_difference(self, by: str, why: str) -> None: ...
    def audit(self, by: str, command: str, detail: str, outcome: str) -> None: ...


class Exceptions(Protocol):
    """The native modules that run on their pure twin since it differed from the compiled one."""

    def clear(self, by: str, why: str) -> None: ...


ALLOWED: Mapping[str, frozenset[str]] = {
    "cli": frozenset(
        {"status", "orders", "positions", "halt", "flatten", "rearm", "accept-difference", "native-clear"}
    ),
    "page": frozenset({"status", "halt", "flatten"}),
    "anyone": frozenset({"halt"}),
    "demo": frozenset({"status", "rearm"}),
}


class Commands:
    """Executes commands on the engine. `channel` is a key of `ALLOWED`, `by` names the person."""

    def __init__(self, engine: Controls, exceptions: Exceptions | None = None) -> None:
        self._engine = engine
        self._table: dict[str, Callable[[str, str], dict[str, Any]]] = {
            "status": lambda by, why: {"snapshot": engine.snapshot()},
            "orders": lambda by, why: {"orders": engine.snapshot().orders},
            "positions": lambda by, why: {"positions": engine.snapshot().positions},
            "halt": self._doing("halt", engine.halt),
            "flatten": self._doing("flatten", engine.flatten),
            "rearm": self._doing("rearm", engine.rearm),
            "accept-difference": self._doing("accept-difference", engine.accept_difference),
        }
        if exceptions is not None:
            self._table["native-clear"] = self._doing("native-clear", exceptions.clear)

    def execute(self, channel: str, command: str, by: str, why: str = "") -> dict[str, Any]:
        """Run `command`. Raises Refused when it is unknown, not allowed on this channel or a rule says no."""
        if command not in self._table:
            raise Refused("command.unknown", command, ", ".join(self._table))
        if command not in ALLOWED.get(channel, frozenset()):
            raise Refused("command.channel", command, f"not possible from {channel}")
        return self._table[command](clean(by, 60), clean(why, WHY_LIMIT))

    def _doing(self, name: str, act: Callable[[str, str], None]) -> Callable[[str, str], dict[str, Any]]:
        def run(by: str, why: str) -> dict[str, Any]:
            try:
                act(by, why)
            except Refused as refusal:
                self._engine.audit(by, name, why, str(refusal))
                raise
            self._engine.audit(by, name, why, "done")
            view = self._engine.snapshot()
            told = {"state": view.state, "reasons": view.reasons, "goal": view.goal, "journal": view.journal}
            return {"done": name, **told}

        return run
