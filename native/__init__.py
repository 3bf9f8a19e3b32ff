"""The hot paths, each a Python source and its compiled twin. This module alone picks which twin is used.

``from native import fixed`` gives the compiled twin. The pure twin is used only when asked for with
``PLIMSOLL_NATIVE=pure`` (development and tests): a missing compiled module is an error, never a silent
fallback. No logic of ours lives here and nothing of ``app`` is imported.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = [
    "NativeError",
    "active",
    "fanout",
    "fixed",
    "frames",
    "gate",
    "indicators",
    "market",
    "matching",
    "minutes",
    "orders",
    "require_compiled",
    "sequences",
    "wire",
]

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
# Their compiled twin is called through its ``_run`` module, which lets the interpreter's lock go.
UNLOCKED = ("fanout", "sequences")
VARIABLE = "PLIMSOLL_NATIVE"


class NativeError(RuntimeError):
    """The compiled twin that is wanted is not there, or the pure one is used where it must not be."""


def _choice() -> str:
    choice = os.environ.get(VARIABLE, "compiled")
    if choice not in ("compiled", "pure"):
        raise NativeError(f"{VARIABLE} must be 'compiled' or 'pure', not {choice[:40]!r}")
    return choice


def _pick(name: str, choice: str) -> ModuleType:
    if choice == "pure":
        return importlib.import_module(f"native.{name}_py")
    module = f"native.{name}_{'run' if name in UNLOCKED else 'c'}"
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NativeError(
            f"the compiled module {module} cannot be loaded ({error}); run ./build.sh native, "
            f"or set {VARIABLE}=pure for development"
        ) from error


_CHOICE = _choice()

if TYPE_CHECKING:
    from native import fanout_py as fanout
    from native import fixed_py as fixed
    from native import frames_py as frames
    from native import gate_py as gate
    from native import indicators_py as indicators
    from native import market_py as market
    from native import matching_py as matching
    from native import minutes_py as minutes
    from native import orders_py as orders
    from native import sequences_py as sequences
    from native import wire_py as wire
else:
    fanout = _pick("fanout", _CHOICE)
    fixed = _pick("fixed", _CHOICE)
    frames = _pick("frames", _CHOICE)
    gate = _pick("gate", _CHOICE)
    indicators = _pick("indicators", _CHOICE)
    market = _pick("market", _CHOICE)
    matching = _pick("matching", _CHOICE)
    minutes = _pick("minutes", _CHOICE)
    orders = _pick("orders", _CHOICE)
    sequences = _pick("sequences", _CHOICE)
    wire = _pick("wire", _CHOICE)


def active() -> dict[str, str]:
    """Return which twin of each module is in use: ``{"fixed": "compiled"}``."""
    return dict.fromkeys(MODULES, _CHOICE)


def require_compiled(dev: bool) -> None:
    """Raise NativeError when a pure twin is in use and the settings do not say ``dev``."""
    pure = [name for name, twin in active().items() if twin == "pure"]
    if pure and not dev:
        raise NativeError(
            f"the service runs on the pure Python twin of {', '.join(pure)}, which is for development only: "
            f"unset {VARIABLE} and run ./build.sh native, or set dev = true"
        )
