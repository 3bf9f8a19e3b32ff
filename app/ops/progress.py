"""What the updater is doing, from the file in which it says so. Read only; the updater is another program."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from app.clock import NS, Clock, pause
from app.errors import clean

STATUS_FILE = "status.json"  # in the folder that systemd made for the service below /run
FOLDER = "RUNTIME_DIRECTORY"
FILE_LIMIT = 4_096  # bytes; it is a line
LOOK_NS = 1 * NS  # between two looks for the lights: a person watches them
WORDS_LIMIT = 80  # characters of the line that are shown


def doing() -> str:
    """The updater's own words while it works ("downloading 0.2.0"), "" when it does or says nothing."""
    folder = os.environ.get(FOLDER, "").partition(":")[0]
    if not folder:
        return ""
    try:
        with (Path(folder) / STATUS_FILE).open("rb") as file:
            told = msgspec.json.decode(file.read(FILE_LIMIT))
    except (OSError, ValueError):
        return ""
    words = told.get("doing", "") if isinstance(told, dict) else ""
    return clean(words, WORDS_LIMIT) if isinstance(words, str) else ""


async def watch(told: Callable[[bool], None], clock: Clock) -> None:
    """Say every second whether an update is under way, until cancelled."""
    while True:
        told(bool(doing()))
        await pause(clock, LOOK_NS)
