"""Frames of the board link on CPython and MicroPython: COBS, the header and a CRC-32 around payload bytes.

The layout and the outcomes are those of ``native.wire``, whose docstring is the definition; this module is
its portable counterpart and the tests' oracle for it. What the payload means is not known here. No input or
output, no clock; only what MicroPython 1.25 has.
"""

import struct
from binascii import crc32

MAX_FRAME = 128  # bytes with the closing zero: 11 ms at 115,200 baud, and a small board's buffer
MAX_PAYLOAD = 108  # MAX_FRAME less header 14, CRC 4, COBS 1 and zero 1

# What Receiver.feed reports of each frame.
GOOD = 0
OVERSIZE = 1  # more bytes than a frame has, without a zero
COBS = 2  # the chain of zeros does not end where the frame does
SHORT = 3  # no room for header, payload and CRC
CRC = 4
PAYLOAD = 5  # intact, yet not the CBOR that is allowed; found by the codec, not here
OUTCOMES = ("good", "oversize", "cobs", "short", "crc", "payload")

_HEADER = ">BBIHHI"  # type, version, session, seq, ack, t_ms
_HEADER_SIZE = 14
_CRC_SIZE = 4
_MAX_CONTENT = MAX_FRAME - 1  # between two zeros
_SHORTEST = 1 + _HEADER_SIZE + 1 + _CRC_SIZE  # COBS byte, header, one byte of payload, CRC


def _stuffed(raw: bytes) -> bytes:
    """Return the COBS form with its closing zero: every stretch without zeros behind its length plus one."""
    out = bytearray()
    for part in raw.split(b"\0"):  # no stretch of a frame reaches the 254 bytes that would need more
        out.append(len(part) + 1)
        out.extend(part)
    out.append(0)
    return bytes(out)


def _unstuffed(content: bytes) -> bytes | None:
    """Undo ``_stuffed`` for the bytes before the zero; None when the distances do not lead to the end."""
    raw = bytearray(content)
    at = raw[0]
    while at < len(raw):
        distance = raw[at]
        raw[at] = 0
        at += distance
    return bytes(raw[1:]) if at == len(raw) else None


def build(type_: int, version: int, session: int, seq: int, ack: int, t_ms: int, payload: bytes) -> bytes:
    """Return a frame with its closing zero. The header's fields must be within their widths.

    Raises ValueError for a payload longer than MAX_PAYLOAD.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError("frame: payload longer than 108 bytes")
    raw = struct.pack(_HEADER, type_, version, session, seq, ack, t_ms) + payload
    return _stuffed(raw + struct.pack(">I", crc32(raw)))


def parse(content: bytes) -> tuple:
    """Return (outcome, fields) of the bytes between two zeros; ``fields`` as the arguments of ``build``."""
    raw = _unstuffed(content)
    if raw is None:
        return COBS, None
    if len(content) < _SHORTEST:
        return SHORT, None
    body = raw[:-_CRC_SIZE]
    if crc32(body) != struct.unpack(">I", raw[-_CRC_SIZE:])[0]:
        return CRC, None
    return GOOD, struct.unpack(_HEADER, body[:_HEADER_SIZE]) + (body[_HEADER_SIZE:],)


class Receiver:
    """Bytes in, frames and faults out; holds at most one frame's bytes."""

    def __init__(self) -> None:
        self._held = b""
        self._lost = False  # inside an oversize frame, dropping bytes until its zero

    def feed(self, data: bytes) -> list[tuple]:
        """Return (outcome, fields) of everything that ``data`` completes, in its order.

        An oversize frame is a fault for every 127 bytes of it, so a line stuck at one byte keeps failing.
        """
        found: list[tuple] = []
        parts = data.split(b"\0")
        for index, part in enumerate(parts):
            held = self._held + part
            while len(held) > _MAX_CONTENT:
                found.append((OVERSIZE, None))
                self._lost = True
                held = held[_MAX_CONTENT:]
            self._held = held
            if index < len(parts) - 1:  # a zero followed
                if held and not self._lost:
                    found.append(parse(held))
                self._lost = False
                self._held = b""
        return found
