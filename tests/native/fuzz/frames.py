"""Fuzz target `frames`: any bytes as a hub's stream, cut anywhere; the twins and the full decoder agree."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from app.venues.topstepx.codec import scanned
from native import frames_py
from tests.native.bad_input import FRAMES, MNQ, RECORD_END, TNOTE
from tests.native.test_frames import RECORDS, agrees

frames_c = importlib.import_module("native.frames_c")

LIMIT = 3_000  # bytes of a record: small, so that the fuzzer reaches it
MAX_INPUT = 4_096
SEEDS = FRAMES | {f"shape-{number}": one + RECORD_END for number, one in enumerate(RECORDS)}


def check(data: bytes) -> None:
    """Raise AssertionError when the twins differ, or the scanner and the decoder."""
    pieces = _cut(data)
    stories = [_story(twin, pieces) for twin in (frames_py, frames_c)]
    assert stories[0] == stories[1]
    for record in data.split(RECORD_END):
        assert agrees(frames_py, record) == agrees(frames_c, record)


def _cut(data: bytes) -> list[bytes]:
    """Pieces as a socket gives them: by a length that the input itself sets."""
    size = 1 + sum(data[:8]) * 7 % 900
    return [data[at : at + size] for at in range(0, len(data), size)]


def _story(twin: ModuleType, pieces: list[bytes]) -> list[Any]:
    """All that one twin says of the stream, up to its error if there is one."""
    followed = twin.Contracts()
    for contract in (MNQ, TNOTE):
        scanned.follow(followed, contract)
    reader, story = twin.Reader(followed, LIMIT), []
    for piece in pieces:
        try:
            kind = reader.feed(piece)
        except (OverflowError, ValueError) as error:
            return [*story, type(error), str(error)]
        while kind:
            story.append((kind, reader.record(), reader.rows, reader.more, _values(twin, reader, kind)))
            kind = reader.next()
    return story


def _values(twin: ModuleType, reader: Any, kind: int) -> Any:
    """Every slot of every row, as numbers: a text is where it stands."""
    if kind == twin.OTHER:
        return None
    rows = [[reader.number(row, at) for at in range(24)] for row in range(reader.rows)]
    return rows, [reader.action(row) for row in range(reader.rows)]
