"""What every MicroPython target runs: the turn of the loop, and who this firmware is.

A target is an object with ``contacts() -> bits``, ``read_back() -> bool``, ``output(on)``, ``show(board,
host)``, ``feed_watchdog()`` and ``now_ms()``. None is known by name here.
"""

import hashlib

from app.mcu.messages import HASH_SIZE
from board.micropython import lights

PIECE_BYTES = 256  # of a file at a time: the heap is small
FILES = (
    "app/mcu/frame.py",
    "app/mcu/messages.py",
    "app/mcu/session.py",
    "app/mcu/runner.py",
    "board/micropython/board.py",
    "board/micropython/kill.py",
    "board/micropython/lights.py",
    "board/micropython/firmware.py",
    "board/micropython/hardware.py",
)


def turn(board, target, now_ms: int) -> None:
    """Look at the contacts and the output, set the output, show it; feed the watchdog if all is fresh."""
    board.sample(target.contacts(), now_ms)
    board.read_back(target.read_back(), now_ms)
    target.output(board.output)
    board_light, host_light = lights.show(board.state, board.faults, board.peer.live, board.request, now_ms)
    target.show(board_light, host_light)
    if board.fresh(now_ms):
        target.feed_watchdog()


class Loop:
    """A board with its target as the side that the runner turns: contacts and output first, then the link."""

    lost = False

    def __init__(self, board, target) -> None:
        self.poll = board.poll
        self._board = board
        self._target = target

    def feed(self, data: bytes, now_ms: int) -> list[tuple]:
        turn(self._board, self._target, now_ms)
        return self._board.feed(data, now_ms)

    def close(self) -> list[tuple]:
        return []


def fingerprint(root: str) -> bytes:
    """Return the hash that WELCOME tells: of this firmware's files under ``root``, which ends in a slash."""
    digest = hashlib.sha256()
    for name in FILES:
        with open(root + name, "rb") as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
    return digest.digest()[:HASH_SIZE]
