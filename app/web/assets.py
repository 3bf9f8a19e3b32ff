"""The files of the page: a fixed map read once. A request names a key of the map, never a path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

PAGE_BYTES_MAX = 60 * 1024  # the first visit with everything, uncompressed; a test holds it
TYPES = {
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "controls.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    content_type: str
    etag: str  # strong: it names these very bytes


@cache
def assets() -> dict[str, Asset]:
    """By request path."""
    return {f"/static/{name}": _read(name, kind) for name, kind in TYPES.items()}


@cache
def template(name: str) -> str:
    """The text of `page.html`, `locked.html` or `safe.html`, with empty slots."""
    return _bytes(name).decode()


def _read(name: str, kind: str) -> Asset:
    body = _bytes(name)
    return Asset(body, kind, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _bytes(name: str) -> bytes:
    return resources.files("app.web").joinpath("static", name).read_bytes()
