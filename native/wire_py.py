# cython: overflowcheck=False, boundscheck=False, wraparound=False
"""Frames of the board link: COBS around a header, a strict CBOR array and a CRC-32.

Source of both twins: the build compiles this very file, typed by ``wire_c.pxd``, to ``native.wire_c``. Here
are bytes and values; what a message means, sessions, sequence numbers and time-outs belong to the link. The
module's functions share one buffer, so they belong to one thread, the loop's.

A frame, integers big-endian, at most 128 bytes on the wire::

    COBS( type u8 | version u8 | session u32 | seq u16 | ack u16 | t_ms u32 | payload | crc u32 ) 0x00

The CRC-32 is zlib's, over everything before it. COBS puts one byte in front and removes every zero; a zero
always ends a frame, so a receiver that lost its way is right again after the next one. Zeros between frames
mean nothing.

The payload is one CBOR array (RFC 8949) of integers from -2**63 to 2**64 - 1, booleans, null, byte strings,
UTF-8 text and further arrays, four deep at most, each in its shortest form and of stated length, and nothing
after it. Maps, tags, floats, undefined and indefinite lengths are refused: there is one encoding of a value.
Python's side is tuple, int, bool, None, bytes and str, exactly these types.

The compiled twin checks neither overflow nor indexes: every length was held against the buffer's 128 bytes
before it is used, and numbers are only shifted and masked. The pure twin, whose bytearray does check, takes
the same steps.
"""

from __future__ import annotations

from typing import Any

import native.spans as spans

MAX_FRAME = 128  # bytes with the closing zero: 11 ms at 115,200 baud, and a small board's buffer
MAX_PAYLOAD = 108  # MAX_FRAME less header 14, CRC 4, COBS 1 and zero 1
MAX_NESTING = 4  # arrays in arrays; messages need two, and the stack of a microcontroller is small

# What Decoder.feed reports in place of a frame.
FAULT_OVERSIZE = 1  # more bytes than a frame has, without a zero
FAULT_COBS = 2  # the chain of zeros does not end where the frame does
FAULT_SHORT = 3  # no room for header, payload and CRC
FAULT_CRC = 4
FAULT_PAYLOAD = 5  # intact, yet not the CBOR that is allowed
OUTCOMES = ("good", "oversize", "cobs", "short", "crc", "payload")  # the codes' names; 0 is a frame

_PAYLOAD = 15  # where it begins in a buffer: COBS byte, then the header
_SHORTEST = 20  # COBS byte, header, one byte of payload, CRC
_MAX_CONTENT = 127  # MAX_FRAME less the zero
_ROOM = MAX_PAYLOAD  # these two again, as C integers in the compiled twin
_LEVELS = MAX_NESTING
_CRC_SIZE = 4
_ONES = 0xFFFFFFFF
# CBOR's major types, in the upper three bits of an item's first byte, and the values that are one byte.
_UNSIGNED = 0x00
_NEGATIVE = 0x20
_BYTES = 0x40
_TEXT = 0x60
_ARRAY = 0x80
_FALSE = 0xF4
_TRUE = 0xF5
_NULL = 0xF6
_MAX_INT64 = 9223372036854775807
_MIN_INT64 = -_MAX_INT64 - 1
_MAX_UINT64 = 18446744073709551615

_TOO_LONG = f"wire: payload longer than {MAX_PAYLOAD} bytes"
_TOO_DEEP = f"wire: arrays nested deeper than {MAX_NESTING}"
_TRUNCATED = "wire: payload ends too early"
_NOT_ALLOWED = "wire: an item that is not allowed"
_NOT_UTF8 = "wire: text is not UTF-8"
_OUTSIDE = "wire: integer outside -2**63 to 2**64 - 1"
_NO_TUPLE = "wire: the payload must be a tuple"


