"""`plimsoll board renew`: bring the UNO Q's firmware to that of this release, when that may be done now.

What the timer starts, as root, from the release that is linked. What is decided is in `app.update.firmware`;
the writing is that of `plimsoll board flash`, with its own way back.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from app.cli import client, firmware, places
from app.clock import SystemClock
from app.config import load_file
from app.config.settings import Board
from app.errors import Theirs, Unable
from app.mcu import images, shipped, toolchain
from app.mcu.flash import Flash
from app.mcu.shipped import Shipped
from app.update import locks, renewal, state, switch
from app.update.decide import Exposure
from app.update.firmware import Facts
from app.update.telling import Teller

LOCK = Path("/run/plimsoll/update.lock")  # the service's
TARGETS = {"owner": "unoq", "guest": "unoq_guest"}  # board.mode -> what its firmware calls itself
OPEN = {
    Exposure.CLEAR: "",
    Exposure.EXPOSED: "the service is exposed",
    Exposure.UNKNOWN: "the service cannot be asked",
}
EXITS = {renewal.WRITTEN: 0, renewal.RESTED: 0, renewal.WAITS: 3, renewal.FAILED_NOW: 1}


@dataclass(frozen=True, slots=True)
class UnoQBench:
    """`renewal.Bench` on the UNO Q this runs on. `open_` as in `Facts`, held for as long as this lives;
    `updater` is the updater's lock, taken for the writing alone: a compiler must not keep a way back waiting.
    """

    folder: Path  # the service's data
    board: Board
    shipped: Shipped
    unoq: toolchain.UnoQ
    shelf: images.Shelf
    trial: Callable[[], str]
    updater: Callable[[], AbstractContextManager[None]]
    open_: str
    say: Callable[[str], None] = firmware.say

    def look(self) -> Facts:
        answer = client.ask(self.folder, "status")
        told: dict[str, Any] = answer["snapshot"] if answer else {}
        seen = told.get("board", {})
        runs = seen.get("firmware", "") if seen.get("state", "silent") != "silent" else ""
        kept, writing = self.shelf.current(), self.shelf.writing()
        carried = self.shipped.firmware.get(TARGETS[self.board.mode], "")
        foreign = bool(seen.get("foreign", False))
        facts = Facts(
            ships=carried,
            version=self.shipped.protocol_version,
            runs=runs,
            foreign=foreign,
            stopped=bool(told) and (not told["armed"] or foreign),
            open_=self.open_ if told else OPEN[Exposure.UNKNOWN],
            trial=self.trial(),
            kept=kept.artefact.firmware_hash if kept else "",
            kept_version=kept.artefact.protocol_version if kept else 0,
            writing=writing.artefact.firmware_hash if writing else "",
        )
        if kept and (facts.writing or facts.due):  # else nobody asks, and arduino-cli need not begin
            return replace(facts, starts=kept.artefact.core == self.unoq.core())
        return facts

    def write(self, firmware_hash: str) -> None:
        """A kept image serves; else this release's sketch is compiled."""
        image = self.shelf.find(firmware_hash, self.unoq.core())
        with ExitStack() as held:
            if image is not None:
                self._alone(held)
                self._flash().image(image)
                return
            place = Path(held.enter_context(tempfile.TemporaryDirectory()))
            self._flash().build(lambda: self._built(place, firmware_hash, held))

    def _alone(self, held: ExitStack) -> None:
        """Without the updater, and with nothing that it began meanwhile."""
        held.enter_context(self.updater())
        if trial := self.trial():
            raise Unable("update.trial", trial, hint="the board's firmware waits for it")

    def _built(self, place: Path, firmware_hash: str, held: ExitStack) -> images.Image:
        image = firmware.built(self.unoq, place, self.board)
        if image.artefact.firmware_hash != firmware_hash:
            raise Theirs("the release", f"its sketch makes {image}, its list says {firmware_hash}")
        self._alone(held)
        return image

    def back(self) -> None:
        kept = self.shelf.current()
        assert kept is not None, "decided only where one is kept"
        with ExitStack() as held:
            self._alone(held)
            self._flash().image(kept)

    def keep(self) -> None:
        image = self.shelf.writing()
        if image is not None:
            self.shelf.keep(image)

    def forget(self) -> None:
        self.shelf.forget()

    def _flash(self) -> Flash:
        appliance = firmware.Appliance(self.folder, self.board)
        return Flash(appliance, self.unoq, self.shelf, self.say)


def renew(arguments: Namespace) -> int:
    """Exit code 0 done or nothing to do, 1 failed, 3 it waits."""
    folder = places.data_dir(arguments)
    board = load_file(places.config_file(arguments)).board
    if not board.required or board.mode not in TARGETS:
        firmware.say("only the UNO Q's own microcontroller is renewed; any other board by hand")
        return 0
    unoq, clock = toolchain.UnoQ(), SystemClock()
    home, memory = arguments.home or firmware.INSTALLED.home, arguments.memory or firmware.INSTALLED.update
    shelf = firmware.shelf(folder)

    def trial() -> str:
        return state.load(memory, switch.linked(home))[0].trial

    with firmware.alone(shelf), locks.kept(LOCK) as exposure:
        updater = partial(locks.alone, memory)
        bench = UnoQBench(folder, board, shipped.read(), unoq, shelf, trial, updater, OPEN[exposure])
        job = renewal.Renewal(memory, bench, Teller(memory, clock))
        outcome = job.run()
    firmware.say(job.memory.words or "nothing to renew")
    return EXITS[outcome]
