"""Runs of bytes compared, copied and read: what C does by the block, or byte by byte without asking twice.

The pure side; ``spans.pxd`` has the same functions for the compiled twins, inline. The caller answers for the
bounds: runs lie within their buffers, and something in the buffer ends those that are looked for.
"""

from __future__ import annotations


def same(left: bytes, at: int, right: bytes | bytearray, start: int, size: int) -> bool:
    """Whether ``size`` bytes from ``at`` in ``left`` are those from ``start`` in ``right``."""
    return left[at : at + size] == right[start : start + size]


def copy(target: bytearray, at: int, source: bytes, size: int) -> None:
    """Put the first ``size`` bytes of ``source`` into ``target`` from ``at`` on."""
    target[at : at + size] = source[:size]


def keep(target: bytearray, source: bytes, at: int, size: int) -> None:
    """Put ``size`` bytes of ``source`` from ``at`` on into the beginning of ``target``."""
    target[:size] = source[at : at + size]


def text(source: bytes | bytearray, at: int, size: int) -> str:
    """``size`` bytes from ``at`` on as text. Raises UnicodeDecodeError unless they are UTF-8."""
    return source[at : at + size].decode("utf-8")


def zero(source: bytes, size: int) -> int:
    """Where the first zero of the first ``size`` bytes stands, -1 when there is none."""
    return source.find(0, 0, size)


def digits(source: bytes, at: int, most: int, number: list[int]) -> int:
    """Read the digits from ``at`` on into ``number[0]``; where they end, ``at`` when there are none or more
    than ``most`` (18 at the most).
    """
    end = at
    while 48 <= source[end] <= 57:
        end += 1
    if not 0 < end - at <= most:
        return at
    number[0] = int(source[at:end])
    return end


def odd_one(source: bytes, at: int, size: int) -> int:
    """Where from ``at`` on the first byte stands that is no printable ASCII, or a quote or backslash.

    ``size`` is that of ``source``, which holds such a byte behind ``at``.
    """
    while 32 <= source[at] <= 126 and source[at] != 34 and source[at] != 92:
        at += 1
    return at


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


def nearly(number: int, factor: float) -> int:
    """About ``number * factor``, exactly for a positive number whose product is whole and below 2**50."""
    return int(number * factor + 0.5)
