"""Reads over the pooled session: bounded retries, tokens that renew once, budgets, no secrets told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from app.clock import NS, SystemClock, VirtualClock
from app.config import Secret
from app.engine.records import VenueCalled
from app.errors import Later, LoginRefused, RateLimited, Refused, Theirs, Unreachable
from app.venues.topstepx.codec import requests
from app.venues.topstepx.codec.http1 import MAX_BODY
from app.venues.topstepx.codec.replies import Endpoint, PositionsReply
from app.venues.topstepx.limiter import Limiter
from app.venues.topstepx.rest import Caller, Rest, open_session
from app.venues.topstepx.times import Times
from tests.guards import PATIENCE
from tests.venues.topstepx.scripted import ACCOUNT, QUICK, ScriptedVenue, jwt, ok, refused

BODY = requests.account_body(ACCOUNT)
POSITIONS = "/api/Position/searchOpen"


@contextlib.asynccontextmanager
async def rest_at(
    venue: ScriptedVenue,
    clock: SystemClock | VirtualClock | None = None,
    key: str = "demo-key",
    times: Times = QUICK,
) -> AsyncIterator[tuple[Rest, list[VenueCalled]]]:
    told: list[Any] = []
    async with venue.serving():
        session = open_session(10, times)
        rest = Rest(
            Caller(venue.url, session),
            Limiter(),
            clock or SystemClock(),
            times,
            "demo",
            Secret(key),
            told.append,
        )
        try:
            yield rest, told
        finally:
            await session.close()


def in_turn(*answers: Any) -> Callable[[dict[str, Any]], Any]:
    """Answers in order, the last one for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def status(code: int, **headers: str) -> web.Response:
    return web.Response(
        status=code, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


async def read(rest: Rest) -> PositionsReply:
    return await rest.call(Endpoint.POSITIONS, BODY, PositionsReply)


async def test_a_read_carries_the_token_and_tells_one_record() -> None:
    venue = ScriptedVenue()
    async with rest_at(venue) as (rest, told):
        await rest.tokens.login()
        assert (await read(rest)).positions == []
    assert venue.heard[-1].headers["Authorization"] == f"Bearer {jwt(serial=1)}"
    assert [(r.endpoint, r.status, r.error_code, r.attempts) for r in told] == [
        (Endpoint.LOGIN, 200, 0, 1),
        (Endpoint.POSITIONS, 200, 0, 1),
    ]


@pytest.mark.parametrize("code", [500, 502, 503, 408])
async def test_a_read_is_repeated_a_few_times(code: int) -> None:
    venue = ScriptedVenue()
    venue.on(POSITIONS, in_turn(status(code), status(code), ok(positions=[])))
    async with rest_at(venue) as (rest, told):
        await rest.tokens.login()
        await read(rest)
        assert told[-1].attempts == 3
        venue.on(POSITIONS, lambda _: status(code))
        with pytest.raises(Unreachable, match=f"HTTP {code}"):
            await read(rest)
        assert (told[-1].attempts, told[-1].status) == (3, code)


async def test_a_time_out_is_unreachable_and_bounded() -> None:
    venue = ScriptedVenue()
    venue.on(POSITIONS, venue.hang)
    async with rest_at(venue, times=replace(QUICK, retries_ns=(1,))) as (rest, told):
        await rest.tokens.login()  # which may take its time
        async with open_session(10, replace(QUICK, read_ns=30_000_000)) as hasty:
            rest._caller = Caller(venue.url, hasty)
            with pytest.raises(Unreachable, match="TimeoutError"):
                await read(rest)
        assert (told[-1].attempts, told[-1].status) == (2, 0)


async def test_a_dropped_link_is_unreachable() -> None:
    venue = ScriptedVenue()

    async def drop(_: dict[str, Any]) -> web.StreamResponse:
        raise ConnectionResetError  # the server drops the link in the middle of nothing

    venue.on(POSITIONS, drop)
    async with rest_at(venue) as (rest, _):
        await rest.tokens.login()
        with pytest.raises(Unreachable):
            await read(rest)


async def test_an_endless_body_is_refused() -> None:
    venue = ScriptedVenue()
    venue.on(POSITIONS, lambda _: web.Response(body=b" " * (MAX_BODY + 1)))
    async with rest_at(venue, times=replace(QUICK, retries_ns=())) as (rest, _):
        await rest.tokens.login()
        with pytest.raises(Unreachable, match="ValueError"):
            await read(rest)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.Response, Theirs),
        (lambda: web.Response(text="<html>"), Theirs),
        (lambda: web.json_response({"success": True, "errorCode": 1}), Theirs),
        (lambda: web.json_response(refused(1, "Account not found")), Refused),
        (lambda: status(404), Refused),
        (lambda: status(302, Location="http://127.0.0.1:1/"), Theirs),
    ],
)
async def test_what_will_not_change_is_not_repeated(
    answer: Callable[[], web.Response], error: type[Exception]
) -> None:
    venue = ScriptedVenue()
    venue.on(POSITIONS, lambda _: answer())
    async with rest_at(venue) as (rest, told):
        await rest.tokens.login()
        with pytest.raises(error):
            await read(rest)
        assert told[-1].attempts == 1


