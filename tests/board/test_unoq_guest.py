"""The UNO Q's sketch as guest of Arduino's router: its messages byte for byte, a router that is no help."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.mcu import messages, session
from app.mcu.guest import CHUNK, FROM_BOARD, TO_BOARD, Guest, open_guest
from app.mcu.native_codec import NativeCodec
from app.mcu.router import NOTIFICATION, REQUEST, RESPONSE
from tests.board.recorded import (
    CONTACT_A,
    CONTACT_B,
    GUEST,
    OWNER,
    Board,
    compiled,
    down,
    put_together,
    told,
)
from tests.guards import PATIENCE
from tests.mcu.router import MESSAGE_LIMIT, SmallRouter

ASK_MS = 250  # as often the sketch asks for its method while nothing comes down
ASKED = msgspec.msgpack.encode([REQUEST, 1, "$/register", [TO_BOARD]])
ENVELOPE = 17
MAX_FRAME = 128


@pytest.fixture(scope="module")
def sketch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_together(GUEST, tmp_path_factory.mktemp("guest"))


@pytest.fixture(scope="module")
def library(sketch: Path) -> Path:
    return compiled(sketch)


@pytest.fixture
def board(library: Path, tmp_path: Path) -> Board:
    return Board(GUEST, library, tmp_path)


class Line:
    """The line's two functions by themselves."""

    def __init__(self, library: Path) -> None:
        self._c = ctypes.CDLL(str(library))
        self._c.line_wrap.restype = self._c.line_unwrap.restype = ctypes.c_size_t

    def up(self, frame: bytes) -> bytes:
        out = ctypes.create_string_buffer(MAX_FRAME + ENVELOPE)
        size = self._c.line_wrap(out, frame, ctypes.c_size_t(len(frame)), 0)
        return out.raw[:size]

    def take(self, data: bytes) -> bytes:
        held = ctypes.create_string_buffer(data, max(1, len(data)))
        size = self._c.line_unwrap(held, ctypes.c_size_t(len(data)), 0)
        return held.raw[:size]


@pytest.fixture(scope="module")
def line(library: Path) -> Line:
    return Line(library)


# -- the messages


@given(frame=st.binary(min_size=1, max_size=MAX_FRAME))
def test_a_frame_goes_up_as_the_router_expects_a_notification(line: Line, frame: bytes) -> None:
    made = line.up(frame)
    assert made == msgspec.msgpack.encode([NOTIFICATION, FROM_BOARD, [frame]])
    assert len(made) <= MAX_FRAME + ENVELOPE < MESSAGE_LIMIT


OTHERS = [
    [RESPONSE, 1, None, True],
    [RESPONSE, 1, [5, f"route already exists: {TO_BOARD}"], None],
    [NOTIFICATION, "another", [b"\x93\x02\xad"]],
    [REQUEST, 7, TO_BOARD, [b"called, not notified"]],
    [NOTIFICATION, TO_BOARD, ["text"]],
    [NOTIFICATION, TO_BOARD, []],
]


@given(
    told=st.lists(st.binary(max_size=CHUNK).map(lambda data: [NOTIFICATION, TO_BOARD, [data]])
                  | st.sampled_from(OTHERS), max_size=8),
    cuts=st.lists(st.integers(1, 64), min_size=1, max_size=40),
)  # fmt: skip
@example(told=[[NOTIFICATION, TO_BOARD, [bytes(range(CHUNK))]]] * 2, cuts=[64])
def test_takes_exactly_what_the_guest_sends_down_however_it_is_cut(
    line: Line, told: list[list], cuts: list[int]
) -> None:
    stream = b"".join(msgspec.msgpack.encode(message) for message in told)
    came, index = b"", 0
    while stream:
        cut = cuts[index % len(cuts)]
        came += line.take(stream[:cut])
        stream, index = stream[cut:], index + 1
    assert came == b"".join(message[2][0] for message in told if message not in OTHERS)


@given(noise=st.binary(max_size=300))
def test_finds_the_next_message_after_any_noise(line: Line, noise: bytes) -> None:
    """A byte string cut short takes at most 255 bytes with it: what comes after them is whole."""
    line.take(noise)
    line.take(bytes(255))
    assert line.take(down(b"whole")) == b"whole"


# -- a board and its host


def test_arms_the_kill_input_before_it_opens_the_line(board: Board) -> None:
    board.c.sketch_setup()
    done = board.records()
    assert max(done.index(("i", pin, 4)) for pin in (CONTACT_A, CONTACT_B)) < done.index(("s", 0, 115_200))
    assert not [one for one in done if one[0] == "u"]  # the loop sends, and it looks at the contacts first


def test_asks_for_its_method_at_once_and_until_something_comes_down(board: Board) -> None:
    board.c.unoq_setup()
    board.turn()
    assert board.sent() == ASKED
    board.turn(ASK_MS - 1)
    assert board.sent() == b""
    board.turn(ASK_MS + 1)
    assert board.sent() == ASKED * 2
    board.talk(2_000)
    assert (session.EV_LIVE,) in board.events
    assert len(board.tty.asked) <= 1  # a host that talks is the answer
    board.turn(2 * ASK_MS + 1)  # a router that was restarted knows nothing of it
    board.tty.take(board.sent())
    assert len(board.tty.asked) >= 2


def test_each_message_up_is_one_whole_frame(board: Board) -> None:
    board.to_run()
    board.talk(1_500)
    assert len(board.tty.frames) > 30
    for frame in board.tty.frames:
        assert len(frame) <= MAX_FRAME and frame.index(0) == len(frame) - 1


