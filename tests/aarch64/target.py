"""The board's processor, emulated, with Debian 13's Python on it: for the file that is built for the board.

    python = machine(folder)           # folder/bin/python3, which runs like any other command
    subprocess.run([python, "-c", "import os; print(os.uname().machine)"])

Nothing is installed and no emulator registered with the kernel: Debian's packages are unpacked, and `python3`
is a script that hands the unpacked interpreter to qemu. Python takes that script for itself, so whatever it
starts by `sys.executable` is emulated too.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.guards import ROOT

sys.path.insert(0, str(ROOT / ".ci"))
debian = importlib.import_module("debian")  # `.ci` cannot be a package by its name

ARCH, PYTHON, SUITE = "aarch64", "3.13", "trixie"
PROCESSOR = "cortex-a53"  # the UNO Q's; an instruction of a newer one is an illegal instruction here too
EMULATOR, COMPILER = f"qemu-{ARCH}-static", f"{ARCH}-linux-gnu-gcc"
PACKAGES = (
    *(f"python{PYTHON}-minimal", f"libpython{PYTHON}-minimal", f"libpython{PYTHON}-stdlib"),
    *("libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libffi8", "libssl3t64", "libsqlite3-0"),
    *("libbz2-1.0", "liblzma5", "libuuid1", "libzstd1"),
)
# Of the developer's tools those that the tests of the twins import; the last two are oracles.
TOOLS = (
    *("pytest", "pytest-asyncio", "hypothesis", "iniconfig", "packaging", "pluggy", "pygments"),
    *("sortedcontainers", "numpy", "ta-lib", "build"),
)
PIP_S = 300  # five seconds on a good line
SCRIPT = """\
#!/bin/sh
exec {emulator} -cpu {processor} -L {folder} -0 {folder}/bin/python3 {folder}/usr/bin/python{python} "$@"
"""


class UnavailableError(Exception):
    """The board cannot be emulated on this machine; the text says why."""


def machine(folder: Path) -> Path:
    """Its `python3`, with what it needs in `folder`. Raises UnavailableError."""
    missing = [tool for tool in (EMULATOR, COMPILER) if shutil.which(tool) is None]
    if missing:
        raise UnavailableError(
            f"{', '.join(missing)} not installed (apt install qemu-user-static gcc-aarch64-linux-gnu)"
        )
    cache = ROOT / ".cache" / f"python{PYTHON}-{ARCH}-running"
    try:
        system = debian.unpacked(cache, SUITE, debian.ARCH[ARCH], PACKAGES)
    except debian.UnavailableError as error:
        raise UnavailableError(f"no Python {PYTHON} of Debian for {ARCH}: {error}") from None
    (folder / "bin").mkdir(parents=True)
    (folder / "usr").symlink_to(system / "usr")
    (folder / "lib").symlink_to("usr/lib")  # as in any Debian, and where Python looks for its library
    python = folder / "bin" / "python3"
    values = {"emulator": shutil.which(EMULATOR), "processor": PROCESSOR, "folder": folder, "python": PYTHON}
    python.write_text(SCRIPT.format(**values))
    python.chmod(0o755)
    return python


def install_tools(folder: Path) -> None:
    """The pinned and hashed TOOLS for the emulated Python into `folder`: wheels only, nothing is run."""
    pinned = re.split(r"\n(?=\S)", (ROOT / ".ci" / "requirements-dev.txt").read_text())
    wanted = folder.with_name("tools.txt")
    wanted.write_text("\n".join(each for each in pinned if each.partition("==")[0] in TOOLS))
    number = PYTHON.replace(".", "")
    tags = [("--platform", f"{name}_{ARCH}") for name in ("manylinux2014", "manylinux_2_28")]
    tags += [("--abi", abi) for abi in (f"cp{number}", "abi3", "none")]
    words = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
        *("--no-deps", "--target", folder, *(word for tag in tags for word in tag)),
        *("--python-version", number, "--implementation", "cp", "--only-binary", ":all:"),
        *("--require-hashes", "--requirement", wanted),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PIP_S, check=False)
    assert done.returncode == 0, done.stderr


def run(
    words: Sequence[str | Path], seconds: float, folder: Path | None = None, **variables: str | Path
) -> subprocess.CompletedProcess[str]:
    """A command with both outputs kept; `variables` are all it finds in its environment beside PATH."""
    environment = {"PATH": os.environ["PATH"], **{name: str(each) for name, each in variables.items()}}
    return subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