async def test_a_401_renews_the_token_once_for_everybody() -> None:
    venue = ScriptedVenue()
    good = f"Bearer {jwt(serial=2)}"
    venue.on(
        POSITIONS,
        lambda _: ok(positions=[]) if venue.heard[-1].headers["Authorization"] == good else status(401),
    )
    async with rest_at(venue) as (rest, _):
        await rest.tokens.login()
        await asyncio.gather(*(read(rest) for _ in range(5)))
    assert venue.logins == 2 and "/api/Auth/validate" not in venue.paths()


async def test_a_second_401_is_not_fought() -> None:
    venue = ScriptedVenue()
    venue.on(POSITIONS, lambda _: status(401))
    async with rest_at(venue) as (rest, told):
        await rest.tokens.login()
        with pytest.raises(Refused, match="HTTP 401"):
            await read(rest)
    assert venue.logins == 2 and told[-1].attempts == 2


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


async def test_a_429_waits_as_long_as_it_says() -> None:
    venue, clock = ScriptedVenue(), VirtualClock(1_795_000_000 * NS)
    venue.on(POSITIONS, in_turn(status(429, Retry_After="7"), ok(positions=[])))
    async with rest_at(venue, clock) as (rest, _):
        await rest.tokens.login()
        task = asyncio.create_task(read(rest))
        await until(lambda: venue.paths().count(POSITIONS) == 1 and clock.next_due_ns() is not None)
        clock.advance(QUICK.retries_ns[0])
        await until(lambda: clock.next_due_ns() is not None)
        clock.advance(6 * NS)
        await asyncio.sleep(0)
        assert venue.paths().count(POSITIONS) == 1
        clock.advance(NS)
        assert (await task).positions == []


async def test_a_429_that_asks_for_minutes_is_told_at_once() -> None:
    venue = ScriptedVenue()
    venue.on(POSITIONS, lambda _: status(429, Retry_After="300"))
    async with rest_at(venue) as (rest, _):
        await rest.tokens.login()
        with pytest.raises(RateLimited) as caught:
            await read(rest)
        assert caught.value.retry_after_ns == 300 * NS and venue.paths().count(POSITIONS) == 1


async def test_the_161st_request_of_a_minute_waits_its_turn() -> None:
    venue, clock = ScriptedVenue(), VirtualClock(1_795_000_000 * NS)
    async with rest_at(venue, clock) as (rest, _):
        await rest.tokens.login()
        await asyncio.gather(*(read(rest) for _ in range(160)))
        task = asyncio.create_task(read(rest))
        await until(lambda: clock.next_due_ns() is not None)
        assert venue.paths().count(POSITIONS) == 160
        clock.advance(61 * NS)
        await task
    assert venue.paths().count(POSITIONS) == 161


# -- tokens


async def test_wrong_credentials_name_themselves_and_are_not_repeated_for_minutes() -> None:
    venue, clock = ScriptedVenue(), VirtualClock(1_795_000_000 * NS)
    async with rest_at(venue, clock, key="wrong-key") as (rest, _):
        for _ in range(3):
            with pytest.raises(LoginRefused, match="invalid credentials") as caught:
                await rest.tokens.login()
            assert "wrong-key" not in str(caught.value)
        assert venue.logins == 1
        clock.advance(QUICK.login_refused_ns)
        with pytest.raises(LoginRefused):
            await rest.tokens.login()
        assert venue.logins == 2


