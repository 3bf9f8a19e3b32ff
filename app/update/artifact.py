"""The single file of a release: a zip that Python runs, which unpacks itself once and then runs from there.

Python cannot load compiled modules out of a zip, so they must lie in a folder. Installed, that is the release
folder; run as a file, a folder in the cache that later runs find again. Either is whole or not there: it is
written beside, each file held against the manifest and flushed, and gets its name last.

Standard library only: this runs before anything else is there. What a release may do is not decided here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from app import durable

if TYPE_CHECKING:
    import zipfile  # 2 MB of memory, which only who opens a file spends

MANIFEST = "manifest.json"
MANIFEST_LIMIT = 1_048_576  # bytes; 1,500 files take 200 KB
LISTED = re.compile(rb'"files":\s*\{[^{}]*\}')
FILES_LIMIT = 10_000
SIZE_LIMIT = 200_000_000  # bytes unpacked; a release has 40 MB
CHUNK = 1_048_576  # bytes read at a time: an appliance has little memory to spare
FILE_MODE, FOLDER_MODE = 0o644, 0o755  # whatever root's umask is: the service's user runs from it
CACHE_VARIABLE = "XDG_CACHE_HOME"
ARTIFACT_VARIABLE = "PLIMSOLL_ARTIFACT"  # the file that a command was started from, for `install`


class Damaged(Exception):
    """The artifact or an unpacked release is not what its manifest says; the text says where."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a release is: for which machine and which Pythons, and every file with its hash and size."""

    version: str
    commit: str
    arch: str
    pythons: tuple[str, ...]
    files: dict[str, tuple[str, int]]  # posix path -> (sha256, bytes)
    digest: str  # sha256 of the manifest itself: names the release
    schema: int = 0  # of state.db, 0 = not told
    schema_oldest: int = 0  # the oldest whose program can open what this one leaves behind, 0 = not told
    built_s: int = 0  # UTC of its newest source, 0 = not told: no honest clock shows less

    @property
    def name(self) -> str:
        """The release folder's name: two builds of a version never share one."""
        return f"{self.version}-{self.digest[:8]}"


