"""Power cuts, many times: `python -m tests.power.rig FOLDER CASE...` prints a line for each.

Runs in a mount namespace of its own (`disk.alone`), so that nothing stays mounted. The cases:

random COUNT SYNCHRONOUS       of a journal at random moments; SYNCHRONOUS is its mode
each WORK CALL STRIDE FLUSH    at each STRIDEth CALL of a short run, and at its end. FLUSH is `kept`, `lied`
                               (the disk acknowledges a flush and does nothing) or a fault of
                               tests.power.files
fail WORK CALL STRIDE ERROR    no cut: that call fails with ERROR, once
full ROOM...                   no cut: the disk of a journal has ROOM KB left

WORK is `journal` or one of tests.power.files or tests.power.backups.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.guards import ROOT
from tests.power import backups, checking, files
from tests.power.disk import Disk, in_memory, strace

SEED = os.environ.get("PLIMSOLL_SEED", "")
LEDGER = (sys.executable, "-m", "tests.power.ledger")
ACKS = (1, 120)  # lines read between two cuts
SMALL_MB, DISK_MB = 16, 48  # of a disk that is to be full, and of any other
UPDATE_MB = 160  # an updater wants 100 MB free
STEPS = 4  # orders of each desk in a systematic run
FILE_STEPS = 2  # versions of a small file in one; an odd number for the mark, which is there or not
PATIENCE_S = 200  # for a program of ours under strace; it takes three seconds of an idle machine
WORKERS = 2  # cores that a CI's machine has at least
LYING = ("-e", "inject=fdatasync,fsync:retval=0")
JOURNAL = ("state.db", "state.db-wal", "market.db", "market.db-wal", "armed", "plimsoll.lock")


class Work(NamedTuple):
    """What is done while the power goes: `prepare(data)` before, `command(data)`, then `problems(data, what
    it said)`. Its calls on the files `names` in `data` count, or all of them. Its disk has `megabytes`.
    """

    prepare: Callable[[Path], None]
    command: Callable[[Path], list[str]]
    problems: Callable[[Path, list[checking.Line]], list[str]]
    names: Sequence[str]
    megabytes: int


def work_of(name: str, flush: str = "kept") -> Work:
    if name == "journal":
        return Work(
            lambda data: None,
            lambda data: [*LEDGER, str(data), "--steps", str(STEPS)],
            checking.problems,
            JOURNAL,
            DISK_MB,
        )
    if name in backups.KINDS:
        return Work(
            lambda data: backups.prepare(data, name),
            lambda data: [sys.executable, "-m", "tests.power.backups", str(data), name],
            lambda data, lines: backups.problems(data, name, lines),
            (),
            DISK_MB,
        )
    names = files.KINDS[name].names if name in files.KINDS else ()
    steps = str({files.UPDATE: 1, "mark": 3}.get(name, FILE_STEPS))
    return Work(
        lambda data: files.prepare(data, name),
        lambda data: [sys.executable, "-m", "tests.power.files", str(data), name, steps, flush],
        lambda data, lines: files.problems(data, name, lines),
        names,
        DISK_MB if names else UPDATE_MB,
    )


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
    work = work_of("journal")
    with Disk(folder, DISK_MB) as disk:
        process = subprocess.Popen(
            [*LEDGER, str(_data(disk, work)), "--synchronous", synchronous],
            cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        pipe = Pipe(process)
        try:
            for number in range(count):
                pipe.read(fresh.randint(*ACKS))
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
                pipe.read()
                print(_looked(f"{synchronous} {number}", disk, pipe.said, work), flush=True)
                process.send_signal(signal.SIGCONT)
        finally:
            process.kill()
            process.communicate()


def each(folder: Path, name: str, call: str, stride: int, flush: str) -> None:
    """A short run, ended at each `stride`th `call`, the power cut with it; the last one ends by itself."""
    work = work_of(name, flush)
    lying = LYING if flush == "lied" else ()
    most = _count(folder, work, call)

    def cut(number: int) -> str:
        own = folder / f"{call} {number}"
        with Disk(own, work.megabytes) as disk:
            kill = () if number > most else ("-e", f"inject={call}:signal=KILL:when={number}")
            done = _ended(own, work, _data(disk, work), f"{call},fdatasync,fsync", *lying, *kill)
            if done.returncode and number > most:
                raise RuntimeError(done.stderr.decode(errors="replace"))
            return _looked(f"{call} {number} of {most}", disk, done.stdout, work)

    _side_by_side(cut, (*range(1, most + 1, stride), most + 1))


def fail(folder: Path, name: str, call: str, stride: int, error: str) -> None:
    """A short run whose `number`th call fails. It must say so, and lose nothing."""
    work = work_of(name)
    most = _count(folder, work, call)

    def failed(number: int) -> str:
        own = folder / f"{call} {number}"
        data = own / "data"
        data.mkdir(parents=True)
        work.prepare(data)
        done = _ended(own, work, data, call, "-e", f"inject={call}:error={error}:when={number}")
        lines = checking.parsed(done.stdout)
        rude = _rude(done, lines) if name == "journal" else ()  # a command ends with its error
        return _verdict(f"{error} at {call} {number} of {most}", lines, [*rude, *work.problems(data, lines)])

    _side_by_side(failed, range(1, most + 1, stride))


def _side_by_side(case: Callable[[int], str], numbers: Iterable[int]) -> None:
    """A case for each number; their lines in order."""
    with ThreadPoolExecutor(WORKERS) as pool:
        for line in pool.map(case, numbers):
            print(line, flush=True)


def full(folder: Path, rooms: Sequence[str]) -> None:
    """A ledger on a disk that fills up. It must say so; with room again its journal opens and is whole."""
    for room in map(int, rooms):
        with Disk(folder / str(room), SMALL_MB) as disk:
            data = _data(disk, work_of("journal"))
            ballast = disk.root / "ballast"
            _fill(ballast, room)
            disk.sync()
            done = subprocess.run([*LEDGER, str(data)], cwd=ROOT, capture_output=True, timeout=PATIENCE_S)
            lines = checking.parsed(done.stdout)
            ballast.unlink()
            problems = [*_rude(done, lines), *checking.problems(data, lines)]
            print(_verdict(f"{room} KB of room", lines, problems), flush=True)


def _fill(ballast: Path, room: int) -> None:
    """Take all of the disk but `room` KB."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(65_536)):
            pass
    os.truncate(ballast, ballast.stat().st_size - room * 1024)


