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


def plain(target: bytearray, at: int, text: str, most: int) -> int:
    """Copy ``text`` if it is at most ``most`` characters of printable ASCII, no quote, no backslash.

    Returns its length; -1 for anything else, and what ``target`` holds from ``at`` on is undefined then.
    """
    if len(text) > most or not text.isascii() or not text.isprintable() or '"' in text or "\\" in text:
        return -1
    target[at : at + len(text)] = text.encode()
    return len(text)


def cut(source: bytearray, size: int) -> bytes:
    """The first ``size`` bytes of ``source``, as an object of their own."""
    return bytes(source[:size])
