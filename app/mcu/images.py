"""Firmware images for the UNO Q: what is known of one, and which are kept to go back to.

Each image lies in a folder of its own with its artefact beside it; one small file, replaced whole, says which
is on the board and which was before. Nothing here talks to a board.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Annotated

import msgspec

from app import durable
from app.errors import Refused, Theirs

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


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The folders' names of the image on the board and of the one before it."""

    current: str = ""
    previous: str = ""


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
    """The images kept in `folder`: the one on the board and the one before it, None where there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> Image | None:
        return self._image(self._order().current)

    def previous(self) -> Image | None:
        return self._image(self._order().previous)

    def keep(self, image: Image) -> None:
        """`image` was seen running on the board: it is the current one now, the former the way back."""
        name, before = self._place(image), self._order()
        previous = before.previous if before.current == name else before.current
        self._write(Order(name, previous))
        for entry in self.folder.iterdir():
            if entry.is_dir() and entry.name not in (name, previous):
                shutil.rmtree(entry)

    def _place(self, image: Image) -> str:
        name = image.artefact.sha256[:16]
        home = self.folder / name
        if image.file.parent != home:
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
        durable.write(self.folder / ORDER, msgspec.json.encode(order))


def _bounded(file: Path, limit: int) -> bytes:
    with file.open("rb") as stream:
        body = stream.read(limit + 1)
    if len(body) > limit:
        raise Refused("firmware.size", file, limit)
    return body
