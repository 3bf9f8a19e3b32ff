"""Bytes from a static repository, bounded in number and time: over HTTP, resumed where a transfer broke off.

Nothing here trusts what it fetches. How long a file may be and what its hash must be comes from signed
metadata; the caller compares.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)
from tuf.ngclient import FetcherInterface

from app import durable
from app.clock import NS, Clock
from app.errors import Theirs, Unreachable, clean

CHUNK = 65_536  # bytes
QUIET_S = 20.0  # of a connection before it counts as dead
METADATA_LIMIT_NS = 60 * NS  # for one file of metadata: the largest has some 20 KB
FILE_LIMIT_NS = 3_600 * NS  # for one release in one go: 11 MB at 3 KB/s
SLOWEST = 1_024  # bytes a second on average; slower, a release would take hours and hold everything up
GRACE_NS = 30 * NS  # before the average counts
ATTEMPTS = 5  # connections for one file in one go; the next run goes on where the last one ended
REDIRECTS = 5  # a release page of a forge leads to its storage
PART, TAG = ".part", ".etag"
TAG_LIMIT = 200  # bytes of an entity tag
RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)")
SOURCE = "update server"
NUMBERED = re.compile(r"(\d{1,9})\.((?:root|snapshot|targets)\.json)")
MOST_KEPT = 5_000_001  # bytes; more than any file of metadata may have


class Web(FetcherInterface):
    """Metadata and releases of a repository on the web."""

    def __init__(self, clock: Clock, agent: str = "plimsoll") -> None:
        self._clock = clock
        self._pool = urllib3.PoolManager(
            headers={"User-Agent": agent, "Accept-Encoding": "identity"},
            timeout=urllib3.Timeout(connect=QUIET_S, read=QUIET_S),
            retries=urllib3.Retry(total=REDIRECTS, connect=0, read=0, status=0, other=0, redirect=REDIRECTS),
        )

    def _fetch(self, url: str) -> Iterator[bytes]:
        """One file of metadata; who reads bounds its bytes, here its time is."""
        response = self._get(url, {})
        if response.status != 200:
            response.close()
            raise DownloadHTTPError(f"{url} answers {response.status}", response.status)
        return self._timed(response, METADATA_LIMIT_NS)

    def download(self, url: str, part: Path, length: int) -> None:
        """Fill `part` with what is at `url`, `length` bytes, going on behind what it has.

        Raises Theirs (the wrong length or answer), Unreachable (broken off too often, or too slow: what was
        got stays), OSError.
        """
        for attempt in range(ATTEMPTS):
            try:
                self._attempt(url, part, length)
            except (DownloadHTTPError, DownloadLengthMismatchError) as error:
                raise Theirs(SOURCE, error) from None
            except SlowRetrievalError as error:
                raise Unreachable(SOURCE, error) from None
            except (urllib3.exceptions.HTTPError, DownloadError) as error:
                if attempt == ATTEMPTS - 1:
                    raise Unreachable(SOURCE, clean(error)) from None
            if part.exists() and part.stat().st_size == length:
                return
        raise Unreachable(SOURCE, f"{url} broke off {ATTEMPTS} times")

    def _attempt(self, url: str, part: Path, length: int) -> None:
        have = part.stat().st_size if part.exists() else 0
        if have > length:
            discard(part)
            have = 0
        if have == length:
            return
        response = self._get(url, _condition(part, have))
        try:
            begin = _begins(response, have, length)
            _remember(part, response.headers.get("ETag", ""))
            with part.open("r+b" if begin else "wb") as file:
                file.seek(begin)
                self._fill(file.write, response, length - begin)
                durable.sync(file)
        finally:
            response.close()

    def _fill(self, write: Callable[[bytes], int], response: urllib3.BaseHTTPResponse, room: int) -> None:
        for chunk in self._timed(response, FILE_LIMIT_NS):
            if len(chunk) > room:
                raise DownloadLengthMismatchError("sends more than was signed for")
            room -= write(chunk)

    def _get(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        if urlsplit(url).scheme not in ("https", "http"):
            raise DownloadError(f"{url} is not on the web")
        try:
            asked = {**self._pool.headers, **headers}
            return self._pool.request("GET", url, headers=asked, preload_content=False, decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(clean(error)) from None

    def _timed(self, response: urllib3.BaseHTTPResponse, limit_ns: int) -> Iterator[bytes]:
        """The body piece by piece, as it comes. Raises SlowRetrievalError when it takes too long."""
        began_ns, got = self._clock.mono_ns(), 0
        try:
            while chunk := response.read1(CHUNK):
                got += len(chunk)
                took_ns = self._clock.mono_ns() - began_ns
                if took_ns > limit_ns or (took_ns > GRACE_NS and got * NS < SLOWEST * took_ns):
                    raise SlowRetrievalError(f"{got} bytes in {took_ns // NS} s")
                yield chunk
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(clean(error)) from None
        finally:
            response.close()


def _condition(part: Path, have: int) -> dict[str, str]:
    """Ask for the rest only, and for all of it when the file has changed since."""
    if not have:
        return {}
    try:
        tag = durable.read(part.with_suffix(TAG), TAG_LIMIT).decode("latin-1")
    except OSError:
        tag = ""
    return {"Range": f"bytes={have}-", **({"If-Range": tag} if tag else {})}


def _begins(response: urllib3.BaseHTTPResponse, have: int, length: int) -> int:
    """At which byte of the file the body begins. Raises DownloadError."""
    if response.status == 200:
        return 0
    if response.status == 206:
        span = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if span and int(span[1]) == have and span[2] in ("*", str(length)):
            return have
        raise DownloadHTTPError("sends another part than was asked for", 206)
    if response.status >= 500:
        raise DownloadError(f"answers {response.status}")
    raise DownloadHTTPError(f"answers {response.status}", response.status)


def _remember(part: Path, tag: str) -> None:
    """Only a strong tag says that bytes are the same."""
    strong = tag.startswith('"') and tag.endswith('"') and len(tag) <= TAG_LIMIT
    file = part.with_suffix(TAG)
    if strong and tag.isascii() and tag.isprintable():
        file.write_bytes(tag.encode())
    else:
        file.unlink(missing_ok=True)


def discard(part: Path) -> None:
    """Throw away what was got."""
    part.unlink(missing_ok=True)
    part.with_suffix(TAG).unlink(missing_ok=True)


def is_file(path: Path, length: int, sha256: str) -> bool:
    """Whether `path` is the signed file: its length first, then its hash."""
    try:
        if path.stat().st_size != length:
            return False
        digest = hashlib.sha256()
        for chunk in durable.chunks(path, length + 1):
            digest.update(chunk)
    except OSError:
        return False
    return digest.hexdigest() == sha256


class Kept(FetcherInterface):
    """The metadata that another process has kept, served as a repository would: so one who may switch checks
    every signature again, of files that one who may only download has written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = urlsplit(url).path.rpartition("/")[2]
        numbered = NUMBERED.fullmatch(name)
        if numbered and numbered[2] == "root.json":
            path = self._folder / "root_history" / name
        else:
            path = self._folder / (numbered[2] if numbered else name)
        try:
            return iter(list(durable.chunks(path, MOST_KEPT)))
        except OSError:
            raise DownloadHTTPError(f"{name} is not there", 404) from None