def _crc_table() -> list[int]:
    """Eight tables of 256 in a row: the CRC of a byte followed by 0 to 7 zeros (slicing by 8)."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
        table.append(crc)
    for index in range(256 * 7):
        table.append(table[index] >> 8 ^ table[table[index] & 255])
    return table


_CRC_TABLE = _crc_table()


class Frame:
    """One frame received intact: six integers and the payload as a tuple. Not to be changed."""

    __slots__ = ("ack", "payload", "seq", "session", "t_ms", "type", "version")

    def __init__(
        self, type_: int, version: int, session: int, seq: int, ack: int, t_ms: int, payload: tuple
    ) -> None:
        self.type = type_
        self.version = version
        self.session = session
        self.seq = seq
        self.ack = ack
        self.t_ms = t_ms
        self.payload = payload

    def fields(self) -> tuple[int, int, int, int, int, int, tuple]:
        """Return type, version, session, seq, ack, t_ms and payload: the arguments of ``encode``."""
        return self.type, self.version, self.session, self.seq, self.ack, self.t_ms, self.payload


class Buffer:
    """The bytes of one frame or payload under construction or being read."""

    __slots__ = ("at", "data", "end", "limit")

    def __init__(self) -> None:
        self.data = bytearray(MAX_FRAME)
        self.at = 0  # where reading goes on
        self.end = 0  # where the bytes end
        self.limit = MAX_PAYLOAD  # where they must end

    def crc32(self, first: int, end: int) -> int:
        """Return the CRC-32 of the bytes from ``first`` to before ``end``."""
        crc = _ONES
        at = first
        while at + 8 <= end:
            crc = (
                _CRC_TABLE[1792 + (self.data[at] ^ crc & 255)]
                ^ _CRC_TABLE[1536 + (self.data[at + 1] ^ crc >> 8 & 255)]
                ^ _CRC_TABLE[1280 + (self.data[at + 2] ^ crc >> 16 & 255)]
                ^ _CRC_TABLE[1024 + (self.data[at + 3] ^ crc >> 24)]
                ^ _CRC_TABLE[768 + self.data[at + 4]]
                ^ _CRC_TABLE[512 + self.data[at + 5]]
                ^ _CRC_TABLE[256 + self.data[at + 6]]
                ^ _CRC_TABLE[self.data[at + 7]]
            )
            at += 8
        if at + 4 <= end:
            crc = (
                _CRC_TABLE[768 + (self.data[at] ^ crc & 255)]
                ^ _CRC_TABLE[512 + (self.data[at + 1] ^ crc >> 8 & 255)]
                ^ _CRC_TABLE[256 + (self.data[at + 2] ^ crc >> 16 & 255)]
                ^ _CRC_TABLE[self.data[at + 3] ^ crc >> 24]
            )
            at += 4
        while at < end:
            crc = crc >> 8 ^ _CRC_TABLE[(crc ^ self.data[at]) & 255]
            at += 1
        return crc ^ _ONES

    def put_u16(self, at: int, number: int) -> None:
        self.data[at] = number >> 8 & 255
        self.data[at + 1] = number & 255

    def put_u32(self, at: int, number: int) -> None:
        self.data[at] = number >> 24 & 255
        self.data[at + 1] = number >> 16 & 255
        self.data[at + 2] = number >> 8 & 255
        self.data[at + 3] = number & 255

    def u16(self, at: int) -> int:
        return self.data[at] << 8 | self.data[at + 1]

    def u32(self, at: int) -> int:
        high = self.u16(at)
        return high << 16 | self.u16(at + 2)

    def stuff(self) -> None:
        """Turn the bytes from 1 to ``end`` into COBS in place: each zero becomes the distance to the next."""
        after = self.end
        self.data[after] = 0
        for at in range(self.end - 1, 0, -1):
            if self.data[at] == 0:
                self.data[at] = after - at
                after = at
        self.data[0] = after

    def unstuff(self) -> bool:
        """Undo ``stuff`` in place; False when the distances do not lead to ``end``."""
        at = self.data[0]
        while at < self.end:
            distance = self.data[at]
            self.data[at] = 0
            at += distance
        return at == self.end

    def begin(self, first: int) -> None:
        """Make ready to put a payload, or to read one, at ``first``."""
        self.at = first
        self.end = first
        self.limit = first + _ROOM

    def fill(self, value: bytes) -> None:
        """Append encoded bytes as they are."""
        size = len(value)
        if self.limit - self.end < size:
            raise ValueError(_TOO_LONG)
        raw = value
        for index in range(size):
            self.data[self.end + index] = raw[index]
        self.end += size

    def put(self, value: int) -> None:
        """Append one byte of payload."""
        if self.end == self.limit:
            raise ValueError(_TOO_LONG)
        self.data[self.end] = value
        self.end += 1

    def put_head(self, major: int, number: int) -> None:
        """Append the first byte of an item, its major type in the upper three bits, and its number."""
        size = 0
        if number >= 24:
            size = 1 if number < 0x100 else 2 if number < 0x10000 else 4 if number >> 32 == 0 else 8
        if self.limit - self.end <= size:
            raise ValueError(_TOO_LONG)
        low = number & 31
        if size > 0:
            low = 24 if size == 1 else 25 if size == 2 else 26 if size == 4 else 27
        self.data[self.end] = major | low
        at = self.end + size
        self.end = at + 1
        while size > 0:
            self.data[at] = number & 255
            number = number >> 8
            at -= 1
            size -= 1

    def put_bytes(self, major: int, value: bytes) -> None:
        """Append a byte string or the bytes of a text."""
        self.put_head(major, len(value))
        self.fill(value)

    def put_int(self, value: int) -> None:
        try:
            number = value
        except OverflowError:  # in the compiled twin, where number is an int64
            number = _MIN_INT64
        if number > _MIN_INT64 and number <= _MAX_INT64:
            if number >= 0:
                self.put_head(_UNSIGNED, number)
            else:
                self.put_head(_NEGATIVE, -1 - number)
        else:
            self.put_wide(value)

    def put_wide(self, value: int) -> None:
        """The rare road of put_int: Python's own integers decide whether the number fits."""
        if value == _MIN_INT64:
            self.put_head(_NEGATIVE, _MAX_INT64)
        elif _MAX_INT64 < value <= _MAX_UINT64:
            self.put_head(_UNSIGNED, value)
        else:
            raise ValueError(_OUTSIDE)

    def put_item(self, value: Any, nesting: int) -> None:
        """Append a value; ValueError for one that the payload may not hold."""
        kind = type(value)
        if kind is int:
            self.put_int(value)
        elif value is None:
            self.put(_NULL)
        elif value is True:
            self.put(_TRUE)
        elif value is False:
            self.put(_FALSE)
        elif kind is bytes:
            self.put_bytes(_BYTES, value)
        elif kind is str:
            self.put_bytes(_TEXT, _utf8(value))
        elif kind is tuple:
            self.put_array(value, nesting + 1)
        else:
            raise ValueError(f"wire: a value of type {kind.__name__} cannot be sent")

    def put_array(self, values: tuple, nesting: int) -> None:
        if nesting > _LEVELS:
            raise ValueError(_TOO_DEEP)
        items = values
        self.put_head(_ARRAY, len(items))
        for item in items:
            self.put_item(item, nesting)

    def take_head(self, initial: int) -> int:
        """Return the number that belongs to the item whose first byte was just read."""
        number = initial & 31
        if number < 24:
            return number
        if number > 27:
            raise ValueError(_NOT_ALLOWED)
        size = 1 << number - 24
        if self.end - self.at < size:
            raise ValueError(_TRUNCATED)
        at = self.at
        self.at = at + size
        number = self.data[at]
        for index in range(at + 1, at + size):
            number = number << 8 | self.data[index]
        # Of 2, 4 and 8 bytes the upper half must not be empty.
        if number < 24 if size == 1 else number >> 4 * size == 0:
            raise ValueError("wire: not in its shortest form")
        return number

    def take_item(self, nesting: int) -> Any:
        """Return the value that begins at ``at``; ValueError for anything but the payload's subset."""
        if self.at >= self.end:
            raise ValueError(_TRUNCATED)
        initial = self.data[self.at]
        self.at += 1
        if initial < 24:
            return initial  # the short integers, most of what is sent
        major = initial & 0xE0
        if major == _UNSIGNED:
            return self.take_unsigned(self.take_head(initial))
        if major == _NEGATIVE:
            return self.take_negative(self.take_head(initial))
        if major == _BYTES:
            return self.take_bytes(self.take_size(initial))
        if major == _TEXT:
            return self.take_text(self.take_size(initial))
        if major == _ARRAY:
            return self.take_array(self.take_size(initial), nesting + 1)
        if initial == _TRUE:
            return True
        if initial == _FALSE:
            return False
        if initial == _NULL:
            return None
        raise ValueError(_NOT_ALLOWED)

    def take_unsigned(self, number: int) -> int:
        if number >> 63 != 0:
            return number
        value = number  # an int64 in the compiled twin, which makes Python integers of it faster
        return value

    def take_negative(self, number: int) -> int:
        if number >> 63 != 0:
            raise ValueError(_OUTSIDE)
        value = number
        return -1 - value

    def take_size(self, initial: int) -> int:
        """Return the length of a string or array; each of its bytes or items takes at least one byte."""
        size = self.take_head(initial)
        left = self.end - self.at
        if size > left:
            raise ValueError(_TRUNCATED)
        return size

    def take_bytes(self, size: int) -> bytes:
        first = self.at
        self.at += size
        return _frozen(self.data[first : self.at])

    def take_text(self, size: int) -> str:
        first = self.at
        self.at += size
        return spans.text(self.data, first, size)

    def take_array(self, size: int, nesting: int) -> tuple:
        if nesting > _LEVELS:
            raise ValueError(_TOO_DEEP)
        # Up to eight fields, as messages have, go straight into their tuple: a list first costs a sixth more.
        if size == 0:
            return ()
        a = self.take_item(nesting)
        if size == 1:
            return (a,)
        b = self.take_item(nesting)
        if size == 2:
            return (a, b)
        c = self.take_item(nesting)
        if size == 3:
            return (a, b, c)
        d = self.take_item(nesting)
        if size == 4:
            return (a, b, c, d)
        e = self.take_item(nesting)
        if size == 5:
            return (a, b, c, d, e)
        f = self.take_item(nesting)
        if size == 6:
            return (a, b, c, d, e, f)
        g = self.take_item(nesting)
        if size == 7:
            return (a, b, c, d, e, f, g)
        h = self.take_item(nesting)
        if size == 8:
            return (a, b, c, d, e, f, g, h)
        items = [a, b, c, d, e, f, g, h]
        for _ in range(size - 8):
            items.append(self.take_item(nesting))
        return tuple(items)

    def take_checked(self) -> tuple:
        """The same as take_payload, with words of ours for text that is not UTF-8."""
        try:
            return self.take_payload()
        except UnicodeDecodeError:
            raise ValueError(_NOT_UTF8) from None

    def take_payload(self) -> tuple:
        """Return the one array from ``at`` to ``end``; any ValueError means that it is none."""
        if self.at < self.end and self.data[self.at] & 0xE0 != _ARRAY:
            raise ValueError("wire: the payload must be an array")
        values = self.take_item(0)
        if self.at < self.end:
            raise ValueError("wire: bytes after the payload")
        return values


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(_NOT_UTF8) from None


