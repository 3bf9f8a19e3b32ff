"""Builds the firmware for each target that this machine has tools for: `./build.sh firmware`.

    python board/targets.py              all of them
    python board/targets.py TARGET...    only these: linux, qemu, size, check, unoq, unoq-guest
    python board/targets.py sketch DIR [unoq | unoq-guest]
                                         put the UNO Q's sketch together in DIR/unoq; prints a line of JSON
    python board/targets.py manifest     what these sources greet with, as JSON; a release carries it

Everything made lies in board/build. A target whose tool is missing is skipped, and that is said; one that
does not compile, a core over its sizes and a complaint of cppcheck fail the build. What runs on this machine
itself is built by build.py.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from board import build, sizes

HERE = build.HERE
CROSS = "arm-none-eabi-gcc"
CORTEX_M33 = ("-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=soft")
STRICT = ("-std=c11", "-Os", "-g", *build.WARNINGS, "-ffreestanding")
FQBN = "arduino:zephyr:unoq:wait_linux_boot=no"
CPPCHECK = (
    "--enable=warning,style,performance,portability",
    "--inline-suppr",
    "--error-exitcode=1",
    "--quiet",
)
MANIFEST = "firmware.json"
# Told targets of WELCOME whose firmware a release carries -> its name here.
CARRIED = {"unoq": "unoq", "unoq_guest": "unoq-guest", "linux": "linux"}
MICROPYTHON = "micropython"
# One file that runs on any Linux of its machine, and whose bytes depend on sources and compiler alone.
STATIC = ("-std=c11", "-Os", *build.WARNINGS, "-static", "-s", "-ffunction-sections")
STATIC_LINKED = ("-Wl,--build-id=none", "-Wl,--gc-sections")
TOOL_SECONDS = 1_200  # a compiler that needs longer hangs
PACKAGES = {
    CROSS: "apt install gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "cppcheck": "apt install cppcheck",
    "arduino-cli": "it is on the UNO Q itself, with the core arduino:zephyr",
}


class Missing(Exception):
    """A tool that this machine lacks."""


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed ({PACKAGES[name]})")
    return found


def call(arguments: Sequence[str | Path]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)
    if done.returncode:
        raise build.BuildError(f"{' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
    return done.stdout


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def shown(path: Path) -> str:
    return str(path.relative_to(HERE.parent))


def core_sources() -> list[Path]:
    return sorted((HERE / "firmware").glob("*.c"))


def linux() -> str:
    """The virtual board."""
    return shown(build.build("virtual-board"))


def qemu() -> str:
    """The Cortex-M33 board."""
    image = build.BUILT / "qemu.elf"
    image.parent.mkdir(exist_ok=True)
    sources = [*core_sources(), *sorted((HERE / "qemu").glob("*.c"))]
    with tempfile.TemporaryDirectory(dir=image.parent) as folder:
        made = Path(folder) / image.name
        call(
            [tool(CROSS), *CORTEX_M33, *STRICT, f"-DP_FIRMWARE_HASH={build.hash_literal('qemu')}",
             "-nostartfiles", "--specs=nano.specs", "-T", HERE / "qemu" / "link.ld", *sources, "-o", made]
        )  # fmt: skip
        made.replace(image)  # whole: what runs keeps the file it has
    return shown(image)


def core_sizes(*extra: Path) -> sizes.Sizes:
    """The core linked by itself: nothing of a target, with what it takes from the compiler's libraries."""
    cross = tool(CROSS)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        alone = place / "alone.c"
        alone.write_text('#include "firmware.h"\nextern struct core alone;\nstruct core alone;\n')
        for source in (*core_sources(), alone, *extra):
            call(
                [cross, *CORTEX_M33, *STRICT, "-I", HERE / "firmware", "-fcallgraph-info=su", "-c", source,
                 "-o", place / f"{source.stem}.o"]
            )  # fmt: skip
        whole = place / "core.elf"
        call(
            [cross, *CORTEX_M33, "-nostartfiles", "--specs=nano.specs", "-Wl,--entry=0", *place.glob("*.o"),
             "-o", whole]
        )  # fmt: skip
        flash, variables = sizes.sections(call(["arm-none-eabi-size", "-A", whole]))
        stack, chain = sizes.deepest([graph.read_text() for graph in sorted(place.glob("*.ci"))])
    return sizes.Sizes(flash, variables, stack, chain)


