"""The portable codec and native.wire: the same bytes of the same values, and what each refuses."""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mcu import frame, messages
from native import wire_py
from tests.guards import ROOT

wire_c = importlib.import_module("native.wire_c")
U8, U16, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
HEADERS = st.tuples(U8, U8, U32, U16, U16, U32)
CODEC = messages.Cbor2Codec()


def own_cbor2() -> ModuleType:
    """The subset of cbor2 for boards without micropython-lib's, under a name of its own."""
    path = ROOT / "board" / "micropython" / "lib" / "cbor2.py"
    spec = importlib.util.spec_from_file_location("board_cbor2", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def over(cbor2: ModuleType) -> messages.Cbor2Codec:
    codec = messages.Cbor2Codec()
    codec._dumps, codec._loads = cbor2.dumps, cbor2.loads
    return codec


PORTABLE = pytest.mark.parametrize("portable", [CODEC, over(own_cbor2())], ids=["cbor2", "own"])


def field(lowest: int | None, highest: int) -> st.SearchStrategy[Any]:
    if lowest is None:
        return st.binary(min_size=highest, max_size=highest)
    return st.integers(lowest, highest)


@st.composite
def any_message(draw: st.DrawFn) -> tuple[int, tuple]:
    type_ = draw(st.sampled_from(sorted(messages.MESSAGES)))
    return type_, tuple(draw(field(lowest, highest)) for _, lowest, highest in messages.MESSAGES[type_][1])


integers = st.integers(-(2**63), 2**64 - 1) | st.integers(-300, 70000)
leaves = integers | st.booleans() | st.none() | st.binary(max_size=12) | st.text(max_size=8)
arrays = st.recursive(leaves, lambda items: st.lists(items, max_size=4).map(tuple), max_leaves=8)
payloads = st.lists(arrays, max_size=6).map(tuple)


def wire_payload(data: bytes) -> tuple | None:
    try:
        return wire_py.cbor_decode(data)
    except ValueError:
        return None


def dumped(codec: messages.Cbor2Codec, payload: tuple) -> bytes | None:
    try:
        return codec.dump(payload)
    except ValueError:
        return None


def wire_dumped(payload: tuple) -> bytes | None:
    try:
        return wire_py.cbor_encode(payload)
    except ValueError:
        return None


@PORTABLE
@given(header=HEADERS, message=any_message(), rest=st.binary(max_size=3))
def test_makes_the_same_frames_of_messages_and_reads_them(
    portable: messages.Cbor2Codec, header: tuple, message: tuple[int, tuple], rest: bytes
) -> None:
    fields = (message[0], *header[1:], message[1])
    made = portable.encode(*fields)
    assert made == wire_py.encode(*fields) == wire_c.encode(*fields)
    assert portable.decoder().feed(made + rest)[0] == (frame.GOOD, fields)
    assert messages.valid(*message)


@PORTABLE
@given(payload=payloads)
def test_makes_the_same_payloads_or_none(portable: messages.Cbor2Codec, payload: tuple) -> None:
    made = dumped(portable, payload)
    expected = wire_dumped(payload)
    if expected is not None:
        assert made == expected
        assert portable.load(made) == payload
    elif made is not None:
        assert len(made) > wire_py.MAX_PAYLOAD  # the frame says no to that


@PORTABLE
@given(data=st.binary(max_size=40) | payloads.map(lambda values: CODEC._dumps(list(values))[:108]))
def test_reads_the_same_payloads_or_none(portable: messages.Cbor2Codec, data: bytes) -> None:
    assert portable.load(data) == wire_payload(data)


@given(payload=payloads, at=st.integers(0, 107), flip=st.integers(1, 255))
def test_reads_damaged_payloads_alike(payload: tuple, at: int, flip: int) -> None:
    data = bytearray(wire_dumped(payload) or b"\x80")
    data[at % len(data)] ^= flip
    assert CODEC.load(bytes(data)) == wire_payload(bytes(data))


@given(pieces=st.lists(st.binary(max_size=200), max_size=6), message=any_message(), cut=st.integers(1, 64))
def test_reports_the_same_of_any_stream(pieces: list[bytes], message: tuple[int, tuple], cut: int) -> None:
    """Noise, frames and damaged frames, however the bytes are cut."""
    good = wire_py.encode(message[0], 1, 7, 8, 9, 10, message[1])
    stream = (
        good + good[cut % len(good) :] + b"".join(piece + good for piece in pieces) + b"\x01" * 300 + good
    )
    decoder = wire_c.Decoder()
    expected = [(one, None) if isinstance(one, int) else (0, one.fields()) for one in decoder.feed(stream)]
    portable = CODEC.decoder()
    assert [
        one for at in range(0, len(stream), cut) for one in portable.feed(stream[at : at + cut])
    ] == expected


@given(raw=st.binary(min_size=15, max_size=122))
def test_undoes_its_own_stuffing(raw: bytes) -> None:
    stuffed = frame._stuffed(raw)
    assert stuffed.count(0) == 1
    assert frame._unstuffed(stuffed[:-1]) == raw
    assert len(stuffed) == len(raw) + 2


def test_counts_like_the_wire() -> None:
    assert frame.OUTCOMES == wire_py.OUTCOMES
    assert (frame.MAX_FRAME, frame.MAX_PAYLOAD) == (wire_py.MAX_FRAME, wire_py.MAX_PAYLOAD)
    assert messages.MAX_NESTING == wire_py.MAX_NESTING
    assert [frame.OVERSIZE, frame.COBS, frame.SHORT, frame.CRC, frame.PAYLOAD] == [1, 2, 3, 4, 5]


# What cbor2 alone accepts; the portable codec must not.
LOOSE = {
    "integer not in its shortest form": "811807",
    "length not in its shortest form": "980107",
    "bytes after the array": "810700",
    "indefinite array": "9f07ff",
    "map": "a0",
    "float": "81fb3ff0000000000000",
    "tag": "81c24107",
    "array five deep": "8181818181 07".replace(" ", ""),
    "integer below int64": "813bffffffffffffffff",
    "integer instead of an array": "07",
}


@pytest.mark.parametrize("data", LOOSE.values(), ids=LOOSE)
def test_refuses_what_cbor2_would_take(data: str) -> None:
    raw = bytes.fromhex(data)
    CODEC._loads(raw)  # cbor2 itself has nothing against it
    assert CODEC.load(raw) is None
    assert wire_payload(raw) is None


class Number(int):
    """Looks like an integer, and might encode as anything."""


@pytest.mark.parametrize(
    "payload",
    [[7], (Number(7),), (1.5,), ({},), (2**64,), (-(2**63) - 1,), (((((7,),),),),), (bytearray(b"a"),)],
)
def test_refuses_to_send_what_the_wire_does(payload: Any) -> None:
    with pytest.raises(ValueError):
        CODEC.encode(1, 1, 1, 1, 1, 1, payload)
    with pytest.raises(ValueError):
        wire_py.encode(1, 1, 1, 1, 1, 1, payload)


# Where native.wire is stricter: the portable codec leaves the header to struct, which takes what it can.
@pytest.mark.parametrize("header", [(256, 1, 1, 1, 1, 1), (1, 1, -1, 1, 1, 1), (1, 1, 1, 65536, 1, 1)])
def test_refuses_a_header_beyond_its_widths(header: tuple) -> None:
    fields: Any = (*header, ())
    with pytest.raises(ValueError):
        wire_py.encode(*fields)
    with pytest.raises(Exception, match=r"format requires|out of range"):
        CODEC.encode(*fields)


def test_only_the_wire_refuses_a_header_of_another_type() -> None:
    with pytest.raises(ValueError):
        wire_py.encode(True, 1, 1, 1, 1, 1, ())
    assert CODEC.encode(True, 1, 1, 1, 1, 1, ()) == wire_py.encode(1, 1, 1, 1, 1, 1, ())


def test_refuses_a_payload_too_long_for_a_frame() -> None:
    longest = (bytes(105),)
    made = CODEC.encode(1, 1, 1, 1, 1, 1, longest)
    assert len(made) == frame.MAX_FRAME
    with pytest.raises(ValueError):
        CODEC.encode(1, 1, 1, 1, 1, 1, (bytes(106),))


def test_keeps_the_crc_of_zlib() -> None:
    made = frame.build(1, 2, 3, 4, 5, 6, b"\x80")
    raw = frame._unstuffed(made[:-1])
    assert raw is not None
    assert zlib.crc32(raw[:-4]) == int.from_bytes(raw[-4:], "big")


def test_holds_no_more_than_a_frame() -> None:
    receiver = frame.Receiver()
    found = [one for _ in range(1000) for one in receiver.feed(b"\x55" * 100)]
    assert found == [(frame.OVERSIZE, None)] * (100_000 // 127)
    assert len(receiver._held) <= frame.MAX_FRAME
