"""What becomes of the board's firmware after an update. Pure: facts in, act out; the doing is in `renewal`.

Firmware travels in the release. It is written only while trading is halted and nothing is open, only where
the image that the board runs is kept as the way back, and only so often: one that fails, or that a board does
not keep over a reset, is not written for ever. What a power cut left half written is found by the intent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

TRIES_MAX = 2  # writings of one firmware: one may be lost to a power cut that was not its fault
BACKS_MAX = 3  # writings of the one before it, after that: then a person looks at the board
BAD_KEPT = 8  # firmwares remembered as failed
BY_HAND = "by hand: plimsoll board flash"


class Act(Enum):
    REST = "rest"  # nothing to do, or nothing that may be done without a person
    WAIT = "wait"  # until a condition is over
    WRITE = "write"  # the release's firmware
    BACK = "back"  # the one before it, for the board holds half of another
    KEEP = "keep"  # the image whose writing was interrupted is on the board after all
    FORGET = "forget"  # it is not, the one before runs
    GIVE_UP = "give up"  # this firmware fails here


@dataclass(frozen=True, slots=True)
class Facts:
    """Firmwares are named by the hash that the board greets with, "" = none or not known.

    `ships` is the linked release's, `runs` what the board says now; `foreign`: it answers, in another version
    of the protocol. `stopped`: trading is halted until a person re-arms, or the board cannot run at all.
    `open_` says what is exposed, "" = nothing. `kept` was on the board last, `writing` is the one whose
    writing never ended; `starts`: the installed core would start `kept`.
    """

    ships: str
    version: int  # of the protocol that `ships` speaks
    runs: str = ""
    foreign: bool = False
    stopped: bool = False
    open_: str = "the service was not asked"
    trial: str = ""  # release on trial
    kept: str = ""
    kept_version: int = 0
    starts: bool = False
    writing: str = ""

    @property
    def mute(self) -> bool:
        """The board cannot be understood, and what it runs is kept: it speaks as another release does."""
        return not self.runs and (self.foreign or self.kept_version not in (0, self.version))

    @property
    def due(self) -> bool:
        return bool(self.ships) and (self.mute or self.runs not in ("", self.ships))


@dataclass(frozen=True, slots=True)
class Memory:
    """What outlives a power cut. `tries` and `backs` count writings for the sake of `wanted`."""

    wanted: str = ""
    tries: int = 0
    backs: int = 0
    bad: tuple[str, ...] = ()
    words: str = ""  # how it stands, for people

    def spent(self, firmware: str) -> bool:
        return firmware in self.bad or (self.wanted == firmware and self.tries >= TRIES_MAX)


def excused(before: int, after: int) -> frozenset[str]:
    """Ills that a release on trial may have: where it speaks another version of the board's protocol than the
    release before, the board cannot be understood until its firmware is renewed, which follows the commit.
    0 = a release that says nothing of firmware.
    """
    return frozenset({"board"}) if before and after and before != after else frozenset()


def decide(facts: Facts, memory: Memory) -> tuple[Act, str]:
    """The next act, and why nothing is written yet or any more ("" = all is well)."""
    if facts.writing and facts.runs == facts.writing:
        return Act.KEEP, ""
    if facts.writing and facts.runs and facts.runs == facts.kept:
        return Act.FORGET, ""
    if not (facts.writing or facts.due):
        return Act.REST, ""
    if words := _by_hand(facts, memory):
        return Act.REST, words
    if words := _not_yet(facts):
        return Act.WAIT, words
    if not facts.ships or memory.spent(facts.ships):
        return (Act.BACK if facts.writing else Act.GIVE_UP), ""
    return Act.WRITE, ""


def _by_hand(facts: Facts, memory: Memory) -> str:
    """Why nobody but a person may write."""
    held = "half of an image" if facts.writing else f"firmware {facts.runs or 'of another protocol'}"
    if not facts.kept or (facts.runs and facts.runs != facts.kept):
        return f"the board holds {held}, and no image is kept to go back to; {BY_HAND}"
    if not facts.starts:
        return f"the image to go back to was built by another Arduino core, which starts no other; {BY_HAND}"
    if facts.writing and memory.backs >= BACKS_MAX and (not facts.ships or memory.spent(facts.ships)):
        return f"the board holds {held}, and {facts.kept} could not be written back; {BY_HAND}"
    if not facts.writing and facts.ships in memory.bad:
        return f"firmware {facts.ships} failed here, {facts.kept} serves on; {BY_HAND}"
    return ""


def _not_yet(facts: Facts) -> str:
    if facts.trial:
        return f"new firmware waits: {facts.trial} is on trial"
    if not facts.stopped:
        return "new firmware waits until trading is halted"
    return facts.open_ and f"new firmware waits: {facts.open_}"


def begun(memory: Memory, act: Act, facts: Facts) -> Memory:
    """What has to be on disk before `act`."""
    if act is Act.WRITE:
        fresh = (
            memory if memory.wanted == facts.ships else replace(memory, wanted=facts.ships, tries=0, backs=0)
        )
        return replace(fresh, tries=fresh.tries + 1, words=f"writing firmware {facts.ships}")
    if act is Act.BACK:
        return replace(memory, backs=memory.backs + 1, words=f"writing firmware {facts.kept} back")
    if act is Act.GIVE_UP:
        return replace(memory, bad=(*memory.bad, facts.ships)[-BAD_KEPT:])
    return memory
