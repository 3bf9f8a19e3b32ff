"""Side jobs that may fail without taking the engine along: run again after a pause, never silently."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from app.clock import NS, Clock, pause

FIRST_PAUSE_NS = 1 * NS
LONGEST_PAUSE_NS = 60 * NS
CALM_NS = 300 * NS  # a job that ran this long has recovered: its next failure is a first one again

log = logging.getLogger("plimsoll.jobs")


async def keep_running(name: str, job: Callable[[], Awaitable[object]], clock: Clock) -> None:
    """Run `job` until it returns or we are cancelled; after an exception again, each pause twice as long."""
    pause_ns = FIRST_PAUSE_NS
    while True:
        began = clock.mono_ns()
        try:
            await job()
            return
        except Exception:
            if clock.mono_ns() - began >= CALM_NS:
                pause_ns = FIRST_PAUSE_NS
            log.exception("%s failed, again in %d s", name, pause_ns // NS)
        await pause(clock, pause_ns)
        pause_ns = min(LONGEST_PAUSE_NS, pause_ns * 2)
