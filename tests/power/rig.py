"""Power cuts of the journal, many times: `python -m tests.power.rig FOLDER CASE...` prints a line a cut.

Runs in a mount namespace of its own (`disk.alone`), so that nothing stays mounted. The cases:

random COUNT SYNCHRONOUS   at random moments; SYNCHRONOUS is the journal's mode
each CALL STRIDE FLUSH     at each STRIDEth CALL of a short run; FLUSH is `kept`, or `lied`: a disk that
                           acknowledges a flush and does nothing
fail CALL STRIDE ERROR     no cut: that call fails with ERROR, once
full ROOM...               no cut: the disk has ROOM KB left
"""

from __future__ import annotations

import json
import os
import random
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tests.conftest import SEED
from tests.guards import ROOT
from tests.power import checking
from tests.power.disk import Disk, strace

LEDGER = (sys.executable, "-m", "tests.power.ledger")
ACKS = (1, 120)  # lines read between two cuts
SMALL_MB = 16  # of a disk that is to be full
STEPS = 4  # orders of each desk in a systematic run
PATIENCE_S = 60
LYING = ("-e", "inject=fdatasync,fsync:retval=0")
OWN = ("", "state.db", "state.db-wal", "market.db", "market.db-wal", "armed", "plimsoll.lock")


class Pipe:
    """What a ledger has said so far. `read` takes what is there, or waits for `lines` more."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._file = process.stdout.fileno()
        os.set_blocking(self._file, False)
        self.said = b""

    def read(self, lines: int = 0) -> None:
        wanted = self.said.count(b"\n") + lines
        with selectors.DefaultSelector() as selector:
            selector.register(self._file, selectors.EVENT_READ)
            while selector.select(PATIENCE_S if self.said.count(b"\n") < wanted else 0):
                data = os.read(self._file, 65_536)
                if not data:
                    return
                self.said += data


def randomly(folder: Path, count: int, synchronous: str) -> None:
    """One ledger, cut at random moments while it goes on; each cut is a disk to look at."""
    fresh = random.Random(f"{SEED} {synchronous}")
    with Disk(folder) as disk:
        process = subprocess.Popen(
            [*LEDGER, str(_data(disk)), "--synchronous", synchronous],
            cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        pipe = Pipe(process)
        try:
            for number in range(count):
                pipe.read(fresh.randint(*ACKS))
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
                pipe.read()
                _tell(f"{synchronous} {number}", disk, pipe.said)
                process.send_signal(signal.SIGCONT)
        finally:
            process.kill()
            process.communicate()


def each(folder: Path, call: str, stride: int, flush: str) -> None:
    """A short ledger, ended at each `stride`th `call` on its folder, the power cut with it."""
    lying = LYING if flush == "lied" else ()
    most = _count(folder, call)
    for number in range(1, most + 1, stride):
        with Disk(folder / f"{call} {number}") as disk:
            data = _data(disk)
            injected = (*lying, "-e", f"inject={call}:signal=KILL:when={number}")
            said = _ended(folder, data, f"{call},fdatasync,fsync", *injected).stdout
            _tell(f"{call} {number} of {most}", disk, said)


def fail(folder: Path, call: str, stride: int, error: str) -> None:
    """A short ledger whose `number`th call fails. It must say so, end in order, and lose nothing."""
    most = _count(folder, call)
    for number in range(1, most + 1, stride):
        data = folder / f"{call} {number}"
        data.mkdir()
        done = _ended(folder, data, call, "-e", f"inject={call}:error={error}:when={number}")
        lines = checking.parsed(done.stdout)
        problems = [*_rude(done, lines), *checking.problems(data, lines)]
        _say(f"{error} at {call} {number} of {most}", lines, problems)


def full(folder: Path, rooms: Sequence[str]) -> None:
    """A ledger on a disk that fills up. It must say so; with room again its journal opens and is whole."""
    for room in map(int, rooms):
        with Disk(folder / str(room), SMALL_MB) as disk:
            data = _data(disk)
            ballast = disk.root / "ballast"
            _fill(ballast, room)
            done = subprocess.run([*LEDGER, str(data)], cwd=ROOT, capture_output=True, timeout=PATIENCE_S)
            lines = checking.parsed(done.stdout)
            ballast.unlink()
            problems = [*_rude(done, lines), *checking.problems(data, lines)]
            _say(f"{room} KB of room", lines, problems)


def _fill(ballast: Path, room: int) -> None:
    """Take all of the disk but `room` KB."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(65_536)):
            pass
    os.truncate(ballast, ballast.stat().st_size - room * 1024)
    os.sync()


def _rude(done: subprocess.CompletedProcess[bytes], lines: list[checking.Line]) -> Iterator[str]:
    """An end without a word, or by an error that nobody handled."""
    if done.returncode or b"Traceback" in done.stderr:
        yield f"ended with {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}"
    elif not any(line.get("refused") or line.get("failed") for line in lines) and "closed" not in lines[-1]:
        yield f"said nothing of it: {lines[-1]}"


def _count(folder: Path, call: str) -> int:
    """How often the most eager thread of a short ledger makes `call`: strace counts for each thread."""
    data = folder / "counted"
    data.mkdir()
    _ended(folder, data, call)
    made = [line.split() for line in (folder / "log").read_text().splitlines()]
    threads = [words[0] for words in made if words[1].startswith(f"{call}(")]
    return max(map(threads.count, threads))


def _ended(folder: Path, data: Path, calls: str, *injected: str) -> subprocess.CompletedProcess[bytes]:
    """A short ledger under strace, which looks at the calls on the journal's own files and folder only."""
    paths = [word for name in OWN for word in ("-P", str(data / name))]
    command = strace([*paths, "-e", f"trace={calls}", *injected], folder / "log")
    return subprocess.run(
        [*command, *LEDGER, str(data), "--steps", str(STEPS)],
        cwd=ROOT, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def _data(disk: Disk) -> Path:
    """The journal's folder on a fresh disk, which itself is no question of a cut."""
    data = disk.root / "data"
    data.mkdir()
    os.sync()
    return data


def _tell(name: str, disk: Disk, said: bytes) -> None:
    lines = checking.parsed(said)
    with disk.cut() as root:
        _say(name, lines, checking.problems(root / "data", lines))


def _say(name: str, lines: list[checking.Line], problems: list[str]) -> None:
    acked = sum("ack" in line for line in lines)
    print(json.dumps({"cut": name, "acked": acked, "problems": problems}), flush=True)


def main(folder: Path, case: str, *values: str) -> None:
    if case == "random":
        randomly(folder, int(values[0]), values[1])
    elif case == "full":
        full(folder, values)
    else:
        {"each": each, "fail": fail}[case](folder, values[0], int(values[1]), values[2])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
