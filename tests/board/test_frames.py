"""Frames in C against native.wire: the same bytes, the same refusals for the same reasons; golden vectors."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.mcu.messages import HASH_SIZE, MESSAGES, valid
from native import wire_py as wire
from tests.board.rig import MAX_FRAME, U32, library

VECTORS = Path(__file__).parents[1] / "mcu" / "vectors.txt"
MESSAGE = 7  # probe.c: intact, but no message
OUTCOMES = (*wire.OUTCOMES, "pending", "message")
MOST = 4096  # bytes given to a decoder at once

U8, U16, U32S = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, U32)
headers = st.tuples(U8, U8, U32S, U16, U16, U32S)
integers = st.integers(-(2**63), 2**64 - 1) | st.integers(-300, 70000)
leaves = integers | st.booleans() | st.none() | st.binary(max_size=20) | st.text(max_size=12)
nested = st.recursive(leaves, lambda items: st.lists(items, max_size=4).map(tuple), max_leaves=12)


def encodable(header: tuple[int, ...], payload: tuple[Any, ...]) -> bytes | None:
    fields: tuple[Any, ...] = (*header, payload)
    try:
        return wire.encode(*fields)
    except ValueError:
        return None


payloads = st.lists(nested, max_size=5).map(tuple)
frames = st.builds(encodable, headers, payloads).filter(lambda data: data is not None)


@st.composite
def message_fields(draw: Any) -> tuple[int, tuple[Any, ...]]:
    kind = draw(st.sampled_from(sorted(MESSAGES)))
    fields = []
    for _, lowest, highest in MESSAGES[kind][1]:
        size = st.binary(min_size=HASH_SIZE, max_size=HASH_SIZE)
        fields.append(draw(size if lowest is None else st.integers(lowest, highest)))
    return kind, tuple(fields)


@st.composite
def damaged(draw: Any) -> bytes:
    """Good frames in a row after a few cuts, repetitions and changed bytes."""
    data = bytearray(b"".join(draw(st.lists(frames, min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        more = draw(st.sampled_from(["change", "cut", "insert", "repeat", "zero"]))
        if more == "change" and data:
            data[at] ^= draw(st.integers(1, 255))
        elif more == "cut":
            del data[at : at + draw(st.integers(1, 20))]
        elif more == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=150))
        elif more == "zero" and data:
            data[at] = 0
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 130))]
    return bytes(data[:MOST])


def decode(data: bytes) -> tuple[list[int], tuple[Any, ...], bytes]:
    """Outcomes, and the last good frame's header and payload, by the firmware."""
    c = library()
    outcomes = (ctypes.c_uint8 * (MOST + 1))()
    header = (ctypes.c_uint32 * 6)()
    payload = ctypes.create_string_buffer(MAX_FRAME)
    size = ctypes.c_size_t(0)
    count = c.probe_decode(data, ctypes.c_size_t(len(data)), outcomes, header, payload, ctypes.byref(size))
    return list(outcomes[:count]), tuple(header), payload.raw[: size.value]


def encode(header: tuple[int, ...], fields: tuple[Any, ...]) -> bytes:
    c = library()
    numbers = [0 if isinstance(field, bytes) else field & U32 for field in fields]
    own_hash = next((field for field in fields if isinstance(field, bytes)), bytes(HASH_SIZE))
    out = ctypes.create_string_buffer(MAX_FRAME)
    given = (ctypes.c_uint32 * 8)(*numbers)
    size = c.probe_encode((ctypes.c_uint32 * 6)(*header), given, own_hash, out)
    return out.raw[:size]


def expected(data: bytes) -> list[int]:
    """What native.wire and the table of messages say."""
    found = []
    for frame in wire.Decoder().feed(data):
        if isinstance(frame, int):
            found.append(frame)
        else:
            found.append(0 if valid(frame.type, frame.payload) else MESSAGE)
    return found


@given(header=headers, message=message_fields())
def test_writes_the_bytes_of_native_wire(
    header: tuple[int, ...], message: tuple[int, tuple[Any, ...]]
) -> None:
    kind, fields = message
    arguments: tuple[Any, ...] = (kind, *header[1:], fields)
    wanted = wire.encode(*arguments)
    assert encode((kind, *header[1:]), fields) == wanted
    assert decode(wanted) == ([0], (kind, *header[1:]), wire.cbor_encode(fields))


@given(header=headers, payload=payloads)
def test_reads_every_frame_of_native_wire(header: tuple[int, ...], payload: tuple[Any, ...]) -> None:
    data = encodable(header, payload)
    if data is not None:
        outcomes, fields, content = decode(data)
        assert outcomes == expected(data)
        assert (fields, content) == (header, wire.cbor_encode(payload))


