"""Which twin is picked, that none is stale, and that a broken one fails loudly instead of falling back."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import native
from native import build
from tests.guards import PROGRAM_PATIENCE, ROOT


def python(code: str, folder: Path = ROOT, twin: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != native.VARIABLE}
    if twin is not None:
        environment[native.VARIABLE] = twin
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PROGRAM_PATIENCE
    )


def test_every_compiled_twin_is_up_to_date() -> None:
    assert build.stale() == [], "run ./build.sh native"


def test_every_twin_is_offered_by_the_package() -> None:
    assert sorted(native.MODULES) == build.modules()
    assert set(native.MODULES) <= set(native.__all__)


@pytest.mark.parametrize("name", native.MODULES)
def test_both_twins_live_in_one_process(name: str) -> None:
    pure = importlib.import_module(f"native.{name}_py")
    compiled = importlib.import_module(f"native.{name}_c")
    assert (pure.__file__ or "").endswith(".py")
    assert (compiled.__file__ or "").endswith(str(build.SUFFIX))


@pytest.mark.parametrize("name", native.MODULES)
def test_the_source_imports_nothing_but_annotations(name: str) -> None:
    source = (ROOT / "native" / f"{name}_py.py").read_text()
    lines = [line for line in source.splitlines() if line.lstrip().startswith(("import ", "from "))]
    assert [line for line in lines if "cython" in line.lower()] == []


@pytest.mark.parametrize(
    ("twin", "expected"), [(None, "compiled"), ("compiled", "compiled"), ("pure", "pure")]
)
def test_picks_the_twin_that_is_asked_for(twin: str | None, expected: str) -> None:
    code = "import native; print(native.active()['fixed'], native.fixed.muldiv.__module__)"
    suffix = "c" if expected == "compiled" else "py"
    assert python(code, twin=twin).stdout.split() == [expected, f"native.fixed_{suffix}"]


def test_refuses_a_twin_it_does_not_know() -> None:
    said = python("import native", twin="fast").stderr
    assert "PLIMSOLL_NATIVE must be one of compiled, shadow, pure, not 'fast'" in said


def test_refuses_the_pure_twin_outside_development() -> None:
    done = python("import native; native.require_compiled(dev=False)", twin="pure")
    assert done.returncode == 1
    assert "runs on the pure Python twin of" in done.stderr and "fixed" in done.stderr
    assert python("import native; native.require_compiled(dev=True)", twin="pure").returncode == 0
    assert python("import native; native.require_compiled(dev=False)").returncode == 0


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The native package's sources alone, in a tree of their own."""
    folder = tmp_path / "native"
    folder.mkdir()
    for path in (ROOT / "native").glob("*.p*"):
        shutil.copy(path, folder)
    return folder


def test_a_missing_compiled_twin_is_an_error_not_a_fallback(copy: Path) -> None:
    done = python("import native", copy.parent)
    assert done.returncode == 1
    assert re.search(r"the compiled module native\.\w+ cannot be loaded", done.stderr)
    assert "./build.sh native" in done.stderr


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A native package with one small twin, quick to compile."""
    folder = tmp_path / "native"
    folder.mkdir()
    (folder / "wide_py.py").write_text("def product(a, b):\n    return a * b\n")
    (folder / "wide_c.pxd").write_text("cpdef long long product(long long a, long long b) except? -1\n")
    (folder / "__init__.py").touch()
    return folder


def test_rebuilds_after_a_change_of_source_or_types_only(small: Path) -> None:
    assert build.build(small) == ["wide"]
    assert build.build(small) == []
    for name in ("wide_c.pxd", "wide_py.py"):
        (small / name).write_text((small / name).read_text() + "\n# changed\n")
        assert build.stale(small) == ["wide"]
        assert build.build(small) == ["wide"]


def test_builds_the_wrapper_beside_its_twin_and_again_when_it_changes(small: Path) -> None:
    wrapper = small / "wide_run.pyx"
    wrapper.write_text("from native.wide_c cimport product\ndef twice(n):\n    return product(n, 2)\n")
    assert build.build(small) == ["wide"]
    assert python("from native import wide_run; print(wide_run.twice(21))", small.parent).stdout == "42\n"
    wrapper.write_text(wrapper.read_text() + "\n# changed\n")
    assert build.stale(small) == ["wide"]


def test_rebuilds_what_uses_the_types_of_a_changed_twin(small: Path) -> None:
    """The layout of one module's objects is compiled into the others that use them."""
    (small / "box_py.py").write_text("class Box:\n    def __init__(self):\n        self.size = 3\n")
    (small / "box_c.pxd").write_text("cdef class Box:\n    cdef readonly int size\n")
    (small / "heap_py.py").write_text(
        "from native.box_py import Box\n\n\ndef kind():\n    return Box.__module__, Box().size\n"
    )
    (small / "heap_c.pxd").write_text("from native.box_c cimport Box\n")
    assert build.build(small) == ["box", "heap", "wide"]
    (small / "box_c.pxd").write_text("cdef class Box:\n    cdef int more\n    cdef readonly int size\n")
    assert build.build(small) == ["box", "heap"]
    done = python("from native import heap_c, heap_py; print(heap_c.kind(), heap_py.kind())", small.parent)
    assert done.stdout == "('native.box_c', 3) ('native.box_py', 3)\n"


def test_a_failed_compilation_fails_the_build(copy: Path) -> None:
    for types in copy.glob("*_c.pxd"):
        types.unlink()  # one twin is enough
    (copy / "fixed_c.pxd").write_text("cdef no_such_type nonsense\n")
    done = subprocess.run(
        [sys.executable, str(copy / "build.py")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert "no_such_type" in done.stdout + done.stderr
    assert not build.extension("fixed", copy).exists()


def test_rejects_a_product_that_overflows_in_c(small: Path) -> None:
    build.build(small)
    done = python(
        "from native import wide_c; print(wide_c.product(3, 4)); wide_c.product(2**40, 2**30)", small.parent
    )
    assert done.stdout == "12\n"
    assert "OverflowError" in done.stderr
