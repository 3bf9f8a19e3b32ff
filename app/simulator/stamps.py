"""Instants as the venue writes and reads them. Pure text and integers.

Written with seven fraction digits and `+00:00`. Read tolerantly: zero to nine digits, `Z`, an offset, or
none (then UTC).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHAPE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9})\d{0,9})?)?)?\s*(Z|[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)


@lru_cache(1_024)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def iso(utc_ns: int) -> str:
    """ "2026-11-20T19:48:53.5274910+00:00" """
    seconds, rest = divmod(utc_ns, NS)
    return f"{_second(seconds)}.{rest // 100:07}+00:00"


def bar_stamp(utc_ns: int) -> str:
    """Bars open on whole seconds: "2026-11-20T19:48:00+00:00" """
    return f"{_second(utc_ns // NS)}+00:00"


def parse(text: str) -> int:
    """UTC nanoseconds of an ISO-8601 text. Raises ValueError."""
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not an ISO-8601 instant: {text[:40]!r}")
    day, clock, seconds, fraction, zone = match.groups()
    offset = "+00:00" if zone is None or zone in "Zz" else zone
    moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}:{seconds or '00'}{offset}")
    return (moment - _EPOCH) // timedelta(seconds=1) * NS + int((fraction or "").ljust(9, "0"))
