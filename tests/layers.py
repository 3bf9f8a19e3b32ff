"""Who may import whom: the table of the design, checked on a tree's source with ``ast``. Nothing is imported.

``offences(root)`` gives one line per broken rule. A package without a row is an offence itself, so the table
cannot be forgotten. Imports inside functions and under TYPE_CHECKING count like any other: knowing is
depending.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

PORTS = ("app.engine.ports", "app.engine.records")  # records are what travels through the ports

# Package or module -> what of ours it may import, besides itself. The longest matching row counts.
ROWS: dict[str, tuple[str, ...]] = {
    "native": (),
    "app": (),
    "app.errors": (),
    "app.clock": ("app.errors",),
    "app.durable": (),
    "app.aside": (),
    "app.listeners": (),
    "app.config": ("app.errors",),
    "app.domain": ("app.errors", "native"),
    "app.risk": ("app.errors", "app.domain", "native"),
    "app.strategies": ("app.errors", "app.domain", "native"),
    "app.planner": ("app.errors", "app.domain", "native"),
    "app.engine": ("app.errors", "app.domain", "app.risk", "native", "app.clock", "app.config"),
    "app.venues": (),
    "app.venues.topstepx": ("app.errors", "app.domain", *PORTS, "app.config", "app.clock", "native"),
    "app.venues.tradernet": ("app.errors", "app.domain", *PORTS, "app.config", "app.clock", "native"),
    "app.simulator": ("app.errors", "app.domain", "native", "app.clock", "app.listeners"),
    "app.backtest": (
        *("app.errors", "app.engine", "app.simulator", "app.risk", "app.strategies", "app.domain"),
        *("app.clock", "app.config", "native"),
    ),
    # The reasons of the trading state are journalled, and the latch is written without an engine.
    "app.store": (
        *("app.errors", "app.domain", "app.risk.state", *PORTS, "app.config", "app.clock", "app.durable"),
    ),
    "app.mcu": (
        *("app.errors", "native", "app.engine.ports", "app.engine.snapshot"),
        *("app.config", "app.clock", "app.durable", "app.aside"),
    ),
    "app.mcu.frame": ("app.mcu.messages", "app.mcu.session"),
    "app.mcu.messages": ("app.mcu.frame", "app.mcu.session"),
    "app.mcu.session": ("app.mcu.frame", "app.mcu.messages"),
    "app.web": (
        *("app.errors", *PORTS, "app.engine.snapshot", "app.engine.commands"),
        *("native", "app.config", "app.clock", "app.durable", "app.listeners"),
    ),
    "app.update": ("app.errors", "app.config", "app.clock", "app.durable"),
    # Of other adapters it knows releases only; the command line, which alone imports it, hands in the rest.
    "app.install": ("app.errors", "app.config", "app.clock", "app.durable", "app.update"),
    "app.ops": (
        *("app.errors", "app.engine.snapshot", "app.config", "app.clock", "app.aside"),
        "app.durable",
    ),
    "app.compose": ("app", "native"),
    # Safe mode cannot trade: it knows no engine and no venue, and of the journal what was known last.
    "app.safe": (
        *("app.aside", "app.clock", "app.config", "app.errors", "app.ops"),
        *("app.store.lastknown", "app.store.lock", "app.store.mark"),
        *("app.web.command_port", "app.web.front", "app.web.login", "app.web.safe"),
    ),
    "app.watchdog": ("app.clock", "app.engine", "app.ops", "app.store", "app.web"),
    "app.cli": ("app", "native"),
    "app.demo": ("app", "native"),
    "app.__main__": ("app", "native"),
}

# Third-party distribution -> the packages or modules that may import it; anything not listed is refused
# everywhere.
AIOHTTP = ("app.venues", "app.simulator", "app.web", "app.update")
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "aiohttp": AIOHTTP,
    "multidict": AIOHTTP,
    "yarl": AIOHTTP,
    "aiosqlite": ("app.store",),
    "serial": ("app.mcu.port",),
    "cbor2": ("app.mcu.messages",),
    "tuf": ("app.update",),
    "urllib3": ("app.update.fetch",),
    "cryptography": ("app.update.keys",),  # where releases are signed, never on an appliance
    "securesystemslib": ("app.update.keys",),
    "msgspec": ("app",),
    "Cython": ("native.build",),
    "setuptools": ("native.build",),
}

# No input or output: the pure ring, and the engine, so that live, replay and simulation share it unchanged.
PURE = ("app.domain", "app.risk", "app.strategies", "app.planner", "app.engine")
IMPURE_MODULES = frozenset(
    {
        *(
            "asyncio",
            "concurrent",
            "http",
            "multiprocessing",
            "os",
            "random",
            "secrets",
            "select",
            "selectors",
        ),
        *("signal", "socket", "sqlite3", "ssl", "subprocess", "threading", "urllib"),
    }
)
# All of the simulator but its servers is a pure model; `random` stays allowed: its generators are seeded.
MODEL = ("app.simulator",)
SERVERS = tuple(f"app.simulator.{name}" for name in ("hubs", "main", "quotes", "rest", "server"))
LINK = ("app.mcu.frame", "app.mcu.messages", "app.mcu.session")  # also run unchanged on MicroPython
LINK_MODULES = frozenset({"dataclasses", "enum", "time", "typing"})
CLOCK = "app.clock"
DATETIME_CALLS = frozenset({"now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp"})


@dataclass(frozen=True)
class Import:
    """One imported module as its file names it."""

    source: str
    target: str
    line: int


def offences(root: Path) -> list[str]:
    """Return what is wrong in the packages ``app`` and ``native`` under ``root``, one line each."""
    trees = {module: ast.parse(path.read_bytes(), str(path)) for module, path in modules(root).items()}
    imports = [found for module, tree in trees.items() for found in imports_of(module, tree, trees.keys())]
    found = [f"{module}: no row in the table of layers" for module in sorted(trees) if _row(module) is None]
    for imported in dict.fromkeys(imports):
        found += [f"{imported.source}:{imported.line}: {why}" for why in _judge(imported)]
    for module, tree in trees.items():
        found += [
            f"{module}:{line}: {call} is for {CLOCK} alone" for line, call in _clock_calls(module, tree)
        ]
    return found + [f"import cycle: {' -> '.join(cycle)}" for cycle in cycles(imports)]


def modules(root: Path) -> dict[str, Path]:
    """Return every Python module of ``app`` and ``native`` with its file."""
    found = {}
    for top in ("app", "native"):
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(module: str, tree: ast.AST, known: Container[str]) -> Iterator[Import]:
    """Yield what ``module`` imports; ``from package import name`` means the module ``name`` where there is
    one.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            package = _absolute(module, node)
            for alias in node.names:
                inner = f"{package}.{alias.name}"
                yield Import(module, inner if inner in known else package, node.lineno)


