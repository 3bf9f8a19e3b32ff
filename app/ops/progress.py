"""What the updater is doing and how its last try ended, from the files in which it says so. Read only; the
updater is another program.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from app.clock import NS, Clock, SystemClock, pause
from app.engine.snapshot import UpdateView
from app.errors import clean

FOLDER = "PLIMSOLL_UPDATES"  # its unit names the updater's folder; without it nothing is told
STATUS_FILE = "status.json"
LOOKED_FILE = "downloads/status.json"  # of the look for a release, which has no right to write the other
FILE_LIMIT = 4_096  # bytes; it is a line
LOOK_NS = 1 * NS  # between two looks for the lights: a person watches them
WORDS_LIMIT = 80  # characters of the line that is shown
SENTENCE_LIMIT = 200
FAILED = "failed"  # the light of a release that did not stay
# A failure that the owner was told of for a day is told no more; nor is a wait that nobody went on with.
NEWS_NS = 24 * 3_600 * NS


def look(wall_ns: int) -> UpdateView:
    """The updater's own words; nothing where it says nothing, or nothing that makes sense."""
    folder = os.environ.get(FOLDER, "")
    if not folder:
        return UpdateView()
    now, looked = (_told(Path(folder) / name) for name in (STATUS_FILE, LOOKED_FILE))
    at_ns = now.get("at_ns")
    news = not isinstance(at_ns, int) or wall_ns - at_ns < NEWS_NS
    return UpdateView(
        doing=_words(now, "doing", WORDS_LIMIT) or _words(looked, "doing", WORDS_LIMIT),
        failed=_words(now, "words", SENTENCE_LIMIT) if now.get("light") == FAILED and news else "",
        looked=_words(looked, "words", SENTENCE_LIMIT) if looked.get("rule") else "",
        waits=_words(now, "words", SENTENCE_LIMIT) if now.get("overdue") is True and news else "",
    )


def _told(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            told = msgspec.json.decode(opened.read(FILE_LIMIT))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _words(told: dict[str, object], key: str, limit: int) -> str:
    words = told.get(key, "")
    return clean(words, limit) if isinstance(words, str) else ""


async def watch(told: Callable[[UpdateView], None], clock: Clock) -> None:
    """Say every second what the updater says, until cancelled. Its own times are the machine's."""
    machine = SystemClock()
    while True:
        told(look(machine.wall_ns()))
        await pause(clock, LOOK_NS)
