"""Calls over the pooled keep-alive session: logins and reads. Orders never travel here (`writes`).

A read may be repeated, a few times and with pauses. HTTP 200 is not success: every envelope is checked. Every
call ends in one `VenueCalled` record, whatever became of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

from app.clock import NS, Clock, pause
from app.config import Secret
from app.engine.records import Record, VenueCalled
from app.errors import Later, LoginRefused, RateLimited, Refused, Theirs, Unreachable
from app.venues.topstepx.codec.fields import SOURCE
from app.venues.topstepx.codec.http1 import MAX_BODY, Answer
from app.venues.topstepx.codec.replies import (
    CHECK_LOGIN,
    Endpoint,
    Envelope,
    NewTokenReply,
    TokenReply,
    check,
    decode_reply,
)
from app.venues.topstepx.codec.requests import login_body
from app.venues.topstepx.limiter import Lane, Limiter, retry_after_ns
from app.venues.topstepx.times import Times
from app.venues.topstepx.tokens import Tokens

E = TypeVar("E", bound=Envelope)
Carrier = Callable[[Endpoint, bytes], Awaitable[Answer]]

HUBS = 2  # connections that the hubs hold on top of the pool's limit
READ_CHUNK = 64 * 1024  # bytes taken at once from an answer
MISSING = "HTTP 404"


def open_session(pool_limit: int, times: Times) -> aiohttp.ClientSession:
    """The one pooled session: no cookies, no proxies from the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=pool_limit + HUBS, keepalive_timeout=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=times.read_ns / NS, sock_connect=times.connect_ns / NS),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )


