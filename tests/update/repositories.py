"""Small releases, a signed repository of them, and a web server with faults."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from app.clock import NS, VirtualClock
from app.update.artifact import MANIFEST, manifest_of
from app.update.check import Source
from app.update.decide import Here
from app.update.release import Repository

NOW_NS = 1_800_000_000 * NS  # 2027-01-15
BUILT_NS = NOW_NS - 86_400 * NS
PASSPHRASE = b"correct horse battery"
ARCH, BOARD, PYTHON, SCHEMA = "x86_64", "generic", "3.13", 2


def secret(_name: str) -> bytes:
    return PASSPHRASE


def today() -> VirtualClock:
    """Real now: The Update Framework's client reads the machine's own clock for expiry."""
    return VirtualClock(int(datetime.now(UTC).timestamp()) * NS)


def made(path: Path, version: str, files: dict[str, bytes] | None = None, **changes: Any) -> Path:
    """An artifact of `version`; its manifest says what the tests' machine needs, unless changed."""
    inside = {
        "__main__.py": f"VERSION = {version!r}\n".encode(),
        "app/x.py": b"x = 1\n" * 500,
        **(files or {}),
    }
    listed = {name: [hashlib.sha256(data).hexdigest(), len(data)] for name, data in inside.items()}
    head = {
        **{"version": version, "commit": "a1b2c3", "arch": ARCH, "pythons": [PYTHON], "built_s": 1},
        **{"schema": SCHEMA, "schema_oldest": 1},
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(MANIFEST, json.dumps({**head, "files": listed, **changes}))
        for name, data in inside.items():
            archive.writestr(name, data)
    return path


class Published:
    """A repository with its keys and what a device needs to know of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.keys = folder / "site", folder / "keys"
        self.clock = today()

    @property
    def tool(self) -> Repository:
        return Repository(self.folder, [self.keys], secret, self.clock)

    @property
    def root(self) -> bytes:
        return (self.folder / "metadata" / "1.root.json").read_bytes()

    def add(
        self, version: str, boards: tuple[str, ...] = (BOARD,), min_from: str = "0", **changes: Any
    ) -> str:
        file = made(self.folder.parent / f"plimsoll-{version}-linux-{ARCH}", version, **changes)
        name = self.tool.sign(file, boards, min_from)
        self.tool.publish()
        return name

    def metadata(self, name: str) -> Path:
        return self.folder / "metadata" / name

    def served(self, name: str) -> Path:
        """The file of a release as it is served."""
        return next((self.folder / "targets").glob(f"*.{name}"))


@cache
def _empty() -> Path:
    """A repository without releases, made once: keys take a while."""
    folder = Path(mkdtemp(prefix="plimsoll-repository-"))
    Published(folder).tool.init()
    return folder


def published(folder: Path, *versions: str) -> Published:
    """A repository of its own for a test."""
    shutil.copytree(_empty(), folder, dirs_exist_ok=True)
    repository = Published(folder)
    for version in versions:
        repository.add(version)
    return repository


def here(current: str = "0.1.0-00000000", **changes: Any) -> Here:
    return Here(
        **{"current": current, "arch": ARCH, "board": BOARD, "python": PYTHON, "schema": SCHEMA, **changes}
    )


def source(repository: Published, url: str) -> Source:
    return Source(url, repository.root, BUILT_NS - 10 * 365 * 86_400 * NS)


def name_of(file: Path) -> str:
    return manifest_of(file).name


class Site:
    """What a server did and shall do. `cut_after` ends a body after so many bytes; `body` replaces it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, ""
        self.cuts: list[int] = []  # one a request, in order, of what lies in targets/
        self.body: Callable[[str], Iterator[bytes] | None] = lambda path: None
        self.tag: Callable[[bytes], str] = lambda data: f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        self.ranges = True
        self.status: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []  # path, Range
        self.sent = 0  # bytes of targets


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """A web server on loopback over `folder`, in a thread."""
    site = Site(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):
                self.answer()

        def answer(self) -> None:
            asked = self.headers.get("Range", "")
            site.asked.append((self.path, asked))
            stream = site.body(self.path)
            if stream is not None:
                self.send_response(200)
                self.end_headers()
                for chunk in stream:
                    self.wfile.write(chunk)
                return
            path = site.folder / self.path.lstrip("/")
            status = site.status.get(self.path, 200 if path.is_file() else 404)
            if status != 200:
                self.send_error(status)
                return
            self.give(path.read_bytes(), asked)

        def give(self, data: bytes, asked: str) -> None:
            tag, begin = site.tag(data), 0
            unchanged = self.headers.get("If-Range", tag) == tag
            if asked and site.ranges and unchanged:
                begin = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - begin))
            self.send_header("ETag", tag)
            self.end_headers()
            rest = data[begin:]
            if self.path.startswith("/targets/"):
                rest = rest[: site.cuts.pop(0)] if site.cuts else rest
                site.sent += len(rest)
            self.wfile.write(rest)
            if len(rest) < len(data) - begin:
                self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


@pytest.fixture
def repository(tmp_path: Path) -> Published:
    """One that has published a release; a test module takes this fixture and `site` by name."""
    return published(tmp_path / "published", "0.2.0")


@pytest.fixture
def site(repository: Published) -> Iterator[Site]:
    with serving(repository.folder) as site:
        yield site
