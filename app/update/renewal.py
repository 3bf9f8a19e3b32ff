"""Drives the renewal of the board's firmware: what is decided comes from `firmware`, what touches board and
images comes in as a `Bench`. What is remembered is on disk before each act.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from app import durable
from app.errors import PlimsollError, Refused, clean
from app.update.firmware import Act, Facts, Memory, begun, decide
from app.update.telling import FAILED, QUIET, WORKING, Teller

FILE = "firmware.json"
CARRIED = "board/firmware.json"  # in a release, as board/targets.py names it
FILE_LIMIT = 4_096  # bytes; it has some 300
ACTS_MAX = 4  # of one run: book-keeping, one writing, and a last look; the timer brings the next
WRITTEN, RESTED, WAITS, FAILED_NOW = "written", "rested", "waits", "failed"


def protocol(release: Path) -> int:
    """The version of the board's protocol that an unpacked release speaks, 0 where it does not say."""
    try:
        document = json.loads(durable.read(release / CARRIED, FILE_LIMIT))
    except (OSError, ValueError, RecursionError):
        return 0
    version = document.get("protocol_version") if isinstance(document, dict) else None
    return version if isinstance(version, int) else 0


class Bench(Protocol):
    """The board with its service and its kept images. All methods raise a PlimsollError if they could not."""

    def look(self) -> Facts: ...

    def write(self, firmware: str) -> None:
        """Put the release's firmware onto the board; the one before is back where its greeting is wrong."""

    def back(self) -> None:
        """Put the kept image onto the board."""

    def keep(self) -> None:
        """The image that was being written is on the board."""

    def forget(self) -> None:
        """It is not, the kept one is."""


def load(folder: Path) -> Memory:
    """What is remembered in `folder`. Raises Refused when that is unusable: then nothing is known of earlier
    failures, and nothing is written without a person.
    """
    try:
        document: Any = json.loads(durable.read(folder / FILE, FILE_LIMIT))
        memory = Memory(**{**document, "bad": tuple(document["bad"])})
    except FileNotFoundError:
        return Memory()
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        hint = f"remove it, then {folder / FILE} begins anew"
        raise Refused("firmware.memory", clean(error), hint=hint) from None
    usual = Memory()
    if any(type(value) is not type(getattr(usual, key)) for key, value in asdict(memory).items()):
        raise Refused("firmware.memory", folder / FILE, hint="a value is of the wrong kind; remove it")
    return memory


def save(folder: Path, memory: Memory) -> None:
    """Make it durable. Raises OSError; then what was remembered before still is."""
    durable.write(folder / FILE, json.dumps(asdict(memory), indent=1).encode() + b"\n")


class Renewal:
    """One look at the board and what follows from it; the caller holds the updater's lock."""

    def __init__(self, folder: Path, bench: Bench, teller: Teller) -> None:
        self._folder, self._bench, self._teller = folder, bench, teller
        self.memory = load(folder)

    def run(self) -> str:
        """Returns how it ended. Raises OSError when the intent cannot be written, and what `look` raises."""
        for _ in range(ACTS_MAX):
            facts = self._bench.look()
            act, words = decide(facts, self.memory)
            if act in (Act.REST, Act.WAIT):
                self._remember(replace(self.memory, words=words))
                return WAITS if act is Act.WAIT else RESTED
            self._remember(begun(self.memory, act, facts))
            if act in (Act.WRITE, Act.BACK):
                return self._write(act, facts)
            self._book(act)
        return RESTED

    def _remember(self, memory: Memory) -> None:
        """A timer that finds nothing new writes nothing."""
        if memory != self.memory:
            save(self._folder, memory)
            if memory.words:
                self._teller.decided("firmware", memory.words)
            self.memory = memory

    def _book(self, act: Act) -> None:
        if act is Act.KEEP:
            self._bench.keep()
        elif act is Act.FORGET:
            self._bench.forget()

    def _write(self, act: Act, facts: Facts) -> str:
        self._teller.status("renewing the board's firmware", self.memory.words, WORKING)
        try:
            if act is Act.WRITE:
                self._bench.write(facts.ships)
            else:
                self._bench.back()
        except PlimsollError as error:
            words = f"the board's firmware was not renewed: {clean(error)}"
            self._remember(replace(self.memory, words=words))
            self._teller.status("", words, FAILED)
            return FAILED_NOW
        words = f"the board runs firmware {facts.ships if act is Act.WRITE else facts.kept}"
        self._remember(replace(self.memory, words=words))
        self._teller.status("", words, QUIET)
        return WRITTEN
