"""Runs of bytes compared and copied: what C does by the block, where a loop would go byte by byte.

The pure side; ``spans.pxd`` has the same functions for the compiled twins, inline. The caller answers for the
bounds: both runs lie within their buffers.
"""

from __future__ import annotations


def same(left: bytes, at: int, right: bytes, start: int, size: int) -> bool:
    """Whether ``size`` bytes from ``at`` in ``left`` are those from ``start`` in ``right``."""
    return left[at : at + size] == right[start : start + size]


def copy(target: bytearray, at: int, source: bytes, size: int) -> None:
    """Put the first ``size`` bytes of ``source`` into ``target`` from ``at`` on."""
    target[at : at + size] = source[:size]
