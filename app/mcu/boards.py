"""Which board the settings ask for: the link with its way there, or the stand-in for a desk without one."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AsyncExitStack

from app.clock import Clock
from app.config.settings import Board
from app.mcu import owner, shipped, unoq
from app.mcu.guest import Guest, open_guest
from app.mcu.leds import Leds
from app.mcu.link import Dial, Link
from app.mcu.native_codec import NativeCodec
from app.mcu.opener import Opener
from app.mcu.port import Port, open_port
from app.mcu.stand_in import StandIn

RUNTIME = "RUNTIME_DIRECTORY"  # set by systemd alone, see systemd.exec(5)


def check(board: Board) -> None:
    """Whether this machine can be what `board` says. Raises SettingsError."""
    if board.required and board.mode in ("owner", "guest"):
        unoq.require(board.mode)


def build(board: Board, clock: Clock, stack: AsyncExitStack) -> Link | StandIn:
    """The panel of `board`, not yet running; `stack` gives back at the end what it takes."""
    if not board.required:
        return StandIn()
    leds = Leds() if board.leds else None
    return Link(board.mode, clock, dial(board, stack), NativeCodec(), leds, shipped.read())


def dial(board: Board, stack: AsyncExitStack) -> Dial:
    """The way to the board that the settings name; `stack` gives back what it takes."""
    if board.mode == "owner":
        own = owner.Owner(board.device, board.baud, board.router, owner.lines(os.environ.get(RUNTIME, "")))
        stack.push_async_callback(own.give_back)
        return own.dial

    async def guest(received: Callable[[bytes], None], lost: Callable[[str], None]) -> Guest:
        return await open_guest(board.router, received, lost)

    opener = Opener("board")

    async def serial(received: Callable[[bytes], None], lost: Callable[[str], None]) -> Port:
        return await open_port(board.device, board.baud, received, lost, opener)

    return guest if board.mode == "guest" else serial
