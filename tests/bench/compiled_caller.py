"""What another compiled module would spend: the callers `cython/<job>.pyx`, which cimport what they call.

Built by the project's own Cython, like the modules themselves. No work of a job is known here.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from native import build
from tests.bench.side_by_side import BUILT, COMPILE_SECONDS, ROOT, SOURCES


def caller(job: str) -> ModuleType:
    """The module `cython/<job>.pyx`, compiled and loaded. Raises CalledProcessError."""
    BUILT.mkdir(parents=True, exist_ok=True)
    name = f"{job}_caller"
    translated, target = BUILT / f"{name}.c", BUILT / f"{name}{build.SUFFIX}"
    directives = [word for key, value in build.DIRECTIVES.items() for word in ("-X", f"{key}={value}")]
    cython = [sys.executable, "-m", "cython", "-I", str(ROOT), *directives, "--module-name", name]
    _run(*cython, "-o", str(translated), str(SOURCES / "cython" / f"{job}.pyx"))
    include = f"-I{sysconfig.get_paths()['include']}"
    _run("gcc", *build.COMPILER_FLAGS, "-shared", "-fPIC", include, "-o", str(target), str(translated))
    return _loaded(name, target)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=COMPILE_SECONDS)


def _loaded(name: str, path: Path) -> ModuleType:
    found = spec_from_file_location(name, path)
    assert found is not None and found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module
