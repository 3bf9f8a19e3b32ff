"""Versions of releases: dotted whole numbers, compared as numbers. A release is named version-digest."""

from __future__ import annotations

NONE = "0"  # below every release
PARTS_MAX = 4
DIGITS_MAX = 9


def parse(text: str) -> tuple[int, ...]:
    """The numbers of `text`, trailing zeros dropped so that 1.2 is 1.2.0. Raises ValueError."""
    parts = text.split(".") if isinstance(text, str) else []
    if not 1 <= len(parts) <= PARTS_MAX or not all(map(_is_number, parts)):
        raise ValueError(f"{text!r:.40} is no version: whole numbers with dots between them")
    numbers = [int(part) for part in parts]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) <= DIGITS_MAX


def version_of(release: str) -> str:
    """The version in a release folder's name; NONE when it has none that can be compared."""
    version = release.partition("-")[0]
    try:
        parse(version)
    except ValueError:
        return NONE
    return version
