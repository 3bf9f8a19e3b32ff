"""What the network may send that nobody should: one list for the explicit tests and for the fuzzer's seeds.

`FRAMES` are streams of the hubs, `WIRE` bytes of the board's line, `MEMBERS` changes to the members of a good
order and `ORDERS` the same as the fuzzer's input.
"""

from __future__ import annotations

import zlib
from typing import Any

from tests.native.fuzz.values import drawing

MNQ, TNOTE = "CON.F.US.MNQ.Z26", "CON.F.US.TYA.Z26"
RECORD_END = b"\x1e"
_QUOTE = (
    b'{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.MNQ.Z26",{"bestBid":%b,"bestAsk":25012.5}]}'
)
GOOD_QUOTE = _QUOTE % b"25012.0" + RECORD_END
DEEP = 5_000  # levels: a decoder that recurses without a bound ends the process here

# The number that stands for the bid.
NUMBERS = {
    "nan": b"NaN",
    "infinity": b"-Infinity",
    "1e400": b"1e400",
    "exponent": b"2.5e4",
    "20-digits": b"12345678901234567890",
    "20-places": b"25012.00000000000000000000",
    "off-tick": b"25012.1",
    "leading-zero": b"025012.0",
    "plus": b"+25012.0",
    "no-digits": b"25012.",
    "text": b'"25012.0"',
    "true": b"true",
    "nested-number": b"[[25012.0]]",
}
FRAMES = {
    "good": GOOD_QUOTE,
    "negative-zero": _QUOTE % b"-0.0" + RECORD_END,
    **{name: _QUOTE % number + RECORD_END for name, number in NUMBERS.items()},
    "truncated": GOOD_QUOTE[:60] + RECORD_END,
    "truncated-name": GOOD_QUOTE[:20] + RECORD_END,
    "no-end": GOOD_QUOTE[:-1],
    "nested": _QUOTE % (b"[" * DEEP + b"]" * DEEP) + RECORD_END,
    "opened": b"[" * DEEP + RECORD_END,
    "oversized": _QUOTE % b"1" + b" " * 4_000 + RECORD_END,
    "oversized-text": GOOD_QUOTE.replace(b'"bestAsk"', b'"symbol":"' + b"x" * 300 + b'","bestAsk"'),
    "member-twice": GOOD_QUOTE.replace(b'"bestAsk"', b'"bestBid"'),
    "record-twice": GOOD_QUOTE * 2,
    "reordered": GOOD_QUOTE.replace(b'"bestBid":25012.0,', b"").replace(b"}]", b',"bestBid":25012.0}]'),
    "head-reordered": GOOD_QUOTE.replace(b'"type":1,', b"").replace(b"]}", b'],"type":1}'),
    "not-utf-8": GOOD_QUOTE.replace(b'"bestAsk"', b'"symbol":"\xff\xfe\x80","bestAsk"'),
    "not-ascii": GOOD_QUOTE.replace(b'"bestAsk"', '"symbol":"é","bestAsk"'.encode()),
    "zero-byte": GOOD_QUOTE.replace(b"MNQ", b"M\0Q"),
    "empty": RECORD_END * 3,
    "separators": b"\x1e\x1e{\x1e}\x1e",
}  # fmt: skip
# What both twins read as a quote all the same: values that are good, however they came.
READ = frozenset({"good", "negative-zero", "record-twice", "reordered"})


def stuffed(raw: bytes) -> bytes:
    """COBS the long way: split at the zeros, each part behind its length plus one. Parts under 254 bytes."""
    return b"".join(bytes([len(part) + 1]) + part for part in raw.split(b"\0")) + b"\0"


def framed(payload: bytes) -> bytes:
    """A frame with a right CRC around any payload."""
    raw = bytes.fromhex("0301deadbeef12671266075bcd15") + payload
    return stuffed(raw + zlib.crc32(raw).to_bytes(4, "big"))


GOOD_FRAME = framed(b"\x82\x01\x02")
# Payloads that are CBOR, or nearly, and not the subset: (bytes, what they say).
PAYLOADS = {
    "nan": b"\x81\xf9\x7e\x00",
    "negative-zero": b"\x81\xf9\x80\x00",
    "1e400": b"\x81\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",  # what 1e400 is as a double: infinity
    "20-digits": b"\x81\xc2\x49\x05\x6b\xc7\x5e\x2d\x63\x10\x00\x00",  # 10**20: a bignum
    "longer-than-needed": b"\x81\x18\x01",
    "nested": b"\x81" * 5 + b"\x01",
    "opened": b"\x81" * 60,
    "not-utf-8": b"\x81\x62\xff\xfe",
    "map": b"\x81\xa1\x01\x02",
    "unknown-length": b"\x9f\x01\xff",
    "more-items-than-bytes": b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
    "after-the-end": b"\x81\x01\x01",
    "no-array": b"\x01",
    "truncated-item": b"\x82\x19\x01",
}
WIRE = {
    "good": GOOD_FRAME,
    **{f"payload-{name}": framed(payload) for name, payload in PAYLOADS.items()},
    "truncated": GOOD_FRAME[:9] + b"\0",
    "no-end": GOOD_FRAME[:-1],
    "twice": GOOD_FRAME * 2,
    "reordered": GOOD_FRAME[:4] + GOOD_FRAME[6:8] + GOOD_FRAME[4:6] + GOOD_FRAME[8:],
    "oversized": b"\x05" * 200 + b"\0" + GOOD_FRAME,
    "zeros": bytes(40) + GOOD_FRAME + bytes(3),
    "chain": b"\xff" * 30 + b"\0",
    "noise": bytes(range(255, 0, -1)) + b"\0",
}

GOOD_ORDER: dict[str, Any] = {
    "account": 1001, "side": 1, "size": 2, "limit": None, "stop": 26_801, "stop_leg": 10, "target_leg": 16,
    "tag": "a-tag",
}  # fmt: skip
# Changes that no body may come from: the full encoder judges them.
MEMBERS: dict[str, dict[str, Any]] = {
    "nan": {"stop": float("nan")},
    "1e400": {"stop": float("inf")},
    "negative-zero": {"stop": -0.0},
    "20-digits": {"stop": 12345678901234567890},
    "20-digits-account": {"account": 12345678901234567890},
    "20-digits-size": {"size": 12345678901234567890},
    "off-tick": {"stop": 26801.5},
    "text-price": {"stop": "a-tag"},
    "nested": {"stop": ()},
    "truth": {"size": True},
    "price-missing": {"stop": None},
    "price-too-many": {"limit": 26_801},
    "prices-reordered": {"limit": 26_801, "stop": None},
    "oversized-tag": {"tag": "x" * 129},
    "not-utf-8-tag": {"tag": "\udcff"},
    "not-ascii-tag": {"tag": "é"},
    "zero-byte-tag": {"tag": "\0"},
    "quote-in-tag": {"tag": '"'},
    "no-size": {"size": 0},
    "no-side": {"side": 0},
    "negative-leg": {"stop_leg": -1},
    "beyond-64-bits-in-1e-9": {"stop": 2**51 + 177},
}
_STOP_KIND, _CONTRACT = 2, 0  # places in the fuzz target's tables


def _seed(members: dict[str, Any]) -> bytes:
    return bytes([0, _STOP_KIND, _CONTRACT]) + b"".join(map(drawing, members.values()))


ORDERS = {"good": _seed(GOOD_ORDER)} | {
    name: _seed(GOOD_ORDER | changes) for name, changes in MEMBERS.items()
}
