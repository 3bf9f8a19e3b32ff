"""Which mode each module runs in: asked for by settings and environment, refused where it cannot be."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import native
from native import modes
from tests.guards import ROOT
from tests.native.test_twins import python

SHADOWED = sorted(set(native.MODULES) - set(modes.NO_SHADOW))


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No word from the environment, and everything compiled again afterwards."""
    monkeypatch.delenv(native.VARIABLE, raising=False)
    native.select()
    yield
    monkeypatch.undo()
    native.select()


@pytest.mark.parametrize("name", native.MODULES)
def test_compiled_costs_nothing_because_the_names_are_the_extensions_own(name: str) -> None:
    extension = importlib.import_module(f"native.{name}_{'run' if name in native.UNLOCKED else 'c'}")
    offered = {key: value for key, value in vars(getattr(native, name)).items() if key[0] != "_"}
    assert offered == {key: value for key, value in vars(extension).items() if key[0] != "_"}
    assert all(value is vars(extension)[key] for key, value in offered.items())
    assert type(getattr(native, name)) is type(sys)  # a subclass of it would be looked into more slowly


@pytest.mark.parametrize("name", native.MODULES)
def test_pure_gives_the_sources_own_names(name: str) -> None:
    native.select({name: "pure"})
    source = importlib.import_module(f"native.{name}_py")
    offered = {key: value for key, value in vars(getattr(native, name)).items() if key[0] != "_"}
    assert offered == {key: value for key, value in vars(source).items() if key[0] != "_"}
    assert native.active()[name] == "pure"


@pytest.mark.parametrize("name", SHADOWED)
def test_shadow_offers_the_same_names(name: str) -> None:
    native.select({name: "shadow"})
    extension = importlib.import_module(f"native.{name}_c")
    offered = {key for key in vars(getattr(native, name)) if key[0] != "_"}
    assert offered == {key for key in vars(extension) if key[0] != "_"}
    meant = modes.TOGETHER if name in modes.TOGETHER else {name}
    assert native.active() == dict.fromkeys(native.MODULES, "compiled") | dict.fromkeys(meant, "shadow")


@pytest.mark.parametrize("name", sorted(modes.NO_SHADOW))
def test_refuses_shadow_where_it_cannot_be_and_says_why(name: str) -> None:
    with pytest.raises(native.NativeError, match=f"native.{name} cannot be shadow: .{{20}}"):
        native.select({name: "shadow"})
    with pytest.raises(native.NativeError, match=f"{name} cannot be shadow: "):
        modes.parse(f"compiled,{name}=shadow")
    assert native.active()[name] == "compiled"


@pytest.mark.parametrize(
    ("text", "said", "every"),
    [
        ("", {}, 0),
        ("compiled", dict.fromkeys(native.MODULES, "compiled"), 0),
        ("pure", dict.fromkeys(native.MODULES, "pure"), 0),
        ("market=shadow", {"market": "shadow"}, 0),
        ("shadow_every=7, market=shadow", {"market": "shadow"}, 7),
        ("compiled,market=shadow", dict.fromkeys(native.MODULES, "compiled") | {"market": "shadow"}, 0),
        (
            "shadow,wire=pure",
            {
                **dict.fromkeys(SHADOWED, "shadow"),
                **dict.fromkeys(modes.NO_SHADOW, "compiled"),
                "wire": "pure",
            },
            0,
        ),
    ],
)
def test_reads_what_the_environment_says(text: str, said: dict[str, str], every: int) -> None:
    assert modes.parse(text) == modes.Said(said, every)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("fast", "must be one of compiled, shadow, pure, not 'fast'"),
        ("market=fast", "PLIMSOLL_NATIVE: market must be one of compiled, shadow, pure, not 'fast'"),
        ("markets=pure", "no native module 'markets'"),
        ("shadow_every=0", "native.shadow_every lies in 1..1000000 calls, not 0"),
        ("shadow_every=1000001", "native.shadow_every lies in 1..1000000 calls, not 1000001"),
        ("shadow_every=-5", "native.shadow_every lies in 1..1000000 calls"),
        ("shadow_every=99999999999", "native.shadow_every lies in 1..1000000 calls"),
    ],
)
def test_refuses_words_that_mean_nothing(text: str, problem: str) -> None:
    with pytest.raises(native.NativeError) as refused:
        modes.parse(text)
    assert problem in str(refused.value)


