"""Builds the compiled twins: ``native/<name>_py.py`` with ``<name>_c.pxd`` beside it becomes ``<name>_c``.

Run by ``./build.sh native`` as a script, since the package cannot be imported before its twins exist; the
service never imports this module. A twin is rebuilt when its source, its ``.pxd``, this file, Cython or the
interpreter changed, and a failed compilation fails the build.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from setuptools import Extension

DIRECTIVES = {
    "language_level": 3,
    "overflowcheck": True,  # 2**40 * 2**30 is silently 0 in C without it
    "annotation_typing": False,  # plain `n: int` annotations would clash with the types of the .pxd
    "nonecheck": True,  # None where an object belongs is an AttributeError, as in Python, and no crash
    "embedsignature": True,
}
# No fused multiply-add (gcc's default on aarch64): it rounds once where the pure twin rounds twice.
COMPILER_FLAGS = ["-O3", "-g0", "-ffp-contract=off", "-Wall", "-Wno-unused-function"]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
HERE = Path(__file__).resolve().parent


def modules(folder: Path = HERE) -> list[str]:
    """Return the names of the twins in ``folder``, sorted."""
    return sorted(path.name.removesuffix("_c.pxd") for path in folder.glob("*_c.pxd"))


def extension(name: str, folder: Path = HERE) -> Path:
    """Return where the compiled twin of ``name`` lies for this interpreter."""
    return _built(f"{name}_c", folder)


def units(name: str, folder: Path = HERE) -> dict[str, Path]:
    """Return the modules made for ``name`` with their sources: the twin, and maybe ``<name>_run``.

    The latter wraps a call of the twin to run without the interpreter's lock, which no Python source can say.
    """
    found = {f"{name}_c": folder / f"{name}_py.py", f"{name}_run": folder / f"{name}_run.pyx"}
    return {module: source for module, source in found.items() if source.exists()}


def _built(module: str, folder: Path) -> Path:
    return folder / f"{module}{SUFFIX}"


def _stamp(name: str, folder: Path) -> Path:
    built = extension(name, folder)
    return built.with_name(built.name + ".stamp")


def fingerprint(name: str, folder: Path = HERE) -> str:
    """Return a digest of everything the compiled twin of ``name`` is made from."""
    digest = hashlib.sha256(f"{version('cython')} {sys.version} {sysconfig.get_platform()}".encode())
    for path in (*units(name, folder).values(), *_types(name, folder), Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def made_from(name: str, folder: Path = HERE) -> str:
    """Return a digest of the module's own files: the package holds it against them when it loads the twin."""
    files = sorted((*units(name, folder).values(), folder / f"{name}_c.pxd"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _types(name: str, folder: Path) -> list[Path]:
    """Return the ``.pxd`` of ``name`` and of the twins whose types it uses: their layout is compiled in."""
    own = folder / f"{name}_c.pxd"
    used = re.findall(r"^(?:from|cimport) native\.(\w+)", own.read_text(), re.MULTILINE)
    return [own, *(folder / f"{other}.pxd" for other in used)]


def _of_compiled(source: str) -> str:
    """Return ``source`` with the twins it imports being compiled ones: a twin keeps to its kind."""
    return re.sub(r"^from native\.(\w+)_py import ", r"from native.\1_c import ", source, flags=re.MULTILINE)


def stale(folder: Path = HERE) -> list[str]:
    """Return the names of the twins that are missing or older than what they are made from."""
    return [name for name in modules(folder) if not _is_current(name, folder)]


def _is_current(name: str, folder: Path) -> bool:
    stamp = _stamp(name, folder)
    made = [_built(module, folder) for module in units(name, folder)]
    if not all(path.exists() for path in (*made, stamp)):
        return False
    return stamp.read_text() == _stamped(name, folder)


def _stamped(name: str, folder: Path) -> str:
    return f"{fingerprint(name, folder)}\n{made_from(name, folder)}\n"


def build(folder: Path = HERE) -> list[str]:
    """Compile the stale twins of ``folder``; returns their names. Raises what the compiler raised."""
    names = stale(folder)
    if names:
        with tempfile.TemporaryDirectory(prefix="plimsoll-native-") as temporary:
            _compile(names, folder, Path(temporary))
    return names


def _compile(names: list[str], folder: Path, temporary: Path) -> None:
    """Compile twins in a scratch package, on every core, then move them into place whole."""
    from Cython.Build import cythonize
    from setuptools import Distribution

    package = temporary / "native"
    package.mkdir()
    (package / "__init__.py").touch()
    wanted = [extension for name in names for extension in _wanted(name, folder, package)]
    compiled = cythonize(wanted, compiler_directives=DIRECTIVES, force=True, quiet=True)
    command = Distribution({"name": "native", "ext_modules": compiled}).get_command_obj("build_ext")
    command.build_lib = str(temporary / "lib")
    command.build_temp = str(temporary / "objects")
    command.parallel = os.cpu_count() or 1
    command.ensure_finalized()
    command.run()
    for name in names:
        for module in units(name, folder):
            _install(_built(module, temporary / "lib" / "native"), _built(module, folder))
        _stamp(name, folder).write_text(_stamped(name, folder))


def _wanted(name: str, folder: Path, package: Path) -> list[Extension]:
    """What to compile for one twin, its sources and types copied to ``package`` under its own name."""
    from setuptools import Extension

    for types in _types(name, folder):
        shutil.copyfile(types, package / types.name)
    wanted = []
    for module, source in units(name, folder).items():
        copy = package / f"{module}{source.suffix}"
        copy.write_text(_of_compiled(source.read_text()))
        options = {"extra_compile_args": COMPILER_FLAGS, "extra_link_args": ["-s"]}
        wanted.append(Extension(f"native.{module}", [str(copy)], **options))
    return wanted


def _install(built: Path, target: Path) -> None:
    """Replace the compiled twin in one step: a running service keeps the file it has mapped."""
    beside = target.with_name(target.name + ".new")
    shutil.copyfile(built, beside)
    os.replace(beside, target)


if __name__ == "__main__":
    for built in build():
        print(f"native: compiled {built}")