def _frozen(data: bytearray | bytes) -> bytes:
    """Return a slice of a buffer as bytes, which in the compiled twin it already is."""
    return data if type(data) is bytes else bytes(data)


def _unsigned(name: str, value: int, most: int) -> int:
    """Return a header field; ValueError unless it is an integer within 0 and ``most``."""
    number = -1
    if type(value) is int:
        try:
            number = value
        except OverflowError:  # in the compiled twin, where number is an int64
            number = -1
    if number < 0 or number > most:
        raise ValueError(f"wire: {name} must be an integer within 0 and {most}")
    return number


_BUFFER = Buffer()


def cbor_encode(values: tuple) -> bytes:
    """Return the payload of ``values``. Raises ValueError for what it may not hold and beyond 108 bytes."""
    buffer = _BUFFER
    buffer.begin(0)
    if type(values) is not tuple:
        raise ValueError(_NO_TUPLE)
    buffer.put_array(values, 1)
    return _frozen(buffer.data[: buffer.end])


def cbor_decode(data: bytes) -> tuple:
    """Return the values of a payload. Raises ValueError for all that ``cbor_encode`` would not have made."""
    if type(data) is not bytes:
        raise ValueError("wire: bytes are needed")
    buffer = _BUFFER
    buffer.begin(0)
    buffer.fill(data)
    return buffer.take_checked()


