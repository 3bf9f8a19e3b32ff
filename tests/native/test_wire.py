"""Both twins of native.wire: against zlib and cbor2 where these say the same, stricter where they do not."""

from __future__ import annotations

import importlib
import random
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from native import wire_py

wire_c = importlib.import_module("native.wire_c")

TWINS = pytest.mark.parametrize("twin", [wire_py, wire_c], ids=["pure", "compiled"])
OVERSIZE, COBS, SHORT, CRC, PAYLOAD = 1, 2, 3, 4, 5
HEADER = (3, 1, 0xDEADBEEF, 4711, 4710, 123456789)
GOLDEN = {  # for every implementation of the link: arguments of encode, bytes on the wire
    (*HEADER, (7, 1234, -45678, True, None, b"\x01\x02\x00\x04", "kill", 4000000000)): (
        "1c0301deadbeef12671266075bcd1588071904d239b26df5f64401020b04646b696c6c1aee6b28056ba6b72000"
    ),
    (0, 0, 0, 0, 0, 0, ()): "010101010101010101010101010106803a6b80c700",
}

U8, U16, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
headers = st.tuples(U8, U8, U32, U16, U16, U32)
integers = st.integers(-(2**63), 2**64 - 1) | st.integers(-300, 70000) | st.sampled_from(
    [sign * (2**power + more) for power in (5, 8, 16, 32, 62) for more in (-1, 0, 1) for sign in (1, -1)]
    + [-(2**63), 2**63 - 1, 2**63, 2**64 - 1, 23, 24, -24, -25]
)  # fmt: skip
leaves = integers | st.booleans() | st.none() | st.binary(max_size=30) | st.text(max_size=20)


def tuples_of(items: Any) -> Any:
    return st.lists(items, max_size=5).map(tuple)


payloads = tuples_of(leaves | tuples_of(leaves | tuples_of(leaves | tuples_of(leaves)))).filter(
    lambda values: len(oracle(values)) <= wire_py.MAX_PAYLOAD
)


def oracle(values: tuple[Any, ...]) -> bytes:
    """The same array by cbor2, which writes integers and lengths in their shortest form too."""
    return cbor2.dumps(values)


def tupled(value: Any) -> Any:
    return tuple(map(tupled, value)) if isinstance(value, list | tuple) else value


def stuffed(raw: bytes) -> bytes:
    """COBS the long way: split at the zeros, each part behind its length plus one. Parts under 254 bytes."""
    return b"".join(bytes([len(part) + 1]) + part for part in raw.split(b"\0")) + b"\0"


def framed(raw: bytes) -> bytes:
    return stuffed(raw + zlib.crc32(raw).to_bytes(4, "big"))


