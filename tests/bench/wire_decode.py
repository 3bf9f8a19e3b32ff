"""Job `wire_decode`: a frame of the board link received and taken apart; nanoseconds per frame.

Python makes a frame object with a tuple of values, one call a frame, the Python loop included. Go fills a
typed struct with a slice and a string of its own, C a struct with arrays inside. Each frame is dropped once
read, as the link does.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tests.bench import wire_frames
from tests.bench.figures import Row
from tests.bench.side_by_side import Inside, compare, compile_c, compile_go, promise
from tests.bench.wire_encode import MODULES


def measure() -> list[Row]:
    """One row."""
    frames = wire_frames.made()
    file = wire_frames.written(frames)
    lines = [line + b"\0" for line in file.read_bytes().split(b"\0")[:-1]]
    inside = {name: Inside(_decode(module, lines), _text(module, lines)) for name, module in MODULES.items()}
    peers = {"c": (compile_c("wire"), file, "decode"), "go": (compile_go("wire"), file, "decode")}
    return [promise(compare("wire_decode", inside, peers, len(frames)), "ratio_go", 1.6)]


def _decode(module: ModuleType, lines: list[bytes]) -> Any:
    feed = module.Decoder().feed

    def work() -> None:
        for line in lines:
            feed(line)

    return work


def _text(module: ModuleType, lines: list[bytes]) -> Any:
    feed = module.Decoder().feed
    return lambda _: "".join(wire_frames.shown(frame.fields()) for line in lines for frame in feed(line))
