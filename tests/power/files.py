"""The small files that must be old or new: each is written version after version by the product's own code.

`python -m tests.power.files FOLDER KIND STEPS FLUSH` says on standard output what it tries and what is done,
as the ledger does. `update` is a whole update of a board whose service is a file. FLUSH `folders` and `none`
are planted faults: a program that flushes nothing but folders, or nothing at all.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from app.store.mark import MARK_FILE, ArmedMark
from app.update import state, switch
from app.update.state import Ota
from app.web.claim import CODE_FILE
from app.web.login import PASSWORD_FILE, PasswordFile, replace_file
from tests.power.checking import LOST, Line
from tests.power.ledger import say

if TYPE_CHECKING:
    from tests.update.worlds import Board

NEWEST = 6  # versions that a file may have
UPDATE = "update"


class Kind(NamedTuple):
    """`write(folder, n)` brings version n; `found(folder)` says which is there, or raises what is wrong.
    `names` are the files that it writes.
    """

    write: Callable[[Path, int], None]
    found: Callable[[Path], int]
    names: tuple[str, ...]


def _password_found(folder: Path) -> int:
    file = PasswordFile(folder / PASSWORD_FILE)
    return next(n for n in range(NEWEST + 1) if file.verify(f"password {n}"))


def _ota_found(folder: Path) -> int:
    ota, problem = state.load(folder, "")
    if problem or ota != _ota(ota.tries):
        raise ValueError(problem or f"a mix: {ota}")
    return ota.tries


def _ota(version: int) -> Ota:
    return Ota(good=f"0.{version}.0-aa", bad=(f"0.{version}.1-bb",) * version, tries=version)


def _link(folder: Path, version: int) -> None:
    (folder / switch.RELEASES / f"0.{version}.0-aa").mkdir(parents=True, exist_ok=True)
    switch.switch(folder, f"0.{version}.0-aa")


def _mark(folder: Path, version: int) -> None:
    """Even versions are armed."""
    mark = ArmedMark(folder)
    if version % 2:
        mark.remove_now()
    else:
        asyncio.run(mark.make())


KINDS = {
    "password": Kind(
        lambda folder, n: PasswordFile(folder / PASSWORD_FILE).write(f"password {n}"),
        _password_found,
        (PASSWORD_FILE,),
    ),
    "code": Kind(
        lambda folder, n: replace_file(folder / CODE_FILE, b"%d" % n * 5_000),
        lambda folder: _uniform((folder / CODE_FILE).read_bytes()),
        (CODE_FILE,),
    ),
    "ota": Kind(lambda folder, n: state.save(folder, _ota(n)), _ota_found, (state.FILE,)),
    "link": Kind(_link, lambda folder: int(switch.linked(folder).split(".")[1]), (switch.CURRENT,)),
    "mark": Kind(_mark, lambda folder: 0 if (folder / MARK_FILE).exists() else 1, (MARK_FILE,)),
}


def _uniform(data: bytes) -> int:
    if len(data) != 5_000 or len(set(data)) != 1:
        raise ValueError(f"a mix of {len(data)} bytes")
    return int(data[:1])


def _board(folder: Path) -> Board:
    from tests.update.worlds import Board  # with all of The Update Framework: only where it is needed

    return Board(folder)


def prepare(folder: Path, kind: str) -> None:
    """Version 0, before anything is cut."""
    if kind == UPDATE:
        _board(folder).install()
    else:
        KINDS[kind].write(folder, 0)


def problems(folder: Path, kind: str, lines: list[Line]) -> list[str]:
    """What is wrong after a cut, in words: neither old nor new, or old though the new was acknowledged."""
    if kind == UPDATE:
        return _update_problems(folder, lines)
    allowed = {0}
    for line in lines:
        allowed = {line["ack"]} if "ack" in line else allowed | {line["try"]}
    try:
        found = KINDS[kind].found(folder)
    except Exception as error:
        return [f"{LOST}neither old nor new: {error!r}"]
    if kind == "mark":
        allowed = {version % 2 for version in allowed}
    return [] if found in allowed else [f"{LOST}version {found}, it must be one of {allowed}"]


def _update_problems(folder: Path, lines: list[Line]) -> list[str]:
    """What boots is whole, and new once the update was told as committed."""
    board = _board(folder)
    board.world.running.unlink(missing_ok=True)  # nothing runs when power is back
    try:
        board.boot()
    except Exception as error:
        return [f"{LOST}the boot: {error!r}"]
    new = board.linked == board.name("0.2.0")
    if not board.consistent():
        return [f"{LOST}a mix: {board.ota}, linked {board.linked}"]
    return [f"{LOST}old after the commit"] if lines[-1:] == [{"ack": 1}] and not new else []


def forget_flushes(flush: str) -> None:
    """Plant the fault."""
    flushed = os.fsync

    def careless(handle: int) -> None:
        if flush == "folders" and stat.S_ISDIR(os.fstat(handle).st_mode):
            flushed(handle)

    if flush in ("folders", "none"):
        os.fsync = careless  # type: ignore[assignment]


def main(folder: Path, kind: str, steps: int) -> None:
    for version in range(1, steps + 1):
        say({"try": version})
        if kind == UPDATE:
            _board(folder).apply()
        else:
            KINDS[kind].write(folder, version)
        say({"ack": version})


if __name__ == "__main__":
    forget_flushes(sys.argv[4])
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