def verdict(function: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """What a call gave: its value with its type, or its error's type and words."""
    try:
        value = function(*arguments)
    except Exception as error:
        return type(error), str(error)
    return type(value), value


def seen(decoder: Any, *pieces: bytes) -> list[Any]:
    """What a decoder reports, frames as the tuple of their fields."""
    found = [each for piece in pieces for each in decoder.feed(piece)]
    return [each if isinstance(each, int) else each.fields() for each in found]


@TWINS
@given(header=headers, payload=payloads)
def test_gives_back_every_frame(twin: ModuleType, header: tuple[int, ...], payload: tuple[Any, ...]) -> None:
    frame = twin.encode(*header, payload)
    assert len(frame) <= twin.MAX_FRAME
    assert frame.index(0) == len(frame) - 1
    assert seen(twin.Decoder(), frame) == [(*header, payload)]
    assert twin.encode(*header, twin.cbor_encode(payload)) == frame


@TWINS
@given(header=headers, payload=payloads)
def test_lays_a_frame_out_as_the_oracles_do(
    twin: ModuleType, header: tuple[int, ...], payload: tuple[Any, ...]
) -> None:
    sizes = (1, 1, 4, 2, 2, 4)
    raw = b"".join(field.to_bytes(size, "big") for field, size in zip(header, sizes, strict=True))
    assert twin.encode(*header, payload) == framed(raw + oracle(payload))


@TWINS
@pytest.mark.parametrize(("fields", "wire"), GOLDEN.items())
def test_keeps_the_golden_frames(twin: ModuleType, fields: tuple[Any, ...], wire: str) -> None:
    assert twin.encode(*fields).hex() == wire
    assert seen(twin.Decoder(), bytes.fromhex(wire)) == [fields]


@TWINS
@given(values=payloads)
def test_agrees_with_cbor2_on_what_is_allowed(twin: ModuleType, values: tuple[Any, ...]) -> None:
    assert twin.cbor_encode(values) == oracle(values)
    decoded = twin.cbor_decode(oracle(values))
    assert decoded == values
    assert list(map(type, decoded)) == list(map(type, values))


@given(data=st.binary(max_size=12) | st.binary(max_size=12).map(lambda tail: b"\x82" + tail))
@example(b"\x81\xf8\x14")
@example(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff")
@example(b"\x81\x7b\xff\xff\xff\xff\xff\xff\xff\xff")
def test_accepts_exactly_one_encoding_of_a_value(data: bytes) -> None:
    outcome = verdict(wire_py.cbor_decode, data)
    assert verdict(wire_c.cbor_decode, data) == outcome
    if outcome[0] is tuple:
        assert wire_c.cbor_encode(outcome[1]) == data
        assert tupled(cbor2.loads(data)) == outcome[1]
    else:
        assert outcome[0] is ValueError
        assert outcome[1].startswith("wire: ")


@TWINS
@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "payload ends too early"),
        ("81", "payload ends too early"),
        ("8118", "payload ends too early"),
        ("8119ff", "payload ends too early"),
        ("814401", "payload ends too early"),
        ("814261", "payload ends too early"),
        ("816261", "payload ends too early"),
        ("8200", "payload ends too early"),
        ("9bffffffffffffffff", "payload ends too early"),
        ("815bffffffffffffffff", "payload ends too early"),
        ("00", "the payload must be an array"),
        ("f6", "the payload must be an array"),
        ("a0", "the payload must be an array"),
        ("8000", "bytes after the payload"),
        ("811800", "not in its shortest form"),
        ("811817", "not in its shortest form"),
        ("811900ff", "not in its shortest form"),
        ("811a0000ffff", "not in its shortest form"),
        ("811b00000000ffffffff", "not in its shortest form"),
        ("813817", "not in its shortest form"),
        ("81580100", "not in its shortest form"),
        ("980100", "not in its shortest form"),
        ("9fff", "an item that is not allowed"),
        ("815f4100ff", "an item that is not allowed"),
        ("811c", "an item that is not allowed"),
        ("81a0", "an item that is not allowed"),
        ("81c000", "an item that is not allowed"),
        ("81f7", "an item that is not allowed"),
        ("81f820", "an item that is not allowed"),
        ("81f93c00", "an item that is not allowed"),
        ("81fa7fc00000", "an item that is not allowed"),
        ("81fb7ff0000000000000", "an item that is not allowed"),
        ("81ff", "an item that is not allowed"),
        ("813b8000000000000000", "integer outside -2**63 to 2**64 - 1"),
        ("813bffffffffffffffff", "integer outside -2**63 to 2**64 - 1"),
        ("8161ff", "text is not UTF-8"),
        ("8163eda080", "text is not UTF-8"),
        ("8162c080", "text is not UTF-8"),
        ("8181818180", "arrays nested deeper than 4"),
        ("9859" + "00" * 89 + "81" * 17, "bytes after the payload"),
        ("986a" + "00" * 107, "payload longer than 108 bytes"),
    ],
)
def test_rejects_what_is_no_strict_payload(twin: ModuleType, data: str, words: str) -> None:
    assert verdict(twin.cbor_decode, bytes.fromhex(data)) == (ValueError, f"wire: {words}")
    if len(data) <= 2 * twin.MAX_PAYLOAD:
        assert verdict(twin.encode, *HEADER, bytes.fromhex(data)) == (ValueError, f"wire: {words}")
        if data:
            assert seen(twin.Decoder(), framed(bytes(14) + bytes.fromhex(data))) == [PAYLOAD]