def size() -> str:
    """The core within its limits."""
    found = core_sizes()
    problems = found.problems()
    if problems:
        raise build.BuildError("\n".join([str(found), *problems]))
    return str(found)


def check() -> str:
    """No complaint of cppcheck about any C file."""
    names = ("firmware", "linux", "qemu", "unoq")
    files = [path for name in names for path in sorted((HERE / name).glob("*.c"))]
    call([tool("cppcheck"), *CPPCHECK, "--std=c11", "-DP_FIRMWARE_HASH=0", *files])
    return f"cppcheck has nothing to say about {', '.join(names)}"


def unoq(name: str = "unoq") -> str:
    """The UNO Q's image, where the board's own tools are."""
    cli = tool("arduino-cli")
    made = build.BUILT / name
    made.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        told = sketch(Path(folder), name)
        call([cli, "compile", "-b", FQBN, "--output-dir", made, str(told["sketch"])])
    return shown(made)


def unoq_guest() -> str:
    """The same for a service that is the router's guest."""
    return unoq("unoq-guest")


def sketch(folder: Path, name: str = "unoq") -> dict[str, str | int]:
    """The UNO Q's sketch in `folder`/unoq. Arduino compiles what lies beside the sketch and under its src."""
    if name not in build.LINES:
        raise build.BuildError(f"no sketch {name}; there are {', '.join(build.LINES)}")
    whole = folder / "unoq"
    for path in build.sources(name):
        place = whole / path.name if path.suffix == ".ino" else whole / "src" / path.relative_to(HERE)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    define = f"#define P_FIRMWARE_HASH {build.hash_literal(name)}\n"
    (whole / "src" / "unoq" / "firmware_hash.h").write_text(define)
    return {
        "sketch": str(whole),
        "firmware_hash": build.firmware_hash(name).hex(),
        "protocol_version": protocol_version(),
    }


def static(compiler: str, output: Path) -> None:
    """The virtual board as one file without a library, by `compiler`: for machines that have none."""
    sources = [path for path in build.sources("linux") if path.suffix == ".c"]
    define = f"-DP_FIRMWARE_HASH={build.hash_literal('linux')}"
    call([compiler, *STATIC, define, *sources, *STATIC_LINKED, "-o", output])


def manifest() -> dict[str, object]:
    """What a release says of its firmware, in MANIFEST: the protocol's version, and for each of WELCOME's
    targets the hash that these sources greet with.
    """
    from board.micropython import firmware

    hashes = {target: build.firmware_hash(name).hex() for target, name in CARRIED.items()}
    hashes[MICROPYTHON] = firmware.fingerprint(f"{HERE.parent}/").hex()
    return {"protocol_version": protocol_version(), "firmware": hashes}


def protocol_version() -> int:
    """P_VERSION."""
    found = re.search(r"^#define P_VERSION (\d+)\b", (HERE / "protocol.h").read_text(), re.MULTILINE)
    if found is None:
        raise build.BuildError("board/protocol.h: no P_VERSION")
    return int(found[1])


TARGETS: dict[str, Callable[[], str]] = {
    "linux": linux,
    "qemu": qemu,
    "size": size,
    "check": check,
    "unoq": unoq,
    "unoq-guest": unoq_guest,
}


def main(arguments: Sequence[str]) -> int:
    try:
        if len(arguments) in (2, 3) and arguments[0] == "sketch":
            say(json.dumps(sketch(Path(arguments[1]), *arguments[2:])))
        elif list(arguments) == ["manifest"]:
            say(json.dumps(manifest()))
        elif set(arguments) <= set(TARGETS):
            build_all(arguments or list(TARGETS))
        else:
            sketches = " | ".join(build.LINES)
            names = " | ".join(TARGETS)
            sys.stderr.write(
                f"usage: python board/targets.py [{names}]... | sketch DIR [{sketches}] | manifest\n"
            )
            return 2
    except build.BuildError as error:
        sys.stderr.write(f"board/targets.py: {error}\n")
        return 1
    return 0


def build_all(names: Sequence[str]) -> None:
    for name in names:
        try:
            say(f"{name}: {TARGETS[name]()}")
        except Missing as missing:
            say(f"{name}: skipped, {missing}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
