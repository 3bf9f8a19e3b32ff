"""Both twins of native.fanout, on real sockets: whole messages in order, the newest last, nobody waits."""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native import fanout_py
from tests.guards import PATIENCE

fanout_c = importlib.import_module("native.fanout_c")
fanout_run = importlib.import_module("native.fanout_run")

# The twin without its wrapper sends through Python; the service uses the wrapped one.
TWINS = pytest.mark.parametrize(
    "twin", [fanout_py, fanout_c, fanout_run], ids=["pure", "compiled", "unlocked"]
)
SEND_BUFFER = 4096  # bytes asked for; the kernel makes it a little more, so that messages come apart
BUFFERS = (1, 4096, 9_000, 30_000, 200_000)  # the kernel raises what is too little
HEAD = struct.Struct(">II")  # number, bytes in all
STEP = 1 << 31  # marks the number of a message that is only good for who has the one before
PIECE = 1 << 20
TURNS = 1000  # for a room to settle; the largest message takes some dozen


def message(number: int, size: int = 32) -> bytes:
    return HEAD.pack(number, size) + bytes([number & 255]) * (size - HEAD.size)


def step(number: int, size: int = 16) -> bytes:
    return message(number | STEP, size)


def numbers(stream: bytes, steps: list[int] | None = None) -> list[int]:
    """The numbers of the messages in `stream`; fails when one is cut, holds another's bytes, or is a step
    from a state that the reader does not have. `steps` collects those that came as steps.
    """
    found: list[int] = []
    while stream:
        number, size = HEAD.unpack_from(stream)
        assert stream[:size] == message(number, size)
        if number & STEP:
            number -= STEP
            assert found[-1:] == [number - 1]
            if steps is not None:
                steps.append(number)
        found.append(number)
        stream = stream[size:]
    return found


class Transport:
    """What the fan-out uses of an asyncio transport, over one end of a socket pair, without a loop."""

    def __init__(self, buffer: int = SEND_BUFFER) -> None:
        self.socket, self.peer = socket.socketpair()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        for end in (self.socket, self.peer):
            end.setblocking(False)
        self.held, self.heard, self.closing, self.aborted = bytearray(), bytearray(), False, False

    def get_extra_info(self, name: str) -> Any:
        return None

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return len(self.held)

    def write(self, data: bytes) -> None:
        assert data, "an empty rest"
        self.held += data
        self.pump()

    def pump(self) -> None:
        """The loop found the socket writable."""
        try:
            del self.held[: self.socket.send(self.held)]
        except BlockingIOError:
            pass
        except OSError:
            self.abort()

    def read(self, most: int = PIECE) -> None:
        """The client reads; it never hears of an error."""
        with suppress(OSError):
            self.heard += self.peer.recv(most)

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True
        self.held.clear()
        self.socket.close()

    def tear_down(self) -> None:
        self.socket.close()
        self.peer.close()


class Room:
    """Clients of one fan-out, torn down together."""

    def __init__(self, twin: ModuleType, clients: int = 0, **limits: int) -> None:
        self.fanout = twin.Fanout(**limits)
        self.all: list[Transport] = []
        self.dropped: list[tuple[Transport, str]] = []
        for _ in range(clients):
            self.enter()

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *_: object) -> None:
        for transport in self.all:
            transport.tear_down()

    def enter(self, buffer: int = SEND_BUFFER) -> Transport:
        transport = Transport(buffer)
        self.all.append(transport)
        self.fanout.add(transport.socket.fileno(), transport)
        return transport

    def flush(self) -> list[tuple[Transport, str]]:
        dropped: list[tuple[Transport, str]] = self.fanout.flush()
        self.dropped += dropped
        return dropped

    def settle(self) -> None:
        """Everybody reads until nothing moves."""
        for _ in range(TURNS):
            self.flush()
            before = [len(transport.heard) for transport in self.all]
            for transport in self.all:
                if not transport.closing:
                    transport.pump()
                transport.read()
            if before == [len(transport.heard) for transport in self.all]:
                return
        pytest.fail("bytes keep coming")


client = st.integers(0, 5)
actions = st.one_of(
    st.tuples(st.sampled_from(["publish", "step"]), st.sampled_from([8, 32, 700, 5_000, 40_000])),
    st.tuples(st.just("flush"), st.just(0)),
    st.tuples(st.just("read"), client, st.sampled_from([1, 100, 5_000, PIECE])),
    st.tuples(st.just("pump"), client),
    st.tuples(st.sampled_from(["close", "reset", "leave"]), client),
    st.tuples(st.just("enter"), st.sampled_from(BUFFERS)),
)


