"""One HTTP/1.1 answer, read from bytes as they come. No request, no socket, no second answer.

Pure. It accepts what the venue's servers send (a length or chunks) and refuses the rest: an answer that ends
where the connection ends cannot be told from one that was cut, so it is no proof of anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.errors import Theirs

SOURCE = "HTTP answer"
MAX_HEAD = 16 * 1024  # bytes of status line and headers; the venue sends under 1 KiB, proxies some more
MAX_BODY = 8 * 1024 * 1024  # bytes; the list of all orders of a very busy day is below 1 MiB
MAX_CHUNK_LINE = 64  # bytes of a chunk's size line, extensions included
NO_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `headers` in lower case; `reusable`: the connection may carry another request."""

    status: int
    headers: dict[str, str]
    body: bytes
    reusable: bool


class AnswerReader:
    """`feed` bytes until it returns the Answer. Raises Theirs for what is no bounded HTTP/1.1 answer."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._body = bytearray()
        self._status, self._headers = 0, dict[str, str]()
        self._left = 0  # bytes of body or chunk still to come
        self._step: Callable[[], bool] | None = self._read_head

    def feed(self, data: bytes) -> Answer | None:
        """Take `data`; the answer when it is complete. Bytes after the end make the connection unusable."""
        self._data += data
        while self._step is not None:
            if not self._step():
                return None
        return Answer(self._status, self._headers, bytes(self._body), self._keeps_alive() and not self._data)

    def _keeps_alive(self) -> bool:
        return "close" not in self._headers.get("connection", "").lower()

    def _read_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end > MAX_HEAD or (end < 0 and len(self._data) > MAX_HEAD):
            raise Theirs(SOURCE, f"a head of more than {MAX_HEAD} bytes")
        if end < 0:
            return False
        lines = bytes(self._data[:end]).decode("latin-1").split("\r\n")
        del self._data[: end + 4]
        self._status, self._headers = _status(lines[0]), _headers(lines[1:])
        if self._status >= 200:  # 1xx announces that the answer follows
            self._begin_body()
        return True

    def _begin_body(self) -> None:
        coding, length = self._headers.get("transfer-encoding"), self._headers.get("content-length")
        if self._headers.get("content-encoding", "identity") != "identity" or (coding and length):
            raise Theirs(SOURCE, "an encoding that was not asked for")
        if self._status in NO_BODY:
            self._step = None
        elif coding is not None:
            self._begin_chunks(coding)
        else:
            self._left = _number(length, 10)
            self._step = self._read_body

    def _begin_chunks(self, coding: str) -> None:
        if coding.lower() != "chunked":
            raise Theirs(SOURCE, f"transfer encoding {coding}")
        self._step = self._read_chunk_size

    def _read_body(self) -> bool:
        self._take()
        if self._left:
            return False
        self._step = None
        return True

    def _take(self) -> None:
        """Move what is there of the expected bytes into the body."""
        part = self._data[: self._left]
        self._body += part
        del self._data[: len(part)]
        self._left -= len(part)

    def _read_chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._left = _number(line.partition(";")[0].strip(), 16)
        if self._left + len(self._body) > MAX_BODY:
            raise Theirs(SOURCE, f"a body of more than {MAX_BODY} bytes")
        self._step = self._read_chunk if self._left else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        self._take()
        if self._left or len(self._data) < 2:
            return False
        if self._data[:2] != b"\r\n":
            raise Theirs(SOURCE, "a chunk without its end")
        del self._data[:2]
        self._step = self._read_chunk_size
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self._step = None
        return True

    def _line(self) -> str | None:
        end = self._data.find(b"\r\n")
        if end > MAX_CHUNK_LINE or (end < 0 and len(self._data) > MAX_CHUNK_LINE):
            raise Theirs(SOURCE, "an endless line")
        if end < 0:
            return None
        line = bytes(self._data[:end]).decode("latin-1")
        del self._data[: end + 2]
        return line


def _status(line: str) -> int:
    version, _, rest = line.partition(" ")
    code = rest[:3]
    if (
        version != "HTTP/1.1"
        or not (code.isascii() and code.isdigit() and 100 <= int(code) <= 599)
        or rest[3:4].strip()
    ):
        raise Theirs(SOURCE, f"status line {line[:40]}")
    return int(code)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key, text = name.lower(), value.strip()
        if not colon or not key or key != key.strip():
            raise Theirs(SOURCE, "a header that is none")
        if key in ("content-length", "transfer-encoding") and headers.get(key, text) != text:
            raise Theirs(SOURCE, f"two different {key}")
        headers[key] = text
    return headers


def _number(text: str | None, base: int) -> int:
    """A length in `base`, bounded. Raises Theirs when it is missing or no plain number."""
    digits = "0123456789abcdefABCDEF" if base == 16 else "0123456789"
    if not text or len(text) > 12 or any(c not in digits for c in text):
        raise Theirs(SOURCE, "no usable length")
    number = int(text, base)
    if number > MAX_BODY:
        raise Theirs(SOURCE, f"a body of more than {MAX_BODY} bytes")
    return number
