"""Monotonic stamps of one order on its way from the hub frame to the venue's acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.clock import Clock
from app.engine.ports import Journal
from app.engine.records import LatencyMeasured

STAGES_KEPT = 256  # orders under way at once; more than any limit allows


@dataclass(slots=True)
class _Stamps:
    frame: int
    strategy: int
    gate: int = 0
    journal: int = 0
    send: int = 0


class Stages:
    """Stamps are taken by the parts that do the work; `acknowledged` writes the finished row."""

    def __init__(self, clock: Clock, journal: Journal) -> None:
        self._clock, self._journal = clock, journal
        self._frame = 0
        self._strategy = 0
        self._under_way: dict[str, _Stamps] = {}

    def mark_frame(self, received_mono_ns: int) -> None:
        """A hub frame is being handled; 0 ends it."""
        self._frame = received_mono_ns

    def mark_strategy(self) -> None:
        self._strategy = self._clock.mono_ns()

    def begin(self, tag: str) -> None:
        if len(self._under_way) < STAGES_KEPT:
            self._under_way[tag] = _Stamps(self._frame, self._strategy)

    def mark_gate(self) -> None:
        now = self._clock.mono_ns()
        for stamps in self._under_way.values():
            stamps.gate = stamps.gate or now

    def mark_journal(self, tags: Sequence[str]) -> None:
        now = self._clock.mono_ns()
        for tag in tags:
            if tag in self._under_way:
                self._under_way[tag].journal = now

    def mark_sent(self, tag: str) -> None:
        if tag in self._under_way:
            self._under_way[tag].send = self._clock.mono_ns()

    def drop(self, tag: str) -> None:
        self._under_way.pop(tag, None)

    def acknowledged(self, tag: str) -> None:
        """The venue answered: write the row."""
        stamps = self._under_way.pop(tag, None)
        if stamps is None:
            return
        row = LatencyMeasured(
            tag,
            stamps.frame,
            stamps.strategy,
            stamps.gate,
            stamps.journal,
            stamps.send,
            self._clock.mono_ns(),
            self._clock.utc_ns(),
        )
        self._journal.append([row])
