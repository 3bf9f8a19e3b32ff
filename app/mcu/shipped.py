"""What the firmware of this release greets with: read from the list that the release carries.

A checkout carries none, for its firmware changes with every line; then nothing is known and nothing compared.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from app.errors import clean
from app.mcu.images import Hex64

FILE = Path(__file__).resolve().parents[2] / "board" / "firmware.json"  # as board/targets.py names it
FILE_LIMIT = 4_096  # bytes; it has some 300

log = logging.getLogger("plimsoll.board")


class Shipped(msgspec.Struct, frozen=True):
    """The link's version, and the hash by target as WELCOME names it (`messages.TARGETS`)."""

    protocol_version: int = 0
    firmware: dict[str, Hex64] = {}


def read(file: Path | None = None) -> Shipped:
    """The release's list; an empty one where there is none, and where it cannot be read, which is logged."""
    file = file or FILE
    try:
        with file.open("rb") as stream:
            return msgspec.json.decode(stream.read(FILE_LIMIT), type=Shipped)
    except FileNotFoundError:
        return Shipped()
    except (OSError, msgspec.DecodeError) as error:
        log.warning("firmware is compared with nothing: %s: %s", file, clean(error))
        return Shipped()
