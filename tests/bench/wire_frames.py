"""What the jobs `wire_encode` and `wire_decode` share: a hundred frames of the board link.

The payload has eight fields of every kind that the link may carry; a frame is about 45 bytes on the wire.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from native import wire_py
from tests.bench.side_by_side import BUILT

FRAMES = 100
CAUSES = ("kill", "silence", "wire", "watchdog")

Fields = tuple[int, int, int, int, int, int, tuple[Any, ...]]


def made() -> list[Fields]:
    """Arguments of `encode`, the same in every run."""
    chance = random.Random(20261120)
    session = chance.getrandbits(32)
    return [_fields(chance, session, 60000 + index) for index in range(FRAMES)]


def _fields(chance: random.Random, session: int, index: int) -> Fields:
    payload = (
        chance.randrange(20),
        chance.randrange(5000),
        chance.randrange(-50_000, 50_000),
        chance.random() < 0.5,
        None,
        chance.randbytes(4),
        chance.choice(CAUSES),
        chance.getrandbits(32),
    )
    return chance.randrange(1, 8), 1, session, index & 0xFFFF, index - 1 & 0xFFFF, 50 * index, payload


def written(frames: list[Fields]) -> Path:
    """The file that the peers read."""
    BUILT.mkdir(parents=True, exist_ok=True)
    file = BUILT / "wire_frames.bin"
    file.write_bytes(b"".join(wire_py.encode(*fields) for fields in frames))
    return file


def shown(fields: Fields) -> str:
    """One decoded frame as the peers print it."""
    trip, count, drift, armed, _, token, cause, uptime = fields[-1]
    more = (trip, count, drift, str(armed).lower(), token.hex(), cause, uptime)
    return ",".join(map(str, (*fields[:-1], *more))) + ";"
