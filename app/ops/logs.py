"""Logging set-up: one line an event on standard error, where systemd's journal takes it. No files."""

from __future__ import annotations

import logging
import sys

LINE_LIMIT = 2_000  # characters of one message: a peer's words are cut long before


class _OneLine(logging.Formatter):
    """A message can never look like two: line breaks inside it are shown, a traceback keeps its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        return line.replace("\r", "\\r").replace("\n", "\\n")[:LINE_LIMIT]


def set_up(level: int = logging.INFO, *, stamped: bool = False) -> None:
    """Send every log line to standard error; `stamped` adds the time where no systemd does."""
    handler = logging.StreamHandler(sys.stderr)
    stamp = "%(asctime)s " if stamped else ""
    handler.setFormatter(_OneLine(f"{stamp}%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