def play(room: Room, action: tuple[Any, ...], number: int) -> int:
    """One action on a room of any size; returns the number of the latest message."""
    kind, argument = action[0], action[1]
    if kind == "publish":
        room.fanout.publish(message(number + 1, argument))
        return number + 1
    if kind == "step":
        room.fanout.publish(message(number + 1, argument), step(number + 1, 40_008 - argument))
        return number + 1
    if kind == "flush":
        room.flush()
    elif kind == "enter":
        room.enter(argument)
    elif argument < len(room.all):
        transport = room.all[argument]
        if kind == "read":
            transport.read(action[2])
        elif kind == "pump" and not transport.closing:
            transport.pump()
        elif kind == "reset":
            transport.peer.close()
        elif kind == "close":
            transport.close()
        elif kind == "leave":
            room.fanout.remove(transport)
    return number


@TWINS
@given(st.lists(actions, max_size=60))
def test_everybody_gets_whole_messages_in_order_and_the_newest_last(
    twin: ModuleType, wanted: list[tuple[Any, ...]]
) -> None:
    with Room(twin, 3, patience=1_000_000) as room:
        number, left = 0, set()
        for action in wanted:
            number = play(room, action, number)
            if action[0] in ("leave", "close", "reset") and action[1] < len(room.all):
                left.add(room.all[action[1]])
        room.settle()
        for transport in room.all:
            if transport not in left:
                heard = numbers(bytes(transport.heard))
                assert heard == sorted(set(heard))
                assert heard[-1:] == [number] * (number > 0)
        assert {transport for transport, _ in room.dropped} <= left
        assert room.fanout.waiting() == 0


@given(st.lists(actions, max_size=60))
def test_the_twins_keep_equal_books(wanted: list[tuple[Any, ...]]) -> None:
    """The same actions leave the same clients, the same waiting ones and the same reasons."""
    books = []
    for twin in (fanout_py, fanout_c, fanout_run):
        with Room(twin, 3, patience=2) as room:
            number, book = 0, []
            for action in wanted:
                number = play(room, action, number)
                dropped = [(room.all.index(each), why) for each, why in room.dropped]
                book.append((dropped, len(room.fanout), room.fanout.waiting()))
            room.settle()
            books.append((book, [bytes(transport.heard) for transport in room.all]))
    assert books[0] == books[1] == books[2]


@TWINS
def test_who_comes_and_what_is_published_while_others_are_written_to_costs_nobody_a_byte(
    twin: ModuleType,
) -> None:
    """A transport that fills up calls its protocol there and then, and that may do both."""
    with Room(twin, 64) as room:
        first, write = room.all[0], room.all[0].write

        def writing(data: bytes) -> None:
            write(data)
            if len(room.all) == 64:
                room.enter()
                room.fanout.publish(message(2))

        first.write = writing  # type: ignore[method-assign]
        room.fanout.publish(message(1, 40_000))
        room.settle()
        assert len(room.all) == 65
        assert {tuple(numbers(bytes(transport.heard))) for transport in room.all} == {(1, 2), (2,)}


@TWINS
def test_sends_the_newest_only_and_once(twin: ModuleType) -> None:
    with Room(twin, 2) as room:
        for number in range(1, 11):
            room.fanout.publish(message(number))
        assert room.fanout.waiting() == 2
        assert [room.flush(), room.flush()] == [[], []]
        room.settle()
        assert [numbers(bytes(transport.heard)) for transport in room.all] == [[10], [10]]


@TWINS
def test_a_newcomer_gets_the_latest_state_and_nothing_before_there_is_one(twin: ModuleType) -> None:
    with Room(twin, 1) as room:
        room.settle()
        assert room.all[0].heard == b""
        room.fanout.publish(bytearray(message(1)))
        room.settle()
        newcomer = room.enter()
        room.settle()
        assert numbers(bytes(newcomer.heard)) == numbers(bytes(room.all[0].heard)) == [1]


@TWINS
def test_a_step_goes_to_who_has_the_state_before_and_the_whole_to_all_others(twin: ModuleType) -> None:
    with Room(twin, 1) as room:
        room.fanout.publish(message(1), step(1))
        room.settle()
        newcomer = room.enter()
        room.fanout.publish(message(2), step(2))
        room.settle()
        for number in (3, 4):
            room.fanout.publish(message(number), step(number))
        room.settle()
        room.fanout.publish(message(5))
        room.settle()
        for transport, stepped, had in ((room.all[0], [2], [1, 2, 4, 5]), (newcomer, [], [2, 4, 5])):
            steps: list[int] = []
            assert numbers(bytes(transport.heard), steps) == had
            assert steps == stepped


