"""Kills a real updater process, many times: `python -m tests.update.killing FOLDER` prints a line a case.

Each case is a process of its own that this one forks, so that Python starts once; it ends itself with SIGKILL
at a numbered step, or at a random file operation. Then another process, as after a power cut, goes on.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from app.update.decide import Step
from app.update.run import Driver
from tests.update.worlds import Board

SEED = 20131007
RANDOM_CASES = 50
OPERATIONS = ("open", "os.")  # audited events: each is a moment between two changes on the disk
FORWARD = [step for step in Step if Step.UNPACK <= step <= Step.COPY]
WAY_BACK = [step for step in Step if step >= Step.BACK]
MOST_BOOTS = 5


def main(folder: Path) -> None:
    moments, fresh = _operations(folder / "counted", ""), random.Random(SEED)
    moments_back = _operations(folder / "counted back", "crash loop")
    cases: list[tuple[str, str, Step | None, int]] = []
    cases += [(f"step {step.name}", "", step, 0) for step in FORWARD]
    cases += [(f"step {step.name}", "crash loop", step, 0) for step in WAY_BACK]
    for number in range(RANDOM_CASES):
        behaviour = "crash loop" if number % 3 == 2 else ""
        most = moments_back if behaviour else moments
        cases.append((f"moment {number}", behaviour, None, fresh.randrange(1, most)))
    for number, (name, behaviour, step, moment) in enumerate(cases):
        print(json.dumps(_case(folder / str(number), name, behaviour, step, moment)), flush=True)


def _operations(folder: Path, behaviour: str) -> int:
    """How many file operations a whole update takes."""
    board = _board(folder, behaviour)
    read, write = os.pipe()
    if not os.fork():
        count = _watch(lambda number: None)
        board.apply()
        os.write(write, str(count()).encode())
        os._exit(0)
    os.close(write)
    os.wait()
    return int(os.read(read, 20))


def _case(folder: Path, name: str, behaviour: str, step: Step | None, moment: int) -> dict[str, object]:
    board = _board(folder, behaviour)
    killed = _ended_by_kill(lambda: _update(board, step, moment))
    reboot = name.startswith("moment") and moment % 2 == 0
    boots = 0
    while boots < MOST_BOOTS:
        boots += 1
        if reboot:
            board.world.running.unlink(missing_ok=True)
        if not _ended_by_kill(lambda: board.boot()):
            break
    return {
        "case": name,
        "behaviour": behaviour,
        "killed": killed,
        "boots": boots,
        "consistent": board.consistent(),
        "linked": "new" if board.linked == board.name("0.2.0") else "old",
    }


def _board(folder: Path, behaviour: str) -> Board:
    folder.mkdir(parents=True)
    board = Board(folder).install()
    board.world.behaviour["0.2.0"] = behaviour or "well"
    return board


def _update(board: Board, step: Step | None, moment: int) -> None:
    def kill(count: int) -> None:
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    if step is None:
        _watch(kill)
    board.apply(driver=_driver(board, step))


def _driver(board: Board, last: Step | None) -> Driver:
    def kill(step: Step) -> None:
        if step is last:
            os.kill(os.getpid(), signal.SIGKILL)

    return board.driver(kill)


def _watch(on_operation: Callable[[int], None]) -> Callable[[], int]:
    count = 0

    def audit(event: str, _arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event.startswith(OPERATIONS):
            count += 1
            on_operation(count)

    sys.addaudithook(audit)
    return lambda: count


def _ended_by_kill(work: Callable[[], object]) -> bool:
    process = os.fork()
    if not process:
        try:
            work()
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("the updater failed; see above")
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
