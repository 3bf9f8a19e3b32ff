"""Answers on the order connections: complete or refused, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Theirs
from app.venues.topstepx.codec.http1 import MAX_BODY, MAX_HEAD, Answer, AnswerReader

PLAIN = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"
    b'3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\nTrailer: t\r\n\r\n'
)


def fed(data: bytes, size: int = 10**9) -> Answer | None:
    reader, answer = AnswerReader(), None
    for start in range(0, len(data), size):
        answer = reader.feed(data[start : start + size])
    return answer


@pytest.mark.parametrize("stream", [PLAIN, CHUNKED, b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + PLAIN])
@given(size=st.integers(1, 200))
def test_reads_the_same_answer_however_it_is_cut(stream: bytes, size: int) -> None:
    answer = fed(stream, size)
    assert answer is not None
    assert (answer.status, answer.body, answer.reusable) == (200, b'{"a":1}', True)


@pytest.mark.parametrize("stream", [PLAIN, CHUNKED])
def test_is_not_complete_one_byte_before_the_end(stream: bytes) -> None:
    assert fed(stream[:-1]) is None


def test_an_answer_without_body_is_complete() -> None:
    answer = fed(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert answer is not None and answer.body == b""
    answer = fed(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    assert answer is not None and (answer.status, answer.body) == (401, b"")


def test_more_bytes_than_the_answer_end_the_connection() -> None:
    answer = fed(PLAIN + b"H")
    assert answer is not None and not answer.reusable


def test_honours_connection_close() -> None:
    answer = fed(PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n", 1))
    assert answer is not None and not answer.reusable


@pytest.mark.parametrize(
    "stream",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",  # ends where the connection ends: cannot be told from a cut one
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (MAX_HEAD + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 100,
    ],
)
def test_refuses_what_is_no_bounded_answer(stream: bytes) -> None:
    with pytest.raises(Theirs):
        fed(stream)


def test_the_sum_of_chunks_is_bounded_too() -> None:
    reader, half = AnswerReader(), MAX_BODY // 2 + 1
    reader.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % half + b"x" * half + b"\r\n")
    with pytest.raises(Theirs):
        reader.feed(b"%x\r\n" % half)


@given(
    st.sampled_from([PLAIN, CHUNKED]),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_mutated_answers_are_read_or_theirs_and_nothing_else(
    stream: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(stream)
    for index, value in changes:
        data[index] = value
    try:
        answer = fed(bytes(data), 7)
        outcome = "incomplete" if answer is None else "read"
    except Theirs:
        outcome = "theirs"
    assert outcome in ("incomplete", "read", "theirs")
