"""What the updater says: one line a decision in its audit, and a status that anybody may read.

The trading process shows the status on page, command line and lights; it never asks the updater.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from app import durable
from app.clock import Clock
from app.errors import clean

AUDIT = "audit.jsonl"
STATUS = "status.json"
AUDIT_LIMIT = 1_000_000  # bytes, some 5,000 lines; then one older file is kept
STATUS_LIMIT = 65_536  # bytes
TEXT_LIMIT = 300  # characters of one text
WORKING, FAILED, QUIET = "working", "failed", ""  # what the lights show


class Teller:
    """Says things durably in `folder`. What cannot be written is not said: a full disk must not keep an
    update from going back.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock

    def decided(self, what: str, words: str, **facts: object) -> None:
        """A line of the audit."""
        row = {"at_ns": self._clock.wall_ns(), "what": what, "words": clean(words, TEXT_LIMIT), **facts}
        with suppress(OSError):
            self._append(json.dumps(row).encode() + b"\n")

    def status(self, doing: str, words: str, light: str = QUIET, **facts: object) -> None:
        """What it does now ("" = nothing), the last outcome in words, and what the lights show."""
        document = {
            "doing": clean(doing, TEXT_LIMIT),
            "words": clean(words, TEXT_LIMIT),
            "light": light,
            "at_ns": self._clock.wall_ns(),
            **facts,
        }
        data = json.dumps(document, indent=1).encode() + b"\n"
        with suppress(OSError):
            durable.write(self._folder / STATUS, data)

    def _append(self, line: bytes) -> None:
        path = self._folder / AUDIT
        if path.exists() and path.stat().st_size + len(line) > AUDIT_LIMIT:
            path.replace(path.with_name(f"{AUDIT}.1"))
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)


def told(folder: Path) -> dict[str, Any]:
    """The status in `folder`, safe to show; empty when there is none that can be read."""
    try:
        document = json.loads(durable.read(folder / STATUS, STATUS_LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or not isinstance(document.get("at_ns", 0), int):
        return {}
    return {
        key: clean(value, TEXT_LIMIT) if isinstance(value, str) else value for key, value in document.items()
    }
