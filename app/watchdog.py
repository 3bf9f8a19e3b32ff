"""Tells systemd that the service lives and what it does, from the loop that does the work.

Gathers the facts, lets `app.ops.health` judge them, and sends the verdict. It decides nothing itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.clock import NS, Clock
from app.engine.engine import Engine
from app.engine.snapshot import Snapshot
from app.ops.health import JOURNAL_LIMIT_NS, Facts, Verdict, judge, troubles
from app.ops.notify import notify, status, watchdog_ns
from app.store import Store
from app.web import words

STATUS_NS = 5_000_000_000  # the line in `systemctl status` is at most this old
AGAIN_NS = 500_000_000  # between two looks while the watchdog is not fed

log = logging.getLogger("plimsoll")


class Pulse:
    """One question at a time to somebody who may never answer, and since when it stands."""

    def __init__(self, ask: Callable[[], Awaitable[None]], clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._asking: asyncio.Future[None] | None = None
        self.asked_ns = 0  # monotonic; 0 = everything was answered

    async def beat(self) -> None:
        """Ask, unless a question stands; return when it is answered, or has stood for JOURNAL_LIMIT_NS."""
        if self._asking is None:
            self.asked_ns = self._clock.mono_ns()
            self._asking = asyncio.ensure_future(self._ask())
        left_ns = self.asked_ns + JOURNAL_LIMIT_NS - self._clock.mono_ns()
        await asyncio.wait((self._asking,), timeout=max(0, left_ns) / NS)
        if self._asking.done():
            asking, self._asking, self.asked_ns = self._asking, None, 0
            asking.result()

    def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()


async def keep_telling(engine: Engine, store: Store, clock: Clock) -> None:
    """WATCHDOG and STATUS for systemd, and the log's word on the journal, until cancelled."""
    period_ns = min(watchdog_ns() or STATUS_NS, STATUS_NS)
    pulse, journal, well = Pulse(store.ping, clock), "", True
    try:
        while True:
            began_ns = clock.mono_ns()
            await pulse.beat()
            verdict = look(engine, store, clock, pulse.asked_ns)
            notify(*(["WATCHDOG=1"] if verdict.feed else []), status(verdict.words))
            journal = _tell_journal(journal, store.failed)
            well = _tell_starving(well, verdict)
            spent_ns = clock.mono_ns() - began_ns
            await asyncio.sleep(pause_ns(period_ns, spent_ns, fed=verdict.feed) / NS)
    finally:
        pulse.close()


def pause_ns(period_ns: int, spent_ns: int, *, fed: bool) -> int:
    """How long until the next look, after one that took `spent_ns`. An unfed watchdog has no second half to
    lose: a disk that paused and goes on must be seen before systemd ends the process.
    """
    return max(0, period_ns - spent_ns) if fed else min(period_ns, AGAIN_NS)


def look(engine: Engine, store: Store, clock: Clock, asked_ns: int) -> Verdict:
    """The verdict on the service as it is now."""
    view = engine.snapshot()
    return judge(
        Facts(
            mono_ns=clock.mono_ns(),
            asked_ns=asked_ns,
            kill=engine.kill_check(),
            doing=_doing(view),
            troubles=troubles(view, words.phrase, store.market_failed),
            update=view.update.doing,
        )
    )


def _doing(view: Snapshot) -> str:
    """The trading state, and the halt that is being pursued, in words."""
    pursued = words.pursuit(view.goal) if view.goal.pending else ""
    return "; ".join(filter(None, (words.sentence(view.state, view.reasons), pursued)))


def _tell_journal(before: str, now: str) -> str:
    """Log once that the journal cannot be written, and once that it can again. Returns `now`."""
    if now and not before:
        log.error("the journal cannot be written: %s", now)
    elif before and not now:
        log.warning("the journal is written again")
    return now


def _tell_starving(before: bool, verdict: Verdict) -> bool:
    """Log once why the watchdog is not fed, before it ends the process. Returns whether it is fed."""
    if before and not verdict.feed:
        log.critical("the watchdog is not fed: %s", verdict.words)
    return verdict.feed