def encode(
    type_: int, version: int, session: int, seq: int, ack: int, t_ms: int, payload: tuple | bytes
) -> bytes:
    """Return a frame with its closing zero. ``payload`` is a tuple, or what ``cbor_encode`` made of one.

    Raises ValueError for a header field out of its range and for a payload that is not allowed.
    """
    buffer = _BUFFER
    buffer.data[1] = _unsigned("type", type_, 0xFF)
    buffer.data[2] = _unsigned("version", version, 0xFF)
    buffer.put_u32(3, _unsigned("session", session, 0xFFFFFFFF))
    buffer.put_u16(7, _unsigned("seq", seq, 0xFFFF))
    buffer.put_u16(9, _unsigned("ack", ack, 0xFFFF))
    buffer.put_u32(11, _unsigned("t_ms", t_ms, 0xFFFFFFFF))
    buffer.begin(_PAYLOAD)
    if type(payload) is tuple:
        buffer.put_array(payload, 1)
    elif type(payload) is bytes:
        buffer.fill(payload)
        buffer.take_checked()
    else:
        raise ValueError(_NO_TUPLE)
    buffer.put_u32(buffer.end, buffer.crc32(1, buffer.end))
    buffer.end += _CRC_SIZE
    buffer.stuff()
    return _frozen(buffer.data[: buffer.end + 1])


