"""MicroPython 1.25 for tests: Debian trixie's package, unpacked into ``.cache`` and never installed.

``command()`` gives the command line that runs it, ``board()`` the one of the virtual MicroPython board.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from tests.guards import ROOT

CACHE = ROOT / ".cache" / "micropython"
# The interpreter and all it links with, the C library too: this machine may have an older one.
PACKAGES = (
    "micropython",
    "libffi8",
    "libmbedcrypto16",
    "libmbedtls21",
    "libmbedx509-7",
    "libc6",
    "libgcc-s1",
)

# The module that the build uses for the same; `.ci` cannot be a package by its name.
_spec = importlib.util.spec_from_file_location("debian", ROOT / ".ci" / "debian.py")
assert _spec is not None and _spec.loader is not None
debian = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(debian)


def command(*, heap: str = "1m") -> list[str]:
    """Return the words that start MicroPython with a heap of that size; skips where there is none to be had.

    With ``CI`` set that is a failure.
    """
    try:
        root: Path = debian.unpacked(CACHE, "trixie", debian.ARCH[os.uname().machine], PACKAGES)
    except debian.UnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(f"no MicroPython: {error}", pytrace=False)
        pytest.skip(f"no MicroPython: {error}")
    loader = next(root.glob("usr/lib*/**/ld-linux*.so.*"))
    libraries = next(root.glob("usr/lib/*-linux-gnu*"))
    return [
        *(str(loader), "--library-path", str(libraries), str(root / "usr" / "bin" / "micropython")),
        *("-X", f"heapsize={heap}"),
    ]


def board() -> list[str]:
    """Return the words that start the virtual MicroPython board; ``--link`` and ``--control`` follow them."""
    return [*command(heap="256k"), str(ROOT / "board" / "micropython" / "main.py")]
