"""What no test may do, watched for the whole suite: leave the machine, block the loop, leave work or
connections behind.

The functions here are wired up by ``conftest.py``; ``test_guards.py`` plants each offence and sees it caught.
An offence raises where it happens and is remembered too, so that code which swallows the exception still
fails its test.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
APP = f"{ROOT / 'app'}{os.sep}"
TESTS = f"{ROOT / 'tests'}{os.sep}"
ASYNCIO = f"{Path(asyncio.__file__).parent}{os.sep}"

# Seconds that a test waits for what must happen: it takes milliseconds, and no load may make it fail. A test
# that passes never waits so long.
PATIENCE = 60.0

# The same for a program of ours, from its start to its end: seconds of a processor, which others use too.
PROGRAM_PATIENCE = 300.0

CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
BLOCKING = frozenset({"sqlite3.connect", "subprocess.Popen", "os.system"}) | LOOKUPS

# Loop passes given to a finished test before its leftovers are counted, and to a loop before it is closed:
# transports close themselves on the next pass, and the connection that hears of it on the one after.
SETTLE_PASSES = 5
# A leftover may wait in its clean-up for what comes no more, say a virtual clock that stands still: a second
# cancellation ends that wait. Without a bound the whole suite would hang there.
CANCELS = 3
CANCEL_S = 1.0

offences: list[str] = []
_transports: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()


class GuardError(AssertionError):
    """A test did something no test may do."""


def offend(what: str) -> None:
    """Remember an offence and raise it."""
    offences.append(what)
    raise GuardError(what)


def install() -> None:
    """Start watching; audit hooks last as long as the interpreter."""
    sys.addaudithook(_audit)
    for module, name in ((time, "sleep"), (os, "fsync"), (os, "fdatasync")):
        if hasattr(module, name):
            setattr(module, name, _not_in_the_loop(getattr(module, name), f"{module.__name__}.{name}"))
    asyncio.BaseTransport.__init__ = _remembered(asyncio.BaseTransport.__init__)  # type: ignore[assignment]
    asyncio.SelectorEventLoop.close = _settled_first(asyncio.SelectorEventLoop.close)  # type: ignore[assignment]


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in CONNECTS:
        _check_address(arguments[0].family, arguments[1])
    if event in LOOKUPS:
        _check_name(arguments[0])
    if event in BLOCKING and _called_by_app_in_loop():
        offend(f"blocking call in the loop: {event}")


def _check_address(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and address and not _is_loopback(str(address[0])):
        offend(f"socket outside loopback: {address[0]}:{address[1]}")


def _check_name(name: Any) -> None:
    """A name other than localhost is asked of a name server, which is outside too; an address is not looked
    up.
    """
    text = name.decode() if isinstance(name, bytes) else name
    if not text or text == "localhost":
        return
    try:
        ipaddress.ip_address(text)
    except ValueError:
        offend(f"name lookup outside loopback: {text}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _called_by_app_in_loop() -> bool:
    """Whether a loop runs in this thread and ``app`` made the call; tests may look at files and databases
    freely.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        file = frame.f_code.co_filename
        if file.startswith((TESTS, ASYNCIO)) and file != __file__:
            return False
        if file.startswith(APP):
            return True
    return False


def _not_in_the_loop(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(function)
    def guarded(*arguments: Any, **named: Any) -> Any:
        if _called_by_app_in_loop():
            offend(f"blocking call in the loop: {name}")
        return function(*arguments, **named)

    return guarded


async def leftovers(before: set[asyncio.Task[Any]]) -> list[str]:
    """Return what the test left running besides ``before``, by task name and coroutine, and cancel it."""
    await _settle()
    current = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task not in before and task is not current]
    remaining = set(left)
    for _ in range(CANCELS):
        if not remaining:
            break
        for task in remaining:
            task.cancel()
        _, remaining = await asyncio.wait(remaining, timeout=CANCEL_S)
    return sorted(f"{task.get_name()} ({getattr(task.get_coro(), '__qualname__', '?')})" for task in left)


def _remembered(begin: Callable[..., None]) -> Callable[..., None]:
    @wraps(begin)
    def remembering(transport: asyncio.BaseTransport, *arguments: Any, **named: Any) -> None:
        begin(transport, *arguments, **named)
        with suppress(TypeError):  # a bare stand-in, which holds nothing
            _transports.add(transport)

    return remembering


def _settled_first(close: Callable[[Any], None]) -> Callable[[Any], None]:
    """A transport that is open when its loop closes is found by the garbage collector later, in any test:
    what was told to close gets its last passes, what is open then is an offence of the test that left it.
    """

    @wraps(close)
    def settled(loop: Any) -> None:
        if not loop.is_closed() and not loop.is_running() and asyncio._get_running_loop() is None:
            loop.run_until_complete(_settle())
            offences.extend(f"left open when its loop closed: {each}" for each in open_in(loop))
        close(loop)

    return settled


async def _settle() -> None:
    for _ in range(SETTLE_PASSES):
        await asyncio.sleep(0)


def open_in(loop: asyncio.AbstractEventLoop) -> list[str]:
    """The transports of ``loop`` that would warn of being unclosed, and what else it listens to."""
    mine = [each for each in _transports if getattr(each, "_loop", None) is loop]
    listened = {key.fileobj for key in loop._selector.get_map().values()}  # type: ignore[attr-defined]
    own = {loop._ssock.fileno(), loop._ssock}  # type: ignore[attr-defined]
    return [repr(each) for each in mine if _is_open(each)] + [f"descriptor {each}" for each in listened - own]


def _is_open(transport: asyncio.BaseTransport) -> bool:
    """Of a socket, of a pipe, of a child process."""
    held = getattr(transport, "_sock", None) or getattr(transport, "_pipe", None)
    return held is not None or not getattr(transport, "_closed", True)
