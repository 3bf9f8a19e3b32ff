"""Quotes to all who follow a contract: a WebSocket frame built once, sent to every socket by `native.fanout`.

A quote is state: who keeps up is sent each change, who comes or fell behind the whole quote and none of the
changes between. What counts one by one (trades, orders, fills) goes through each connection's own outbox, see
`hubs`; whole frames of both mix freely on a socket. Nothing here knows SignalR's other records.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from app.clock import MS, NS, Clock, Timer
from app.simulator import signalr
from app.simulator.rows import Row
from native import fanout

TARGET = "GatewayQuote"
BEAT_NS = (
    5 * MS
)  # at most one frame of a contract in this time, the first at once: a venue's stream is slower
PATIENCE_NS = 10 * NS  # for a client to take one frame; then it is dropped

_TEXT = 0x81  # a whole message of text; a server does not mask
_SMALL, _MEDIUM = 125, 0xFFFF  # payload bytes whose count fits the head's second byte, or two bytes more


@dataclass(slots=True)
class _Board:
    """One contract: the quote as it was told, and whom."""

    row: Row = field(default_factory=dict)
    fanout: fanout.Fanout = field(default_factory=lambda: fanout.Fanout(patience=PATIENCE_NS // BEAT_NS))


class Quotes:
    """The contracts somebody follows. `drop` hears of a client that was too slow or is gone."""

    def __init__(self, clock: Clock, drop: Callable[[asyncio.Transport], None]) -> None:
        self._clock, self._drop = clock, drop
        self._boards: dict[str, _Board] = {}
        self._timer: Timer | None = None

    def join(self, contract: str, transport: asyncio.Transport) -> Row:
        """Tell `transport` the quotes of `contract` until it leaves; returns the present one, told first."""
        board = self._boards.setdefault(contract, _Board())
        board.fanout.add(transport.get_extra_info("socket").fileno(), transport)
        self._soon()
        return board.row

    def leave(self, contract: str, transport: asyncio.Transport) -> None:
        """Tell it no more; the last one takes the quote along."""
        board = self._boards.get(contract)
        if board is not None:
            board.fanout.remove(transport)  # not there any more when it was dropped
            if len(board.fanout) == 0:
                del self._boards[contract]

    def tell(self, contract: str, change: Row) -> None:
        """The members of the quote that changed. Without a listener nothing is kept."""
        board = self._boards.get(contract)
        if board is not None:
            board.row = {**board.row, **change}
            board.fanout.publish(_frame(contract, board.row), _frame(contract, change))
            self._soon()

    def close(self) -> None:
        """Forget everybody. Idempotent."""
        self._boards.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _soon(self) -> None:
        if self._timer is None:
            self._beat()

    def _beat(self) -> None:
        """Send what waits; again after a beat as long as something did."""
        due = [board for board in self._boards.values() if board.fanout.waiting()]
        self._timer = self._clock.call_later(BEAT_NS, self._beat) if due else None
        for board in due:
            for transport, _why in board.fanout.flush():
                self._drop(transport)


def _frame(contract: str, row: Row) -> bytes:
    return text_frame(signalr.invocation(TARGET, (contract, row)).encode())


def text_frame(payload: bytes) -> bytes:
    """One unmasked, uncompressed WebSocket message of text (RFC 6455, 5.2)."""
    size = len(payload)
    if size <= _SMALL:
        return struct.pack(">BB", _TEXT, size) + payload
    if size <= _MEDIUM:
        return struct.pack(">BBH", _TEXT, 126, size) + payload
    return struct.pack(">BBQ", _TEXT, 127, size) + payload
