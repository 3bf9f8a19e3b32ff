"""Servers that live in a thread of their own, for tests of commands that run a loop themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from app.simulator.main import Simulator, SimulatorOptions
from tests.guards import PATIENCE

T = TypeVar("T")


@contextmanager
def in_background(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Enter the async context in a thread's loop; leave it when done. Raises what entering or leaving
    raised.
    """
    entered: Future[tuple[T, Callable[[], object]]] = Future()
    ended: Future[None] = Future()

    async def hold() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        async with make() as value:
            entered.set_result((value, lambda: loop.call_soon_threadsafe(over.set)))
            await over.wait()

    threading.Thread(target=_run, args=(hold(), ended), daemon=True).start()
    either: tuple[Future[Any], ...] = (entered, ended)
    wait(either, PATIENCE, FIRST_COMPLETED)
    if ended.done():
        ended.result()
    value, leave = entered.result(0)
    try:
        yield value
    finally:
        leave()
        ended.result(PATIENCE)


def _run(holding: Coroutine[Any, Any, None], ended: Future[None]) -> None:
    try:
        asyncio.run(holding)
    except BaseException as error:
        ended.set_exception(error)
    else:
        ended.set_result(None)


@asynccontextmanager
async def simulating() -> AsyncIterator[tuple[Simulator, str]]:
    """A simulator on a free port, and its base URL."""
    made = Simulator(SimulatorOptions())
    try:
        yield made, await made.start(0)
    finally:
        await made.stop()