class Three(int):
    """A subclass, which another reader of the code may have given a meaning of its own."""


@TWINS
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((1.5,), "a value of type float cannot be sent"),
        (([],), "a value of type list cannot be sent"),
        (({},), "a value of type dict cannot be sent"),
        ((bytearray(1),), "a value of type bytearray cannot be sent"),
        ((Three(3),), "a value of type Three cannot be sent"),
        ((2**64,), "integer outside -2**63 to 2**64 - 1"),
        ((-(2**63) - 1,), "integer outside -2**63 to 2**64 - 1"),
        ((10**400,), "integer outside -2**63 to 2**64 - 1"),
        (("\ud800",), "text is not UTF-8"),
        ((((((),),),),), "arrays nested deeper than 4"),
        ((bytes(107),), "payload longer than 108 bytes"),
        ((bytes(105), 24), "payload longer than 108 bytes"),
        ((bytes(105), True), "payload longer than 108 bytes"),
        ((bytes(105), ""), "payload longer than 108 bytes"),
        (("é" * 53,), "payload longer than 108 bytes"),
        ((0,) * 107, "payload longer than 108 bytes"),
        ([1], "the payload must be a tuple"),
        (None, "the payload must be a tuple"),
    ],
)
def test_rejects_what_cannot_be_sent(twin: ModuleType, values: Any, words: str) -> None:
    assert verdict(twin.cbor_encode, values) == (ValueError, f"wire: {words}")
    assert verdict(twin.encode, *HEADER, values) == (ValueError, f"wire: {words}")
    assert seen(twin.Decoder(), twin.encode(*HEADER, (1,))) == [(*HEADER, (1,))]


@TWINS
@pytest.mark.parametrize("values", [(bytes(105),), ("x" * 105,), (0,) * 106, ((0,) * 50, (0,) * 52, b"")])
def test_fills_a_frame_to_its_last_byte(twin: ModuleType, values: tuple[Any, ...]) -> None:
    assert len(twin.cbor_encode(values)) == twin.MAX_PAYLOAD
    assert len(twin.encode(*HEADER, values)) == twin.MAX_FRAME
    assert seen(twin.Decoder(), twin.encode(*HEADER, values)) == [(*HEADER, values)]


@TWINS
@pytest.mark.parametrize(
    ("place", "name", "most"),
    [
        (0, "type", 0xFF),
        (1, "version", 0xFF),
        (2, "session", 0xFFFFFFFF),
        (3, "seq", 0xFFFF),
        (4, "ack", 0xFFFF),
        (5, "t_ms", 0xFFFFFFFF),
    ],
)
def test_rejects_a_header_field_out_of_range(twin: ModuleType, place: int, name: str, most: int) -> None:
    for wrong in (-1, most + 1, 2**63, -(2**70), True, 1.0, "1", None):
        header = [*HEADER[:place], wrong, *HEADER[place + 1 :]]
        expected = (ValueError, f"wire: {name} must be an integer within 0 and {most}")
        assert verdict(twin.encode, *header, ()) == expected
    for right in (0, most):
        header = [*HEADER[:place], right, *HEADER[place + 1 :]]
        assert seen(twin.Decoder(), twin.encode(*header, ())) == [(*header, ())]


mutations = st.lists(
    st.tuples(
        st.sampled_from(["flip", "drop", "insert", "cut", "double", "swap"]), st.integers(0, 10**6), U8
    ),
    min_size=1,
    max_size=4,
)


