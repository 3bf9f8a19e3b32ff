"""A host and a board on one virtual clock with a wire between them that loses, doubles, delays and lies.

The host makes a new session where one was lost, as the runner does. Nothing real passes: a millisecond is one
``tick``, in which both sides are fed and polled.
"""

from __future__ import annotations

import random
from typing import Any

from app.mcu import messages, runner, session
from app.mcu.native_codec import NativeCodec
from board.micropython.board import Board
from tests.board import rig

CLOSED, OPEN = 3, 0
HASH = bytes(range(8))
RECORDED = 400  # frames of each direction kept for replays
HOST, BOARD = "host", "board"


class Direction:
    """One way of the wire: what is under way, and what will happen to the next frames."""

    def __init__(self) -> None:
        self.under_way: list[tuple[int, bytes]] = []  # (arrival, bytes)
        self.recorded: list[bytes] = []
        self.cut = False
        self.lag_ms = 1
        self.drop = self.duplicate = self.corrupt = self.truncate = self.swap = 0
        self.held = b""

    def send(self, data: bytes, now_ms: int, rng: random.Random) -> None:
        for part in data.split(b"\0")[:-1]:
            self._send_one(part + b"\0", now_ms, rng)

    def _spend(self, name: str) -> bool:
        left = getattr(self, name)
        setattr(self, name, max(0, left - 1))
        return left > 0

    def _send_one(self, one: bytes, now_ms: int, rng: random.Random) -> None:
        self.recorded = [*self.recorded[1 - RECORDED :], one]
        if self.cut or self._spend("drop"):
            return
        if self._spend("corrupt"):
            damaged = bytearray(one)
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            one = bytes(damaged)
        if self._spend("truncate"):
            one = one[: rng.randrange(1, len(one))]
        if not self.held and self._spend("swap"):
            self.held = one
            return
        copies = 2 if self._spend("duplicate") else 1
        self.put(one * copies + self.held, now_ms)
        self.held = b""

    def put(self, data: bytes, now_ms: int) -> None:
        self.under_way.append((now_ms + self.lag_ms, data))

    def take(self, now_ms: int) -> bytes:
        arrived = b"".join(data for due, data in self.under_way if due <= now_ms)
        self.under_way = [(due, data) for due, data in self.under_way if due > now_ms]
        return arrived


class Core:
    """The firmware in C, called as the MicroPython board is."""

    def __init__(self, seed: int, now_ms: int) -> None:
        self.bench = rig.Bench(seed=seed & 0xFFFFFFFF, now=now_ms)

    def sample(self, closed: int, now_ms: int) -> None:
        self.bench.now, self.bench.contacts = now_ms, closed

    def read_back(self, energised: bool, now_ms: int) -> None:
        """The bench has its own."""

    def feed(self, data: bytes, now_ms: int) -> None:
        self.bench.turn(data)

    def poll(self, now_ms: int) -> tuple[bytes, int]:
        data = b"".join(self.bench.raw)
        self.bench.raw.clear()
        self.bench.sent.clear()
        return data, now_ms

    @property
    def output(self) -> bool:
        return self.bench.output

    @property
    def state(self) -> int:
        return self.bench.state

    @property
    def trip(self) -> tuple[int, int]:
        read = self.bench.read()
        return read["trip_id"], read["trip_cause"]


class World:
    """Both sides and what a test may do to them. ``events`` are the host's, each with its time."""

    def __init__(self, seed: int = 1, codec: Any = None, start_ms: int = 0, in_c: bool = False) -> None:
        self.in_c = in_c  # which firmware the board runs
        self.codec = codec or NativeCodec()
        self.rng = random.Random(seed)
        self.now_ms = start_ms
        self.contacts = CLOSED
        self.turning = True
        self.stalled_until_ms = {HOST: 0, BOARD: 0}
        self.loop = False  # the host hears itself and nobody else
        self.to_host, self.to_board = Direction(), Direction()
        self.events: list[tuple[int, tuple]] = []
        self.sent: list[tuple[int, int]] = []  # what the host sent: (time, type)
        self.arms = 0  # how often the host asked for RUN
        self.turned_on: list[int] = []  # arms asked for when the output went on
        self.board_sent_ms = start_ms  # when the board, and no recording of it, spoke last
        self.reboot()
        self._begin()

    def _random32(self) -> int:
        return self.rng.getrandbits(32)

    def reboot(self) -> None:
        identity = (HASH, messages.RESET_POWER, self._random32())
        if self.in_c:
            self.board: Any = Core(identity[2], self.now_ms)
        else:
            self.board = Board(self.codec, self._random32, identity, True, self.now_ms)

    def _begin(self) -> None:
        self.began_ms = self.now_ms
        self.host = session.Session(
            self.codec, self._random32() or 1, self._random32(), self.now_ms, self._random32
        )

    def run(self, milliseconds: int) -> World:
        for _ in range(milliseconds):
            self.tick()
        return self

    def tick(self) -> None:
        self.now_ms += 1
        if self.now_ms >= self.stalled_until_ms[BOARD]:
            self._tick_board()
        if self.now_ms >= self.stalled_until_ms[HOST]:
            self._tick_host()

    def _tick_board(self) -> None:
        was_on = self.board.output
        self.board.sample(self.contacts, self.now_ms)
        self.board.read_back(self.board.output, self.now_ms)
        self.board.feed(self.to_board.take(self.now_ms), self.now_ms)
        data = self.board.poll(self.now_ms)[0]
        if data:
            self.board_sent_ms = self.now_ms
        self.to_host.send(data, self.now_ms, self.rng)
        if self.board.output and not was_on:
            self.turned_on.append(self.arms)

    def _tick_host(self) -> None:
        if self.turning:
            self.host.beat_allowed(self.now_ms)
        self.events += [(self.now_ms, event) for event in self.host.feed(self._heard(), self.now_ms)]
        data = self.host.poll(self.now_ms)[0]
        decoder = self.codec.decoder()
        self.sent += [(self.now_ms, fields[0]) for _, fields in decoder.feed(data)]
        if self.loop:
            self.to_host.put(data, self.now_ms)
        else:
            self.to_board.send(data, self.now_ms, self.rng)
        if self.host.lost and self.now_ms - self.began_ms >= runner.SESSION_MS:
            self._begin()

    def _heard(self) -> bytes:
        return self.to_host.take(self.now_ms)

    def arm(self) -> bool:
        asked = self.host.arm()
        self.arms += asked
        return asked

    def seen(self, kind: int, since_ms: int = 0) -> list[tuple[int, tuple]]:
        return [(at_ms, event) for at_ms, event in self.events if event[0] == kind and at_ms >= since_ms]


def ready(seed: int = 1, **more: Any) -> World:
    """A world whose board is READY and whose host is live."""
    world = World(seed, **more).run(200)
    assert world.board.state == messages.READY
    assert world.host.state == session.LIVE
    return world


def running(seed: int = 1, **more: Any) -> World:
    """A world whose board is in RUN."""
    world = ready(seed, **more)
    assert world.arm()
    world.run(60)
    assert world.board.output
    return world
