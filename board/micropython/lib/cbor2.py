"""The part of cbor2 that the link needs, for boards without micropython-lib's: ``dumps`` and ``loads``.

Integers of at most 64 bits, booleans, None, byte strings, text and lists, of stated length and in their
shortest form; anything else is a ValueError. Names and results are cbor2's, so either may be installed.
"""

import struct

_FORMS = (
    (24, 0x100, ">BB"),
    (25, 0x10000, ">BH"),
    (26, 0x100000000, ">BI"),
    (27, 0x10000000000000000, ">BQ"),
)
_MAX_NESTING = 8  # lists in lists: the stack of a microcontroller is small
_SIMPLE = {0xF4: False, 0xF5: True, 0xF6: None}


def dumps(value: object) -> bytes:
    """Return the encoding of a value."""
    out = bytearray()
    _put(out, value, 0)
    return bytes(out)


def loads(data: bytes) -> object:
    """Return the one value that ``data`` is the encoding of."""
    value, end = _take(data, 0, 0)
    if end != len(data):
        raise ValueError("cbor2: bytes after the value")
    return value


def _put(out: bytearray, value, nesting: int) -> None:
    if value is None:
        out.append(0xF6)
    elif isinstance(value, bool):
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        _put_head(out, 0x20 if value < 0 else 0x00, -1 - value if value < 0 else value)
    elif isinstance(value, bytes):
        _put_head(out, 0x40, len(value))
        out.extend(value)
    elif isinstance(value, str):
        text = value.encode()
        _put_head(out, 0x60, len(text))
        out.extend(text)
    elif isinstance(value, list) and nesting < _MAX_NESTING:
        _put_head(out, 0x80, len(value))
        for item in value:
            _put(out, item, nesting + 1)
    else:
        raise ValueError("cbor2: a value that is not supported")


def _put_head(out: bytearray, major: int, number: int) -> None:
    if number < 24:
        out.append(major | number)
        return
    for low, beyond, form in _FORMS:
        if number < beyond:
            out.extend(struct.pack(form, major | low, number))
            return
    raise ValueError("cbor2: an integer beyond 64 bits")


def _take(data: bytes, at: int, nesting: int) -> tuple:
    """Return the value that begins at ``at``, and where it ends."""
    if at >= len(data) or nesting > _MAX_NESTING:
        raise ValueError("cbor2: too short, or nested too deep")
    if data[at] in _SIMPLE:
        return _SIMPLE[data[at]], at + 1
    major = data[at] & 0xE0
    number, at = _take_head(data, at)
    if major == 0x00:
        return number, at
    if major == 0x20:
        return -1 - number, at
    if major > 0x80 or number > len(data) - at:
        raise ValueError("cbor2: too short, or a type that is not supported")
    if major == 0x80:
        return _take_list(data, at, number, nesting)
    raw = data[at : at + number]
    return (raw if major == 0x40 else _text(raw)), at + number


def _take_head(data: bytes, at: int) -> tuple:
    """Return the number of the head at ``at``, and where the head ends."""
    low = data[at] & 31
    if low < 24:
        return low, at + 1
    for index in range(len(_FORMS)):
        if _FORMS[index][0] == low:
            end = at + 1 + (1 << index)
            number = int.from_bytes(data[at + 1 : end], "big")
            least = _FORMS[index - 1][1] if index else 24
            if end > len(data) or number < least:
                raise ValueError("cbor2: too short, or not in its shortest form")
            return number, end
    raise ValueError("cbor2: a length that is not stated")


def _take_list(data: bytes, at: int, count: int, nesting: int) -> tuple:
    items = []
    for _ in range(count):
        item, at = _take(data, at, nesting + 1)
        items.append(item)
    return items, at


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeError:
        raise ValueError("cbor2: text that is not UTF-8") from None
