"""Turns one side of the link on a port: reads, feeds, polls, writes. For MicroPython and for tests.

Only what MicroPython's asyncio has. The port is two functions that do not block: ``read()`` gives the bytes
that are there, perhaps none, ``write(data)`` takes all; both raise OSError when the port is gone.
``now_ms()`` is a clock that only runs forward. Neither a port nor a clock is opened here.
"""

import asyncio

from app.mcu import session

IDLE_MS = 1  # between looks at the port: what the reaction to an event is allowed to take
SESSION_MS = 500  # between the starts of sessions, two a second: a flapping line must not become a flood


async def run(side, read, write, now_ms, take) -> None:
    """Turn a board, or a session until it is lost; ``take(event)`` is called with each event of it, in order.

    Raises what ``read`` and ``write`` raise; the session is then closed and its events were given.
    """
    try:
        while not side.lost:
            _turn(side, read, write, now_ms, take)
            await asyncio.sleep(IDLE_MS / 1000)
    except OSError:
        _give(side.close(), take)
        raise


def _turn(side, read, write, now_ms, take) -> None:
    _give(side.feed(read(), now_ms()), take)
    data, _ = side.poll(now_ms())
    if data:
        write(data)


def _give(events: list[tuple], take) -> None:
    for event in events:
        take(event)


async def sessions(codec, random32, read, write, now_ms, take, begun) -> None:
    """Run one host session after another on an open port; ``begun(session)`` is told of each.

    Ends with the OSError of the port.
    """
    while True:
        started_ms = now_ms()
        one = session.Session(codec, random32() or 1, random32(), started_ms, random32)
        begun(one)
        await run(one, read, write, now_ms, take)
        await asyncio.sleep(max(0, started_ms + SESSION_MS - now_ms()) / 1000)
