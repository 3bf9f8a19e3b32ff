"""Session tokens: real JSON Web Tokens (HS256), because clients decode them. Pure; the caller brings the
wall clock.

The key derives from the seed: this guards a simulator on loopback, and one seed must give the same bytes
again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

NS = 1_000_000_000
LIFE_S = 24 * 3600
REVOKED_KEPT = 10_000  # token ids remembered as revoked: 24 h of one logout every nine seconds
ISSUER = "plimsoll-simulator"


@dataclass(frozen=True, slots=True)
class Session:
    """What a valid token says."""

    user: str
    number: int
    expires_s: int


class Tokens:
    """Issues, checks and revokes."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(f"plimsoll simulator {seed}".encode()).digest()
        self._issued = 0
        self._revoked: OrderedDict[int, None] = OrderedDict()

    def issue(self, user: str, wall_ns: int) -> str:
        """A token of `user`, good for 24 hours."""
        self._issued += 1
        now = wall_ns // NS
        claims = {"sub": user, "jti": str(self._issued), "iss": ISSUER, "iat": now, "exp": now + LIFE_S}
        body = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
        return f"{body}.{self._sign(body)}"

    def check(self, token: str, wall_ns: int) -> Session | None:
        """The session of a token; None when it is malformed, forged, expired or revoked."""
        body, _, signature = token.rpartition(".")
        if not token.isascii() or not hmac.compare_digest(self._sign(body), signature):
            return None
        claims = json.loads(_decode(body.rpartition(".")[2]))  # signed by us, therefore well formed
        session = Session(claims["sub"], int(claims["jti"]), claims["exp"])
        alive = wall_ns // NS < session.expires_s and session.number not in self._revoked
        return session if alive else None

    def revoke(self, session: Session) -> None:
        self._revoked[session.number] = None
        if len(self._revoked) > REVOKED_KEPT:
            self._revoked.popitem(last=False)

    def _sign(self, body: str) -> str:
        return _base64(hmac.new(self._key, body.encode(), hashlib.sha256).digest())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encode(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
