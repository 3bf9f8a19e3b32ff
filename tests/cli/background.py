"""Servers that live in a thread of their own, for tests of commands that run a loop themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TypeVar

from app.simulator.main import Simulator, SimulatorOptions

T = TypeVar("T")
START_SECONDS = 20


@contextmanager
def in_background(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Enter the async context in a thread's loop; leave it when done."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    held: list[T] = []

    async def hold() -> None:
        async with make() as value:
            held.append(value)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(hold(),))
    thread.start()
    try:
        assert ready.wait(START_SECONDS), "the server did not start"
        yield held[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(START_SECONDS)
        loop.close()


@asynccontextmanager
async def simulating() -> AsyncIterator[tuple[Simulator, str]]:
    """A simulator on a free port, and its base URL."""
    made = Simulator(SimulatorOptions())
    try:
        yield made, await made.start(0)
    finally:
        await made.stop()
