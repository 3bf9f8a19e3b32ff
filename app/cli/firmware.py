"""`plimsoll board flash`: the appliance's side of new firmware, and the sketch it is built from."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from argparse import Namespace
from contextlib import AbstractContextManager, AsyncExitStack
from pathlib import Path

from app.cli import client, offline, places
from app.clock import SystemClock
from app.config import load_file
from app.config.settings import Board
from app.errors import Theirs, Unable
from app.install.places import Places
from app.mcu import boards, images, toolchain
from app.mcu.flash import Flash
from app.mcu.greeting import Greeting, greet
from app.mcu.native_codec import NativeCodec
from app.update import locks

SERVICE, SOCKET = "plimsoll.service", "plimsoll.socket"
SERVICE_SECONDS = 120.0  # a stop waits for the venue's last answers
WHY = "new firmware for the board"
SKETCHER = Path(__file__).resolve().parents[2] / "board" / "targets.py"
FOLDER = "firmware"  # of the kept images
INSTALLED = Places(Path("/"))
STOPPED = "PLIMSOLL_STOPPED"  # its unit names a file that is there while the service is to be started again
OWNER, GUEST = "unoq", "unoq-guest"  # the sketches: each speaks only as `board.mode` does


class Appliance:
    """The service of one data folder, and its board. Its unit starts a service that was left stopped."""

    def __init__(self, folder: Path, board: Board) -> None:
        self._folder, self._board = folder, board
        named = os.environ.get(STOPPED)
        self._stopped = Path(named) if named else None

    def latch(self) -> None:
        """Through the service if one runs, else in its journal."""
        if client.ask(self._folder, "halt", WHY) is None:
            offline.halt(self._folder, WHY)

    def release(self) -> bool:
        """Stop the service, and its page's socket, or a look at the page would start it and take the board.

        Writing the latch once more shows that it is on disk, and that nobody runs.
        """
        if client.ask(self._folder, "status") is None:
            return False
        if self._stopped is not None:
            self._stopped.touch()
        toolchain.call(["systemctl", "stop", SOCKET, SERVICE], SERVICE_SECONDS)
        offline.halt(self._folder, WHY)
        return True

    def resume(self) -> None:
        toolchain.call(["systemctl", "start", SERVICE], SERVICE_SECONDS)
        if self._stopped is not None:
            self._stopped.unlink(missing_ok=True)

    def greet(self) -> Greeting:
        return asyncio.run(self._greet())

    async def _greet(self) -> Greeting:
        async with AsyncExitStack() as stack:
            return await greet(boards.dial(self._board, stack), NativeCodec(), SystemClock())


def flash(arguments: Namespace) -> int:
    """Write firmware onto the UNO Q this runs on. What became of the board is said, whatever happens."""
    unoq = toolchain.UnoQ()
    folder = places.data_dir(arguments)
    board = load_file(places.config_file(arguments)).board
    kept = shelf(folder)
    job = Flash(Appliance(folder, board), unoq, kept, say)
    with alone(kept):
        if arguments.back:
            job.back()
        elif arguments.image:
            job.image(images.read(arguments.image))
        else:
            with tempfile.TemporaryDirectory() as place:
                job.build(lambda: built(unoq, Path(place), board))
    return 0


def shelf(folder: Path) -> images.Shelf:
    """The images kept for the board of one data folder; of an installed appliance they belong to root."""
    return images.Shelf((INSTALLED.update if folder == INSTALLED.data else folder) / FOLDER)


def alone(kept: images.Shelf) -> AbstractContextManager[None]:
    """One writer of firmware at a time. Raises Unable while another is at work, or without a place for it."""
    try:
        kept.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unable("firmware.shelf", kept.folder, hint=error.strerror or str(error)) from None
    return locks.alone(kept.folder)


def built(unoq: toolchain.UnoQ, place: Path, board: Board) -> images.Image:
    """This version's firmware, compiled in `place`."""
    sketch_name = GUEST if board.mode == "guest" else OWNER
    # Root may have another user's HOME here, whose packages are nobody's business.
    sketcher: list[str | Path] = [sys.executable, "-sEB", SKETCHER, "sketch", place, sketch_name]
    said = toolchain.call(sketcher, toolchain.LINE_SECONDS)
    try:
        told = json.loads(said)
        sketch, firmware_hash, version = Path(told["sketch"]), told["firmware_hash"], told["protocol_version"]
    except (ValueError, KeyError, TypeError):
        raise Theirs(SKETCHER.name, "its answer made no sense") from None
    say(f"compiling {sketch_name} {firmware_hash} with core {unoq.core()}")
    return unoq.compile(sketch, firmware_hash, version, place / "build")


def say(line: str) -> None:
    print(f"flash: {line}", flush=True)
