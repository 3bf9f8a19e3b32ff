"""Ask a board once who it is: greet until it answers. For tools; the service has its own link.

Bytes go through the `Wire` given; no port is opened here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from app.errors import Refused, Unreachable
from app.mcu import messages, session

GREET_MS = 30_000  # a board that was just written may show its maker's logo first


class Wire(Protocol):
    """A byte link to the board. Both raise Unreachable when it is gone."""

    def read(self, timeout_ms: int) -> bytes:
        """What arrived, empty after `timeout_ms` without a byte."""

    def write(self, data: bytes) -> None: ...


@dataclass(frozen=True)
class Greeting:
    """The board's answer: its firmware's hash in hexadecimal, the protocol both speak, its target's name."""

    firmware_hash: str
    protocol_version: int
    target: str
    reset_cause: int
    boot_id: int


def greet(
    wire: Wire,
    codec: Any,
    now_ms: Callable[[], int],
    random32: Callable[[], int],
    patience_ms: int = GREET_MS,
) -> Greeting:
    """Return the board's greeting. Raises Unreachable without one, Refused when it speaks another version."""
    until = now_ms() + patience_ms
    own = _session(codec, now_ms(), random32)
    while now_ms() < until:
        out, due_ms = own.poll(now_ms())
        if out:
            wire.write(out)
        data = wire.read(max(0, min(due_ms, until) - now_ms()))
        for event in own.feed(data, now_ms()):
            if event[0] == session.EV_WELCOME:
                return _greeting(event)
            if event[0] == session.EV_LOST:
                if event[1] == session.VERSION:
                    raise Refused("board.protocol", "another version", messages.VERSION)
                own = _session(codec, now_ms(), random32)
    raise Unreachable("board", f"no greeting within {patience_ms // 1000} s")


def _session(codec: Any, now_ms: int, random32: Callable[[], int]) -> session.Session:
    return session.Session(codec, random32() or 1, random32(), now_ms, random32)


def _greeting(event: tuple) -> Greeting:
    _, _, firmware_hash, target, reset_cause, boot_id, _ = event
    return Greeting(firmware_hash.hex(), messages.VERSION, messages.TARGETS[target], reset_cause, boot_id)
