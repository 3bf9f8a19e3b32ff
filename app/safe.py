"""Safe mode: the service says why it does not trade, and cannot trade. The page, the command line, systemd.

Entered when the start fails for what only a person can mend (settings, an owner's file, the journal, the
credentials), by hand (`plimsoll safe`), and, as *waiting*, while the venue does not answer at the start. By
construction nothing is traded: this module knows no venue and no engine, and a test holds that. Of the
journal it is told what was known last, by a reader that writes nothing: the disk may be full or sick.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from app.aside import aside
from app.clock import NS, SystemClock
from app.config import Notify
from app.config.salvage import salvage
from app.errors import Later, LoginRefused, Refused, SettingsError, Unable, clean
from app.ops import sockets
from app.ops.alerts import URGENT, Alert
from app.ops.exposure import UpdateLock
from app.ops.notifier import Notifier, Target
from app.ops.notify import fed, notify, status
from app.store.lastknown import LastKnown, last_known
from app.store.lock import InstanceLock
from app.store.mark import ArmedMark
from app.web.command_port import CommandPort
from app.web.front import Place
from app.web.login import PASSWORD_FILE, PasswordFile
from app.web.safe import Known, SafePage, Trouble

REASON_LIMIT = 500  # characters of a reason on page, log and status line
RESTART = "then restart the service: systemctl restart plimsoll"
WAITING = "Waiting"  # the title while the venue does not answer; anything else is safe mode

log = logging.getLogger("plimsoll")


def trouble(error: BaseException, file: Path) -> Trouble:
    """What to tell the owner of an `error` that ended the start with the settings `file`."""
    reason = clean(error, REASON_LIMIT)
    if isinstance(error, LoginRefused):
        return Trouble(reason, f"Correct the login name or the API key that {file} names, {RESTART}.")
    if isinstance(error, SettingsError):
        return Trouble(reason, f"Correct it in {file} or in the file that the reason names, {RESTART}.")
    if isinstance(error, Later):
        return Trouble(reason, "Nothing, if it comes back: the service tries again by itself.", WAITING)
    restore = "plimsoll backup --list names the copies of the journal, plimsoll restore puts one back"
    return Trouble(reason, f"Mend what it names ({restore}; stop the service for that), {RESTART}.")


async def serve(
    told: Trouble, file: Path, *, stop: asyncio.Event | None = None, for_ns: int = 0, tell: bool = True
) -> bool:
    """Show `told` until SIGTERM, SIGINT or `stop` (False), or for `for_ns` (True; 0 = for ever).

    `file` is the settings file, of which nothing needs to be right; who can be told by it is, if `tell`.
    Raises SettingsError when not even the page can start.
    """
    stop = stop or asyncio.Event()
    found = salvage(file)
    web = found.web
    async with AsyncExitStack() as stack:
        stack.callback(UpdateLock.adopt().close)  # not taken: nothing is open that a restart could hurt
        place = Place(web.host, web.port, web.allowed_hosts, sockets.adopt())
        stack.callback(place.close)
        known = Recall(found.data_dir)
        stack.callback(known.close)
        page = SafePage(SystemClock(), place, told, PasswordFile(found.data_dir / PASSWORD_FILE), known.now)
        await page.start()
        stack.push_async_callback(page.stop)
        await _open_port(stack, found.data_dir, told, known)
        _stop_on_signals(stop, stack)
        words = f"{told.title.lower()}: {told.reason}"
        notify("READY=1", status(words))
        log.error("%s; nothing is traded; %s See %s", words, told.advice, page.address)
        async with _telling(found.notify if tell else None, told):
            over = await _until(stop, for_ns)
        if not over:
            notify("STOPPING=1", status("stopping"))
        return over


@asynccontextmanager
async def _telling(settings: Notify | None, told: Trouble) -> AsyncIterator[None]:
    """Tell the owner's phone meanwhile, where the settings still say how."""
    try:
        target = Target.of(settings) if settings else None
    except SettingsError as error:
        target = None
        log.warning("nobody is told: %s", error)
    if target is None:
        yield
        return
    notifier = Notifier(target, SystemClock())
    notifier.put(Alert("safe_mode", "Plimsoll: nothing is traded", f"{told.reason}; {told.advice}", URGENT))
    sending = asyncio.ensure_future(notifier.run())
    try:
        yield
    finally:
        sending.cancel()
        await asyncio.wait((sending,))


class Recall:
    """What the journal last knew, asked once and off the loop: a sick disk answers late, or never."""

    def __init__(self, data_dir: Path) -> None:
        self._known = Known("The journal has not answered yet.")
        self._asking = aside("last known", partial(last_known, data_dir))
        self._asking.add_done_callback(self._answered)

    def now(self) -> Known:
        return self._known

    def close(self) -> None:
        self._asking.cancel()

    def _answered(self, asking: asyncio.Future[LastKnown]) -> None:
        if asking.cancelled():
            return
        error = asking.exception()
        if error is not None:
            self._known = Known(f"Nothing can be read of the journal: {clean(error, REASON_LIMIT)}")
        else:
            self._known = _known(asking.result())


def _known(found: LastKnown) -> Known:
    """In words; only the venue knows whether it is still so."""
    if not found.utc_ns:
        return Known("The journal holds nothing yet.")
    when = datetime.fromtimestamp(found.utc_ns // NS, UTC).strftime("%Y-%m-%d %H:%M:%S")
    less = "" if found.complete else "; the last minutes before it ended are missing"
    lines = (*(found.positions or ("no position",)), *(found.orders or ("no standing order",)))
    return Known(f"As of {when} UTC by the journal, not confirmed by the venue{less}:", lines)


class SafeCommands:
    """What the command line may ask: why, what was known last, and to stay halted. Nothing else."""

    def __init__(self, told: Trouble, data_dir: Path, known: Callable[[], Known]) -> None:
        self._told, self._mark, self._known = told, ArmedMark(data_dir), known

    def execute(self, channel: str, command: str, by: str, why: str = "") -> dict[str, Any]:
        """`status` tells the trouble; `halt` makes the next start wait for a re-arm. Raises Refused."""
        told = {"safe": self._told.reason, "advice": self._told.advice, "title": self._told.title}
        if command == "status":
            known = self._known()
            return {**told, "known": known.told, "lines": list(known.lines)}
        if command == "halt":
            self._mark.remove()
            log.warning("halted by %s %s: the next start waits for a re-arm", clean(by, 60), clean(why))
            return {"done": "halt", "state": "halted", **told}
        raise Unable("safe_mode", self._told.reason, hint=self._told.advice)

    async def settled(self) -> None:
        """Until a halt is on disk."""
        await self._mark.settled()


async def _open_port(stack: AsyncExitStack, data_dir: Path, told: Trouble, known: Recall) -> None:
    """The command port, where the data folder takes one; the page tells the same without it."""
    try:
        stack.callback(InstanceLock(data_dir).release)
        commands = SafeCommands(told, data_dir, known.now)
        stack.push_async_callback(commands.settled)
        port = CommandPort(data_dir, commands)
        await port.start()
        stack.push_async_callback(port.stop)
    except Refused as error:
        log.warning("plimsoll status will not answer: %s", error)


def _stop_on_signals(stop: asyncio.Event, stack: AsyncExitStack) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
        stack.callback(loop.remove_signal_handler, number)


async def _until(stop: asyncio.Event, for_ns: int) -> bool:
    """Whether the time was over before `stop`; the watchdog is fed meanwhile, for the loop turns."""
    async with fed():
        try:
            async with asyncio.timeout(for_ns / NS if for_ns else None):
                await stop.wait()
        except TimeoutError:
            return True
    return False
