"""One hub against a scripted WebSocket server: handshake, subscriptions, silence, garbage, reconnects."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from app.clock import MS, NS, US, SystemClock, VirtualClock
from app.config import Secret
from app.errors import Ours
from app.venues.topstepx import hub as hub_module
from app.venues.topstepx.hub import Hub, HubHandlers
from app.venues.topstepx.times import Times
from app.venues.topstepx.tokens import Tokens
from tests.guards import PATIENCE
from tests.venues.topstepx.scripted import QUICK, ScriptedVenue, jwt

SUBSCRIPTIONS = [("SubscribeAccounts", ()), ("SubscribeOrders", (1001,))]


@dataclass
class Listener:
    """What the hub told."""

    told: list[tuple[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, name: str, value: Any = None) -> None:
        self.told.append((name, value))
        self.changed.set()

    def of(self, name: str) -> list[Any]:
        return [value for told, value in self.told if told == name]

    async def until(self, name: str, count: int = 1) -> Any:
        async with asyncio.timeout(PATIENCE):
            while len(self.of(name)) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.of(name)[count - 1]


@contextlib.asynccontextmanager
async def hub_of(
    venue: ScriptedVenue,
    clock: SystemClock | VirtualClock | None = None,
    times: Times = QUICK,
    skip: bool = True,
) -> AsyncIterator[tuple[Hub, Listener]]:
    clock, listener, logins = clock or SystemClock(), Listener(), []

    async def login() -> str:
        logins.append(jwt(serial=len(logins)))
        listener.note("login")
        return logins[-1]

    async def validate(_: Secret) -> str:
        return await login()

    tokens = Tokens(login, validate, clock, times)
    handlers = HubHandlers(
        on_event=lambda target, arguments, mono_ns: listener.note(
            target, [json.loads(bytes(a)) for a in arguments]
        ),
        subscriptions=lambda: SUBSCRIPTIONS,
        on_up=lambda: listener.note("up"),
        on_down=lambda reason: listener.note("down", reason),
    )
    async with venue.serving(), aiohttp.ClientSession() as session:
        hub = Hub("user hub", f"{venue.url}/hubs/user", session, tokens, clock, times, handlers, skip)
        task = asyncio.create_task(hub.run())
        try:
            yield hub, listener
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def said(venue: ScriptedVenue, data: bytes, binary: bool = False) -> None:
    socket = venue.user.sockets[-1]
    await (socket.send_bytes(data) if binary else socket.send_str(data.decode()))


def event(number: int) -> bytes:
    return b'{"type":1,"target":"E","arguments":[%d]}\x1e' % number


@pytest.mark.parametrize("skip", [True, False])
async def test_is_up_when_every_subscription_is_confirmed(skip: bool) -> None:
    venue = ScriptedVenue()
    async with hub_of(venue, skip=skip) as (hub, listener):
        await listener.until("up")
        assert hub.up and venue.user.negotiated == (0 if skip else 1)
        assert venue.user.invocations == [("SubscribeAccounts", []), ("SubscribeOrders", [1001])]


async def test_is_not_up_before_the_last_confirmation() -> None:
    venue = ScriptedVenue()
    venue.user.completes = False
    async with hub_of(venue) as (hub, listener):
        await venue.user.until(lambda: len(venue.user.invocations) == 2)
        await said(venue, b'{"type":3,"invocationId":"1"}\x1e' + event(1))
        await listener.until("E")
        assert not hub.up and listener.of("up") == []
        await said(venue, b'{"type":3,"invocationId":"2","result":null}\x1e')
        await listener.until("up")
        assert hub.up


async def test_reads_records_split_over_frames_and_several_in_one() -> None:
    venue = ScriptedVenue()
    async with hub_of(venue) as (_, listener):
        await listener.until("up")
        stream = event(1) + event(2) + b'{"type":6}\x1e' + event(3)
        for part in (stream[:10], stream[10:60], stream[60:]):
            await said(venue, part)
        await said(venue, event(4), binary=True)
        await listener.until("E", 4)
        assert listener.of("E") == [[1], [2], [3], [4]]


async def test_an_event_in_the_frame_of_the_handshake_is_not_lost() -> None:
    venue = ScriptedVenue()
    venue.user.handshake = b"{}\x1e" + event(7)
    async with hub_of(venue) as (_, listener):
        assert await listener.until("E") == [7]


async def test_a_frame_of_many_records_lets_the_loop_turn() -> None:
    venue = ScriptedVenue()
    async with hub_of(venue) as (_, listener):
        await listener.until("up")
        turns: list[int] = []
        loop = asyncio.get_running_loop()

        def turn() -> None:
            turns.append(len(listener.of("E")))
            if len(listener.of("E")) < 1600:
                loop.call_soon(turn)

        loop.call_soon(turn)
        await said(venue, b"".join(map(event, range(1600))))
        await listener.until("E", 1600)
        steps = [after - before for before, after in pairwise(turns)]
        assert max(steps) <= hub_module.BATCH and listener.of("E") == [[i] for i in range(1600)]


async def test_takes_a_record_of_more_than_a_mebibyte() -> None:
    venue = ScriptedVenue()
    async with hub_of(venue) as (_, listener):
        await listener.until("up")
        await said(venue, b'{"type":1,"target":"E","arguments":["%b"]}\x1e' % (b"x" * 1_500_000))
        assert len((await listener.until("E"))[0]) == 1_500_000


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b'{"type":7,"error":"Connection closed with an error."}\x1e', "Connection closed with an error."),
        (b'{"type":7,"allowReconnect":false}\x1e', "closed by the hub"),
        (b"garbage\x1e", "cannot be read"),
        (b'{"type":"one"}\x1e', "cannot be read"),
    ],
)
async def test_a_broken_connection_is_replaced_with_a_fresh_token_and_all_subscriptions(
    record: bytes, reason: str
) -> None:
    venue, times = ScriptedVenue(), replace(QUICK, token_fresh_ns=-1)
    async with hub_of(venue, times=times) as (_, listener):
        await listener.until("up")
        await said(venue, record)
        assert reason in await listener.until("down")
        await listener.until("up", 2)
    assert [told for told, _ in listener.told if told in ("up", "down", "login")] == [
        "login",
        "up",
        "down",
        "login",
        "up",
    ]
    assert len(set(venue.user.tokens)) == 2 and len(venue.user.invocations) == 4


async def test_a_cut_connection_is_replaced() -> None:
    venue = ScriptedVenue()
    async with hub_of(venue) as (_, listener):
        await listener.until("up")
        transport = venue.user.sockets[-1]._req.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.abort()
        await listener.until("down")
        await listener.until("up", 2)
        assert len(venue.user.sockets) == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_upgrade_brings_a_new_login(status: int) -> None:
    venue = ScriptedVenue()
    venue.user.refuse_status = status
    async with hub_of(venue) as (_, listener):
        await listener.until("up")
    assert len(listener.of("login")) == 2 and listener.of("down") == []


async def test_a_refused_handshake_is_tried_again() -> None:
    venue = ScriptedVenue()
    venue.user.handshake = b'{"error":"not today"}\x1e'
    async with hub_of(venue) as (_, listener):
        await venue.user.until(lambda: len(venue.user.sockets) >= 2)
        venue.user.handshake = b"{}\x1e"
        await listener.until("up")
        assert listener.of("down") == []


async def step(clock: VirtualClock, delta_ns: int) -> None:
    """Move time and let the sockets have a few turns."""
    clock.advance(delta_ns)
    for _ in range(20):
        await asyncio.sleep(0)


async def test_pings_every_15_seconds_and_gives_up_after_30_of_silence() -> None:
    venue, clock = ScriptedVenue(), VirtualClock(1_795_000_000 * NS)
    async with hub_of(venue, clock) as (_, listener):
        await listener.until("up")
        await step(clock, 10 * NS)
        assert venue.user.pings == 0
        await step(clock, 5 * NS)
        await venue.user.until(lambda: venue.user.pings == 1)
        await step(clock, 10 * NS)
        assert listener.of("down") == []
        clock.advance(5 * NS)
        assert "silent for 30 s" in await listener.until("down")


async def test_a_hub_that_talks_is_never_silent() -> None:
    venue, clock = ScriptedVenue(), VirtualClock(1_795_000_000 * NS)
    async with hub_of(venue, clock) as (_, listener):
        await listener.until("up")
        for number in range(12):
            await said(venue, event(number))
            await listener.until("E", number + 1)
            await step(clock, 10 * NS)
        assert listener.of("down") == []


async def test_is_rebuilt_before_its_token_grows_old() -> None:
    venue, clock = ScriptedVenue(), VirtualClock(1_795_000_000 * NS)
    times = replace(QUICK, hub_silence_ns=10**6 * NS)
    async with hub_of(venue, clock, times) as (_, listener):
        await listener.until("up")
        await step(clock, 22 * 3600 * NS)
        assert "planned rebuild" in await listener.until("down")
        await step(clock, NS)
        await listener.until("up", 2)
        assert len(set(venue.user.tokens)) == 2


async def test_gives_up_a_connection_that_never_confirms() -> None:
    venue, clock = ScriptedVenue(), VirtualClock(1_795_000_000 * NS)
    venue.user.completes = False
    async with hub_of(venue, clock) as (_, listener):
        await venue.user.until(lambda: len(venue.user.invocations) == 2)
        venue.user.completes = True
        clock.advance(10 * NS)
        async with asyncio.timeout(PATIENCE):
            while len(venue.user.sockets) < 2:
                clock.advance(US)  # the first delay is none, whenever it begins
                await asyncio.sleep(0)
        await listener.until("up")
        assert listener.of("down") == []


async def test_delays_grow_and_only_the_first_failure_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=hub_module.__name__)
    venue, clock = ScriptedVenue(), VirtualClock(1_795_000_000 * NS)
    venue.user.handshake = b'{"error":"no"}\x1e'
    times = replace(QUICK, hub_delays_ns=(0, 2 * NS, 10 * NS, 30 * NS))
    async with hub_of(venue, clock, times) as (_, listener):
        sockets = 0
        for delay in (0, 2, 10, 30, 30):
            await venue.user.until(lambda n=sockets: len(venue.user.sockets) > n)  # type: ignore[misc]
            sockets = len(venue.user.sockets)
            async with asyncio.timeout(PATIENCE):
                while clock.next_due_ns() is None or len(caplog.records) < sockets:
                    await asyncio.sleep(0)
            if delay:
                await step(clock, delay * NS - MS)
                assert len(venue.user.sockets) == sockets
            await step(clock, delay * NS // 4 + 2 * MS)
        assert listener.of("up") == []
    assert [record.levelname for record in caplog.records][:3] == ["WARNING", "DEBUG", "DEBUG"]


async def test_an_error_that_holds_the_url_does_not_tell_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=hub_module.__name__)
    venue = ScriptedVenue()
    venue.user.redirects = True
    async with hub_of(venue):
        async with asyncio.timeout(PATIENCE):
            while not caplog.records:
                await asyncio.sleep(0)
    assert "TooManyRedirects" in caplog.text and "c2lnbmF0dXJl" not in caplog.text


async def test_restart_gives_the_connection_up_at_once() -> None:
    venue = ScriptedVenue()
    async with hub_of(venue) as (hub, listener):
        await listener.until("up")
        hub.restart("logged out")
        hub.restart("again")
        assert "logged out" in await listener.until("down")
        await listener.until("up", 2)


async def test_a_refused_subscription_is_never_taken_for_a_link() -> None:
    venue = ScriptedVenue()
    venue.user.completes = False
    async with hub_of(venue) as (_, listener):
        await venue.user.until(lambda: len(venue.user.invocations) == 2)
        await said(venue, b'{"type":3,"invocationId":"2","error":"HubException: not yours"}\x1e')
        await venue.user.until(lambda: len(venue.user.sockets) == 2)
        assert listener.of("up") == []


async def test_what_is_merely_asked_reaches_the_current_connection_and_may_fail() -> None:
    venue = ScriptedVenue()
    async with hub_of(venue) as (hub, listener):
        hub.ask("TooEarly")
        await listener.until("up")
        hub.ask("SubscribeTrades", 1001)
        await venue.user.until(lambda: ("SubscribeTrades", [1001]) in venue.user.invocations)
        await said(venue, b'{"type":3,"invocationId":"3","error":"HubException: no"}\x1e' + event(1))
        await listener.until("E")
        assert ("TooEarly", []) not in venue.user.invocations and hub.up


@pytest.mark.parametrize("bug", [ZeroDivisionError(), Ours("an invariant does not hold")])
async def test_a_bug_in_a_listener_is_not_swallowed(bug: Exception) -> None:
    venue = ScriptedVenue()
    async with venue.serving(), aiohttp.ClientSession() as session:

        async def login() -> str:
            return jwt()

        async def validate(_: Secret) -> str:
            return jwt()

        def broken(target: str, arguments: Any, mono_ns: int) -> None:
            raise bug

        tokens = Tokens(login, validate, SystemClock(), QUICK)
        up = asyncio.Event()
        handlers = HubHandlers(broken, lambda: SUBSCRIPTIONS, up.set, lambda _: None)
        hub = Hub("user hub", f"{venue.url}/hubs/user", session, tokens, SystemClock(), QUICK, handlers)
        task = asyncio.create_task(hub.run())
        async with asyncio.timeout(PATIENCE):
            await up.wait()
            await said(venue, event(1))
            with pytest.raises(ExceptionGroup) as caught:
                await task
        assert caught.group_contains(type(bug))
