"""What the firmware's portable core takes of a microcontroller, held against its limits.

Flash is code, constants and initial values, with what the compiler's and C library add for it; RAM is its
variables and the stack of its deepest chain of calls. A target's own hardware file is not counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FLASH_LIMIT = 16 * 1024  # bytes, of the 2 MB that the UNO Q has: small enough to read, and for small boards
RAM_LIMIT = 4 * 1024  # bytes, the stack with them


@dataclass(frozen=True)
class Sizes:
    """Bytes of the core alone, and the functions of its deepest chain of calls, outermost first."""

    flash: int
    variables: int
    stack: int
    deepest: tuple[str, ...]

    @property
    def ram(self) -> int:
        return self.variables + self.stack

    def __str__(self) -> str:
        chain = " > ".join(self.deepest)
        return (
            f"core: flash {self.flash} of {FLASH_LIMIT} bytes, RAM {self.ram} of {RAM_LIMIT} bytes "
            f"({self.variables} variables, {self.stack} stack: {chain})"
        )

    def problems(self) -> list[str]:
        """What is over its limit."""
        found = [("flash", self.flash, FLASH_LIMIT), ("RAM", self.ram, RAM_LIMIT)]
        return [
            f"the core's {name}: {size} bytes, at most {limit}" for name, size, limit in found if size > limit
        ]


def sections(listing: str) -> tuple[int, int]:
    """Flash and variables out of `size -A`."""
    sizes = {name: int(size) for name, size in re.findall(r"^(\.\S+)\s+(\d+)\s", listing, re.MULTILINE)}

    def total(*kinds: str) -> int:
        return sum(size for name, size in sizes.items() if name.startswith(kinds))

    return total(".text", ".rodata", ".ARM.ex", ".data"), total(".data", ".bss")


def deepest(graphs: list[str]) -> tuple[int, tuple[str, ...]]:
    """The deepest chain of calls and its stack, from gcc's -fcallgraph-info=su. Recursion is a ValueError."""
    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for graph in graphs:
        for title, label in re.findall(r'node: { title: "([^"]+)" label: "([^"]*)"', graph):
            size = re.search(r"\\n(\d+) bytes", label)
            if size:
                frames[title] = int(size[1])
        for source, target in re.findall(r'edge: { sourcename: "([^"]+)" targetname: "([^"]+)"', graph):
            calls.setdefault(source, set()).add(target)
    found: dict[str, tuple[int, tuple[str, ...]]] = {}
    return max((_depth(name, frames, calls, found, ()) for name in frames), default=(0, ()))


def _depth(
    name: str,
    frames: dict[str, int],
    calls: dict[str, set[str]],
    found: dict[str, tuple[int, tuple[str, ...]]],
    above: tuple[str, ...],
) -> tuple[int, tuple[str, ...]]:
    if name in above:
        raise ValueError(f"recursion: {' > '.join((*above, name))}")
    if name not in found:
        below = [_depth(one, frames, calls, found, (*above, name)) for one in sorted(calls.get(name, ()))]
        size, chain = max(below, default=(0, ()))
        found[name] = frames.get(name, 0) + size, (_plain(name), *chain)
    return found[name]


def _plain(title: str) -> str:
    return Path(title.rsplit(":", 1)[-1]).name
