"""How each module of the package may run: the words that the settings, the environment and the page say.

``compiled`` is the compiled twin and nothing else. ``pure`` is the Python source, for development. ``shadow``
runs the compiled twin and, one call in so many, the pure one beside it (`native.shadow`). Names and rules
alone live here; what is bound to what is the package's own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COMPILED = "compiled"
SHADOW = "shadow"
PURE = "pure"
EXCEPTION = "pure (exception)"  # the twins differed once; never asked for, only found
MODES = (COMPILED, SHADOW, PURE)

MODULES = (
    "fanout",
    "fixed",
    "frames",
    "gate",
    "indicators",
    "market",
    "matching",
    "minutes",
    "orders",
    "sequences",
    "wire",
)
# What cannot run beside itself, and why.
NO_SHADOW: Mapping[str, str] = {
    "fanout": "it writes to sockets, and a second twin would send everything twice",
    "minutes": "it reads files for a replay; no call of a live service is there to be compared",
    "sequences": "a call searches for seconds beside the loop, the pure twin would hold the loop for minutes",
}
# A difference here refuses the order and stops entries. Elsewhere the module goes on with its pure twin.
REFUSING = frozenset({"gate", "matching", "orders"})
# A market feeds indicators of its own twin: these two go into shadow and leave the compiled twin together.
TOGETHER = frozenset({"indicators", "market"})

SHADOW_EVERY = 1_000  # calls: the 0.1 ms that a trade takes to compare come to 0.1 us a call
MOST_EVERY = 1_000_000  # calls; rarer is hardly ever
EVERY_KEY = "shadow_every"
VARIABLE = "PLIMSOLL_NATIVE"


class NativeError(RuntimeError):
    """A twin that is wanted is not there, a mode is not possible, or twins differ and nobody was told."""

    exit_code = 2  # of the command line, as for any setting that cannot be


@dataclass(frozen=True, slots=True)
class Plan:
    """The mode of every module, and of how many calls in shadow one is compared."""

    modes: Mapping[str, str]
    every: int = SHADOW_EVERY

    @staticmethod
    def of(wanted: Mapping[str, str], every: int, said: Said) -> Plan:
        """`wanted` by the settings, each overruled by what the environment `said`. Raises NativeError."""
        modes = {name: wanted.get(name, COMPILED) for name in MODULES} | dict(said.modes)
        for name in wanted:
            _known(name)
        for name, mode in modes.items():
            problem = refusal(name, mode)
            if problem:
                raise NativeError(f"native.{name} {problem}")
        if {modes[name] for name in TOGETHER} == {COMPILED, SHADOW}:
            modes |= dict.fromkeys(TOGETHER, SHADOW)
        return Plan(modes, said.every or _count(every))


@dataclass(frozen=True, slots=True)
class Said:
    """What the environment says: modes of some modules, and ``every``, 0 where it is silent."""

    modes: Mapping[str, str]
    every: int = 0


def refusal(name: str, mode: str) -> str:
    """Why module ``name`` cannot run in ``mode``, "" when it can."""
    if mode not in MODES:
        return f"must be one of {', '.join(MODES)}, not {mode[:40]!r}"
    if mode == SHADOW and name in NO_SHADOW:
        return f"cannot be shadow: {NO_SHADOW[name]}"
    return ""


def parse(text: str) -> Said:
    """Read ``compiled``, ``compiled,market=shadow`` or ``shadow,shadow_every=1``: a mode alone is meant for
    all modules (shadow for those that can), later words overrule earlier ones. Raises NativeError.
    """
    modes: dict[str, str] = {}
    every = 0
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = word.partition("=")
        if not equals:
            modes = _all(word)
        elif name == EVERY_KEY:
            every = _count(int(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0)
        else:
            _known(name)
            problem = refusal(name, value)
            if problem:
                raise NativeError(f"{VARIABLE}: {name} {problem}")
            modes[name] = value
    return Said(modes, every)


def _all(mode: str) -> dict[str, str]:
    if mode not in MODES:
        raise NativeError(f"{VARIABLE} must be one of {', '.join(MODES)}, not {mode[:40]!r}")
    return {name: COMPILED if mode == SHADOW and name in NO_SHADOW else mode for name in MODULES}


def _known(name: str) -> None:
    if name not in MODULES:
        raise NativeError(f"there is no native module {name[:40]!r}: {', '.join(MODULES)}")


def _count(every: int) -> int:
    if not 1 <= every <= MOST_EVERY:
        raise NativeError(f"native.{EVERY_KEY} lies in 1..{MOST_EVERY} calls, not {every}")
    return every