@given(data=damaged())
def test_refuses_exactly_what_native_wire_refuses(data: bytes) -> None:
    assert decode(data)[0] == expected(data)


@given(data=st.binary(max_size=400))
@example(b"\x01\0")
@example(b"\x55" * 382 + b"\0" + b"\x01" * 127 + b"\0")
def test_agrees_on_bytes_that_were_never_a_frame(data: bytes) -> None:
    assert decode(data)[0] == expected(data)


def is_payload(data: bytes) -> bool:
    try:
        wire.cbor_decode(data)
    except ValueError:
        return False
    return True


heads = st.sampled_from([*range(256)])
cbor_like = st.lists(st.one_of(heads.map(lambda b: bytes([b])), st.binary(max_size=4)), max_size=12).map(
    b"".join
)


@given(data=st.one_of(cbor_like, cbor_like.map(lambda tail: b"\x82" + tail), st.binary(max_size=108)))
@example(b"\x81\x81\x81\x81\x81")
@example(b"\x81\x81\x81\x80")
@example(b"\x81\x81\x81\x81\x80")
@example(b"\x81\x7b\xff\xff\xff\xff\xff\xff\xff\xff")
@example(b"\x81\x3b\x80\0\0\0\0\0\0\0")
def test_allows_the_payloads_of_native_wire(data: bytes) -> None:
    assert library().probe_is_payload(data, ctypes.c_size_t(len(data))) == (
        len(data) <= 108 and is_payload(data)
    )


@pytest.mark.parametrize("major", range(0x00, 0xA0, 0x20))
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_agrees_on_the_shortest_form_of_every_width(major: int, size: int) -> None:
    c = library()
    borders = {2**bits + more for bits in (8, 16, 32, 63) for more in (-1, 0, 1)}
    for number in {0, 1, 22, 23, 24, 25, *borders, 2**64 - 1}:
        if number < 256**size:
            head = bytes([major | {1: 24, 2: 25, 4: 26, 8: 27}[size]]) + number.to_bytes(size, "big")
            content = b"\x07" * min(number, 100) if major in (0x40, 0x60, 0x80) else b""
            for data in ((b"\x81" + head + content)[:108], (b"\x82" + head + content + b"\x07")[:108]):
                assert c.probe_is_payload(data, ctypes.c_size_t(len(data))) == is_payload(data), data.hex()


@given(
    text=st.one_of(
        st.binary(max_size=8), st.text(max_size=4).map(lambda t: t.encode("utf-8", "surrogatepass"))
    )
)
@example(b"\xc0\x80")
@example(b"\xe0\x9f\xbf")
@example(b"\xed\xa0\x80")
@example(b"\xf0\x8f\xbf\xbf")
@example(b"\xf4\x90\x80\x80")
@example(b"\xf4\x8f\xbf\xbf")
@example(b"\xe2\x82")
def test_agrees_on_what_utf8_is(text: bytes) -> None:
    data = b"\x81" + bytes([0x60 | len(text)]) + text
    assert library().probe_is_payload(data, ctypes.c_size_t(len(data))) == is_payload(data)


@pytest.mark.parametrize("first", range(0x80, 0x100))
def test_agrees_on_every_beginning_of_a_sequence(first: int) -> None:
    c = library()
    for second in (0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0):
        for tail in (b"", b"\x80", b"\xbf\x80", b"\x80\x7f", b"\x80\xc0"):
            text = bytes([first, second]) + tail
            data = b"\x81" + bytes([0x60 | len(text)]) + text
            assert c.probe_is_payload(data, ctypes.c_size_t(len(data))) == is_payload(data), text


def vectors(kind: str) -> list[Any]:
    lines = (
        line.split(" ") for line in VECTORS.read_text().splitlines() if line and not line.startswith("#")
    )
    return [pytest.param(parts[2:], id=parts[1]) for parts in lines if parts[0] == kind]


@pytest.mark.parametrize("parts", vectors("good"))
def test_keeps_the_golden_frames(parts: list[str]) -> None:
    header = tuple(int(part) for part in parts[:6])
    fields = tuple(bytes.fromhex(v) if isinstance(v, str) else v for v in json.loads(parts[6]))
    assert encode(header, fields).hex() == parts[7]
    assert decode(bytes.fromhex(parts[7])) == ([0], header, wire.cbor_encode(fields))


@pytest.mark.parametrize("parts", vectors("bad"))
def test_refuses_the_golden_faults(parts: list[str]) -> None:
    outcomes = [OUTCOMES[code] for code in decode(bytes.fromhex(parts[1]))[0]]
    assert ",".join(outcomes or ["none"]) == parts[0]
