"""The hot paths, each a Python source and its compiled twin. This module alone picks which twin is used.

``from native import fixed`` gives a module whose names are the compiled twin's own: calling through it costs
what calling the extension costs. `select` gives the names of other modes (see `native.modes`) to modules that
were imported already, `fall_back` the pure twin's, so settings and journal are read first or later alike; who
keeps a name instead of its module keeps what it was then. A missing compiled module is an error, never a
silent fallback, and so is one that another source was compiled to. No logic of ours lives here and nothing of
``app`` is imported.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from native.modes import (
    COMPILED,
    EXCEPTION,
    MODULES,
    PURE,
    SHADOW,
    SHADOW_EVERY,
    TOGETHER,
    VARIABLE,
    NativeError,
    Plan,
    parse,
)
from native.shadow import Difference, Differs, Shadow, listen

__all__ = [
    "MODULES",
    "VARIABLE",
    "Difference",
    "Differs",
    "NativeError",
    "active",
    "fall_back",
    "fanout",
    "fixed",
    "frames",
    "gate",
    "indicators",
    "listen",
    "market",
    "matching",
    "minutes",
    "orders",
    "require_compiled",
    "select",
    "sequences",
    "wire",
]

# Their compiled twin is called through its ``_run`` module, which lets the interpreter's lock go.
UNLOCKED = ("fanout", "sequences")

_running: dict[str, str] = {}
_shadows: dict[str, Shadow] = {}

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
    fanout, fixed, frames, gate = map(ModuleType, ("fanout", "fixed", "frames", "gate"))
    indicators, market, matching = map(ModuleType, ("indicators", "market", "matching"))
    minutes, orders, sequences, wire = map(ModuleType, ("minutes", "orders", "sequences", "wire"))


def select(wanted: Mapping[str, str] | None = None, every: int = SHADOW_EVERY) -> None:
    """Run each module in the mode that is ``wanted`` (compiled where nothing is), unless the environment says
    another. Raises NativeError for what is not possible; then nothing has changed but for a missing twin.
    """
    plan = Plan.of(wanted or {}, every, parse(os.environ.get(VARIABLE, "")))
    for name, mode in plan.modes.items():
        _bind(name, mode, plan.every)


def fall_back(name: str) -> None:
    """Run ``name``, and what goes with it, on the pure twin: an exception that somebody is told of.

    Objects that a module in shadow made follow; the compiled twin's own stay what they are.
    """
    for each in TOGETHER if name in TOGETHER else (name,):
        if _running[each] == PURE:
            continue
        if each in _shadows:
            _shadows[each].fallen = True
        else:
            _bind(each, PURE, 1)
        _running[each] = EXCEPTION


def active() -> Mapping[str, str]:
    """How each module runs, as it is at any time: ``{"fixed": "compiled"}``."""
    return MappingProxyType(_running)


def require_compiled(dev: bool) -> None:
    """Raise NativeError when a pure twin was asked for and the settings do not say ``dev``."""
    pure = [name for name, mode in active().items() if mode == PURE]
    if pure and not dev:
        raise NativeError(
            f"the service runs on the pure Python twin of {', '.join(pure)}, which is for development only: "
            f"unset {VARIABLE} and run ./build.sh native, or set dev = true"
        )


def _bind(name: str, mode: str, every: int) -> None:
    """Give the module's names to those who import it."""
    if mode == SHADOW:
        shadow = Shadow(name, _compiled(name), _pure(name), every, fall_back)
        found = shadow.names()
        _shadows[name] = shadow
    else:
        found = vars(_compiled(name) if mode == COMPILED else _pure(name))
        _shadows.pop(name, None)
    shown = vars(globals()[name])
    shown.clear()
    shown.update({key: value for key, value in found.items() if key == "__doc__" or key[0] != "_"})
    shown["__name__"] = f"native.{name}"
    _running[name] = mode


def _pure(name: str) -> ModuleType:
    return importlib.import_module(f"native.{name}_py")


def _compiled(name: str) -> ModuleType:
    module = f"native.{name}_{'run' if name in UNLOCKED else 'c'}"
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise NativeError(
            f"the compiled module {module} cannot be loaded ({error}); run ./build.sh native, "
            f"or set {VARIABLE}=pure for development"
        ) from error
    if _outdated(name, loaded):
        raise NativeError(f"{module} was compiled from another source; run ./build.sh native")
    return loaded


def _outdated(name: str, loaded: ModuleType) -> bool:
    """Whether the source beside a twin is another than its stamp says. Installed twins have neither."""
    folder = Path(__file__).parent
    if not (folder / f"{name}_c.pxd").exists():
        return False
    files = [folder / f"{name}_{part}" for part in ("c.pxd", "py.py", "run.pyx")]
    made_from = hashlib.sha256(b"".join(path.read_bytes() for path in files if path.exists())).hexdigest()
    built = Path(loaded.__file__ or "")
    stamp = built.with_name(f"{name}_c{''.join(built.suffixes)}.stamp")
    return not stamp.exists() or made_from not in stamp.read_text().split()


select()
