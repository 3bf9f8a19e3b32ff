"""The live stream: rendered once for everybody, differences only, within its budget of bytes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from app.clock import NS, VirtualClock
from app.engine.snapshot import Snapshot
from app.web.live import BYTES_PER_SECOND, INTERVAL_NS, PATIENCE_NS, PAUSE_MAX_NS, SAMPLE_NS, Live
from tests.guards import PATIENCE
from tests.web.pictures import ACTIVE, FEED, FakeEngine


class Counting(FakeEngine):
    taken = 0

    def snapshot(self) -> Snapshot:
        self.taken += 1
        return self.view


def test_renders_once_an_interval_whoever_asks() -> None:
    clock, engine = VirtualClock(NS), Counting()
    live = Live(clock, engine.snapshot)
    assert live.parts() is live.parts()
    clock.advance(INTERVAL_NS)
    live.parts()
    assert engine.taken == 2


def test_remembers_when_the_venue_was_last_there() -> None:
    clock, engine = VirtualClock(NS), FakeEngine()
    live = Live(clock, engine.snapshot)
    assert "last confirmed" not in live.parts().slots["positions"]
    engine.view = replace(ACTIVE, link_up=False, utc_ns=ACTIVE.utc_ns + 3600 * NS)
    clock.advance(INTERVAL_NS)
    assert "last confirmed 09:31:15" in live.parts().slots["positions"]


def test_takes_a_point_of_the_picture_every_few_seconds_of_fresh_price() -> None:
    clock, engine = VirtualClock(NS), FakeEngine()
    live = Live(clock, engine.snapshot)
    live.start()
    engine.view = replace(ACTIVE, feeds=(replace(FEED, last="6020.00"),))
    clock.advance(SAMPLE_NS)
    engine.view = replace(ACTIVE, feeds=(replace(FEED, stale=True),))
    clock.advance(10 * SAMPLE_NS)
    assert list(live._history["ES"]) == [6014.25, 6020.0]
    live.stop()
    live.stop()
    assert clock.next_due_ns() is None


def test_keeps_the_stream_within_its_bytes_a_second() -> None:
    assert Live.pause_ns(10) == INTERVAL_NS
    assert Live.pause_ns(BYTES_PER_SECOND) == NS
    assert Live.pause_ns(1_000_000) == PAUSE_MAX_NS < 3 * NS


class Visitor:
    """A page that reads when the test says so, over a small socket of its own."""

    def __init__(self, live: Live, buffer: int) -> None:
        self._live, self.wanted = live, True
        self.task: asyncio.Task[None]
        self.transport: asyncio.Transport
        self.near, self.far = socket.socketpair()
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.near.setblocking(False)
        self.far.setblocking(False)
        self.heard = bytearray()

    async def follow(self) -> None:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_connection(asyncio.Protocol, sock=self.near)
        await self._live.follow(self.transport, lambda: self.wanted)

    def read(self, most: int = 1 << 20) -> None:
        with suppress(BlockingIOError):
            self.heard += self.far.recv(most)

    async def catch_up(self) -> None:
        """Read in small pieces until the service holds nothing back."""
        while self.transport.get_write_buffer_size():
            self.read(700)
            await settled()
        self.read()

    def news(self) -> list[dict[str, Any]]:
        """The events that say something; an empty one only says that the line is alive."""
        return [event for event in self.events() if event]

    def events(self) -> list[dict[str, Any]]:
        """All events so far; fails on bytes that are no whole chunks in order."""
        found, rest = [], bytes(self.heard)
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            event, end, rest = rest[: int(size, 16)], rest[int(size, 16) :][:2], rest[int(size, 16) + 2 :]
            assert (event[:6], event[-2:], end) == (b"data: ", b"\n\n", b"\r\n")
            found.append(json.loads(event[6:]))
        return found


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        made = Stage(tasks)
        yield made
        made.live.stop()
        await settled()
        for visitor in made.visitors:
            visitor.transport.abort()
            visitor.far.close()


class Stage:
    """A live page on a virtual clock, with visitors."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.clock, self.engine, self.tasks = VirtualClock(NS), Counting(), tasks
        self.live = Live(self.clock, self.engine.snapshot)
        self.visitors: list[Visitor] = []

    async def enter(self, buffer: int = 1 << 20) -> Visitor:
        visitor = Visitor(self.live, buffer)
        self.visitors.append(visitor)
        visitor.task = self.tasks.create_task(visitor.follow())
        await settled()
        return visitor

    async def move(self, last: int, *readers: Visitor) -> None:
        """A new price, a turn of the stream, `readers` read."""
        self.engine.view = replace(ACTIVE, feeds=(replace(FEED, last=f"{last}.00"),))
        self.clock.advance(PAUSE_MAX_NS)
        await settled()
        for visitor in readers:
            visitor.read()


