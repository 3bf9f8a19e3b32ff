"""New firmware on the board, in the order that cannot hurt: latch, build, release, write, greet, keep.

Trading is halted durably before anything else, and only a person re-arms it. What is about to be written is
on disk before its first byte leaves. An image counts as installed when the board greeted with its hash; until
then the one before stays the one to go back to, and it is written back when a step fails. What became of the
board is always said. Programs are called by `toolchain`, images kept by `images`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from app.errors import PlimsollError, Refused
from app.mcu import messages
from app.mcu.images import Image, Shelf
from app.mcu.toolchain import RESTORE_STOCK

NOTHING_WRITTEN = "nothing was written: the board runs what it ran before"
NO_EARLIER = "no earlier image is kept, so the board holds no known firmware; its output stays off"

Made = TypeVar("Made")


class Greeting(Protocol):
    """What the board says of itself in its WELCOME."""

    @property
    def firmware_hash(self) -> str:
        """16 hexadecimal digits."""

    @property
    def protocol_version(self) -> int: ...


class Service(Protocol):
    """The appliance whose board it is. Its methods raise a PlimsollError when they could not."""

    def latch(self) -> None:
        """Halt durably: nothing trades until a person re-arms."""

    def release(self) -> bool:
        """Make it let go of the link; True when it ran and `resume` must start it again."""

    def resume(self) -> None: ...
    def greet(self) -> Greeting:
        """Open the link and return the board's WELCOME."""


class Writer(Protocol):
    """How an image gets onto the board."""

    def core(self) -> str:
        """The installed core's version."""

    def prepare(self) -> None:
        """Set the lines without which a written image would not start."""

    def upload_build(self, image: Image) -> None: ...
    def upload_image(self, image: Image) -> None: ...


class Flash:
    """One installation. `say` gets a line for the owner at each step."""

    def __init__(self, service: Service, writer: Writer, shelf: Shelf, say: Callable[[str], None]) -> None:
        self._service = service
        self._writer = writer
        self._shelf = shelf
        self._say = say

    def build(self, make: Callable[[], Image]) -> Image:
        """Install what `make` builds; the halt comes first, for a compiler takes the memory trading needs."""
        return self._within(make, self._writer.upload_build)

    def image(self, file: Image) -> Image:
        """Install an image that exists already."""
        return self._within(lambda: file, self._writer.upload_image)

    def back(self) -> Image:
        """Install the image before the current one. Raises Refused when none is kept."""
        before = self._shelf.previous()
        if before is None:
            raise Refused("firmware.previous", "no earlier image is kept", hint="nothing was changed")
        return self.image(before)

    def _within(self, make: Callable[[], Image], upload: Callable[[Image], None]) -> Image:
        """The service and its page go on, halted, while a compiler takes its minutes."""
        self._service.latch()
        self._say("halted: only a person re-arms")
        image = self._harmless(make)
        running = self._harmless(self._service.release)
        self._say("the service is stopped" if running else "no service runs")
        try:
            return self._replace(image, upload)
        finally:
            if running:
                self._resume()

    def _resume(self) -> None:
        """The service starts halted whatever became of the board; its failure to start hides no other."""
        try:
            self._service.resume()
            self._say("the service is started, and halted")
        except PlimsollError as error:
            self._say(f"the service did not start: {error}")

    def _replace(self, image: Image, upload: Callable[[Image], None]) -> Image:
        before = self._harmless(self._shelf.current)
        self._harmless(lambda: self._check(image))
        self._harmless(lambda: self._shelf.begin(image))
        try:
            self._install(image, upload)
        except PlimsollError as error:
            self._say(str(error))
            self._restore(before)
            raise
        except BaseException:
            self._say("interrupted: the board may hold half an image; run this again, or with --back")
            raise
        self._shelf.keep(image)
        return image

    def _harmless(self, step: Callable[[], Made]) -> Made:
        """A step that leaves the board alone: when it fails, that is said."""
        try:
            return step()
        except PlimsollError:
            self._say(NOTHING_WRITTEN)
            raise

    def _check(self, image: Image) -> None:
        installed = self._writer.core()
        if image.artefact.core != installed:
            hint = "a loader starts only its own core's images"
            raise Refused("firmware.core", image.artefact.core, installed, hint)
        self._writer.prepare()

    def _install(self, image: Image, upload: Callable[[Image], None]) -> None:
        self._say(f"writing {image}")
        upload(image)
        greeting, artefact = self._service.greet(), image.artefact
        if greeting.protocol_version != artefact.protocol_version:
            raise Refused("board.protocol", greeting.protocol_version, artefact.protocol_version)
        if greeting.firmware_hash != artefact.firmware_hash:
            raise Refused("board.firmware", greeting.firmware_hash, artefact.firmware_hash)
        self._say(f"the board greets as {greeting.firmware_hash}, protocol {greeting.protocol_version}")

    def _restore(self, before: Image | None) -> None:
        """Write back what ran before; whatever comes of it is said, the first failure is what is raised."""
        if before is None:
            self._say(f"{NO_EARLIER}. The maker's own: {RESTORE_STOCK}")
            return
        try:
            self._check(before)
            self._put_back(before)
            self._shelf.forget()
            self._say(f"the firmware before it is back: {before}")
        except PlimsollError as error:
            self._say(f"the firmware before it could not be written back either: {error}")
            self._say(
                f"the board's firmware is unknown and its output stays off. The maker's own: {RESTORE_STOCK}"
            )

    def _put_back(self, before: Image) -> None:
        """Of one that speaks as an earlier release did it is enough that the board answers like that."""
        try:
            self._install(before, self._writer.upload_image)
        except Refused as refusal:
            if refusal.rule != "board.protocol" or before.artefact.protocol_version == messages.VERSION:
                raise
            self._say("the board answers in another version of the protocol, as that image does")
