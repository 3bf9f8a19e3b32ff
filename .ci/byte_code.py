"""Byte code for every source below a folder, made by whatever Python runs this: `byte_code.py FOLDER`.

Standard library only. Each file is compiled by a fork that has compiled nothing before: what a process has
compiled already decides which of its constants are shared, and so the bytes of what it compiles next.
"""

from __future__ import annotations

import compileall
import os
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

SEEN_AS = "/plimsoll"  # in tracebacks, wherever the folder lies


def main(folder: Path) -> int:
    files = sorted(path for path in folder.rglob("*.py") if path.is_file() and not path.is_symlink())
    free, failed = os.cpu_count() or 1, False
    for file in files:
        if free == 0:
            failed |= os.wait()[1] != 0
            free += 1
        if os.fork() == 0:
            os._exit(not _compiled(file, folder))
        free -= 1
    for _ in range((os.cpu_count() or 1) - free):
        failed |= os.wait()[1] != 0
    return int(failed)


def _compiled(file: Path, folder: Path) -> bool:
    """Never checked against its source nor written again: release folders are read-only."""
    mode = PycInvalidationMode.UNCHECKED_HASH
    done = compileall.compile_file(file, quiet=1, stripdir=folder, prependdir=SEEN_AS, invalidation_mode=mode)
    sys.stdout.flush()
    return bool(done)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
