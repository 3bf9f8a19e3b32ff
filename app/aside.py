"""A blocking question on a thread of its own, which never keeps a dying process alive.

For what a sick disk may hold for ever: the loop goes on, and so does the end of the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def aside(name: str, ask: Callable[[], Answer]) -> asyncio.Future[Answer]:
    """What `ask` returns or raises, once it does. How long to wait, and how often to ask, is the caller's."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answer] = loop.create_future()

    def settle(answer: Answer | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(answer)  # type: ignore[arg-type]

    def work() -> None:
        answer, problem = None, None
        try:
            answer = ask()
        except Exception as error:
            problem = error
        try:
            loop.call_soon_threadsafe(settle, answer, problem)
        except RuntimeError:
            return  # the loop ended first: nobody waits any more

    threading.Thread(target=work, name=name, daemon=True).start()
    return future