@TWINS
def test_a_reader_that_fell_behind_gets_the_whole_and_steps_again_afterwards(twin: ModuleType) -> None:
    with Room(twin, 2) as room:
        slow, quick = room.all
        for number in range(1, 40):
            room.fanout.publish(message(number, 3_000), step(number, 2_000))
            room.flush()
            quick.read()
        room.settle()
        room.fanout.publish(message(40), step(40))
        room.settle()
        steps: list[int] = []
        assert numbers(bytes(quick.heard), steps) == list(range(1, 41))
        assert steps == list(range(2, 41))
        steps.clear()
        heard = numbers(bytes(slow.heard), steps)
        assert heard[-2:] == [39, 40]
        assert steps[-1] == 40 and 39 not in steps


@TWINS
def test_a_slow_reader_keeps_nobody_waiting_and_gets_the_newest_afterwards(twin: ModuleType) -> None:
    with Room(twin, 3) as room:
        slow, *quick = room.all
        for number in range(1, 60):
            room.fanout.publish(message(number, 3000))
            room.flush()
            for transport in quick:
                transport.read()
        assert slow.held
        for transport in quick:
            assert numbers(bytes(transport.heard)) == list(range(1, 60))
        room.settle()
        heard = numbers(bytes(slow.heard))
        assert len(heard) < 10
        assert heard[-1] == 59


@TWINS
@pytest.mark.parametrize("limit", [0, 100])
def test_sends_nothing_past_a_transport_that_holds_bytes(twin: ModuleType, limit: int) -> None:
    with Room(twin, 1, backlog_limit=limit) as room:
        room.all[0].held += b"other bytes"
        room.fanout.publish(message(1))
        room.flush()
        room.all[0].read()
        assert (room.all[0].heard, room.fanout.waiting()) == (b"", 1)


@TWINS
def test_drops_a_client_that_stays_above_the_limit_longer_than_the_patience(twin: ModuleType) -> None:
    with Room(twin, 2, backlog_limit=10, patience=3) as room:
        slow, fair = room.all
        slow.held += bytes(11)
        fair.held += bytes(10)
        assert [room.flush() for _ in range(3)] == [[], [], []]
        assert room.flush() == [(slow, twin.SLOW)]
        assert (slow.aborted, fair.aborted, len(room.fanout)) == (True, False, 1)
        assert room.flush() == []


@TWINS
def test_the_patience_begins_anew_when_the_client_catches_up(twin: ModuleType) -> None:
    with Room(twin, 1, patience=2) as room:
        for _ in range(5):
            room.all[0].held += b"late"
            assert [room.flush(), room.flush()] == [[], []]
            room.all[0].held.clear()
            assert room.flush() == []


@TWINS
def test_reports_a_closing_transport_and_never_sends_to_the_next_owner_of_its_number(
    twin: ModuleType,
) -> None:
    with Room(twin, 1) as room:
        gone = room.all[0]
        number = gone.socket.fileno()
        gone.abort()
        stranger, far = socket.socketpair()
        with stranger, far:
            assert number in (stranger.fileno(), far.fileno())
            room.fanout.publish(message(1))
            assert room.flush() == [(gone, twin.CLOSED)]
            for end in (stranger, far):
                end.setblocking(False)
                with pytest.raises(BlockingIOError):
                    end.recv(1)
        assert len(room.fanout) == 0


@TWINS
def test_reports_a_reset_connection_and_a_descriptor_closed_behind_its_transport(twin: ModuleType) -> None:
    with Room(twin, 3) as room:
        broken, closed, well = room.all
        broken.peer.close()
        closed.socket.close()
        room.fanout.publish(message(1))
        assert room.flush() == [(broken, twin.FAILED), (closed, twin.FAILED)]
        assert (broken.aborted, closed.aborted, well.aborted) == (True, True, False)
        room.settle()
        assert numbers(bytes(well.heard)) == [1]


