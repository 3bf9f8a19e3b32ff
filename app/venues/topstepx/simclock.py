"""Market time from the simulator, for `clock = "simulator"`: read once at start, then followed.

Only for simulators on this machine: whoever sets our market time moves sessions, bars and trade dates.
Everything that protects money runs on monotonic time and is not touched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated, NoReturn

import aiohttp
import msgspec
from msgspec import Meta, Struct
from yarl import URL

from app.clock import MAX_RATE, NS, FollowingClock, pause
from app.config import is_loopback
from app.errors import PlimsollError, SettingsError, Unreachable
from app.venues.topstepx.codec.fields import decode
from app.venues.topstepx.pacing import Backoff

log = logging.getLogger(__name__)

SOURCE = "simulator clock"
EVENT = b"data:"
MAX_MESSAGE = 4_096  # bytes; the clock is three numbers
OPEN_NS = 5 * NS  # a local server answers at once; a starting one may need a moment
START_IT = "start plimsoll simulate, or correct topstepx.rest_url"
RETRY_NS = (0, NS, 5 * NS)


class _Clock(Struct):
    utc_ns: Annotated[int, Meta(ge=946_684_800 * NS, le=4_102_444_800 * NS)]  # 2000 to 2100
    rate: Annotated[int, Meta(ge=1, le=MAX_RATE)]


_clock = msgspec.json.Decoder(_Clock)


def require_loopback(urls: Sequence[str]) -> None:
    """Raises SettingsError unless every URL is on this machine."""
    for url in urls:
        if not is_loopback(URL(url).host or ""):
            raise SettingsError("clock", f'"simulator" needs every venue URL on this machine, {url} is not')


class SimulatorClock:
    """The clock of the simulator at `rest_url`. `open`, then `run` in a task, then `close`."""

    def __init__(self, rest_url: str) -> None:
        require_loopback([rest_url])
        self._url = URL(rest_url.rstrip("/")) / "sim/clock"
        self._session: aiohttp.ClientSession | None = None
        self.clock: FollowingClock | None = None

    async def open(self) -> FollowingClock:
        """The clock, anchored to the simulator's. Raises Unreachable (with what to do), Theirs."""
        self._session = aiohttp.ClientSession()
        try:
            now = await self._read(self._session)
        except Unreachable as error:
            await self.close()
            raise Unreachable(SOURCE, f"{self._url.origin()} {error.problem}; {START_IT}") from None
        except BaseException:
            await self.close()
            raise
        self.clock = FollowingClock(now.utc_ns, now.rate)
        return self.clock

    async def _read(self, session: aiohttp.ClientSession) -> _Clock:
        try:
            async with asyncio.timeout(OPEN_NS / NS), session.get(self._url) as response:
                if response.status != 200:
                    raise Unreachable(SOURCE, f"answers HTTP {response.status}")
                return decode(_clock, await response.content.read(MAX_MESSAGE), SOURCE)
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(SOURCE, f"does not answer ({type(error).__name__})") from None

    async def run(self) -> NoReturn:
        """Until cancelled: follow every change; after a lost connection read the clock anew."""
        clock, session = self.clock, self._session
        assert clock is not None and session is not None
        backoff = Backoff(RETRY_NS)
        while True:
            try:
                await self._stream(clock, session, backoff)
            except (PlimsollError, aiohttp.ClientError, OSError, ValueError) as error:
                level = logging.DEBUG if backoff.failures else logging.WARNING
                log.log(
                    level,
                    "%s lost: %s",
                    SOURCE,
                    error if isinstance(error, PlimsollError) else type(error).__name__,
                )
            await pause(clock, max(1, backoff.next_ns()))

    async def _stream(
        self, clock: FollowingClock, session: aiohttp.ClientSession, backoff: Backoff
    ) -> NoReturn:
        """Server-sent events: the clock at once, then after every change."""
        forever = aiohttp.ClientTimeout(total=None)
        async with session.get(self._url / "events", timeout=forever) as response:
            if response.status != 200:
                raise Unreachable(SOURCE, f"HTTP {response.status}")
            async for line in response.content:
                if line.startswith(EVENT):
                    now = decode(_clock, line.removeprefix(EVENT), SOURCE)
                    clock.follow(now.utc_ns, now.rate)
                    backoff.reset()
        raise Unreachable(SOURCE, "the stream ended")

    async def close(self) -> None:
        """Idempotent; cancel `run` first."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
