"""Makes `dist/plimsoll-<version>-linux-<arch>`: one executable file with everything but Python itself.

    python .ci/bundle.py [ARCH] [--to DIR]

It needs the interpreters of PYTHONS, and for another architecture Debian's cross compiler for it.

Inside, at the top of a zip: the program, its packages, the compiled modules and the byte code for each Python
it runs on, the units and sample settings, a bill of materials (CycloneDX) and a manifest with every file's
hash. The same sources give the same bytes: order, times, modes and byte code depend on nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import debian  # noqa: E402  # beside this file

from app.store.schema import STATE  # noqa: E402  # the checkout is not installed here
from app.update.artifact import MANIFEST  # noqa: E402
from board import targets  # noqa: E402

REQUIREMENTS = ROOT / ".ci" / "requirements-update.txt"  # what the service and the updater need
PYTHONS = {"x86_64": ("3.11", "3.13"), "aarch64": ("3.13",)}  # Debian 12 and 13; the board has 13
SUITES = {"3.11": "bookworm", "3.13": "trixie"}  # the Debian that has it
PLATFORMS = ("manylinux2014_{arch}", "manylinux_2_28_{arch}")  # older than either Debian's glibc
BYTE_CODE = ROOT / ".ci" / "byte_code.py"
SHEBANG = b"#!/usr/bin/python3 -sE\n"  # Debian's own Python, not what a user put first on the path
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can say
MAIN = '''\
"""Starts the release this file lies in; see app.update.starting."""

import sys

from app.update.starting import begin

begin(sys.path[0])

from app.cli import main  # noqa: E402

sys.exit(main())
'''
# Of packages: tests, sources of compiled modules, type stubs, console scripts, what no start ever reads.
DROPPED = re.compile(
    r"(^|/)(tests?|test_data|__pycache__|bin)/|\.(pyx|pxd|pxi|c|h|cpp|pyi|hpp|template)$|(^|/)(RECORD|INSTALLER|REQUESTED)$"
)
OWN = ("app", "native")
OWN_DROPPED = re.compile(r"(^|/)__pycache__/|\.(stamp|new|so|pyx|pxd|c)$|(^|/)build\.py$")
# Sources of the sketch, which `plimsoll board flash` compiles on the UNO Q, and files of a MicroPython board.
BOARD = "board"
BOARD_DROPPED = re.compile(
    r"^(build|linux|qemu)/|^micropython/(virtual|line|unix)\.py$|(^|/)__pycache__/|^tables\.py$"
)
VIRTUAL = "virtual-board"  # in BOARD: the firmware as a process, for the demo


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bundle", description="Make the file to install.")
    parser.add_argument("arch", nargs="?", choices=tuple(PYTHONS), default=os.uname().machine)
    parser.add_argument("--to", type=Path, default=ROOT / "dist", metavar="DIR", help="default: dist")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="plimsoll-bundle-") as scratch:
        made = bundle(asked.arch, Path(scratch), asked.to)
    size, digest = made.stat().st_size / 1e6, _sha256(made.read_bytes())
    sys.stdout.write(f"bundle: {made}, {size:.1f} MB, sha256 {digest}\n")
    return 0


def bundle(arch: str, scratch: Path, folder: Path) -> Path:
    """The artifact for `arch`, in `folder`; `scratch` is an empty folder to work in."""
    site = scratch / "site"
    site.mkdir()
    for python in PYTHONS[arch]:
        packages = scratch / f"packages-{python}"
        _install(arch, python, packages)
        _take(packages, site, DROPPED)
        _compile_native(arch, python, scratch / f"native-{python}", site)
    for package in OWN:
        _take(ROOT / package, site / package, OWN_DROPPED)
    _take(ROOT / "systemd", site / "systemd", OWN_DROPPED)
    _firmware(arch, site / BOARD)
    shutil.copy(ROOT / "LICENSE", site / "LICENSE")
    (site / "__main__.py").write_text(MAIN)
    _strip(arch, site)
    _byte_code(PYTHONS[arch], site)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (site / "sbom.json").write_text(json.dumps(bill_of_materials(site, version), indent=1, sort_keys=True))
    target = folder / f"plimsoll-{version}-linux-{arch}"
    folder.mkdir(parents=True, exist_ok=True)
    _zip(site, manifest(site, version, arch), target)
    return target


def interpreter(python: str) -> str:
    """A Python of that version that runs. Ends the program when there is none."""
    asked = os.environ.get(f"PYTHON{python.replace('.', '')}")
    known = sorted(Path.home().glob(f".pyenv/versions/{python}*/bin/python"))
    for candidate in filter(None, (asked, *map(str, known), f"python{python}", sys.executable)):
        if _said(candidate, VERSION) == python:
            return candidate
    sys.exit(f"bundle: no Python {python} here; install it, or set PYTHON{python.replace('.', '')}")


def _install(arch: str, python: str, target: Path) -> None:
    """The pinned and hashed packages for another Python or machine: wheels only, nothing is run."""
    number = python.replace(".", "")
    platforms = [part for name in PLATFORMS for part in ("--platform", name.format(arch=arch))]
    abis = [part for abi in (f"cp{number}", "abi3", "none") for part in ("--abi", abi)]
    _run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
        *("--target", str(target), *platforms, "--python-version", number, "--implementation", "cp", *abis),
        *("--only-binary", ":all:", "--require-hashes", "--requirement", str(REQUIREMENTS)),
    )


def _compile_native(arch: str, python: str, scratch: Path, site: Path) -> None:
    """The compiled twins for `python`, from a copy of the sources, so that the checkout stays as it is."""
    shutil.copytree(
        ROOT / "native", scratch / "native", ignore=shutil.ignore_patterns("*.so*", "__pycache__")
    )
    tool = (_with_cython(python, scratch), str(scratch / "native" / "build.py"))
    _run(*tool, **({} if arch == os.uname().machine else cross_environment(arch, python, scratch)))
    (site / "native").mkdir(exist_ok=True)
    for built in sorted((scratch / "native").glob("*.so")):
        shutil.copy(built, site / "native" / built.name)


def cross_environment(arch: str, python: str, scratch: Path) -> dict[str, str]:
    """What makes this machine's Python build for `arch`: the target's own build settings and headers.

    They come from Debian's packages of that architecture, unpacked; the compiler is Debian's cross compiler.
    """
    cache = ROOT / ".cache" / f"python{python}-{arch}"
    names = (f"libpython{python}-dev", f"libpython{python}-stdlib", f"libpython{python}-minimal")
    try:
        root = debian.unpacked(
            cache, SUITES[python], debian.ARCH[arch], [f"{n}:{debian.ARCH[arch]}" for n in names]
        )
    except debian.UnavailableError as error:
        sys.exit(f"bundle: no headers of Python {python} for {arch}: {error}")
    settings = scratch / "target"
    settings.mkdir()
    name = f"_sysconfigdata__{arch}-linux-gnu"
    shutil.copy(root / "usr" / "lib" / f"python{python}" / f"{name}.py", settings)
    compiler = f"{arch}-linux-gnu-gcc"
    if shutil.which(compiler) is None:
        sys.exit(
            f"bundle: {compiler} is missing; on Debian: apt install gcc-{arch}-linux-gnu and its C library"
        )
    headers = root / "usr" / "include"
    return {
        "PYTHONPATH": str(settings),
        "_PYTHON_SYSCONFIGDATA_NAME": name,
        "_PYTHON_HOST_PLATFORM": f"linux-{arch}",
        "CC": f"{compiler} -pthread",
        "LDSHARED": f"{compiler} -shared",
        # beside the target's own CFLAGS, which the variable of that name would replace
        "CPPFLAGS": f"-I{headers}/python{python} -I{headers}",
    }


def _with_cython(python: str, scratch: Path) -> str:
    """A Python of that version with the pinned build tools: the checkout's own environment, or a new one."""
    for folder in (ROOT / ".venv", ROOT / f".venv-{python}"):
        own = folder / "bin" / "python"
        if own.exists() and _said(str(own), f"{VERSION}; import Cython, setuptools") == python:
            return str(own)
    environment = scratch / "environment"
    _run(interpreter(python), "-m", "venv", str(environment))
    tool = str(environment / "bin" / "python")
    requirements = str(ROOT / ".ci" / "requirements-build.txt")
    pip = (tool, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*pip, "--only-binary", ":all:", "--require-hashes", "--requirement", requirements)
    return tool


