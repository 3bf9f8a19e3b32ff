"""The bearer token: login, renewal before it expires, and one new token for everybody who finds it dead.

Holds the only copy of the API key. Neither key nor token ever enters a log line, an error or a `repr`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.clock import Clock, pause
from app.config import Secret
from app.errors import LoginRefused, PlimsollError
from app.venues.topstepx.codec.jwt import life_ns, safe_token
from app.venues.topstepx.pacing import Backoff, Bell
from app.venues.topstepx.times import Times

log = logging.getLogger(__name__)

# Renewal keeps trying: the old token is good for 45 minutes more, and without one nothing can be stopped.
RETRIES_NS = (0, 5_000_000_000, 15_000_000_000, 60_000_000_000)


class Tokens:
    """The current token and its renewal.

    `login` and `validate` make the two calls and return the token text (validate: None when there is none).
    `generation` counts tokens: who met a 401 passes the generation it used, so that ten failures cause one
    renewal.
    """

    def __init__(
        self,
        login: Callable[[], Awaitable[str | None]],
        validate: Callable[[Secret], Awaitable[str | None]],
        clock: Clock,
        times: Times,
    ) -> None:
        self._ask_login, self._ask_validate = login, validate
        self._clock, self._times = clock, times
        self._lock = asyncio.Lock()
        self._bell = Bell(clock)
        self._token = Secret("")
        self._issued_ns = 0
        self._renew_ns = 0
        self._dead = True
        self._refused: LoginRefused | None = None
        self._refused_ns = 0
        self.generation = 0

    @property
    def secret(self) -> Secret:
        return self._token

    def reveal(self) -> str:
        """The token text, for the one place that puts it into a head or a URL."""
        return self._token.reveal()

    async def login(self) -> None:
        """A token from the API key. Raises LoginRefused, Unreachable, Theirs.

        A refusal is remembered for five minutes: asking again at once would only lock the owner out.
        """
        now = self._clock.mono_ns()
        if self._refused is not None and now - self._refused_ns < self._times.login_refused_ns:
            raise self._refused
        try:
            self._accept(safe_token(await self._ask_login()))
        except LoginRefused as error:
            self._refused, self._refused_ns = error, now
            raise

    def _accept(self, token: str) -> None:
        self._token, self._dead, self._refused = Secret(token), False, None
        self._issued_ns = self._clock.mono_ns()
        self._renew_ns = self._issued_ns + self._renew_after_ns(token)
        self.generation += 1

    def _renew_after_ns(self, token: str) -> int:
        life = life_ns(token, self._clock.wall_ns())
        if life is None or life <= 0:
            return self._times.token_life_ns
        before_expiry = life - self._times.token_margin_ns
        return min(self._times.token_life_ns, before_expiry if before_expiry > 0 else life // 2)

    async def renew(self, generation: int) -> None:
        """A newer token than `generation`, by validation, else by login; nothing if there is one already."""
        async with self._lock:
            if generation != self.generation:
                return
            token = None if self._dead else await self._validated()
            if token is None:
                await self.login()
            else:
                self._accept(token)

    async def _validated(self) -> str | None:
        try:
            token = await self._ask_validate(self._token)
            return safe_token(token) if token else None
        except PlimsollError as error:
            log.debug("token not extended, logging in anew: %s", error)
            return None

    def died(self, generation: int) -> None:
        """The venue turned this token away: renew soon, by login, for a dead token has no heir."""
        if generation == self.generation:
            self._dead = True
            self._bell.ring()

    async def fresh(self) -> None:
        """Before a hub connects: a token that is new, at most a minute old."""
        if self._dead or self._clock.mono_ns() - self._issued_ns > self._times.token_fresh_ns:
            await self.renew(self.generation)

    async def run(self) -> None:
        """Until cancelled: renew in time, with patience."""
        backoff = Backoff(RETRIES_NS)
        while True:
            await self._bell.wait(max(0, self._renew_ns - self._clock.mono_ns()))
            await self._renew_once(backoff)

    async def _renew_once(self, backoff: Backoff) -> None:
        try:
            if self._dead or self._clock.mono_ns() >= self._renew_ns:
                await self.renew(self.generation)
            backoff.reset()
        except PlimsollError as error:
            log.log(logging.DEBUG if backoff.failures else logging.WARNING, "token not renewed: %s", error)
            await pause(self._clock, max(1, backoff.next_ns()))
