"""Firmware images for the UNO Q: what is known of one, and which are kept to go back to.

Each image lies in a folder of its own with its artefact beside it; one small file, replaced whole, says which
is on the board, which was before, and which was being written: the intent is on disk before the first byte
leaves. Nothing here talks to a board.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec

from app import durable
from app.errors import Refused, Theirs, Unable

IMAGE = "firmware.bin"
ARTEFACT = "artefact.json"
ORDER = "order.json"
IMAGE_LIMIT = 768 * 1024  # bytes: the board's partition for a sketch
TEXT_LIMIT = 4_096  # bytes of an artefact, which is some 300

Hex64 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Word = Annotated[str, msgspec.Meta(pattern=r"^[\w.:=,+-]{1,80}$")]


class Artefact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an image is: the hash its board greets with, what it speaks, and the Arduino core that built it.

    A core's loader expects the sketch at its own address, so an image belongs to one version of the core.
    """

    firmware_hash: Hex64
    protocol_version: Annotated[int, msgspec.Meta(ge=1, le=255)]
    core: Word
    fqbn: Word
    sha256: Sha256


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The folders' names of the image on the board, of the one before it, and of one whose writing was begun
    and not ended yet, "" = none.
    """

    current: str = ""
    previous: str = ""
    writing: str = ""


class Image(msgspec.Struct, frozen=True):
    """An image's file and its artefact, which were seen to belong together."""

    file: Path
    artefact: Artefact

    def __str__(self) -> str:
        return f"{self.artefact.firmware_hash} (core {self.artefact.core})"


def read(file: Path) -> Image:
    """The image `file` and the artefact beside it. Raises Refused when one is missing or they differ."""
    beside = file.with_name(ARTEFACT)
    try:
        body, text = _bounded(file, IMAGE_LIMIT), _bounded(beside, TEXT_LIMIT)
        artefact = msgspec.json.decode(text, type=Artefact)
    except OSError as error:
        raise Refused("firmware.image", error.filename, hint=error.strerror or "cannot be read") from None
    except msgspec.DecodeError as error:
        raise Refused("firmware.artefact", beside, hint=str(error)) from None
    if hashlib.sha256(body).hexdigest() != artefact.sha256:
        raise Refused("firmware.image", file, hint=f"its SHA-256 is not the one in {ARTEFACT}")
    return Image(file, artefact)


def describe(file: Path, firmware_hash: str, protocol_version: int, core: str, fqbn: str) -> Image:
    """Write the artefact of a fresh image beside it. Raises Theirs when the image cannot be right."""
    size = file.stat().st_size
    if not 0 < size <= IMAGE_LIMIT:
        raise Theirs("arduino-cli", f"made an image of {size} bytes, the board holds {IMAGE_LIMIT}")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    raw = {
        "firmware_hash": firmware_hash,
        "protocol_version": protocol_version,
        "core": core,
        "fqbn": fqbn,
        "sha256": sha256,
    }
    artefact = msgspec.convert(raw, type=Artefact)
    file.with_name(ARTEFACT).write_bytes(msgspec.json.format(msgspec.json.encode(artefact)))
    return Image(file, artefact)


class Shelf:
    """The images kept in `folder`: the one on the board, the one before it, and the one that is being written
    or never was to its end, None where there is none. Raises Refused for one that was damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> Image | None:
        return self._image(self._order().current)

    def previous(self) -> Image | None:
        return self._image(self._order().previous)

    def writing(self) -> Image | None:
        return self._image(self._order().writing)

    def find(self, firmware_hash: str, core: str) -> Image | None:
        """A kept image of that firmware which the installed core would start."""
        found = (image for image in (self.current(), self.previous(), self.writing()) if image is not None)
        return next(
            (
                one
                for one in found
                if (one.artefact.firmware_hash, one.artefact.core) == (firmware_hash, core)
            ),
            None,
        )

    def begin(self, image: Image) -> None:
        """From now on the board may hold half of `image`. Raises Unable; then nothing may be written."""
        with self._said():
            name, before = self._place(image), self._order()
            self._write(Order(before.current, before.previous, name))

    def keep(self, image: Image) -> None:
        """`image` was seen running on the board: it is the current one now, the former the way back.

        Raises Unable.
        """
        with self._said():
            name, before = self._place(image), self._order()
            self._write(Order(name, before.previous if before.current == name else before.current))

    def forget(self) -> None:
        """The image that was being written is not on the board, the current one is. Raises Unable."""
        with self._said():
            before = self._order()
            self._write(Order(before.current, before.previous))

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unable("firmware.shelf", self.folder, hint=error.strerror or str(error)) from None

    def _place(self, image: Image) -> str:
        """A whole copy is never written over: it may be the way back."""
        name = image.artefact.sha256[:16]
        home = self.folder / name
        if image.file.parent != home and not _whole(home / IMAGE):
            home.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.file, home / IMAGE)
            shutil.copyfile(image.file.with_name(ARTEFACT), home / ARTEFACT)
            for file in (home / IMAGE, home / ARTEFACT):
                durable.flush(file)
            durable.flush(home)
        return name

    def _image(self, name: str) -> Image | None:
        return read(self.folder / name / IMAGE) if name else None

    def _order(self) -> Order:
        try:
            return msgspec.json.decode(_bounded(self.folder / ORDER, TEXT_LIMIT), type=Order)
        except FileNotFoundError:
            return Order()
        except msgspec.DecodeError as error:
            raise Refused("firmware.order", self.folder / ORDER, hint=str(error)) from None

    def _write(self, order: Order) -> None:
        """And remove what it no longer names."""
        durable.write(self.folder / ORDER, msgspec.json.encode(order))
        named = (order.current, order.previous, order.writing)
        for entry in self.folder.iterdir():
            if entry.is_dir() and entry.name not in named:
                shutil.rmtree(entry)


def _whole(file: Path) -> bool:
    try:
        read(file)
    except Refused:
        return False
    return True


def _bounded(file: Path, limit: int) -> bytes:
    with file.open("rb") as stream:
        body = stream.read(limit + 1)
    if len(body) > limit:
        raise Refused("firmware.size", file, limit)
    return body