def _take(source: Path, target: Path, dropped: re.Pattern[str]) -> None:
    """Copy a tree without what is `dropped`; what several Pythons share must be the same."""
    for path in _files(source):
        name = path.relative_to(source).as_posix()
        if dropped.search(name):
            continue
        copy = target / name
        if copy.exists() and copy.read_bytes() != path.read_bytes() and not name.endswith("WHEEL"):
            sys.exit(f"bundle: {name} differs between the Pythons of one artifact")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _files(folder: Path) -> Iterator[Path]:
    """Every plain file below, in an order that only its names decide."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _firmware(arch: str, folder: Path) -> None:
    """What boards are flashed from, what it greets with, and the virtual board for `arch`."""
    _take(ROOT / BOARD, folder, BOARD_DROPPED)
    (folder / targets.MANIFEST).write_text(json.dumps(targets.manifest(), indent=1, sort_keys=True))
    targets.static("cc" if arch == os.uname().machine else f"{arch}-linux-gnu-gcc", folder / VIRTUAL)
    (folder / VIRTUAL).chmod(0o644)  # as every file of a release; who runs it copies it


def _strip(arch: str, site: Path) -> None:
    """Symbols that only a debugger reads are half of some wheels."""
    tool = "strip" if arch == os.uname().machine else f"{arch}-linux-gnu-strip"
    _run(tool, "--strip-unneeded", *map(str, (path for path in _files(site) if path.suffix == ".so")))


def _byte_code(pythons: Iterable[str], site: Path) -> None:
    """Beside each source, for each Python that runs it."""
    for python in pythons:
        _run(interpreter(python), "-s", str(BYTE_CODE), str(site))


def manifest(site: Path, version: str, arch: str) -> bytes:
    """Every file's hash and size, and what the artifact is for."""
    files = {}
    for path in _files(site):
        data = path.read_bytes()
        files[path.relative_to(site).as_posix()] = [_sha256(data), len(data)]
    commit, built_s = _commit()
    document = {
        **{"version": version, "commit": commit, "arch": arch, "pythons": PYTHONS[arch], "files": files},
        "schema": STATE.version,
        "schema_oldest": STATE.oldest,
        "built_s": built_s,
    }
    return json.dumps(document, indent=0, sort_keys=True).encode()


