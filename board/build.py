"""Builds what of the firmware runs on this machine: the virtual board, a library for tests, the fuzz target.

As a program, ``python board/build.py TARGET`` builds and prints the path; so the service can run it without
importing it. A target is rebuilt when one of its sources, this file or its command changed. Cross-compiled
targets have builders of their own. Standard library only, for it runs before any environment is set up.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE / "build"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SOURCES = frozenset({".c", ".h", ".cpp", ".ino", ".ld"})
HASH_SIZE = 8  # bytes of the firmware's hash in WELCOME: P_HASH_SIZE
ANY = ("cc", "gcc", "clang")
# Firmwares of one folder that differ in a file: the folder, and what the firmware leaves out of it.
LINES = {"unoq": ("unoq", "line_router.c"), "unoq-guest": ("unoq", "line_uart.c")}


class BuildError(Exception):
    """A target that cannot be built here; the text says why and what to do."""


class NoCompilerError(BuildError):
    """No compiler that could build the target is installed; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Target:
    """What one product is made from: folders of sources and single files, below the project's root."""

    output: str
    sources: tuple[str, ...]
    flags: tuple[str, ...] = ()
    compilers: tuple[str, ...] = ANY


TARGETS = {
    "virtual-board": Target("virtual-board", ("board/firmware", "board/linux")),
    "library": Target(
        "libfirmware.so",
        ("board/firmware", "tests/board/probe.c"),
        ("-fPIC", "-shared", "-g", "-fsanitize=undefined", "-fno-sanitize-recover=undefined"),
    ),
    "fuzz-decoder": Target(
        "fuzz-decoder",
        ("board/firmware", "tests/board/fuzz_decoder.c"),
        ("-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"),
        ("clang",),
    ),
}


def firmware_hash(target: str) -> bytes:
    """Return the first bytes of the SHA-256 over one target's sources. In WELCOME it tells builds apart."""
    digest = hashlib.sha256()
    for path in sources(target):
        digest.update(f"{path.parent.name}/{path.name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.digest()[:HASH_SIZE]


def sources(target: str) -> list[Path]:
    """Return the protocol's header, the portable sources and the hardware files of one target.

    ``target`` is a folder beside this file, linux, qemu or unoq, or unoq-guest. Raises BuildError.
    """
    folder, other = LINES.get(target, (target, ""))
    if not (HERE / folder).is_dir():
        raise BuildError(f"no target {target}: {HERE / folder} is not there")
    found = [path for part in ("firmware", folder) for path in sorted((HERE / part).iterdir())]
    return [HERE / "protocol.h", *(path for path in found if path.suffix in SOURCES and path.name != other)]


def hash_literal(target: str) -> str:
    """Return the hash as the C initialiser that a target is compiled with: P_FIRMWARE_HASH."""
    return ",".join(f"0x{byte:02x}" for byte in firmware_hash(target))


def build(name: str) -> Path:
    """Build a target unless it is up to date; returns its path.

    Raises BuildError for an unknown target and when the compiler refuses, NoCompilerError without one.
    """
    if name not in TARGETS:
        raise BuildError(f"no target {name}; there are {', '.join(TARGETS)}")
    target = TARGETS[name]
    command = [_compiler(name, target), *_arguments(target)]
    output = BUILT / target.output
    with _locked():
        wanted = _fingerprint(target, command)
        stamp = output.with_name(output.name + ".stamp")
        if not output.exists() or not stamp.exists() or stamp.read_text() != wanted:
            _compile(name, command, output)
            stamp.write_text(wanted)
    return output


def _compiler(name: str, target: Target) -> str:
    """Return the first compiler that is there; CC is asked for first where any will do."""
    own = [os.environ["CC"]] if "CC" in os.environ and target.compilers == ANY else []
    wanted = [*own, *target.compilers]
    for candidate in wanted:
        found = shutil.which(candidate)
        if found:
            return found
    package = "gcc" if target.compilers == ANY else "clang libclang-rt-dev"
    raise NoCompilerError(
        f"{name} needs a C compiler ({', '.join(wanted)}); Debian and Ubuntu: apt install {package}"
    )


def _arguments(target: Target) -> list[str]:
    units = [str(path.relative_to(HERE.parent)) for path in _files(target) if path.suffix == ".c"]
    return ["-std=c11", "-O2", *WARNINGS, f"-DP_FIRMWARE_HASH={hash_literal('linux')}", *target.flags, *units]


def _files(target: Target) -> list[Path]:
    found = [HERE / "protocol.h"]
    for source in target.sources:
        path = HERE.parent / source
        found += sorted(path.glob("*.[ch]")) if path.is_dir() else [path]
    return found


def _fingerprint(target: Target, command: list[str]) -> str:
    digest = hashlib.sha256("\0".join(command).encode())
    for path in (*_files(target), Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Let one process build at a time; the others find it done."""
    BUILT.mkdir(exist_ok=True)
    with (BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(name: str, command: list[str], output: Path) -> None:
    """Compile beside the output and move it into place whole: what runs keeps the file it has."""
    with tempfile.TemporaryDirectory(dir=BUILT) as folder:
        made = Path(folder) / output.name
        done = subprocess.run([*command, "-o", str(made)], cwd=HERE.parent, capture_output=True, text=True)
        if done.returncode != 0:
            raise BuildError(f"{name} does not compile:\n{done.stderr.strip()}")
        os.replace(made, output)


def main(arguments: list[str]) -> int:
    try:
        if len(arguments) == 2 and arguments[0] == "hash":
            said = firmware_hash(arguments[1]).hex()
        elif len(arguments) == 1:
            said = str(build(arguments[0]))
        else:
            sys.stderr.write(
                f"usage: python board/build.py {'|'.join(TARGETS)}|hash linux|qemu|unoq|unoq-guest\n"
            )
            return 2
    except BuildError as error:
        sys.stderr.write(f"board/build.py: {error}\n")
        return 1
    sys.stdout.write(said + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