@TWINS
def test_never_writes_into_a_file_that_took_a_socket_s_number(twin: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    with Room(twin, 1) as room:
        with file.open("wb") as opened:
            os.dup2(opened.fileno(), room.all[0].socket.fileno())
        room.fanout.publish(message(1))
        assert room.flush() == [(room.all[0], twin.FAILED)]
    assert file.read_bytes() == b""


@TWINS
@pytest.mark.parametrize("error", [RuntimeError("after write_eof"), OSError("lost")])
def test_reports_a_transport_that_refuses_the_rest(twin: ModuleType, error: Exception) -> None:
    class Refusing(Transport):
        def write(self, data: bytes) -> None:
            raise error

    with Room(twin) as room:
        refusing = Refusing()
        room.all.append(refusing)
        room.fanout.add(refusing.socket.fileno(), refusing)
        room.fanout.publish(message(1, 500_000))
        assert room.flush() == [(refusing, twin.FAILED)]


@TWINS
def test_serves_more_clients_than_its_first_columns_hold(twin: ModuleType) -> None:
    with Room(twin, 200) as room:
        room.fanout.publish(message(1))
        room.settle()
        assert [numbers(bytes(transport.heard)) for transport in room.all] == [[1]] * 200


@TWINS
def test_remove_forgets_a_client_and_leaves_it_open(twin: ModuleType) -> None:
    with Room(twin, 1) as room:
        assert (room.fanout.remove(room.all[0]), room.fanout.remove(room.all[0])) == (True, False)
        room.fanout.publish(message(1))
        assert (room.flush(), room.all[0].closing, len(room.fanout)) == ([], False, 0)


@TWINS
def test_a_stream_under_tls_is_written_through_its_transport_alone(twin: ModuleType) -> None:
    class Secret(Transport):
        def get_extra_info(self, name: str) -> Any:
            return object() if name == "sslcontext" else None

        def pump(self) -> None:
            """The peer must see nothing: what it would see is not encrypted."""

    with Room(twin, 1) as room:
        secret = Secret()
        room.all.append(secret)
        room.fanout.add(secret.socket.fileno(), secret)
        for number in (1, 2):
            room.fanout.publish(message(number), step(number))
            assert room.flush() == []
        secret.read()
        told = bytes(secret.held)
        assert (secret.heard, numbers(told)) == (b"", [1])
        secret.held.clear()
        assert room.flush() == []
        assert numbers(told + bytes(secret.held)) == [1, 2]


@TWINS
def test_rejects_what_it_cannot_serve(twin: ModuleType) -> None:
    with Room(twin, 1) as room:
        stranger = Transport()
        room.all.append(stranger)
        for fd, transport, why in [
            (-1, stranger, "not a descriptor"),
            (1 << 31, stranger, "not a descriptor"),
            (1 << 70, stranger, "not a descriptor"),
            (room.all[0].socket.fileno(), room.all[0], "already"),
        ]:
            with pytest.raises(ValueError, match=why):
                room.fanout.add(fd, transport)
        assert len(room.fanout) == 1


@TWINS
def test_rejects_a_message_that_is_none(twin: ModuleType) -> None:
    fanout = twin.Fanout()
    for wrong in (b"", bytes(twin.MESSAGE_LIMIT + 1)):
        with pytest.raises(ValueError, match="1 to 1048576 bytes"):
            fanout.publish(wrong)
        with pytest.raises(ValueError, match="1 to 1048576 bytes"):
            fanout.publish(b"fine", wrong)
    for alien in (5, None, "text"):
        with pytest.raises(TypeError):
            fanout.publish(alien)
    with pytest.raises(ValueError, match="negative"):
        twin.Fanout(patience=-1)
    assert fanout.flush() == []


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    yield ends
    for end in ends:
        end.close()


@TWINS
async def test_the_rest_of_a_message_leaves_through_asyncio_s_own_transport(
    twin: ModuleType, pair: tuple[socket.socket, socket.socket]
) -> None:
    loop = asyncio.get_running_loop()
    fanout, heard = twin.Fanout(), bytearray()
    async with asyncio.timeout(PATIENCE):
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=pair[0])
        fanout.add(pair[0].fileno(), transport)
        for number in range(1, 6):
            fanout.publish(message(number, 100_000))
            assert fanout.flush() == []
        assert transport.get_write_buffer_size() > 0
        while fanout.waiting() or transport.get_write_buffer_size():
            heard += await loop.sock_recv(pair[1], PIECE)
            assert fanout.flush() == []
        transport.close()
        while piece := await loop.sock_recv(pair[1], PIECE):
            heard += piece
    assert numbers(bytes(heard)) == [1, 5]
    assert fanout.flush() == [(transport, twin.CLOSED)]