class Caller:
    """One HTTP exchange over the session. Redirects are not followed: they would take the token along."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self._base, self._session = base_url.rstrip("/"), session

    async def post(self, endpoint: Endpoint, body: bytes, token: Secret) -> Answer:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        try:
            async with self._session.post(
                self._base + endpoint, data=body, headers=headers, allow_redirects=False
            ) as response:
                content = await _bounded(response)
                names = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, names, content, True)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # The text of these errors may hold the URL or a header; their kind says enough.
            raise Unreachable(f"{SOURCE} {endpoint}", type(error).__name__) from None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(READ_CHUNK):
        content += chunk
        if len(content) > MAX_BODY:
            response.close()
            raise ValueError("too long")
    return bytes(content)


class Rest:
    """Typed reads with budget, token, retries and records. `by_pool` carries what follows a kill."""

    def __init__(
        self,
        caller: Caller,
        limiter: Limiter,
        clock: Clock,
        times: Times,
        user_name: str,
        key: Secret,
        tell: Callable[[Record], None],
    ) -> None:
        self._caller, self._limiter, self._clock, self._times = caller, limiter, clock, times
        self._user_name, self._key, self._tell = user_name, key, tell
        self.tokens = Tokens(self._login, self._validate, clock, times)
        self.by_pool: Carrier = self._by_session

    # -- tokens ------------------------------------------------------------------------------------

    async def _login(self) -> str | None:
        body = login_body(self._user_name, self._key.reveal())
        return (await self._uncounted(Endpoint.LOGIN, body, Secret(""), TokenReply)).token

    async def _validate(self, token: Secret) -> str | None:
        return (await self._uncounted(Endpoint.VALIDATE, b"", token, NewTokenReply)).new_token

    async def logout(self) -> None:
        """End the session at the venue. Raises what any call raises."""
        await self._uncounted(Endpoint.LOGOUT, b"", self.tokens.secret, Envelope)

    async def _uncounted(self, endpoint: Endpoint, body: bytes, token: Secret, kind: type[E]) -> E:
        """One attempt of a call that needs no budget."""
        with _Called(endpoint, self._clock, self._tell) as called:
            answer = await self._caller.post(endpoint, body, token)
            called.status = answer.status
            _check_status(endpoint, answer)
            return called.judged(decode_reply(endpoint, answer.body, kind))

    # -- reads -------------------------------------------------------------------------------------

    async def call(self, endpoint: Endpoint, body: bytes, kind: type[E], lane: Lane = Lane.GENERAL) -> E:
        """One read, repeated while it may help. Raises Later, Refused or Theirs."""
        with _Called(endpoint, self._clock, self._tell) as called:
            answer = await self._answer(endpoint, body, lane, called)
            return called.judged(decode_reply(endpoint, answer.body, kind))

    async def _answer(self, endpoint: Endpoint, body: bytes, lane: Lane, called: _Called) -> Answer:
        """Attempts until one is answered with HTTP 200. Kill reads are tried once: the halt asks again."""
        delays = self._times.retries_ns if lane is Lane.GENERAL else ()
        for delay in (*delays, None):
            try:
                return await self._attempt(endpoint, body, lane, called)
            except Later as error:
                if delay is None or (
                    isinstance(error, RateLimited) and error.retry_after_ns > self._times.wait_ns
                ):
                    raise
                await pause(self._clock, delay)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, endpoint: Endpoint, body: bytes, lane: Lane, called: _Called) -> Answer:
        """One attempt; a 401 gets one more with a new token."""
        generation = self.tokens.generation
        answer = await self._exchange(endpoint, body, lane, called)
        if answer.status == 401:
            self.tokens.died(generation)
            await self.tokens.renew(generation)
            answer = await self._exchange(endpoint, body, lane, called)
        if answer.status == 429:
            self._slow_down(endpoint, lane, answer)
        _check_status(endpoint, answer)
        return answer

    async def _exchange(self, endpoint: Endpoint, body: bytes, lane: Lane, called: _Called) -> Answer:
        await self._admit(endpoint, lane)
        called.attempts += 1
        answer = await (self._by_session if lane is Lane.GENERAL else self.by_pool)(endpoint, body)
        called.status = answer.status
        return answer

    async def _by_session(self, endpoint: Endpoint, body: bytes) -> Answer:
        return await self._caller.post(endpoint, body, self.tokens.secret)

    async def _admit(self, endpoint: Endpoint, lane: Lane) -> None:
        """Wait for the budget; kill reads do not wait, they say when. Raises RateLimited."""
        until = self._clock.mono_ns() + self._times.wait_ns
        while wait := self._take(endpoint, lane):
            if lane is not Lane.GENERAL or self._clock.mono_ns() + wait > until:
                raise RateLimited(f"{SOURCE} {endpoint}", wait)
            await pause(self._clock, wait)

    def _take(self, endpoint: Endpoint, lane: Lane) -> int:
        now = self._clock.mono_ns()
        if endpoint is Endpoint.BARS:
            return self._limiter.take_history(now)
        return self._limiter.take(now, lane)

    def _slow_down(self, endpoint: Endpoint, lane: Lane, answer: Answer) -> None:
        wait = retry_after_ns(answer.headers.get("retry-after"), self._clock.wall_ns())
        if endpoint is Endpoint.BARS:
            self._limiter.refused_history(self._clock.mono_ns(), wait)
        else:
            self._limiter.refused(self._clock.mono_ns(), wait, lane)
        raise RateLimited(f"{SOURCE} {endpoint}", wait)


def _check_status(endpoint: Endpoint, answer: Answer) -> None:
    """Raises Unreachable for what may pass, Refused for what will not, Theirs for what makes no sense."""
    status, where = answer.status, f"{SOURCE} {endpoint}"
    if status == 200:
        return
    if status >= 500 or status in (408, 429):
        raise Unreachable(where, f"HTTP {status}")
    if endpoint is Endpoint.LOGIN and status in (401, 403):
        raise LoginRefused("topstepx.login", f"HTTP {status}", "", CHECK_LOGIN)
    if 400 <= status < 500:
        raise Refused(where, f"HTTP {status}")
    raise Theirs(where, f"HTTP {status}")


class _Called:
    """The record of one call, told at its end."""

    def __init__(self, endpoint: Endpoint, clock: Clock, tell: Callable[[Record], None]) -> None:
        self._endpoint, self._clock, self._tell = endpoint, clock, tell
        self.status = self.error_code = self.attempts = 0

    def judged(self, reply: E) -> E:
        """The reply itself when it is a success. Raises Refused, LoginRefused."""
        self.error_code = reply.error_code
        check(self._endpoint, reply)
        return reply

    def __enter__(self) -> _Called:
        self._begun = self._clock.mono_ns()
        return self

    def __exit__(self, *_: object) -> None:
        now = self._clock.mono_ns()
        attempts = max(1, self.attempts)
        self._tell(
            VenueCalled(
                self._endpoint,
                self.status,
                self.error_code,
                now - self._begun,
                attempts,
                self._clock.utc_ns(),
            )
        )