async def settled() -> None:
    """Let the transports write what they hold."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_counts_its_readers_and_forgets_them(stage: Stage) -> None:
    visitor = await stage.enter()
    visitor.read()
    assert stage.live.streams == 1 and set(visitor.events()[0]) == {"s", "c", "f"}
    visitor.transport.close()
    await stage.move(6020)
    assert stage.live.streams == 0 and visitor.task.done()
    taken = stage.engine.taken
    await stage.move(6021)
    assert stage.engine.taken == taken and stage.clock.next_due_ns() is None


async def test_tells_all_readers_the_same_bytes_and_a_newcomer_everything(stage: Stage) -> None:
    first, second = await stage.enter(), await stage.enter()
    await stage.move(6020, first, second)
    third = await stage.enter()
    for last in (6021, 6022):
        await stage.move(last, first, second, third)
    assert first.heard == second.heard
    assert [set(event) for event in third.news()] == [{"s", "c", "f"}, {"c"}, {"c"}]
    assert third.news()[1:] == first.news()[-2:] and len(first.news()) == 4


async def test_a_slow_reader_keeps_nobody_waiting_and_is_told_everything_when_it_reads(stage: Stage) -> None:
    slow, quick = await stage.enter(buffer=1), await stage.enter()
    for last in range(6020, 6030):
        await stage.move(last, quick)
    assert len(quick.news()) == 11
    await slow.catch_up()
    await stage.move(6030, quick)
    await slow.catch_up()
    newest = slow.news()[-1]
    assert len(slow.news()) == 2 and set(newest) == {"s", "c", "f"}
    assert any("6,030.00" in html for html in newest["c"].values())
    for _ in range(2):
        stage.clock.advance(INTERVAL_NS)
        await slow.catch_up()
    assert slow.events()[-1] == {}


async def test_drops_a_reader_that_takes_nothing_for_longer_than_the_patience(stage: Stage) -> None:
    stuck, well = await stage.enter(buffer=1), await stage.enter()
    well.read()
    assert stuck.transport.get_write_buffer_size() > 0
    stage.clock.advance(PATIENCE_NS - NS)
    assert stage.live.streams == 2
    stage.clock.advance(2 * NS)
    await settled()
    assert stage.live.streams == 1 and stuck.transport.is_closing() and not well.transport.is_closing()


async def test_ends_the_stream_of_who_may_not_read_any_more_and_of_nobody_else(stage: Stage) -> None:
    out, inside = await stage.enter(), await stage.enter()
    await stage.move(6020, out, inside)
    out.wanted = False
    await stage.move(6021, out, inside)
    assert out.task.done() and not out.transport.is_closing() and not inside.task.done()
    assert (len(out.news()), len(inside.news())) == (2, 3)


async def test_a_failed_rendering_does_not_end_the_stream(stage: Stage) -> None:
    visitor = await stage.enter()
    stage.engine.view = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        stage.clock.advance(PAUSE_MAX_NS)
    await stage.move(6020, visitor)
    assert [set(event) for event in visitor.news()] == [{"s", "c", "f"}, {"c"}]


async def test_is_silent_for_longer_after_much_was_told(stage: Stage) -> None:
    visitor = await stage.enter()
    stage.clock.advance(PAUSE_MAX_NS - INTERVAL_NS)
    visitor.read()
    assert len(visitor.events()) == 1
    stage.clock.advance(INTERVAL_NS)
    visitor.read()
    assert len(visitor.events()) == 2
