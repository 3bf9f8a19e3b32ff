"""A disk that is full from one operation on, for each of them: `python -m tests.update.filling FOLDER` prints
a line a case. Each case is a process of its own, which this one forks, for audit hooks stay where they are.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from app.errors import PlimsollError
from app.update.artifact import Damaged
from tests.update.worlds import Board

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NEEDS_SPACE = frozenset({"os.mkdir", "os.rename", "os.symlink", "os.link", "os.truncate"})
STEP = 5  # every fifth operation; all of them take five times as long and find no more


def main(folder: Path) -> None:
    for behaviour in ("", "crash loop"):
        most = _in_child(partial(_update, _board(folder / f"counted {behaviour}"), behaviour, 0))
        for first in range(1, most + 1, STEP):
            board = _board(folder / f"{behaviour} {first}")
            _in_child(partial(_update, board, behaviour, first))
            print(json.dumps(_end(board, behaviour, first)), flush=True)


def _board(folder: Path) -> Board:
    folder.mkdir(parents=True)
    return Board(folder).install()


def _update(board: Board, behaviour: str, first: int) -> int:
    """An update on a disk that is full from the operation `first` on, 0 = never; how many there were."""
    board.world.behaviour["0.2.0"] = behaviour or "well"
    count = _watch(first)
    with suppress(OSError, PlimsollError, Damaged):
        board.apply()
    return count()


def _end(board: Board, behaviour: str, first: int) -> dict[str, object]:
    """What ran on the full disk, and whether all is well once there is space again."""
    known = {board.name("0.1.0"): "old", board.name("0.2.0"): "new"}
    ran, linked = known.get(board.world.runs, "nothing"), known.get(board.linked, "nothing")
    board.world.behaviour["0.2.0"] = behaviour or "well"
    board.world.running.unlink(missing_ok=True)
    board.boot()
    case = {"behaviour": behaviour, "first": first, "ran": ran, "linked": linked}
    return {**case, "consistent": board.consistent(), "at last": known[board.linked]}


def _watch(first: int) -> Callable[[], int]:
    count = 0

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        opening = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        ours = not str(arguments[0]).endswith("running") if arguments else False  # that file is the service
        if ours and (opening or event in NEEDS_SPACE):
            count += 1
            if first and count >= first:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sys.addaudithook(audit)
    return lambda: count


def _in_child(work: Callable[[], int]) -> int:
    """The number that `work` returns in a process of its own."""
    reading, writing = os.pipe()
    if not os.fork():
        try:
            said = str(work())
        except BaseException as error:
            said = ""
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.wait()
    if not said:
        raise SystemExit("the updater failed; see above")
    return int(said)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