def test_the_environment_overrules_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.VARIABLE, "market=compiled,wire=shadow")
    native.select({"market": "shadow", "orders": "shadow"})
    assert {name: mode for name, mode in native.active().items() if mode == "shadow"} == {
        "wire": "shadow",
        "orders": "shadow",
    }


@pytest.mark.parametrize("wanted", [{"markets": "pure"}, {"market": "fast"}])
def test_refuses_settings_that_mean_nothing(wanted: dict[str, str]) -> None:
    with pytest.raises(native.NativeError):
        native.select(wanted)


@pytest.mark.parametrize("every", [0, -1, modes.MOST_EVERY + 1])
def test_refuses_a_count_out_of_bounds(every: int) -> None:
    with pytest.raises(native.NativeError, match="shadow_every"):
        native.select({}, every)


def test_names_a_module_of_each_mode_when_the_process_begins() -> None:
    code = "import native; print(*sorted(set(native.active().items())))"
    said = python(code, twin="compiled,market=shadow,wire=pure").stdout
    assert "('market', 'shadow')" in said and "('wire', 'pure')" in said and "('gate', 'compiled')" in said


def test_refuses_to_serve_on_a_pure_twin_asked_for_but_not_on_an_exception() -> None:
    native.select({"wire": "pure"})
    with pytest.raises(native.NativeError, match="pure Python twin of wire"):
        native.require_compiled(dev=False)
    native.select()
    native.fall_back("wire")
    native.require_compiled(dev=False)
    assert native.active()["wire"] == modes.EXCEPTION
    assert native.wire.Decoder.__module__ == "native.wire_py"


@pytest.mark.parametrize("name", sorted(modes.TOGETHER))
def test_a_market_and_its_indicators_fall_back_together(name: str) -> None:
    native.fall_back(name)
    assert {each for each, mode in native.active().items() if mode == modes.EXCEPTION} == modes.TOGETHER
    market = native.market.Market((1,), lambda utc_ns: (0, 86_400_000_000_000))
    market.attach(native.indicators.Sma(2))
    assert type(market).__module__ == "native.market_py"


class Kept(ast.NodeVisitor):
    """Functions and classes of native modules that a module takes while it is imported: it keeps those."""

    def __init__(self, tree: ast.Module) -> None:
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        self.found = [f"from {node.module}" for node in imports if (node.module or "").startswith("native.")]
        names = [alias for node in imports if node.module == "native" for alias in node.names]
        self.modules = {alias.asname or alias.name for alias in names if alias.name in native.MODULES}
        self.visit(tree)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for each in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(each)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Its body runs when it is called."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in self.modules and not node.attr.isupper():
            self.found.append(f"{node.value.id}.{node.attr}")
        self.generic_visit(node)


# `requests.renew` makes its writer anew at each start; `slot` is of `native.shapes`, which has no twins.
MAY_KEEP = {"requests.py": ["orders.Writer"], "twins.py": ["from native.modes"]}


def kept(path: Path) -> list[str]:
    found = [each for each in Kept(ast.parse(path.read_text())).found if each != "frames.slot"]
    return found if found != MAY_KEEP.get(path.name) else []


def test_nobody_keeps_what_another_mode_would_replace() -> None:
    assert {str(path): found for path in (ROOT / "app").rglob("*.py") if (found := kept(path))} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from native import fixed\nmuldiv = fixed.muldiv", ["fixed.muldiv"]),
        ("from native import market\nclass A:\n    made = market.Bars()", ["market.Bars"]),
        ("from native import market as m\ndef a(b=m.coarsen): ...", ["m.coarsen"]),
        ("from native.wire_c import encode", ["from native.wire_c"]),
        ("from native import market\ndef a():\n    return market.Bars()\nMOST = market.MAX_FRAMES", []),
        ("from native import market\nmade: market.Bars\nmake = lambda: market.Bars()", []),
    ],
)
def test_finds_what_is_kept(tmp_path: Path, source: str, found: list[str]) -> None:
    (tmp_path / "some.py").write_text(f"from __future__ import annotations\n{source}\n")
    assert kept(tmp_path / "some.py") == found