def _absolute(module: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")[: -node.level]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _row(module: str) -> str | None:
    """Return the row that rules ``module``; the bare ``app`` row is for the package itself only."""
    rows = [row for row in ROWS if _within(module, (row,)) and (row != "app" or module == "app")]
    return max(rows, key=len, default=None)


def _judge(imported: Import) -> Iterator[str]:
    source, target = imported.source, imported.target
    top = target.partition(".")[0]
    if top in ("app", "native"):
        row = _row(source)
        if row is not None and not _within(target, (row, *ROWS[row])):
            yield f"{row} may not import {target}"
    elif top in sys.stdlib_module_names:
        yield from _judge_stdlib(source, top)
    elif not _within(source, THIRD_PARTY.get(top, ())):
        yield f"{top} may be imported by {', '.join(THIRD_PARTY.get(top, ())) or 'nobody'}"
    elif _is_model(source) and THIRD_PARTY[top] is AIOHTTP:
        yield f"the simulator's model may not import {top}"


def _is_model(source: str) -> bool:
    return _within(source, MODEL) and not _within(source, SERVERS)


def _judge_stdlib(source: str, top: str) -> Iterator[str]:
    if top in IMPURE_MODULES:
        if _within(source, PURE) or "codec" in source.split("."):
            yield f"pure code may not import {top}"
        if _is_model(source) and top != "random":
            yield f"the simulator's model may not import {top}"
    if top == "time" and source.startswith("app") and source != CLOCK:
        yield f"time is for {CLOCK} alone"
    if _within(source, LINK) and top in IMPURE_MODULES | LINK_MODULES:
        yield f"the portable link may not import {top}"


def _clock_calls(module: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield calls that read a clock without importing ``time``: ``datetime.now()``, ``date.today()``,
    ``loop.time()``.
    """
    if module == CLOCK or not module.startswith("app"):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            last = owner.rpartition(".")[2]
            if last in ("datetime", "date") and node.func.attr in DATETIME_CALLS and _reads_now(node):
                yield node.lineno, f"{owner}.{node.func.attr}()"
            elif node.func.attr == "time" and not node.args and "loop" in last:
                yield node.lineno, f"{owner}.time()"


def _reads_now(node: ast.Call) -> bool:
    """``fromtimestamp`` with a zone is arithmetic; without one it reads the machine's own zone."""
    assert isinstance(node.func, ast.Attribute)
    if node.func.attr != "fromtimestamp":
        return True
    return len(node.args) + len(node.keywords) < 2


def cycles(imports: list[Import]) -> list[list[str]]:
    """Return each import cycle once, as the modules it runs through, its first name repeated at the end."""
    graph: dict[str, set[str]] = {}
    for imported in imports:
        if imported.source != imported.target:
            graph.setdefault(imported.source, set()).add(imported.target)
    found: dict[frozenset[str], list[str]] = {}
    done: set[str] = set()
    for start in sorted(graph):
        _walk(start, graph, [], done, found)
    return list(found.values())


def _walk(
    module: str,
    graph: dict[str, set[str]],
    path: list[str],
    done: set[str],
    found: dict[frozenset[str], list[str]],
) -> None:
    if module in path:
        cycle = path[path.index(module) :]
        found.setdefault(frozenset(cycle), [*cycle, module])
        return
    if module in done:
        return
    for target in sorted(graph.get(module, ())):
        _walk(target, graph, [*path, module], done, found)
    done.add(module)
