"""A UNO Q in memory on a real shelf and a real memory, with power that fails at any point.

Each change of board or disk is one point before and one after; `cuts` are the points, counted over all runs,
at which the power goes. What was going on then does nothing more, and the next run begins from the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from app import durable
from app.cli import client, firmware
from app.cli.renewing import UnoQBench
from app.clock import VirtualClock
from app.config.settings import Board
from app.errors import Refused, Unreachable
from app.mcu import images, toolchain
from app.mcu.shipped import Shipped
from app.update import renewal
from app.update.firmware import Memory
from app.update.telling import Teller
from tests.mcu.flashing import CORE, NEW, OLD, Greeting

HALF = "half of an image"
NOW_NS = 1_800_000_000 * 10**9


class Cut(BaseException):
    """The power went."""


class Machine:
    """`holds` is what the board has, `deaf` firmwares never answer, `foreign` ones in another version."""

    def __init__(self, folder: Path, cuts: tuple[int, ...] = ()) -> None:
        self.folder = folder
        self.cuts = list(cuts)
        self.points = self.writes = self.compiled = 0
        self.dead = False
        self.holds = OLD
        self.deaf: set[str] = set()
        self.foreign: set[str] = set()
        self.snapshot: dict[str, Any] | None = {"state": "halted", "armed": False}
        self.open_, self.trial, self.installed = "", "", CORE
        self.shelf = images.Shelf(folder / "images")
        self.said: list[str] = []

    def image(self, place: Path, firmware_hash: str, version: int = 1, core: str = CORE) -> images.Image:
        place.mkdir(parents=True, exist_ok=True)
        (place / images.IMAGE).write_text(firmware_hash)
        return images.describe(place / images.IMAGE, firmware_hash, version, core, toolchain.FQBN)

    def keeps(self, firmware_hash: str = OLD, **facts: Any) -> Machine:
        """Somebody flashed it by hand before."""
        self.shelf.keep(self.image(self.folder / "made", firmware_hash, **facts))
        return self

    @property
    def speaks(self) -> bool:
        return self.holds != HALF and self.holds not in self.deaf

    def point(self) -> None:
        self.points += 1
        if self.dead or (self.cuts and self.cuts[0] == self.points):
            self.dead = True
            raise Cut

    # -- the programs

    def core(self) -> str:
        return self.installed

    def prepare(self) -> None:
        self.point()

    def upload_build(self, image: images.Image) -> None:
        self.point()
        self.writes += 1
        named = [one.artefact for one in (self.shelf.writing(), self.shelf.current()) if one is not None]
        assert self.shelf.writing() is not None and image.artefact in named, "the intent is on disk first"
        self.holds = HALF
        self.point()
        self.holds = image.file.read_text()
        self.point()

    upload_image = upload_build

    # -- the service

    def ask(self, folder: Path, command: str, why: str = "") -> dict[str, Any] | None:
        if self.snapshot is None:
            return None
        known = self.speaks and self.holds not in self.foreign
        board = {
            "state": "ready" if known else "silent",
            "firmware": self.holds if known else OLD,  # of a session before: no word of what is there now
            "foreign": self.speaks and not known,
        }
        return {"service": True, "snapshot": {**self.snapshot, "board": board}}

    def greet(self) -> Greeting:
        self.point()
        if not self.speaks:
            raise Unreachable("board", "no greeting")
        if self.holds in self.foreign:
            raise Refused("board.protocol", "another version", 1)
        return Greeting(self.holds)

    def latch(self) -> None:
        self.point()

    def release(self) -> bool:
        self.point()
        return True

    def resume(self) -> None:
        self.point()

    # -- a run of the timer

    def bench(self) -> UnoQBench:
        carried = Shipped(1, {"unoq": NEW})
        unoq: Any = self
        return UnoQBench(
            *(self.folder, Board(), carried, unoq, self.shelf, lambda: self.trial),
            *(nullcontext, self.open_, self.said.append),
        )

    def run(self) -> str:
        """One run of the timer, "cut" when the power went."""
        try:
            with self._patched():
                return renewal.Renewal(
                    self.folder, self.bench(), Teller(self.folder, VirtualClock(NOW_NS))
                ).run()
        except Cut:
            self.dead = False
            self.cuts.pop(0)
            return "cut"

    def settle(self, most: int) -> list[str]:
        """Runs until the timer finds nothing to do twice."""
        runs: list[str] = []
        while runs[-2:] != [renewal.RESTED] * 2:
            assert len(runs) < most, runs
            runs.append(self.run())
        return runs

    @property
    def memory(self) -> Memory:
        return renewal.load(self.folder)

    @contextmanager
    def _patched(self) -> Iterator[None]:
        write, copy = durable.write, shutil.copyfile

        def built(unoq: object, place: Path, board: Board) -> images.Image:
            self.point()
            self.compiled += 1
            return self.image(place / "build", NEW)

        def written(path: Path, data: bytes, *arguments: Any) -> None:
            self.point()
            write(path, data, *arguments)
            self.point()

        def copied(source: Path, target: Path) -> None:
            self.point()
            copy(source, target)
            self.point()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client, "ask", self.ask)
            patch.setattr(firmware, "Appliance", lambda folder, board: self)
            patch.setattr(firmware, "built", built)
            patch.setattr(durable, "write", written)
            patch.setattr(images.shutil, "copyfile", copied)
            patch.setattr(os, "fsync", lambda handle: None)  # no cut here is one of the machine's own
            yield
