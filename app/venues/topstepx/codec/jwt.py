"""How long a bearer token lives, read from the token itself. Nothing is verified here: the venue does that.

Pure. A token that cannot be read is no error: its life is then simply unknown.
"""

from __future__ import annotations

import base64
import re

import msgspec
from msgspec import Struct

from app.errors import Theirs
from app.venues.topstepx.codec.fields import BAD_BYTES, SOURCE

NS = 1_000_000_000
MAX_TOKEN = 8_192  # characters; the venue's have some hundreds, and the token travels in every head

_SAFE = re.compile(r"[A-Za-z0-9._~+/=-]+", re.ASCII)  # what may stand in a header and in a URL


class _Claims(Struct):
    exp: float | None = None
    iat: float | None = None
    nbf: float | None = None


_claims = msgspec.json.Decoder(_Claims)


def safe_token(token: str | None) -> str:
    """The token itself when it may be put into a request head. Raises Theirs, without a character of it."""
    if not token or len(token) > MAX_TOKEN or not _SAFE.fullmatch(token):
        raise Theirs(f"{SOURCE} login", "a token that is missing or malformed")
    return token


def life_ns(token: str, wall_ns: int) -> int | None:
    """Nanoseconds from issue to expiry, None when the token does not say.

    Taken from the token's own two times where it has both, so that a wrong clock of ours does not matter.
    """
    try:
        payload = token.split(".")[1]
        claims = _claims.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        begin = claims.iat or claims.nbf
        return None if claims.exp is None else int((claims.exp - (begin or wall_ns / NS)) * NS)
    except (*BAD_BYTES, IndexError):
        return None
