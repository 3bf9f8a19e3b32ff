"""`./build.sh fuzz [TARGET...] [--seconds S] [--keep]`: libFuzzer under AddressSanitizer.

Targets are modules of this folder: their compiled twins are built here with clang's sanitizer and coverage,
and driven through `harness.c`; a disagreement of the twins is a crash like a wild read. `decoder` is the
board's own, in C, built by `board/build.py`. Inputs come from the target's `SEEDS`, from
`tests/native/corpus/TARGET.hex` and from what earlier runs found (under build/fuzz). Exit code 1 and the
offending input's path when something is found.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[0] = str(ROOT)

from native import build  # noqa: E402

TWINS = ("frames", "orders", "wire")
DECODER = "decoder"
TARGETS = (*TWINS, DECODER)
SECONDS = 600
INPUT_SECONDS = 10  # one input that takes longer is a finding
GRACE_SECONDS = 120  # to start, to run through the corpus, to write a finding
BUILD_SECONDS = 300
KEPT_MAX = 1_000  # bytes of an input that is kept: the corpus stays small
SANITIZE = "-fsanitize=address,fuzzer-no-link"
FLAGS = ["-O1", "-g1", "-ffp-contract=off", "-fno-omit-frame-pointer", SANITIZE, "-Wno-unused-function"]
FUZZ = ROOT / "build" / "fuzz" / f"{sys.version_info.major}.{sys.version_info.minor}"
CORPUS = ROOT / "tests" / "native" / "corpus"
BOARD_CORPUS = ROOT / "tests" / "board" / "corpus"
DECODER_SEEDS = ROOT / "tests" / "board" / "corpus"  # histories that reach RUN, golden vectors
REPORTED = ("stat::number_of_executed_units", "stat::average_exec_per_sec", "stat::new_units_added")
NO_COMPILER = "fuzz: clang with its sanitizers is needed (apt install clang libclang-rt-dev)"


def main() -> int:
    arguments = _parse()
    if shutil.which("clang") is None:
        print(NO_COMPILER, file=sys.stderr)
        return 1
    failed = [target for target in arguments.targets or TARGETS if not _fuzz(target, arguments)]
    if failed:
        print(f"fuzz: found something in {', '.join(failed)}; the inputs are in {FUZZ / 'crashes'}")
    return 1 if failed else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./build.sh fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default"
    )
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each target (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="add what reached new code to the kept corpus")
    arguments = parser.parse_args()
    unknown = [target for target in arguments.targets if target not in TARGETS]
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    return arguments


def _fuzz(target: str, arguments: argparse.Namespace) -> bool:
    """Whether nothing was found."""
    print(f"fuzz: {target} for {arguments.seconds} s", flush=True)
    found = fuzz(target, arguments.seconds)
    sound = found.returncode == 0
    lines = found.stderr.splitlines()
    print("\n".join([line for line in lines if not sound or line.startswith(REPORTED)]), flush=True)
    if arguments.keep and sound and target in TWINS:
        keep(target)
    return sound


def fuzz(target: str, seconds: int, module: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one target; raises CalledProcessError when it does not build. `module` is another to check with."""
    program = decoder() if target == DECODER else harness()
    crashes, scratch, most = FUZZ / "crashes", FUZZ / "corpus" / target, 512
    for folder in (crashes, scratch):
        folder.mkdir(parents=True, exist_ok=True)
    if module is None and target in TWINS:
        most = importlib.import_module(f"tests.native.fuzz.{target}").MAX_INPUT
    folders = [scratch, _seeds(target)]
    options = {
        "max_total_time": seconds, "max_len": most, "timeout": INPUT_SECONDS, "verbosity": 0,
        "print_final_stats": 1, "artifact_prefix": f"{crashes}/{target}-", "rss_limit_mb": 0,
    }  # fmt: skip
    line = [program, *(f"-{name}={value}" for name, value in options.items()), *folders]
    environment = _environment(module or f"tests.native.fuzz.{target}")
    return subprocess.run(
        line, cwd=ROOT, env=environment, timeout=seconds + GRACE_SECONDS, stderr=subprocess.PIPE, text=True,
        errors="backslashreplace",
    )  # fmt: skip


def _environment(module: str) -> dict[str, str]:
    return os.environ | {
        "PLIMSOLL_FUZZ_TARGET": module,
        "PLIMSOLL_FUZZ_PYTHON": sys.executable,
        "PYTHONPATH": f"{twins()}:{ROOT}" if module.startswith("tests.") else "",
        "PYTHONMALLOC": "malloc",  # every object a block of its own, whose ends the sanitizer watches
        # The interpreter keeps what it has until the end; what was freed is watched for a while.
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=64",
    }