def bill_of_materials(site: Path, version: str) -> dict[str, object]:
    """What is inside, as CycloneDX 1.6: each package with version, licence and where its hash is pinned."""
    components = []
    for metadata in sorted(site.glob("*.dist-info/METADATA")):
        fields = Parser().parsestr(metadata.read_text(encoding="utf-8"))
        licence = fields.get("License-Expression") or (fields.get("License") or "").splitlines()[:1]
        classifiers = [
            c.split(" :: ")[-1] for c in fields.get_all("Classifier", []) if c.startswith("License")
        ]
        named = licence if isinstance(licence, str) else "".join(licence) or ", ".join(classifiers)
        name = str(fields["Name"]).lower()
        components.append(
            {
                "type": "library",
                "name": name,
                "version": fields["Version"],
                "purl": f"pkg:pypi/{name}@{fields['Version']}",
                "licenses": [{"license": {"name": named or "see its metadata"}}],
            }
        )
    body = json.dumps(components, sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, version + body)}",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "plimsoll", "version": version}},
        "components": components,
    }


def _zip(site: Path, manifest_json: bytes, target: Path) -> None:
    """The folder as an executable zip; the same folder gives the same bytes."""
    begun = target.with_name(target.name + ".new")
    with begun.open("wb") as file:
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, data in _members(site, manifest_json):
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3  # Unix, whatever made it
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(entry, data)
    begun.chmod(0o755)
    os.replace(begun, target)


def _members(site: Path, manifest_json: bytes) -> Iterator[tuple[str, bytes]]:
    yield MANIFEST, manifest_json
    for path in _files(site):
        yield path.relative_to(site).as_posix(), path.read_bytes()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _run(*command: str, **variables: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "315532800", **variables}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bundle: {command[0]} failed\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _said(python: str, program: str) -> str:
    """What a one-line program prints, "" where it does not run: a name on the path may be an empty shim."""
    try:
        done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _commit() -> tuple[str, int]:
    """The checkout's commit and when it was made, marked where the tree differs from it; unknown where git
    does not answer for this folder.
    """
    words = ("git", "--no-optional-locks", "-c", f"safe.directory={ROOT}", "-C", str(ROOT))  # another's too
    try:
        told = [
            subprocess.run([*words, *asked], capture_output=True, text=True, check=True).stdout
            for asked in (("show", "--no-patch", "--format=%H %ct", "HEAD"), ("status", "--porcelain"))
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown", 0
    commit, made_s = told[0].split()
    return commit + (".changed" if told[1] else ""), int(made_s)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
