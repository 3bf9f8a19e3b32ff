"""The first call of a release's `__main__`: it runs from its folder, or it is the file and unpacks itself.

An installed command begins here each time, so nothing is imported that only the file needs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def begin(place: str) -> None:
    """`place` is the artifact, or the folder it was unpacked to.

    Returns when the release runs from a folder, with that folder's real path in front of `sys.path`; out of
    the file it becomes the unpacked program.
    """
    real = os.path.realpath(place)  # not the link to the current release, which may move under us
    if os.path.isdir(real):
        sys.path[0] = real
        return
    from app.update.artifact import become_unpacked

    become_unpacked(Path(real))