@functools.cache
def twins() -> Path:
    """A folder whose package `native` has the sanitized twins, built when stale, beside the ordinary ones."""
    folder = FUZZ / hashlib.sha256(" ".join(FLAGS).encode()).hexdigest()[:8]
    package = folder / "native"
    package.mkdir(parents=True, exist_ok=True)
    for source in sorted((ROOT / "native").glob("*.p*")):
        shutil.copyfile(source, package / source.name)
    for name in build.modules():
        if name not in TWINS:
            for built in (ROOT / "native").glob(f"{name}_*{build.SUFFIX}*"):
                shutil.copyfile(built, package / built.name)
    code = "import sys; from native import build; build.COMPILER_FLAGS = sys.argv[2:]; "
    code += "from pathlib import Path; build.build(Path(sys.argv[1]))"
    line = [sys.executable, "-c", code, package, *FLAGS]
    settings = {"CC": "clang", "LDSHARED": "clang -shared", "PYTHONPATH": str(ROOT)}
    subprocess.run(line, cwd=ROOT, env=os.environ | settings, check=True, timeout=BUILD_SECONDS)
    return folder


@functools.cache
def harness() -> Path:
    """The fuzzer with an interpreter inside."""
    library, linked = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LDVERSION")
    target, source = FUZZ / "harness", Path(__file__).with_name("harness.c")
    line = ["clang", "-g", "-O1", "-fsanitize=address,fuzzer", "-rdynamic", "-o", target, source]
    line += [
        f"-I{sysconfig.get_path('include')}",
        f"-L{library}",
        f"-Wl,-rpath,{library}",
        f"-lpython{linked}",
    ]
    FUZZ.mkdir(parents=True, exist_ok=True)
    subprocess.run([*line, "-ldl", "-lm"], check=True, timeout=BUILD_SECONDS)
    return target


@functools.cache
def decoder() -> Path:
    """The board's own decoder in C; its build prints where the fuzzer is."""
    line = [sys.executable, ROOT / "board" / "build.py", "fuzz-decoder"]
    done = subprocess.run(
        line, cwd=ROOT, check=True, timeout=BUILD_SECONDS, stdout=subprocess.PIPE, text=True
    )
    return ROOT / done.stdout.strip().splitlines()[-1]


def kept(target: str) -> Iterator[bytes]:
    """The inputs of the kept corpus; the board keeps its own, a file each."""
    file = CORPUS / f"{target}.hex"
    if file.exists():
        yield from map(bytes.fromhex, file.read_text().split())
    if target == DECODER:
        yield from (path.read_bytes() for path in sorted(BOARD_CORPUS.rglob("*")) if path.is_file())


def _seeds(target: str) -> Path:
    """A fresh folder with the kept corpus and the target's own seeds."""
    folder = FUZZ / "seeds" / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    inputs = list(kept(target))
    if target in TWINS:
        inputs += importlib.import_module(f"tests.native.fuzz.{target}").SEEDS.values()
    if target == DECODER:
        inputs += [path.read_bytes() for path in sorted(DECODER_SEEDS.iterdir())]
    for one in inputs:
        (folder / hashlib.sha256(one).hexdigest()[:16]).write_bytes(one)
    return folder


def keep(target: str) -> None:
    """Add the least of what earlier runs found that reaches more than the kept corpus and the seeds."""
    program = harness()
    merged, seeds = FUZZ / "merged" / target, _seeds(target)
    shutil.rmtree(merged, ignore_errors=True)
    shutil.copytree(seeds, merged)
    line = [program, "-merge=1", "-verbosity=0", merged, FUZZ / "corpus" / target]
    environment = _environment(f"tests.native.fuzz.{target}")
    subprocess.run(line, cwd=ROOT, env=environment, check=True, timeout=SECONDS)
    new = {path.read_bytes() for path in merged.iterdir()} - {path.read_bytes() for path in seeds.iterdir()}
    inputs = sorted({*kept(target), *(one for one in new if len(one) <= KEPT_MAX)})
    (CORPUS / f"{target}.hex").write_text("".join(f"{one.hex()}\n" for one in inputs))
    print(f"fuzz: {len(inputs)} inputs are kept for {target}")


if __name__ == "__main__":
    sys.exit(main())
