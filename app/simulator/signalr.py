"""The SignalR JSON protocol without any transport: text in, messages out, records to send. Pure.

Records are JSON closed by 0x1E; one frame may hold several and a record may span frames. The handshake is
the first record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import msgspec

from app.errors import Theirs

SEPARATOR = "\x1e"
INBOUND_LIMIT = 32 * 1024  # bytes of one message and of an unfinished record: the framework's default
MALFORMED = "the client sent something that is no SignalR record"


class Kind(IntEnum):
    INVOCATION = 1
    STREAM_ITEM = 2
    COMPLETION = 3
    STREAM_INVOCATION = 4
    CANCEL_INVOCATION = 5
    PING = 6
    CLOSE = 7


class Message(msgspec.Struct, rename="camel"):
    """The members any client message may have; others (`headers`, `streamIds`) are ignored."""

    type: int
    target: str = ""
    arguments: list[Any] = []
    invocation_id: str | None = None


class _Handshake(msgspec.Struct):
    protocol: str
    version: int


_MESSAGE = msgspec.json.Decoder(Message)
_HANDSHAKE = msgspec.json.Decoder(_Handshake)
_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Records:
    """Cuts frames into records, keeping the unfinished rest."""

    rest: str = field(default="")

    def feed(self, text: str) -> list[str]:
        """The complete records of `rest + text`. Raises Theirs when a record grows beyond the limit."""
        *records, self.rest = (self.rest + text).split(SEPARATOR)
        if any(len(record) > INBOUND_LIMIT for record in (*records, self.rest)):
            raise Theirs("hub client", f"a record longer than {INBOUND_LIMIT} bytes")
        return records


def parse(record: str) -> Message:
    """One message. Raises Theirs."""
    try:
        return _MESSAGE.decode(record)
    except (msgspec.DecodeError, RecursionError):
        raise Theirs("hub client", MALFORMED) from None


def handshake_error(record: str) -> str:
    """Why a handshake is refused, "" when it is fine."""
    try:
        handshake = _HANDSHAKE.decode(record)
    except (msgspec.DecodeError, RecursionError):
        return "Handshake was canceled: malformed request."
    if handshake.protocol.lower() != "json":
        return f"The protocol '{handshake.protocol[:20]}' is not supported."
    return (
        ""
        if handshake.version in (0, 1)
        else f"The server does not support version {handshake.version} of it."
    )


def encode(message: dict[str, Any]) -> str:
    """A record ready to send."""
    return _ENCODER.encode(message).decode() + SEPARATOR


def invocation(target: str, arguments: tuple[Any, ...]) -> str:
    return encode({"type": Kind.INVOCATION, "target": target, "arguments": arguments})


def completion(invocation_id: str, error: str = "") -> str:
    """The answer to an invocation that asked for one."""
    outcome = {"error": error} if error else {"result": None}
    return encode({"type": Kind.COMPLETION, "invocationId": invocation_id, **outcome})


def handshake_reply(error: str = "") -> str:
    return encode({"error": error} if error else {})


PING = encode({"type": Kind.PING})


def close(error: str = "") -> str:
    return encode({"type": Kind.CLOSE, **({"error": error} if error else {})})
