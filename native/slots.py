"""Attributes of slotted objects read where they lie: such an object is a C struct, its slots are its fields.

The pure side looks them up by name; ``slots.pxd`` has the same functions for the compiled twins, inline, by
offset. The caller answers for the class: ``owner`` is of exactly the class that its place was found in.
"""

from __future__ import annotations

from types import MemberDescriptorType
from typing import Any

import native.int64 as int64


def place(kind: type, name: str) -> Any:
    """Where objects of ``kind`` keep ``name``: what ``read`` wants. Raises TypeError when it is no slot."""
    if type(vars(kind).get(name)) is not MemberDescriptorType:
        raise TypeError(f"{kind.__name__}.{name} is not a slot")
    return name


def read(owner: Any, where: Any) -> Any:
    """What lies at ``where``. Raises AttributeError when nothing does."""
    try:
        return getattr(owner, where)
    except AttributeError:
        raise AttributeError("nothing was put into a slot") from None


def number(owner: Any, where: Any) -> int:
    """The integer at ``where``. OverflowError outside signed 64 bits, TypeError for what is no integer."""
    return int64.whole(read(owner, where))


def alike(left: str, right: str) -> bool:
    """Whether two texts are equal; in C their lengths tell most apart."""
    return left == right
