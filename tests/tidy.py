"""Style as a check: what is banned, each with what to do instead; ``offences(root)`` gives one line a case.

Import rules and the door to time are in ``layers.py``; format and lint are ruff's. Here is the rest.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

FUNCTION_LINES = 70  # what fits a screen; aim at about 10
FILE_LINES = 600  # aim at 400
BANNED_NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "core", "base", "misc"})
TOP_LEVEL = frozenset(
    {"app", "native", "board", "systemd", "tests", "build.sh", "README.md", "pyproject.toml", "LICENSE"}
)
MADE = frozenset({"build", "dist", "node_modules", "run", "__pycache__"})  # what tools make; git ignores it
CODE = frozenset({".py", ".pyx", ".pxd", ".sh", ".c", ".h", ".ino", ".js", ".css", ".html"})
TEXT = CODE | {".toml", ".txt", ".md", ".sql", ".service", ""}
INTEGER_PACKAGES = ("app/domain/", "app/risk/", "app/engine/")
INTEGER_NAMES = ("_micro", "_ticks", "_ns")
PRINTING = ("app/cli", "native/build.py", "tests/")
ASSERTING = re.compile(r"raises|warns|assert|check|expect|verify|fail|run_state_machine", re.IGNORECASE)

# Spelled in pieces, for this file is read too.
MARKERS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")) + r")\b")
REGISTRIES = ("py" + r"pi\.org", "python" + "hosted", "npm" + r"js\.", "crates" + r"\.io")
WORDS = {
    "registry host": re.compile("|".join(REGISTRIES)),
    "absolute path of one machine": re.compile(r"(?<![\w.$}])/(?:" + "wo" + r"rk|home/\w+|Users/\w+)/"),
}


def offences(root: Path) -> list[str]:
    """Return what is untidy under ``root``, one line each: place, what, and what to do instead."""
    found = [f"{name}: not one of the fixed top-level names" for name in _strangers(root)]
    for path in files(root):
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name}{problem}" for problem in _in_text(path, text)]
        if path.suffix == ".py":
            found += [f"{name}{problem}" for problem in _in_python(name, ast.parse(text, name))]
    return found


def files(root: Path) -> Iterator[Path]:
    """Yield every text file of the project, in order; not what tools make, nothing in hidden folders."""
    tops = [path for path in sorted(root.iterdir()) if not path.name.startswith(".") or path.name == ".ci"]
    for top in tops:
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            parts = path.relative_to(root).parts
            if path.is_file() and path.suffix in TEXT and not MADE.intersection(parts):
                yield path


def _strangers(root: Path) -> list[str]:
    known = TOP_LEVEL | MADE
    names = (path.name for path in sorted(root.iterdir()) if not path.name.startswith("."))
    return [name for name in names if name not in known and not name.endswith(".egg-info")]


def _in_text(path: Path, text: str) -> Iterator[str]:
    lines = text.splitlines()
    if path.suffix in CODE and len(lines) > FILE_LINES:
        yield f": {len(lines)} lines, at most {FILE_LINES}: split it by subject"
    if path.stem in BANNED_NAMES or path.parent.name in BANNED_NAMES:
        yield ": a name that says nothing: call it after what lives there"
    for number, line in enumerate(lines, 1):
        if path.name != "LICENSE" and MARKERS.search(line):
            yield f":{number}: work left for later: do it now or write an issue"
        for what, pattern in WORDS.items():
            if pattern.search(line):
                yield f":{number}: {what}: {line.strip()[:60]}"


def _in_python(name: str, tree: ast.Module) -> Iterator[str]:
    if tree.body and ast.get_docstring(tree) is None:
        yield ": no docstring: say what lives here and what must not"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _in_function(name, node)
        elif isinstance(node, ast.ExceptHandler):
            yield from _in_handler(node)
        elif isinstance(node, ast.Call):
            yield from _in_call(name, node)


def _in_function(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if length > FUNCTION_LINES:
        yield f":{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES}: split it"
    if name.startswith("tests/") and node.name.startswith("test_") and not _asserts(node):
        yield f":{node.lineno}: {node.name} asserts nothing"


def _asserts(node: ast.AST) -> bool:
    inside = list(ast.walk(node))
    calls = (ast.unparse(call.func) for call in inside if isinstance(call, ast.Call))
    return any(isinstance(part, ast.Assert) for part in inside) or any(map(ASSERTING.search, calls))


def _in_handler(node: ast.ExceptHandler) -> Iterator[str]:
    if node.type is None:
        yield f":{node.lineno}: bare except: name what is expected"
    elif _broad(node.type) and all(isinstance(line, ast.Pass) for line in node.body):
        yield f":{node.lineno}: swallows every error: name what is expected"


def _broad(kind: ast.expr) -> bool:
    kinds: Iterable[ast.expr] = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(ast.unparse(one) in ("Exception", "BaseException") for one in kinds)


def _in_call(name: str, node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    if called == "print" and not name.startswith(PRINTING):
        yield f":{node.lineno}: print: return the text, or log where it is handled"
    if name.startswith("tests/") and called == "time.sleep":
        yield f":{node.lineno}: a real sleep in a test: use a virtual clock or wait for an event"
    if called == "float" and name.startswith(INTEGER_PACKAGES) and node.args and _is_integer(node.args[0]):
        yield f":{node.lineno}: float of an exact integer: keep it whole, native.fixed divides and prints it"


def _is_integer(node: ast.expr) -> bool:
    """Whether an expression names money, a price or a time that the design keeps as an integer."""
    names = (part for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute))
    return any(
        (part.id if isinstance(part, ast.Name) else part.attr).endswith(INTEGER_NAMES) for part in names
    )