def parse_manifest(data: bytes) -> Manifest:
    """The manifest from its JSON. Raises Damaged for anything but what a build writes."""
    try:
        document = json.loads(data)
        files = {str(path): (str(each[0]), int(each[1])) for path, each in document["files"].items()}
        pythons = tuple(str(each) for each in document["pythons"])
        version, commit, arch = (document[key] for key in ("version", "commit", "arch"))
        numbers = [int(document.get(key, 0)) for key in ("schema", "schema_oldest", "built_s")]
    except (ArithmeticError, LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{MANIFEST} is not one of a release ({type(error).__name__})") from None
    if not all(map(_is_word, (version, commit, arch))):
        raise Damaged(f"{MANIFEST} names a version, commit or architecture that is none")
    if len(files) > FILES_LIMIT or sum(size for _, size in files.values()) > SIZE_LIMIT:
        raise Damaged(f"more than {FILES_LIMIT} files or {SIZE_LIMIT} bytes")
    for path, (_, size) in files.items():
        if size < 0 or not _stays_inside(path):
            raise Damaged(f"a path that leaves the release: {path[:100]!r}")
        if path == MANIFEST or any(str(folder) in files for folder in PurePosixPath(path).parents):
            raise Damaged(f"two files in one place: {path[:100]!r}")
    digest = hashlib.sha256(data).hexdigest()
    return Manifest(version, commit, arch, pythons, files, digest, *numbers)


def parse_head(data: bytes) -> Manifest:
    """The manifest without its files, which nobody needs who only asks what a release is for: 2 MB less."""
    return replace(
        parse_manifest(LISTED.sub(b'"files":{}', data, count=1)), digest=hashlib.sha256(data).hexdigest()
    )


def _stays_inside(path: str) -> bool:
    """Whether `path` names a file below the release, in the one way to write it."""
    pure = PurePosixPath(path)
    plain = path.isprintable() and "\\" not in path and path == str(pure)
    return plain and pure.name != "" and not pure.is_absolute() and ".." not in pure.parts


def _is_word(text: object) -> bool:
    return isinstance(text, str) and text.replace(".", "").replace("_", "").isalnum()


def manifest_of(artifact: Path) -> Manifest:
    """The manifest inside an artifact. Raises Damaged, OSError."""
    with _opened(artifact) as archive:
        return parse_manifest(_read(archive, MANIFEST, MANIFEST_LIMIT))


def _opened(artifact: Path) -> zipfile.ZipFile:
    import zipfile

    try:
        return zipfile.ZipFile(artifact)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:  # the last: a name that is no text
        raise Damaged(f"{artifact} is no artifact: {error}") from None


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A member of at most `limit` bytes, whatever its header says."""
    import zipfile

    try:
        with archive.open(name) as member:
            data = member.read(limit + 1)
    except (KeyError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise Damaged(f"{name} cannot be read: {error}") from None
    except Exception as error:
        seeking = isinstance(error, OSError) and error.errno == errno.EINVAL  # to a place before the file
        if seeking or type(error).__module__ in ("zlib", "lzma", "bz2"):
            raise Damaged(f"{name} cannot be unpacked: {error}") from None
        raise
    if len(data) > limit:
        raise Damaged(f"{name} is longer than {limit} bytes")
    return data


def unpack(artifact: Path, folder: Path) -> Manifest:
    """Unpack all of `artifact` as `folder`, durably; a folder of that name is taken as done.

    Raises Damaged when a byte differs from the manifest, OSError when the disk fails; then there is no
    `folder`, and what was begun beside it is gone.
    """
    with _opened(artifact) as archive:
        manifest = parse_manifest(_read(archive, MANIFEST, MANIFEST_LIMIT))
        if folder.exists():
            return manifest
        begun = folder.with_name(f".{folder.name}.{os.getpid()}.new")
        shutil.rmtree(begun, ignore_errors=True)
        try:
            _write(begun / MANIFEST, _read(archive, MANIFEST, MANIFEST_LIMIT))
            for path, (digest, size) in manifest.files.items():
                data = _read(archive, path, size)
                if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
                    raise Damaged(f"{path} is not what {MANIFEST} says")
                _write(begun / path, data)
            for inside, _, _ in os.walk(begun):
                os.chmod(inside, FOLDER_MODE)
            durable.settle(begun)
            _name(begun, folder)
        finally:
            shutil.rmtree(begun, ignore_errors=True)
    return manifest


def _name(begun: Path, folder: Path) -> None:
    """The last step: a whole folder gets its name. Another process may have been first."""
    try:
        begun.rename(folder)
    except OSError:
        if not folder.exists():
            raise
    durable.flush(folder.parent)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, FILE_MODE)
        file.write(data)


def differences(folder: Path) -> Iterator[str]:
    """What in an unpacked release is not as its manifest says, one line a file; nothing when it is so."""
    manifest = yield from changes(folder)
    known = manifest.files.keys() | {MANIFEST}
    for found in sorted(folder.rglob("*")):
        name = found.relative_to(folder).as_posix()
        if not found.is_dir() and name not in known:
            yield f"{name} was added"


def changes(folder: Path) -> Generator[str, None, Manifest]:
    """What in an unpacked release was changed or is missing, one line a file."""
    manifest = parse_manifest((folder / MANIFEST).read_bytes()[: MANIFEST_LIMIT + 1])
    for path, (digest, _) in manifest.files.items():
        try:
            with (folder / path).open("rb") as file:
                if _sha256(file) != digest:
                    yield f"{path} was changed"
        except OSError as error:
            yield f"{path}: {error.strerror}"
    return manifest


def _sha256(file: object) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):  # type: ignore[attr-defined]
        digest.update(chunk)
    return digest.hexdigest()


def become_unpacked(file: Path) -> None:
    """Unpack the artifact that is running, unless that was done before, and become the unpacked program.

    Ends the program where the artifact is for another Python or machine; raises Damaged, OSError.
    """
    manifest = manifest_of(file)
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if running not in manifest.pythons or os.uname().machine != manifest.arch:
        wanted = f"Python {' or '.join(manifest.pythons)} on {manifest.arch}"
        sys.exit(f"plimsoll: this file is for {wanted}, here is {running} on {os.uname().machine}")
    folder = cache() / manifest.name
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unpack(file, folder)
    os.environ[ARTIFACT_VARIABLE] = str(file)
    # Isolated as the file's own first line says: a release never reads the user's packages.
    os.execv(sys.executable, [sys.executable, "-sE", str(folder / "__main__.py"), *sys.argv[1:]])


def cache() -> Path:
    """Where artifacts that are run as files unpack themselves."""
    named = os.environ.get(CACHE_VARIABLE)
    return (Path(named) if named else Path.home() / ".cache") / "plimsoll"
