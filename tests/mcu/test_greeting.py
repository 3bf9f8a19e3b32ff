"""Greeting a board once: who it is, and what happens when nobody or somebody else answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from app.errors import Refused, Unreachable
from app.mcu import messages
from app.mcu.greeting import PATIENCE_MS, Greeter, Greeting
from app.mcu.native_codec import NativeCodec
from native import wire

HASH = bytes(range(8))


class Board:
    """The far end of a wire on a clock of its own: `answer` makes bytes of a HELLO's session and nonce."""

    def __init__(self, answer: Callable[[int, int], bytes], after_hellos: int = 1) -> None:
        self.now = 5_000
        self.hellos = 0
        self._answer = answer
        self._after = after_hellos
        self._decoder = wire.Decoder()
        self._out = b""

    def read(self, timeout_ms: int) -> bytes:
        self.now += 1 if self._out else max(timeout_ms, 1)
        out, self._out = self._out, b""
        return out

    def write(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            assert frame.type == messages.HELLO
            self.hellos += 1
            if self.hellos >= self._after:
                self._out += self._answer(frame.session, frame.payload[0])


def welcome(session: int, nonce: int, version: int = 1) -> bytes:
    return wire.encode(messages.WELCOME, version, session, 1, 1, 7, (nonce, HASH, 1, 2, 9, 1))


def ask(board: Board) -> Greeting:
    """What a greeter makes of `board`, each waiting as long as its poll says."""
    numbers = itertools.count(11)
    greeter = Greeter(NativeCodec(), board.now, lambda: next(numbers), PATIENCE_MS)
    while True:
        out, due_ms = greeter.poll(board.now)
        if out:
            board.write(out)
        told = greeter.feed(board.read(due_ms - board.now), board.now)
        if told is not None:
            return told


def test_tells_the_hash_version_and_target() -> None:
    told = ask(Board(welcome))
    assert (told.firmware_hash, told.protocol_version, told.target) == (HASH.hex(), 1, "unoq")
    assert (told.reset_cause, told.boot_id) == (2, 9)


def test_waits_for_a_board_that_starts_slowly() -> None:
    board = Board(welcome, after_hellos=200)
    assert ask(board).firmware_hash == HASH.hex()
    assert 19_900 <= board.now - 5_000 <= 20_100


def test_gives_up_on_a_board_that_never_answers() -> None:
    board = Board(lambda session, nonce: b"")
    with pytest.raises(Unreachable, match="no greeting within 30 s"):
        ask(board)
    assert board.hellos == 300


def test_refuses_another_version() -> None:
    with pytest.raises(Refused, match=r"board\.protocol: another version; limit 1"):
        ask(Board(lambda session, nonce: welcome(session, nonce, 2)))


@pytest.mark.parametrize(
    "answer",
    [
        lambda session, nonce: welcome(session, nonce + 1),
        lambda session, nonce: welcome(session ^ 1, nonce),
        lambda session, nonce: wire.encode(messages.HELLO, 1, session, 1, 0, 0, (nonce,)),
        lambda session, nonce: b"MCU starting RPC Bridge communication\n\0" * 3,
    ],
    ids=["another nonce", "another session", "an echo", "noise"],
)
def test_takes_nothing_else_for_a_greeting(answer: Callable[[int, int], bytes]) -> None:
    with pytest.raises(Unreachable):
        ask(Board(answer))


def test_greets_anew_after_noise() -> None:
    noise = iter([b"\1\1\0" * 40])
    board = Board(lambda session, nonce: next(noise, b"") or welcome(session, nonce))
    assert ask(board).firmware_hash == HASH.hex()
