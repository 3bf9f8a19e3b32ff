"""Job `wire_encode`: a frame of the board link made from its fields; nanoseconds per frame.

Python makes a new bytes object from six integers and a tuple, one call a frame, the Python loop included. Go
makes a new slice from a typed struct, C writes into memory it already has. Each frame is dropped once made.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from native import wire_py
from tests.bench import wire_frames
from tests.bench.figures import Row
from tests.bench.side_by_side import Inside, compare, compile_c, compile_go, promise

MODULES = {"pure": wire_py, "cython": importlib.import_module("native.wire_c")}


def measure() -> list[Row]:
    """One row."""
    frames = wire_frames.made()
    file = wire_frames.written(frames)
    inside = {
        name: Inside(_encode(module, frames), _text(module, frames)) for name, module in MODULES.items()
    }
    peers = {"c": (compile_c("wire"), file, "encode"), "go": (compile_go("wire"), file, "encode")}
    return [promise(compare("wire_encode", inside, peers, len(frames)), "ratio_go", 1.6)]


def _encode(module: ModuleType, frames: list[wire_frames.Fields]) -> Any:
    encode = module.encode

    def work() -> None:
        for fields in frames:
            encode(*fields)

    return work


def _text(module: ModuleType, frames: list[wire_frames.Fields]) -> Any:
    return lambda _: b"".join(module.encode(*fields) for fields in frames).hex()