@pytest.mark.parametrize(
    ("code", "error"), [(401, LoginRefused), (403, LoginRefused), (429, Later), (503, Later)]
)
async def test_a_login_turned_away_says_whether_to_come_back(code: int, error: type[Exception]) -> None:
    venue = ScriptedVenue()
    venue.on("/api/Auth/loginKey", lambda _: status(code))
    async with rest_at(venue) as (rest, _):
        with pytest.raises(error):
            await rest.tokens.login()


@pytest.mark.parametrize(
    ("life_s", "renewal_s"),
    [(86_400, 20 * 3600), (21 * 3600, 20 * 3600), (20 * 3600, 20 * 3600 - 45 * 60), (3600, 900), (600, 300)],
)
async def test_renews_at_20_hours_or_45_minutes_before_the_end(life_s: int, renewal_s: int) -> None:
    # our wall clock is years behind: no matter
    venue, clock = ScriptedVenue(), VirtualClock(1_700_000_000 * NS)
    venue.on("/api/Auth/loginKey", lambda _: ok(token=jwt(life_s)))
    venue.on("/api/Auth/validate", lambda _: ok(newToken=jwt(life_s, serial=9)))
    async with rest_at(venue, clock) as (rest, _):
        await rest.tokens.login()
        task = asyncio.create_task(rest.tokens.run())
        await until(lambda: clock.next_due_ns() is not None)
        clock.advance(renewal_s * NS - 1)
        await asyncio.sleep(0)
        assert "/api/Auth/validate" not in venue.paths()
        clock.advance(1)
        await until(lambda: rest.tokens.generation == 2)
        assert rest.tokens.reveal() == jwt(life_s, serial=9)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    "validate",
    [lambda _: ok(newToken=None), lambda _: status(401), lambda _: status(500), lambda _: ok(newToken="a b")],
)
async def test_falls_back_to_the_key_when_validation_brings_nothing(validate: Callable[[Any], Any]) -> None:
    venue = ScriptedVenue()
    venue.on("/api/Auth/validate", validate)
    async with rest_at(venue) as (rest, _):
        await rest.tokens.login()
        await rest.tokens.renew(rest.tokens.generation)
        assert rest.tokens.reveal() == jwt(serial=2)


async def test_a_dead_token_is_replaced_without_being_told_to() -> None:
    venue = ScriptedVenue()
    async with rest_at(venue) as (rest, _):
        await rest.tokens.login()
        task = asyncio.create_task(rest.tokens.run())
        rest.tokens.died(rest.tokens.generation)
        rest.tokens.died(0)
        await until(lambda: rest.tokens.generation == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert venue.logins == 2


async def test_renewal_keeps_trying() -> None:
    venue, clock = ScriptedVenue(), VirtualClock(1_795_000_000 * NS)
    async with rest_at(venue, clock) as (rest, _):
        await rest.tokens.login()
        venue.on("/api/Auth/loginKey", in_turn(status(500), status(500), ok(token=jwt(serial=5))))
        task = asyncio.create_task(rest.tokens.run())
        await until(lambda: clock.next_due_ns() is not None)
        clock.advance(20 * 3600 * NS)
        async with asyncio.timeout(PATIENCE):
            while rest.tokens.generation < 2:
                clock.advance(NS)
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert rest.tokens.reveal() == jwt(serial=5)


async def test_logout_ends_the_session_with_the_token() -> None:
    venue = ScriptedVenue()
    venue.on("/api/Auth/logout", lambda _: ok())
    async with rest_at(venue) as (rest, _):
        await rest.tokens.login()
        await rest.logout()
    assert venue.paths()[-1] == "/api/Auth/logout"


async def test_neither_key_nor_token_is_ever_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    venue, errors = ScriptedVenue(), []
    answers: list[Callable[[], Any]] = [
        lambda: status(500),
        lambda: status(401),
        lambda: web.Response(text=jwt(serial=1)),
    ]
    async with rest_at(venue) as (rest, told):
        await rest.tokens.login()
        for answer in answers:
            venue.on(POSITIONS, lambda _, a=answer: a())  # type: ignore[misc]
            try:
                await read(rest)
            except (Later, Refused, Theirs) as error:
                errors.append(f"{error} {error!r} {error.__context__!r}")
        secrets = (jwt(serial=1), jwt(serial=2), "demo-key", "c2lnbmF0dXJl")
        for text in (*errors, caplog.text, repr(told), repr(vars(rest)), repr(vars(rest.tokens))):
            assert not any(secret in text for secret in secrets)
        assert len(errors) == 3
