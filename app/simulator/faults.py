"""Where things may go wrong on purpose: every reply and every hub event passes here on its way out.

A seam: `NoFaults` changes nothing. Servers consult it and know no fault by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply about to leave. `abort` cuts the connection instead of answering."""

    status: int
    body: bytes
    content_type: str = "application/json"
    delay_ns: int = 0
    abort: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A hub invocation about to leave, `delay_ns` of real time from now."""

    target: str
    arguments: tuple[Any, ...]
    delay_ns: int = 0


class Faults(Protocol):
    """Decides over the three exits."""

    def request(self, path: str) -> Reply | None:
        """A reply given instead of handling the request at all (429, 401, 5xx before acceptance); None =
        handle it.
        """

    def reply(self, path: str, reply: Reply) -> Reply:
        """The reply that leaves after the request was handled (late, lost, a 5xx although accepted)."""

    def event(self, hub: str, event: Outgoing) -> Sequence[Outgoing]:
        """What leaves for one hub event: nothing, itself, itself twice, later, in another shape."""


class NoFaults:
    """Everything arrives, once, as it is."""

    def request(self, path: str) -> Reply | None:
        return None

    def reply(self, path: str, reply: Reply) -> Reply:
        return reply

    def event(self, hub: str, event: Outgoing) -> Sequence[Outgoing]:
        return (event,)