def _added(found: list[Frame | int] | None, one: Frame | int) -> list[Frame | int]:
    """Return the list with one more, a new list where there was none."""
    if found is None:
        return [one]
    found.append(one)
    return found


class Decoder:
    """One link's receiving side: bytes in, frames and faults out, at most one frame's bytes held."""

    __slots__ = ("buffer", "counted", "filled", "lost")

    def __init__(self) -> None:
        self.buffer = Buffer()
        self.filled = 0
        self.lost = False  # inside an oversize frame, dropping bytes until its zero
        self.counted = [0, 0, 0, 0, 0, 0]  # by fault code; good frames at 0

    def feed(self, data: bytes) -> tuple[Frame | int, ...]:
        """Return what ``data`` completes, in its order: frames, and FAULT_* codes for what was none.

        An oversize frame is a fault for every 127 bytes of it, so a line stuck at one byte keeps failing.
        At most one entry a byte: the caller bounds its reads. Raises ValueError unless ``data`` is bytes.
        """
        if type(data) is not bytes:
            raise ValueError("wire: bytes are needed")
        found: list[Frame | int] | None = None
        raw = data
        buffer = self.buffer
        filled = self.filled
        most = _MAX_CONTENT
        size = len(data)
        if 1 < size <= most + 1 and filled == 0 and not self.lost and spans.zero(raw, size) == size - 1:
            spans.copy(buffer.data, 0, raw, size)
            return (self.finish(size - 1),)  # what nearly always comes: one frame
        for index in range(size):
            byte = raw[index]
            if byte != 0:
                if filled == most:
                    found = _added(found, self.fault(FAULT_OVERSIZE))
                    self.lost = True
                    filled = 0
                buffer.data[filled] = byte
                filled += 1
            else:
                if filled > 0 and not self.lost:
                    found = _added(found, self.finish(filled))
                self.lost = False
                filled = 0
        self.filled = filled
        return () if found is None else tuple(found)

    def fault(self, code: int) -> int:
        self.counted[code] += 1
        return code

    def finish(self, size: int) -> Frame | int:
        """Return the frame in the buffer's first ``size`` bytes, or the code of its fault."""
        buffer = self.buffer
        buffer.end = size
        if not buffer.unstuff():
            return self.fault(FAULT_COBS)
        if size < _SHORTEST:
            return self.fault(FAULT_SHORT)
        buffer.end = size - _CRC_SIZE
        if buffer.crc32(1, buffer.end) != buffer.u32(buffer.end):
            return self.fault(FAULT_CRC)
        buffer.at = _PAYLOAD
        frame = Frame.__new__(Frame)
        try:
            frame.payload = buffer.take_payload()
        except ValueError:
            return self.fault(FAULT_PAYLOAD)
        frame.type = buffer.data[1]
        frame.version = buffer.data[2]
        frame.session = buffer.u32(3)
        frame.seq = buffer.u16(7)
        frame.ack = buffer.u16(9)
        frame.t_ms = buffer.u32(11)
        self.counted[0] += 1
        return frame

    def state(self) -> tuple[Any, ...]:
        """All that is remembered, for `restore` of either twin."""
        counted = tuple([self.counted[code] for code in range(len(OUTCOMES))])
        return _frozen(self.buffer.data[: self.filled]), self.filled, self.lost, counted

    def restore(self, state: tuple[Any, ...]) -> None:
        Decoder.__init__(self)
        held = state[0]
        for at in range(len(held)):
            self.buffer.data[at] = held[at]
        self.filled, self.lost = state[1], state[2]
        for code in range(len(OUTCOMES)):
            self.counted[code] = state[3][code]

    def counts(self) -> dict[str, int]:
        """Return how many frames (``good``) and faults of each kind there were, by their names."""
        return dict(zip(OUTCOMES, self.counted, strict=True))