def _rude(done: subprocess.CompletedProcess[bytes], lines: list[checking.Line]) -> Iterator[str]:
    """An end without a word, or by an error that nobody handled."""
    if done.returncode or b"Traceback" in done.stderr:
        yield f"ended with {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}"
    elif not any(line.get("refused") or line.get("failed") for line in lines) and "closed" not in lines[-1]:
        yield f"said nothing of it: {lines[-1]}"


def _count(folder: Path, work: Work, call: str) -> int:
    """How often the most eager thread of a short run makes `call`: strace counts for each thread."""
    data = folder / "counted"
    data.mkdir(parents=True)
    work.prepare(data)
    _ended(folder, work, data, call)
    made = [line.split() for line in (folder / "log").read_text().splitlines()]
    threads = [words[0] for words in made if words[1].startswith(f"{call}(")]
    return max(map(threads.count, threads), default=0)


def _ended(
    folder: Path, work: Work, data: Path, calls: str, *injected: str
) -> subprocess.CompletedProcess[bytes]:
    """A short run under strace, which looks at the calls on the work's own files and their folder only."""
    scratch = [f".{name}.new" for name in work.names]
    paths = ["-P", str(data)] if work.names else []
    paths += [word for name in (*work.names, *scratch) for word in ("-P", str(data / name))]
    command = strace([*paths, "-e", f"trace={calls}", *injected], folder / "log")
    return subprocess.run(
        [*command, *work.command(data)],
        cwd=ROOT, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def _data(disk: Disk, work: Work) -> Path:
    """The work's folder on a fresh disk, which itself is no question of a cut."""
    data = disk.root / "data"
    data.mkdir()
    work.prepare(data)
    disk.sync()
    return data


def _looked(name: str, disk: Disk, said: bytes, work: Work) -> str:
    """The verdict on the disk as a power cut leaves it now."""
    lines = checking.parsed(said)
    with disk.cut() as root:
        return _verdict(name, lines, work.problems(root / "data", lines))


def _verdict(name: str, lines: list[checking.Line], problems: list[str]) -> str:
    acked = sum("ack" in line for line in lines)
    return json.dumps({"cut": name, "acked": acked, "problems": problems})


def main(folder: Path, case: str, *values: str) -> None:
    in_memory(folder)
    if case == "random":
        randomly(folder, int(values[0]), values[1])
    elif case == "full":
        full(folder, values)
    else:
        {"each": each, "fail": fail}[case](folder, values[0], values[1], int(values[2]), values[3])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
