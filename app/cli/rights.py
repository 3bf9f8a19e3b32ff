"""Whose rights a command has in the service's folder. No command is made here, and no file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def of(folder: Path) -> Iterator[None]:
    """Root works in `folder` with the rights of whom it belongs to: what is made there is the service's own,
    and a link that somebody planted there leads to nothing that its owner could not reach.

    Where root may not give up its rights (a unit without that capability) it keeps them.
    """
    owner = _other_owner(folder)
    groups = os.getgroups()
    if owner is None or not _given_up(*owner):
        yield
        return
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _other_owner(folder: Path) -> tuple[int, int] | None:
    """User and group of `folder`, None where we are not root or it is root's."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return (found.st_uid, found.st_gid) if os.geteuid() == 0 and found.st_uid else None


def _given_up(user: int, group: int) -> bool:
    try:
        os.setgroups([])
    except PermissionError:
        return False
    os.setegid(group)
    os.seteuid(user)
    return True
