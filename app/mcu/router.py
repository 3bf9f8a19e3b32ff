"""A client of Arduino's router: MessagePack-RPC on its unix socket, as much of it as a board needs.

The stream has no frames: a message ends where its MessagePack item ends, which `item_size` finds within
bounds. What the methods mean is the business of `owner` and `guest`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from app.errors import Later, Refused, Theirs, Unreachable

MESSAGE_LIMIT = 1024  # bytes; the router passes on at most 256
BATCH_LIMIT = 500  # messages of one read; the wire behind the router carries some 20 a second
NESTING_LIMIT = 8  # arrays in arrays; a message needs three
PENDING_LIMIT = 16  # calls of ours without an answer
CALL_S = 1.0  # for an answer: the router is a process on this machine
REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2

# By an item's first byte, as MessagePack's specification has them: whole sizes, and widths of length fields.
_FIXED = {0xC0: 1, 0xC2: 1, 0xC3: 1, 0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9} | {
    0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9,
}  # fmt: skip
_SIZED = {0xC4: 1, 0xC5: 2, 0xD9: 1, 0xDA: 2}  # byte strings and text; longer ones exceed the limit
_ARRAYS, _MAPS = {0xDC: 2}, {0xDE: 2}


def item_size(data: bytes | bytearray, at: int = 0, nesting: int = 0) -> int:
    """Bytes of the item that begins at `at`, 0 while its end is not there yet. Raises Theirs for one that no
    router sends: an extension, or nested too deeply.
    """
    if nesting > NESTING_LIMIT:
        raise Theirs("router", "nested too deeply")
    if at >= len(data):
        return 0
    first = data[at]
    if first < 0x80 or first >= 0xE0:
        return 1
    if first in _FIXED:
        return _there(data, at, _FIXED[first])
    if 0xA0 <= first < 0xC0:
        return _there(data, at, 1 + (first & 0x1F))
    if first in _SIZED:
        wide = _SIZED[first]
        return _there(data, at, 1 + wide + _number(data, at + 1, wide))
    return _container_size(data, at, nesting)


def _container_size(data: bytes | bytearray, at: int, nesting: int) -> int:
    first = data[at]
    if first < 0xA0:
        wide, count = 0, (first & 0x0F) * (1 if first >= 0x90 else 2)
    elif first in _ARRAYS or first in _MAPS:
        wide = 2
        count = _number(data, at + 1, wide) * (1 if first in _ARRAYS else 2)
    else:
        raise Theirs("router", f"an item that begins with {first:#x}")
    size = 1 + wide
    for _ in range(count):
        inner = item_size(data, at + size, nesting + 1)
        if not inner:
            return 0
        size += inner
    return _there(data, at, size)


def _number(data: bytes | bytearray, at: int, wide: int) -> int:
    return int.from_bytes(data[at : at + wide], "big")


def _there(data: bytes | bytearray, at: int, size: int) -> int:
    return size if at + size <= len(data) else 0


class Router(asyncio.Protocol):
    """One connection. `called(method, params)` gets what others ask, `lost` the end, unless we closed."""

    def __init__(
        self,
        called: Callable[[str, list[Any]], None] | None = None,
        lost: Callable[[str], None] | None = None,
    ) -> None:
        self._called, self._lost = called, lost
        self._held = bytearray()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._transport: asyncio.Transport | None = None

    async def open(self, path: Path) -> None:
        """Raises Unreachable when no router listens at `path`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CALL_S):
                await loop.create_unix_connection(lambda: self, os.fspath(path))
        except (OSError, TimeoutError) as error:
            raise Unreachable("router", f"{path}: {error or 'no answer'}") from None

    def close(self) -> None:
        """Idempotent; `lost` is not called."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._fail(Unreachable("router", "closed"))

    async def call(self, method: str, *params: object) -> Any:
        """The answer to a request. Raises Later without one in time, Refused when the router says no."""
        if self._transport is None or len(self._answers) >= PENDING_LIMIT:
            raise Later("router", "not connected" if self._transport is None else "too many open calls")
        self._number += 1
        number = self._number
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._send([REQUEST, number, method, list(params)])
        try:
            async with asyncio.timeout(CALL_S):
                return await answer
        except TimeoutError:
            raise Unreachable("router", f"no answer to {method}") from None
        finally:
            self._answers.pop(number, None)

    def notify(self, method: str, *params: object) -> None:
        """Ask without an answer. Silent when the connection is gone: `lost` has told."""
        self._send([NOTIFICATION, method, list(params)])

    def waiting(self) -> int:
        """Bytes that the router has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _send(self, message: list[Any]) -> None:
        if self._transport is not None:
            self._transport.write(msgspec.msgpack.encode(message))

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        try:
            messages = self._complete()
        except (Theirs, msgspec.MsgspecError, ValueError) as error:  # text that is not UTF-8 is a ValueError
            self._broken(str(error))
            return
        for message in messages:  # an error of whom they are for is a bug and no matter of the router
            if self._transport is not None:
                self._take(message)

    def _complete(self) -> list[Any]:
        """The messages that are there to their end. Raises Theirs, MsgspecError, ValueError for nonsense."""
        messages: list[Any] = []
        at = 0
        while size := item_size(self._held[at : at + MESSAGE_LIMIT]):
            if len(messages) == BATCH_LIMIT:
                raise Theirs("router", f"more than {BATCH_LIMIT} messages at once")
            messages.append(msgspec.msgpack.decode(bytes(self._held[at : at + size])))
            at += size
        del self._held[:at]
        if len(self._held) > MESSAGE_LIMIT:
            raise Theirs("router", f"a message of more than {MESSAGE_LIMIT} bytes")
        return messages

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._broken(str(error) if error else "the router ended the connection")

    # -- what came

    def _take(self, message: Any) -> None:
        match message:
            case [int(kind), int(number), str(method), list(params)] if kind == REQUEST:
                self._serve(method, params)
                self._send([RESPONSE, number, None, True])
            case [int(kind), int(number), error, result] if kind == RESPONSE:
                self._answered(number, error, result)
            case [int(kind), str(method), list(params)] if kind == NOTIFICATION:
                self._serve(method, params)
            case _:
                self._broken("a message that is no RPC")

    def _serve(self, method: str, params: list[Any]) -> None:
        if self._called is not None:
            self._called(method, params)

    def _answered(self, number: int, error: Any, result: Any) -> None:
        answer = self._answers.get(number)
        if answer is None or answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            words = error[1] if isinstance(error, list) and len(error) > 1 else error
            answer.set_exception(Refused("router", words))

    def _broken(self, why: str) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._fail(Unreachable("router", why))
        if self._lost is not None:
            self._lost(why)

    def _fail(self, error: Exception) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
