"""Makes ``vectors.txt``: run it from the project's root after the protocol changed, then read the difference.

``.venv/bin/python -m tests.mcu.make_vectors``. Frames are built here by cbor2 and zlib directly, not by what
the vectors test.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2

from app.mcu.messages import HELLO, HOST_BEAT, LIGHTS, MESSAGES, STOP, TRIP, VERSION

FILE = Path(__file__).with_name("vectors.txt")
HEADER = """\
# Golden vectors of the board link, for C, CPython and MicroPython. Made by make_vectors.py; do not edit.
#
# One vector a line, parts separated by single spaces, no part empty:
#
#   good NAME TYPE VERSION SESSION SEQ ACK T_MS PAYLOAD FRAME
#   bad NAME OUTCOMES BYTES
#
# good: encoding the six decimal header fields and the payload gives FRAME (hexadecimal, with its closing
# zero), and decoding FRAME gives the fields again. PAYLOAD is JSON without spaces: an array of integers and
# of strings, each string the hexadecimal digits of a byte string. Every good vector is a message in its
# bounds.
#
# bad: feeding BYTES (hexadecimal), however they are cut, gives exactly OUTCOMES, separated by commas:
#   good      a frame that is a message
#   none      (alone) nothing at all: zeros between frames mean nothing
#   oversize  127 bytes without a zero (again for every 127 more); nothing more until the next zero
#   cobs      the chain of zeros does not end where the frame does
#   short     fewer than 20 bytes before the closing zero: no room for header, payload and CRC
#   crc       the CRC-32 is not that of the bytes before it
#   payload   intact, but not one strict CBOR array
#   message   intact and strict CBOR, but no message: unknown type, or fields of wrong number, type or size
# A decoder that knows integers, byte strings and one flat array only may report payload where message stands.
"""

U16, U32 = 0xFFFF, 0xFFFFFFFF
ORDINARY = (0xDEADBEEF, 4711, 4710, 123456789)  # session, seq, ack, t_ms
EXTREMES = ((1, 1, 0, 0), (U32, U16, U16, U32))
WIDTHS = (23, 24, 255, 256, 65535, 65536)  # where the CBOR form of an integer grows


def crc(raw: bytes) -> bytes:
    return zlib.crc32(raw).to_bytes(4, "big")


def stuffed(raw: bytes) -> bytes:
    """COBS by its definition: the parts between zeros, each behind its length plus one, and a zero."""
    return b"".join(bytes([len(part) + 1]) + part for part in raw.split(b"\0")) + b"\0"


def raw_frame(type_: int, payload: bytes, version: int = VERSION, header: tuple = ORDINARY) -> bytes:
    """Header and payload, before CRC and COBS."""
    session, seq, ack, t_ms = header
    head = bytes([type_, version]) + session.to_bytes(4, "big")
    return head + seq.to_bytes(2, "big") + ack.to_bytes(2, "big") + t_ms.to_bytes(4, "big") + payload


def framed(type_: int, payload: bytes, header: tuple = ORDINARY) -> bytes:
    raw = raw_frame(type_, payload, header=header)
    return stuffed(raw + crc(raw))


def limits(field: tuple[str, int | None, int]) -> tuple[Any, Any]:
    _, lowest, highest = field
    if lowest is None:
        return bytes(highest), b"\xff" * highest
    return lowest, highest


def ordinary(field: tuple[str, int | None, int], number: int) -> Any:
    """A value inside the bounds that differs from field to field."""
    _, lowest, highest = field
    if lowest is None:
        return bytes(range(0xA0, 0xA0 + highest))
    return min(highest, (37, 1000, 1_000_000_007)[number % 3] * (number + 1))


def payloads(fields: tuple[tuple[str, int | None, int], ...]) -> Iterator[tuple[str, tuple]]:
    yield "ordinary", tuple(ordinary(field, number) for number, field in enumerate(fields))
    if fields:
        yield "lowest", tuple(limits(field)[0] for field in fields)
        yield "highest", tuple(limits(field)[1] for field in fields)


def good() -> Iterator[tuple[str, int, tuple, tuple]]:
    """Name, type, header and payload of every good vector."""
    for type_, (name, fields) in MESSAGES.items():
        for kind, payload in payloads(fields):
            header = {"lowest": EXTREMES[0], "highest": EXTREMES[1]}.get(kind, ORDINARY)
            yield f"{name.lower()}-{kind}", type_, header, payload
    for width in WIDTHS:
        yield f"beat-width-{width}", HOST_BEAT, ORDINARY, (width, U32 - width)
    for net, pnl in ((-1, -24), (-24, -25), (-25, -256), (-256, -257), (-257, -65536), (-32768, -65537)):
        yield f"lights-negative{pnl}", LIGHTS, ORDINARY, (3, net, pnl)
    yield "stop-zeros", STOP, (0x01000001, 0x0100, 0x0001, 0x00010000), ()


def bad_payloads() -> Iterator[tuple[str, int, str]]:
    """Name, type and payload bytes of intact frames whose payload is not strict CBOR."""
    yield "empty-array-twice", STOP, "8080"
    yield "integer-alone", HELLO, "07"
    yield "trailing-byte", HELLO, "810700"
    yield "truncated-array", HELLO, "81"
    yield "truncated-integer", HELLO, "811a0001"
    yield "array-longer-than-frame", HELLO, "98ff07"
    yield "array-huge", HELLO, "9bffffffffffffffff"
    yield "integer-not-shortest-u8", HELLO, "811807"
    yield "integer-not-shortest-u16", HELLO, "8119000a"
    yield "integer-not-shortest-u32", HELLO, "811a0000ffff"
    yield "integer-not-shortest-u64", HELLO, "811b00000000ffffffff"
    yield "array-not-shortest", HELLO, "980107"
    yield "array-indefinite", HELLO, "9f07ff"
    yield "bytes-indefinite", HELLO, "815f4101ff"
    yield "map", HELLO, "a10107"
    yield "map-in-array", HELLO, "81a0"
    yield "tag", HELLO, "81c107"
    yield "float16", HELLO, "81f93c00"
    yield "float32", HELLO, "81fa3f800000"
    yield "float64", HELLO, "81fb3ff0000000000000"
    yield "undefined", HELLO, "81f7"
    yield "simple", HELLO, "81f8ff"
    yield "reserved-28", HELLO, "811c"
    yield "break-alone", HELLO, "81ff"
    yield "negative-below-int64", HELLO, "813bffffffffffffffff"
    yield "nested-too-deep", HELLO, "818181818107"
    yield "text-not-utf8", HELLO, "8161ff"


def bad_messages() -> Iterator[tuple[str, int, tuple]]:
    """Name, type and payload of intact frames that are no message."""
    for type_, (name, fields) in MESSAGES.items():
        values = tuple(limits(field)[0] for field in fields)
        yield f"{name.lower()}-one-field-more", type_, (*values, 0)
        if fields:
            yield f"{name.lower()}-one-field-less", type_, values[:-1]
        for number, (field, lowest, highest) in enumerate(fields):
            label = f"{name.lower()}-{field.replace('_', '-')}"
            before, after = values[:number], values[number + 1 :]
            if lowest is None:
                yield f"{label}-too-short", type_, (*before, bytes(highest - 1), *after)
                yield f"{label}-too-long", type_, (*before, bytes(highest + 1), *after)
                yield f"{label}-integer", type_, (*before, 0, *after)
            else:
                yield f"{label}-too-high", type_, (*before, highest + 1, *after)
                yield f"{label}-too-low", type_, (*before, lowest - 1, *after)
                yield f"{label}-bytes", type_, (*before, b"\0", *after)
    for label, value in (("true", True), ("null", None), ("text", "7"), ("array", [7])):
        yield f"hello-{label}", HELLO, (value,)
    for type_ in (0x00, 0x07, 0x3F, 0x40, 0x46, 0x80, 0x81, 0xC1, 0xFF):
        yield f"unknown-type-{type_:02x}", type_, ()


def bad_bytes() -> Iterator[tuple[str, str, bytes]]:
    """Name, outcomes and bytes of what is damaged below the payload, and of streams that come right again."""
    hello = framed(HELLO, b"\x81\x07")
    trip = framed(TRIP, cbor2.dumps([9, 2, 1000]))
    yield "nothing", "none", b"\0\0\0\0"
    yield "zeros-between", "good,good", b"\0\0" + hello + b"\0\0\0" + trip + b"\0"
    yield "joined-without-zero", "crc,good", hello[:-1] + trip + trip
    yield "truncated-then-good", "cobs,good", hello[:9] + b"\0" + trip
    yield "head-lost-then-good", "cobs,good", hello[7:] + trip
    yield "distance-beyond-end", "cobs", b"\x05\x01\x02\0"
    yield "short-one-byte", "short", b"\x01\0"
    yield "short-header-only", "short", stuffed(raw_frame(HELLO, b""))
    yield "short-without-payload", "short", framed(HELLO, b"")
    for bit in (0, 77, 8 * len(raw_frame(HELLO, b"\x81\x07")) + 31):
        flipped = bytearray(raw_frame(HELLO, b"\x81\x07") + crc(raw_frame(HELLO, b"\x81\x07")))
        flipped[bit // 8] ^= 0x80 >> bit % 8
        yield f"crc-bit-{bit}", "crc", stuffed(bytes(flipped))
    raw = raw_frame(HELLO, b"\x81\x07")
    yield "crc-little-endian", "crc", stuffed(raw + crc(raw)[::-1])
    yield "crc-zero", "crc", stuffed(raw + bytes(4))
    full = framed(HELLO, b"\x58\x6a" + bytes(106))
    assert len(full) == 128
    yield "longest-frame", "payload", full
    yield "one-byte-too-long", "oversize,good", framed(HELLO, b"\x58\x6b" + bytes(107)) + hello
    yield "stuck-byte", "oversize,oversize,oversize,good", b"\x55" * 500 + b"\0" + hello


def vectors() -> Iterator[str]:
    for name, type_, header, payload in good():
        frame = framed(type_, cbor2.dumps(payload), header)
        shown = json.dumps([v.hex() if isinstance(v, bytes) else v for v in payload], separators=(",", ":"))
        fields = " ".join(str(field) for field in (type_, VERSION, *header))
        yield f"good {name} {fields} {shown} {frame.hex()}"
    for name, outcomes, data in bad_bytes():
        yield f"bad {name} {outcomes} {data.hex()}"
    for name, type_, text in bad_payloads():
        yield f"bad payload-{name} payload {framed(type_, bytes.fromhex(text)).hex()}"
    for name, type_, payload in bad_messages():
        yield f"bad message-{name} message {framed(type_, cbor2.dumps(payload)).hex()}"


if __name__ == "__main__":
    FILE.write_text(HEADER + "\n".join(["", *vectors(), ""]))
