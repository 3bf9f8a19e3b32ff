"""One file to install: ours beside what other tools make of the very same files. Size, start, memory, and
what each start writes to a disk that wears.

Every contender holds the release's own folder: program, packages, compiled modules, byte code. `installed` is
the release as the service starts it, unpacked once by `plimsoll install`; the others as that tool means it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.update.artifact import unpack
from tests.bench.appliance import (
    ROOT,
    Child,
    Notified,
    environment,
    rss_mb,
    service,
    simulator,
    write_settings,
)
from tests.bench.figures import Row

JOB = "artifact"
TOOLS = ("shiv==1.0.8", "pex==2.105.2", "pyinstaller==6.22.3")
ROUNDS = 7
MAKE_S = 600  # our own file takes the longest: it compiles
PYTHON = getattr(sys, "_base_executable", sys.executable)  # the system's, which the files are for
MB = 1e6
COLLECT = ("app", "native", "tuf", "securesystemslib", "tzdata")  # imported by name, so not found by itself
Words = list[str]


@dataclass(frozen=True, slots=True)
class Contender:
    """How one is made of the folder `site` in the folder `place`; `make` returns what is copied to the
    appliance and the command that starts it.
    """

    name: str
    make: Callable[[Path, Path, Path], tuple[Path, Words]]  # site, tools' bin, place


@dataclass(slots=True)
class Made:
    """One that was made: its command, its own folder for whatever it unpacks, and its figures."""

    name: str
    home: Path
    command: Words = field(default_factory=list)
    failed: str = ""
    size: int = 0
    first_ms: float = 0.0
    first_bytes: int = 0
    help_ms: list[float] = field(default_factory=list)
    help_cpu_ms: list[float] = field(default_factory=list)
    ready_ms: list[float] = field(default_factory=list)
    start_bytes: list[int] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)

    def fail(self, said: str) -> None:
        """Its last words, for it takes no further part."""
        self.failed = (said.strip().splitlines() or ["it says nothing"])[-1][:200]

    def row(self) -> Row:
        if self.failed:
            return {"job": JOB, "figure": self.name, "failed": self.failed}
        middle = {
            "help_ms": self.help_ms,
            "help_cpu_ms": self.help_cpu_ms,
            "ready_ms": self.ready_ms,
            "rss_mb": self.rss_mb,
            "start_writes_mb": [written / MB for written in self.start_bytes],
        }
        return {
            **{"job": JOB, "figure": self.name, "size_mb": self.size / MB},
            **{"first_help_ms": self.first_ms, "first_writes_mb": self.first_bytes / MB},
            **{name: statistics.median(samples) for name, samples in middle.items()},
        }


def _zipapp(site: Path, _tools: Path, place: Path) -> tuple[Path, Words]:
    file, copy = place / "plimsoll.pyz", place / "site"
    shutil.copytree(site, copy, ignore=shutil.ignore_patterns("__main__.py"))  # ours unpacks it
    shutil.copy(site / "app" / "__main__.py", copy / "app")
    _run(PYTHON, "-m", "zipapp", "-c", "-o", file, "-m", "app.cli:main", copy)
    return file, [PYTHON, "-sE", str(file)]


def _shiv(site: Path, tools: Path, place: Path) -> tuple[Path, Words]:
    file = place / "plimsoll.pyz"
    own = ("--site-packages", site, "--entry-point", "app.cli:main", "--python", PYTHON)
    _run(tools / "shiv", *own, "--compressed", "--compile-pyc", "--output-file", file)
    return file, [str(file)]


def _pex(*options: str) -> Callable[[Path, Path, Path], tuple[Path, Words]]:
    def make(site: Path, tools: Path, place: Path) -> tuple[Path, Words]:
        file, own = place / "plimsoll.pex", place / "own"
        for package in ("app", "native", "systemd", "board"):
            shutil.copytree(site / package, own / package)
        pinned = ("--requirement", ROOT / ".ci" / "requirements-update.txt", "--no-build", "--compile")
        words = ("--sources-directory", own, "--entry-point", "app.cli:main", "--python", PYTHON)
        _run(tools / "pex", *pinned, *words, *options, "--output-file", file)
        return file, [str(file)]

    return make


def _venv(site: Path, _tools: Path, place: Path) -> tuple[Path, Words]:
    """A virtual environment in a tar, with its packages; unpacked when it is installed."""
    folder, file = place / "venv", place / "plimsoll.tar.xz"
    _run(PYTHON, "-m", "venv", "--without-pip", folder)
    shutil.copytree(site, next((folder / "lib").glob("python*/site-packages")), dirs_exist_ok=True)
    _run("tar", "-C", folder, "-cJf", file, ".")
    return file, [str(folder / "bin" / "python"), "-sE", "-m", "app"]


def _pyinstaller(kind: str) -> Callable[[Path, Path, Path], tuple[Path, Words]]:
    """Brings Python along too; `kind` is onefile or onedir."""

    def make(site: Path, tools: Path, place: Path) -> tuple[Path, Words]:
        script = place / "start.py"
        script.write_text("import sys\nfrom app.cli import main\nsys.exit(main())\n")
        collect = [word for name in COLLECT for word in ("--collect-all", name)]
        words = ("--noconfirm", "--strip", "--name", "plimsoll", "--paths", site, *collect)
        _run(tools / "pyinstaller", *words, f"--{kind}", script, cwd=place, PYTHONPATH=str(site))
        made = place / "dist" / "plimsoll"
        return made, [str(made if kind == "onefile" else made / "plimsoll")]

    return make


def _ours(site: Path, _tools: Path, _place: Path) -> tuple[Path, Words]:
    file = next(site.parent.glob("plimsoll-*"))
    return file, [PYTHON, "-sE", str(file)]


def _installed(site: Path, tools: Path, place: Path) -> tuple[Path, Words]:
    return _ours(site, tools, place)[0], [PYTHON, "-sE", str(site / "__main__.py")]


CONTENDERS = (
    Contender("ours, installed", _installed),
    Contender("ours, as a file", _ours),
    Contender("zipapp", _zipapp),
    Contender("shiv", _shiv),
    Contender("pex", _pex()),
    Contender("pex --venv", _pex("--venv", "prepend")),
    Contender("venv in a tar", _venv),
    Contender("PyInstaller onedir", _pyinstaller("onedir")),
    Contender("PyInstaller onefile", _pyinstaller("onefile")),
)


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="plimsoll-artifact-") as name:
        scratch = Path(name)
        return compare(scratch, _release(scratch), _tools(scratch))


def compare(scratch: Path, site: Path, tools: Path) -> list[Row]:
    """A row for each; round after round, so that a busy moment meets all of them."""
    made = [_made(contender, site, tools, scratch / f"place-{n}") for n, contender in enumerate(CONTENDERS)]
    asyncio.run(_rounds(scratch, [each for each in made if not each.failed]))
    return [each.row() for each in made]


def _made(contender: Contender, site: Path, tools: Path, place: Path) -> Made:
    """A contender and its first start."""
    (place / "home").mkdir(parents=True)
    made = Made(contender.name, place / "home")
    try:
        file, made.command = contender.make(site, tools, place)
        made.size = _size(file)
        made.first_ms, made.first_bytes = _help(made)
    except subprocess.SubprocessError as error:
        made.fail(str(getattr(error, "stderr", None) or error))
    return made


async def _rounds(scratch: Path, contenders: list[Made]) -> None:
    async with simulator(scratch) as url:
        for number in range(ROUNDS):
            for made in contenders:
                if made.failed:
                    continue
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                ms, _ = _help(made)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                made.help_ms.append(ms)
                made.help_cpu_ms.append(
                    (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3
                )
                await _ready(made, made.home.with_name(f"run-{number}"), url)


def _release(scratch: Path) -> Path:
    """Our file in `scratch`, and the folder it unpacks to."""
    _run(sys.executable, ROOT / ".ci" / "bundle.py", os.uname().machine, "--to", scratch)
    unpack(next(scratch.glob("plimsoll-*")), scratch / "site")
    return scratch / "site"


def _tools(scratch: Path) -> Path:
    _run(sys.executable, "-m", "venv", scratch / "tools")
    pip = (scratch / "tools" / "bin" / "python", "-m", "pip", "install", "--quiet")
    _run(*pip, "--only-binary", ":all:", *TOOLS)
    return scratch / "tools" / "bin"


def _help(made: Made) -> tuple[float, int]:
    """Milliseconds of `--help`, and the bytes that it left."""
    before = set(_files(made.home))
    begun = time.perf_counter_ns()
    _run(*made.command, "--help", **_variables(made.home))
    return (time.perf_counter_ns() - begun) / 1e6, _written(made.home, before)


async def _ready(made: Made, own: Path, url: str) -> None:
    """One start of the service on a fresh folder `own`, until READY=1."""
    file, notified = write_settings(own, url), Notified(own / "notify")
    before = set(_files(made.home))
    begun = time.perf_counter_ns()
    try:
        variables = _variables(made.home) | {"NOTIFY_SOCKET": str(notified.path)}
        async with service(file, script=[*made.command, "run"], **variables) as child:
            await _until_ready(notified, child)
            made.ready_ms.append((time.perf_counter_ns() - begun) / 1e6)
            made.start_bytes.append(_written(made.home, before))
            made.rss_mb.append(sum(map(rss_mb, _family(child.pid))))
    except (RuntimeError, TimeoutError) as error:
        made.fail(str(error))
    finally:
        notified.close()


async def _until_ready(notified: Notified, child: Child) -> None:
    """Wait for READY=1. Raises RuntimeError with the last words of a service that ended instead."""
    ready, ended = asyncio.ensure_future(notified.ready()), asyncio.ensure_future(child.stop_by_itself())
    try:
        await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise RuntimeError(child.said(1))
        await ready
    finally:
        ready.cancel()
        ended.cancel()


def _variables(home: Path) -> dict[str, str]:
    """Whatever a tool unpacks, it unpacks below `home`."""
    names = ("HOME", "XDG_CACHE_HOME", "SHIV_ROOT", "PEX_ROOT", "TMPDIR")
    return dict.fromkeys(names, str(home))


def _files(folder: Path) -> Iterator[tuple[int, int, int]]:
    """What tells a file written anew from the one that was there, and its size."""
    for inside, _, names in os.walk(folder):
        for name in names:
            found = os.lstat(os.path.join(inside, name))
            yield found.st_ino, found.st_mtime_ns, found.st_size


def _written(folder: Path, before: set[tuple[int, int, int]]) -> int:
    return sum(size for _, _, size in set(_files(folder)) - before)


def _size(made: Path) -> int:
    return made.stat().st_size if made.is_file() else sum(size for _, _, size in _files(made))


def _family(pid: int) -> list[int]:
    """A process and its children: a loader may wait for the program it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def _run(*words: str | Path, cwd: Path | None = None, **variables: str) -> None:
    line = [str(word) for word in words]
    env = environment(**variables)
    subprocess.run(line, cwd=cwd, env=env, check=True, capture_output=True, text=True, timeout=MAKE_S)
