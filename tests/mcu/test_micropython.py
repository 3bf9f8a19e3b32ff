"""The portable link modules and the MicroPython firmware under MicroPython itself."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from app.clock import SystemClock
from app.mcu import messages, runner, session
from app.mcu.link import Link
from app.mcu.native_codec import NativeCodec
from app.mcu.opener import Opener
from app.mcu.port import Port, open_port
from board.micropython.board import Board
from tests import micropython
from tests.guards import PATIENCE, ROOT
from tests.mcu import make_vectors, scenario, vectors
from tests.mcu.rig import Listener
from tests.mcu.virtual import Virtual, started

pytestmark = pytest.mark.long

TURNS = 5  # of the board's loop until its output is what its state says; commands are answered in between
OWN_CBOR2 = str(ROOT / "board" / "micropython" / "lib")


def run(program: str, *, heap: str) -> str:
    words = [*micropython.command(heap=heap), program, str(ROOT), OWN_CBOR2]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_agrees_with_every_vector_in_64_kb_of_heap() -> None:
    count = len(list(vectors.lines(str(make_vectors.FILE))))
    assert run(vectors.__file__, heap="64k") == f"{count} right\n"


def test_sends_and_means_the_same_as_on_cpython() -> None:
    expected = list(scenario.play(NativeCodec(), session, Board))
    assert run(scenario.__file__, heap="128k").splitlines() == expected


@pytest.fixture
def virtual(tmp_path: Path) -> Iterator[Virtual]:
    with started(micropython.board(), tmp_path) as board:
        yield board


class Host:
    """The host's sessions on the board's tty, the events they made, and what a test waits for."""

    def __init__(self, path: Path) -> None:
        self.events: list[tuple] = []
        self.session: session.Session | None = None
        self.turning = True
        self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._file)
        self._random = random.Random(7)

    def close(self) -> None:
        os.close(self._file)

    async def run(self) -> None:
        await runner.sessions(
            NativeCodec(), self._random32, self.read, self.write, self.now_ms, self.events.append, self._begun
        )

    def _random32(self) -> int:
        return self._random.getrandbits(32)

    def _begun(self, begun: session.Session) -> None:
        self.session = begun

    def now_ms(self) -> int:
        """The clock, which the runner asks every millisecond: here the work loop turns."""
        now = time.monotonic_ns() // 1_000_000
        if self.turning and self.session is not None:
            self.session.beat_allowed(now)
        return now

    def read(self) -> bytes:
        try:
            return os.read(self._file, 4096)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        with suppress(BlockingIOError):
            os.write(self._file, data)

    async def until(self, happened: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not happened():
                await asyncio.sleep(0.001)

    async def event(self, *wanted: int) -> tuple:
        """Wait for an event that begins so; the events up to it are over."""
        await self.until(lambda: any(event[: len(wanted)] == wanted for event in self.events))
        while (event := self.events.pop(0))[: len(wanted)] != wanted:
            pass
        return event

    async def trip(self, cause: int) -> tuple:
        """Wait for a trip of that cause. On a machine that stalls, others may come before."""
        while (event := await self.event(session.EV_TRIP))[2] != cause:
            pass
        return event

    async def in_state(self, state: int) -> None:
        await self.until(
            lambda: self.session is not None and self.session.beat and self.session.beat[2] == state
        )

    def arms(self) -> bool:
        """Ask to run where the board is ready; True when it runs."""
        current = self.session
        return current is not None and not current.arm() and current.beat[2:3] == (messages.RUN,)

    def live(self) -> session.Session:
        assert self.session is not None
        return self.session


@asynccontextmanager
async def host_of(virtual: Virtual) -> AsyncIterator[Host]:
    host = Host(virtual.link)
    running = asyncio.create_task(host.run())
    try:
        yield host
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await running
        host.close()


@asynccontextmanager
async def running(virtual: Virtual) -> AsyncIterator[Host]:
    """A host whose board is in RUN."""
    async with host_of(virtual) as host:
        await host.until(lambda: host.arms() and virtual.do("state")["output"])
        yield host


async def test_tells_who_it_is_and_waits_tripped(virtual: Virtual) -> None:
    assert virtual.do("state")["state"] == "tripped"
    async with host_of(virtual) as host:
        welcome = await host.event(session.EV_WELCOME)
        await host.event(session.EV_TRIP, 1, messages.CAUSE_BOOT)
        await host.event(session.EV_LIVE)
        await host.in_state(messages.READY)
        state = virtual.do("state")
    assert welcome[3:5] == (messages.TARGET_MICROPYTHON, messages.RESET_POWER)
    assert welcome[6] == messages.TWO_CHANNELS
    assert state["trip_acknowledged"]
    assert state["lights"] == ["amber", "off"]
    assert not state["output"]


async def test_trips_on_the_switch_and_never_runs_again_by_itself(virtual: Virtual) -> None:
    async with running(virtual) as host:
        virtual.do("contact both open")  # one alone is a fault before long
        await host.trip(messages.CAUSE_SWITCH)
        await host.event(session.EV_PANEL, messages.TRIPPED, 0)
        state = virtual.do("state")
        assert (state["state"], state["output"], state["lights"][0]) == ("tripped", False, "red")
        assert state["latency_us"] > 0
        virtual.do("contact both closed")
        await host.in_state(messages.READY)
        assert not virtual.do("state")["output"]


async def test_faults_when_the_channels_differ_until_both_were_open(virtual: Virtual) -> None:
    async with running(virtual) as host:
        virtual.do("contact b open")
        await host.event(session.EV_PANEL, messages.FAULT, messages.CONTACT_A, messages.FAULT_DISCREPANCY)
        virtual.do("contact b closed")
        virtual.do("contact both open")
        await host.event(session.EV_PANEL, messages.TRIPPED, 0, 0)
        virtual.do("contact both closed")
        await host.in_state(messages.READY)
        assert not virtual.do("state")["output"]


async def test_faults_for_good_when_the_output_does_not_follow(virtual: Virtual) -> None:
    async with running(virtual) as host:
        virtual.do("readback stuck")
        host.live().stop()
        await host.event(session.EV_PANEL, messages.FAULT, 3, messages.FAULT_READBACK)
        virtual.do("readback ok")
        virtual.do("contact both open")
        await host.event(session.EV_PANEL, messages.FAULT, 0)
        assert virtual.do("state")["state"] == "fault"


async def test_trips_when_the_host_says_stop(virtual: Virtual) -> None:
    async with running(virtual) as host:
        host.live().stop()
        await host.until(lambda: not virtual.do("state")["output"])
        assert virtual.do("state")["cause"] == "host"


async def test_trips_when_the_work_loop_hangs(virtual: Virtual) -> None:
    async with running(virtual) as host:
        host.turning = False
        await host.event(session.EV_LOST, session.SILENCE)
        await host.until(lambda: not virtual.do("state")["output"])
        assert virtual.do("state")["cause"] in ("link", "session")


async def test_is_reset_by_its_watchdog_when_it_hangs(virtual: Virtual) -> None:
    async with running(virtual) as host:
        virtual.do("freeze on")
        await host.until(lambda: virtual.do("state")["resets"])
        assert not virtual.do("state")["output"]
        await host.until(lambda: host.live().state == session.OPENING)
        host.events.clear()
        virtual.do("freeze off")
        welcome = await host.event(session.EV_WELCOME)
        assert welcome[4] == messages.RESET_WATCHDOG
        await host.in_state(messages.READY)
        assert not virtual.do("state")["output"]


async def test_never_lives_on_an_echo(virtual: Virtual) -> None:
    async with running(virtual) as host:
        virtual.do("loop on")

        def hears_itself(times: int) -> bool:
            lonely = host.live()
            return lonely.state == session.OPENING and lonely.peer.counted[session.LOOPED] > times

        await host.until(lambda: hears_itself(0))  # what the board said before the loop is over
        host.events.clear()
        await host.until(lambda: hears_itself(3))
        assert host.events == []
        virtual.do("loop off")
        await host.event(session.EV_LIVE)


@pytest.mark.parametrize(
    "fault", ["corrupt 2", "drop 2", "duplicate 5", "swap 3", "truncate 1", "noise 200", "replay"]
)
async def test_is_unharmed_by_a_passing_fault_of_the_line(virtual: Virtual, fault: str) -> None:
    async with running(virtual) as host:
        assert "error" not in virtual.do(fault)
        good = host.live().peer.counted[session.GOOD]
        await host.until(lambda: host.live().peer.counted[session.GOOD] > good + 10)
        seen = [virtual.do("state") for _ in range(TURNS)]
        assert {state["state"] for state in seen} <= {"run", "ready", "tripped"}
        assert any(state["output"] == (state["state"] == "run") for state in seen)
        assert not any(event[0] == session.EV_TRIP and event[2] == 2 for event in host.events)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("version 2", session.VERSION),
        ("noise 131072", session.NOISE),
        ("stuck 85 3000", session.NOISE),
        ("drop 1000", session.SILENCE),
    ],
)
async def test_loses_the_session_and_the_output_to_a_lasting_fault(
    virtual: Virtual, fault: str, why: int
) -> None:
    async with running(virtual) as host:
        assert "error" not in virtual.do(fault)
        lost = await host.event(session.EV_LOST)
        assert lost[1] in (why, session.SILENCE)
        await host.until(lambda: not virtual.do("state")["output"])


async def test_loses_the_port_when_the_cable_is_pulled_and_trips(virtual: Virtual) -> None:
    host = Host(virtual.link)
    with pytest.raises(OSError):
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(host.run(), _pull(virtual, host))
    host.close()
    assert host.events[-1] == (session.EV_LOST, session.CLOSED)
    virtual.do("plug")
    async with host_of(virtual) as again:
        await again.in_state(messages.READY)
        assert not virtual.do("state")["output"]


async def _pull(virtual: Virtual, host: Host) -> None:
    await host.until(host.arms)
    virtual.do("unplug")


def test_answers_what_it_does_not_know(virtual: Virtual) -> None:
    for command in ("", "dance", "contact c open", "contact a ajar", "stuck 1", "drop many", "loop maybe"):
        assert list(virtual.do(command)) == ["error"], command


async def test_serves_the_link_of_the_service(virtual: Virtual) -> None:
    clock, engine, opener = SystemClock(), Listener(), Opener("board")

    async def dial(received: Any, lost: Any) -> Port:
        return await open_port(virtual.link, 115_200, received, lost, opener)

    link = Link("virtual", clock, dial, NativeCodec())
    link.connect(engine)
    task = asyncio.create_task(link.run())

    async def until(heard: tuple) -> None:
        async with asyncio.timeout(PATIENCE):
            while heard not in engine.heard:
                link.heartbeat(clock.mono_ns())
                await asyncio.sleep(0.005)

    await until((True, True))
    engine.heard.clear()
    virtual.do("contact both open")
    await until((True, False))
    assert ("trip", "the switch was opened") in engine.heard[: engine.heard.index((True, False))]
    assert link.view().target == "micropython"
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert not virtual.do("state")["output"]
