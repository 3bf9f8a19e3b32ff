"""Scalars of the ProjectX Gateway wire: prices, money, times, ids, and the one way to decode a body.

Pure. Whatever a peer sends ends here as an exact integer or as `Theirs`; no binary float ever carries a price
or an amount. Fields that hold decimals are decoded as `msgspec.Raw`, the undecoded text, and parsed from it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Raw

from app.domain import instruments, units
from app.domain.contracts import ContractId
from app.domain.instruments import Instrument
from app.errors import Refused, Theirs

SOURCE = "TopstepX"

MAX_SIZE = (
    10_000  # contracts in one order, fill or position: far above any account's limit, far below an overflow
)
MAX_TEXT = 256  # characters of a tag, a name or an id: the longest seen is under 80
MAX_CONTRACT = 40  # characters of a contract id
MAX_CACHED = 256  # contracts and whole seconds remembered: a session meets far fewer contracts

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
AccountId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Size = Annotated[int, Meta(ge=0, le=MAX_SIZE)]
Code = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]  # enums and error codes: any int32, judged by tables
Text = Annotated[str, Meta(max_length=MAX_TEXT)]

ABSENT = Raw(b"")
_NOTHING = (b"", b"null")

# What msgspec and the parsers raise for bad bytes: syntax and type, bad UTF-8 and numbers, nesting, integers
# beyond 64 bits.
BAD_BYTES = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)

T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], data: bytes | Raw, what: str) -> T:
    """`data` as the decoder's type. Raises Theirs for anything that does not fit; never anything else."""
    try:
        return decoder.decode(data)
    except BAD_BYTES as error:
        raise Theirs(f"{SOURCE} {what}", f"cannot be read: {error}") from None


def present(raw: Raw) -> str | None:
    """The text of a raw value, None when it was omitted or null. Raises Theirs."""
    data = bytes(raw)
    if data in _NOTHING:
        return None
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise Theirs(SOURCE, "a number that is not ASCII") from None


@lru_cache(maxsize=MAX_CACHED)
def instrument_of(contract: str) -> Instrument:
    """The instrument of a venue contract id. Raises Theirs for a malformed id or an unknown product."""
    try:
        return instruments.by_product(ContractId.parse(contract[: MAX_CONTRACT + 1]).product)
    except Refused as error:
        raise Theirs(SOURCE, error) from None


def price_ticks(raw: Raw, instrument: Instrument) -> int | None:
    """A decimal price as whole ticks, exactly; None when not said. Raises Theirs off the tick grid."""
    text = present(raw)
    if text is None:
        return None
    try:
        return instruments.price_to_ticks(instrument, text)
    except Refused as error:
        raise Theirs(SOURCE, error) from None


def known_price(raw: Raw, instrument: Instrument, what: str) -> int:
    """Like `price_ticks` for a member that must be there."""
    ticks = price_ticks(raw, instrument)
    if ticks is None:
        raise Theirs(SOURCE, f"{what} has no price")
    return ticks


def money_micro(raw: Raw, what: str) -> int | None:
    """A decimal amount of USD as micro-units, exactly; None when not said. Raises Theirs."""
    text = present(raw)
    if text is None:
        return None
    try:
        return units.micro(text)
    except (ValueError, OverflowError) as error:
        raise Theirs(SOURCE, f"{what}: {error}") from None


_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_NS = 1_000_000_000


@lru_cache(maxsize=MAX_CACHED)
def _whole_second_ns(second: str, offset: str) -> int:
    moment = datetime.fromisoformat(second + offset)
    if not _FIRST <= moment < _LAST:
        raise ValueError("year")
    return (moment - _EPOCH) // _SECOND * _NS


def stamp_ns(text: str) -> int:
    """UTC nanoseconds of an ISO-8601 stamp with 0 to 9 fraction digits and an offset or `Z`. Raises Theirs.

    A stamp without an offset is refused: which zone it means would be a guess.
    """
    match = _STAMP.fullmatch(text)
    if match is None:
        raise Theirs(SOURCE, f"not a time stamp: {text}")
    second, fraction, offset = match.groups()
    try:
        whole = _whole_second_ns(second, offset)
    except (ValueError, OverflowError):
        raise Theirs(SOURCE, f"not a time stamp: {text}") from None
    return whole + int(fraction.ljust(9, "0")) if fraction else whole


def stamp_text(utc_ns: int) -> str:
    """The ISO-8601 text the venue accepts, with the 7 fraction digits it uses itself (rounded down)."""
    second, rest = divmod(utc_ns, _NS)
    return f"{_EPOCH + second * _SECOND:%Y-%m-%dT%H:%M:%S}.{rest // 100:07}Z"