def mutated(stream: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    for kind, where, value in changes:
        at = where % max(1, len(stream))
        head, tail = stream[:at], stream[at:]
        if kind == "flip":
            stream = head + bytes(byte ^ (value or 1) for byte in tail[:1]) + tail[1:]
        elif kind == "drop":
            stream = head + tail[1:]
        elif kind == "insert":
            stream = head + bytes([value]) + tail
        elif kind == "cut":
            stream = head + tail[value:]
        elif kind == "double":
            stream = head + tail[:value] + tail
        else:
            stream = tail + head
    return stream


@given(header=headers, payload=payloads, changes=mutations)
def test_names_the_same_fault_in_a_mutated_stream(
    header: tuple[int, ...], payload: tuple[Any, ...], changes: list[tuple[str, int, int]]
) -> None:
    sent = [(*header, payload), (*HEADER, (1, None)), (*header, (b"\0" * 40,))]
    stream = mutated(b"".join(wire_py.encode(*fields) for fields in sent), changes)
    pure, compiled = wire_py.Decoder(), wire_c.Decoder()
    found = seen(pure, stream)
    assert seen(compiled, stream) == found
    assert pure.counts() == compiled.counts()
    assert sum(pure.counts().values()) == len(found)
    for each in found:
        assert each in sent or each in range(OVERSIZE, PAYLOAD + 1)


@TWINS
@given(data=st.lists(st.binary(max_size=200), max_size=8), seed=st.integers(0, 10**6))
def test_reports_the_same_however_the_stream_is_cut(twin: ModuleType, data: list[bytes], seed: int) -> None:
    stream = b"\0".join([*data, wire_py.encode(*HEADER, ("after",))])
    cuts, pieces, rest = random.Random(seed), [], stream
    while rest:
        size = cuts.randint(0, 9)
        pieces.append(rest[:size])
        rest = rest[size:]
    found = seen(twin.Decoder(), *pieces)
    assert found == seen(wire_py.Decoder(), stream)
    assert found[-1] == (*HEADER, ("after",))


@TWINS
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"\x01" * 128, OVERSIZE),
        (b"\x05\x01", COBS),
        (b"\xff" * 127, COBS),
        (b"\x01", SHORT),
        (stuffed(bytes(18))[:-1], SHORT),
        (stuffed(bytes(19))[:-1], CRC),
        (framed(bytes(14))[:-1], SHORT),
        (framed(bytes(14) + b"\xf6")[:-1], PAYLOAD),
        (framed(bytes(14) + b"\x80\x80")[:-1], PAYLOAD),
    ],
)
def test_names_each_fault_once_and_is_right_after_the_next_zero(
    twin: ModuleType, content: bytes, fault: int
) -> None:
    decoder = twin.Decoder()
    assert seen(decoder, content + b"\0" + twin.encode(*HEADER, ())) == [fault, (*HEADER, ())]
    expected = dict.fromkeys(twin.OUTCOMES, 0) | {"good": 1, twin.OUTCOMES[fault]: 1}
    assert decoder.counts() == expected


@TWINS
def test_ignores_zeros_between_frames(twin: ModuleType) -> None:
    frame = twin.encode(*HEADER, ())
    assert seen(twin.Decoder(), b"\0\0" + frame + b"\0\0\0" + frame) == [(*HEADER, ())] * 2


@TWINS
def test_keeps_failing_on_a_line_that_is_stuck(twin: ModuleType) -> None:
    decoder = twin.Decoder()
    assert seen(decoder, b"\xff" * 127) == []
    assert seen(decoder, b"\xff" * 1270) == [OVERSIZE] * 10
    assert seen(decoder, b"\0" + twin.encode(*HEADER, ())) == [(*HEADER, ())]


@TWINS
def test_survives_a_megabit_of_noise(twin: ModuleType) -> None:
    noise = random.Random(7).randbytes(125_000)
    found = seen(twin.Decoder(), noise, b"\0", twin.encode(*HEADER, ()))
    assert found[-1] == (*HEADER, ())
    assert {OVERSIZE, COBS, SHORT} <= set(found[:-1]) <= {OVERSIZE, COBS, SHORT, CRC}
    assert found == seen(wire_c.Decoder(), noise, b"\0", twin.encode(*HEADER, ()))


@TWINS
@pytest.mark.parametrize("wrong", [None, "", bytearray(1), memoryview(b"x"), 1, [1]])
def test_takes_bytes_and_nothing_else(twin: ModuleType, wrong: Any) -> None:
    assert verdict(twin.Decoder().feed, wrong) == (ValueError, "wire: bytes are needed")
    assert verdict(twin.cbor_decode, wrong) == (ValueError, "wire: bytes are needed")