@pytest.mark.parametrize("room", [64, 0], ids=["nobody answers", "the line takes nothing"])
def test_a_router_that_never_answers_keeps_nothing_from_working(board: Board, room: int) -> None:
    board.c.unoq_setup()
    board.c.unoq_room(room)
    for _ in range(20):
        board.records()
        board.turn(500)
        fed = [one for one in board.records() if one == ("r", 0x40003000, 0xAAAA)]
        assert len(fed) == 500
        assert set(board.sent()) <= set(ASKED)
    board.contact(CONTACT_A, False)
    board.c.unoq_interrupt(CONTACT_A)
    assert board.records() == [("w", 4, 0)]
    board.contact(CONTACT_A, True)
    board.c.unoq_room(64)
    board.talk(300)  # a router that starts late, with the service behind it
    trips = [event[2] for event in board.events if event[0] == session.EV_TRIP]
    assert trips[-1] == messages.CAUSE_SWITCH
    assert board.host.arm()


@pytest.mark.parametrize("room", [64, 0], ids=["nobody answers", "the line takes nothing"])
def test_a_router_that_falls_silent_trips_it(board: Board, room: int) -> None:
    board.to_run()
    board.c.unoq_room(room)
    board.turn(200 - 1)  # the last right answer is a BEAT old at most
    assert board.output()
    board.turn(52)
    assert not board.output()


def test_an_opening_needs_no_router(board: Board) -> None:
    board.to_run()
    board.c.unoq_room(0)
    board.c.unoq_interrupt(CONTACT_B)
    assert not board.output()


def lossy(board: Board, times: int, harm: Callable[[int, bytes], bytes]) -> None:
    """Milliseconds in which what goes down is changed; `harm` gets a message and its number."""
    number = 0
    for _ in range(times):
        board.turn()
        board.host.beat_allowed(board.now)
        board.events += board.host.feed(board.tty.take(board.sent()), board.now)
        out, _ = board.host.poll(board.now)
        if out:
            number += 1
            board.receive(harm(number, down(out)))


@pytest.mark.parametrize(
    "harm",
    [
        lambda number, message: b"" if number % 4 == 0 else message,
        lambda number, message: message * 2,
        lambda number, message: message[1:] if number % 10 == 0 else message,
        lambda number, message: b"\x93\x02\xad\xff" + message if number % 4 == 0 else message,
    ],
    ids=["lost", "doubled", "without its head", "after noise"],
)
def test_survives_what_a_router_may_do_to_messages(board: Board, harm: Callable[[int, bytes], bytes]) -> None:
    board.to_run()
    lossy(board, 3_000, harm)
    assert board.output()


def test_a_message_cut_short_costs_the_session_at_most(board: Board) -> None:
    """The frame's end is missing, and the next message's head makes up for it: three in a row are lost."""
    board.to_run()
    lossy(board, 1_000, lambda number, message: message[:-1] if number == 10 else message)
    assert not board.output()
    board.host = board.session(8)
    board.talk(400)
    assert board.host.arm()


def test_the_hash_and_the_target_tell_the_two_sketches_apart(sketch: Path, tmp_path: Path) -> None:
    owner = put_together(OWNER, tmp_path)
    assert told(owner)["firmware_hash"] != told(sketch)["firmware_hash"]
    assert (owner / "unoq/src/unoq/line_uart.c").exists() and (
        sketch / "unoq/src/unoq/line_router.c"
    ).exists()


# -- through a router, to the service's own guest mode


class Bench(asyncio.Protocol):
    """The board's tty plugged into a router, and a host behind `app.mcu.guest`."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.held = b""
        self.wire: asyncio.Transport | None = None
        self.guest: Guest | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.wire = transport

    def data_received(self, data: bytes) -> None:
        self.board.receive(data)

    async def start(self, router: SmallRouter) -> None:
        await asyncio.get_running_loop().create_unix_connection(lambda: self, str(router.path))
        self.guest = await open_guest(router.path, self.came, lambda _: None)

    def came(self, data: bytes) -> None:
        self.board.events += self.board.host.feed(data, self.board.now)

    async def talk(self, times: int) -> None:
        assert self.guest is not None and self.wire is not None
        for _ in range(times):
            self.board.turn()
            self.wire.write(self.board.sent())
            self.board.host.beat_allowed(self.board.now)
            out, _ = self.board.host.poll(self.board.now)
            self.guest.write(out)
            for _ in range(6):
                await asyncio.sleep(0)

    def stop(self) -> None:
        if self.guest is not None:
            self.guest.close()
        if self.wire is not None:
            self.wire.abort()


@pytest.fixture
async def router(tmp_path: Path) -> AsyncIterator[SmallRouter]:
    made = SmallRouter(tmp_path / "router.sock")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def bench(board: Board, router: SmallRouter) -> AsyncIterator[Bench]:
    made = Bench(board)
    await made.start(router)
    yield made
    made.stop()


async def test_arms_and_trips_through_the_router_and_the_service_s_guest_mode(
    board: Board, router: SmallRouter, bench: Bench
) -> None:
    board.c.unoq_setup()
    async with asyncio.timeout(PATIENCE):
        await bench.talk(400)
        assert [TO_BOARD] in [params for method, params in router.asked if method == "$/register"]
        assert board.host.arm()
        await bench.talk(50)
        assert board.output()
        board.contact(CONTACT_A, False)
        await bench.talk(50)
        assert not board.output()
    trips = [event[2] for event in board.events if event[0] == session.EV_TRIP]
    assert trips[-1] == messages.CAUSE_SWITCH


def test_frames_come_up_as_the_codec_reads_them(board: Board) -> None:
    board.to_run()
    decoder = NativeCodec().decoder()
    for frame in board.tty.frames:
        assert len(decoder.feed(frame)) == 1
