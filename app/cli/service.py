"""`plimsoll run`, `plimsoll safe` and `plimsoll demo`: start the service in this process.

On a terminal a service that cannot start says why and ends. Under systemd nobody reads that, so it becomes
safe mode, or waits where waiting helps.
"""

from __future__ import annotations

import asyncio
import logging
import os
from argparse import Namespace
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from app.cli import places
from app.cli.causes import first_cause
from app.clock import NS
from app.errors import Later, Ours, PlimsollError, Refused, SettingsError, clean
from app.ops import logs, notify
from app.ops.alerts import FEED_NS

FIRST_WAIT_NS, LONGEST_WAIT_NS = 2 * NS, 60 * NS  # between two starts while the venue does not answer
IN_USE = "store.in_use"  # another command holds the data folder for a moment: systemd starts us again
ADVICE = (
    "Ask what is wrong: sudo plimsoll doctor. The log: journalctl -u plimsoll. "
    "Then: systemctl reset-failed plimsoll; systemctl restart plimsoll"
)
NO_PAGE = os.EX_CONFIG  # 78, at which systemd stops trying: not even safe mode can start


def run(arguments: Namespace) -> int:
    """The service with its settings file, until it is stopped."""
    file = places.config_file(arguments)
    if notify.listening():
        logs.set_up()
        return _supervised(file)
    return _serve(file, lambda: None)


def safe(arguments: Namespace) -> int:
    """The page that says `--reason`, until it is stopped."""
    from app.safe import REASON_LIMIT
    from app.web.safe import Trouble

    logs.set_up()
    told = Trouble(clean(arguments.reason, REASON_LIMIT), ADVICE)
    _safe(told, places.config_file(arguments))
    return 0


def demo(arguments: Namespace) -> int:
    """The appliance on its own simulator, until Ctrl-C."""
    from app import demo as appliance

    logs.set_up(logging.WARNING, stamped=True)
    home = arguments.home.absolute() if arguments.home else places.demo_home()
    _run(appliance.run(home, arguments.port, keep=arguments.keep, say=partial(print, flush=True)))
    return 0


def _serve(file: Path, ready: Callable[[], None]) -> int:
    """Start and run until stopped; `ready` is called once it is up."""
    from app.config import load_file

    if not file.exists():
        raise SettingsError("--config", f"{file} is not there; plimsoll demo needs none")
    settings = load_file(file)
    logs.set_up()
    from app.compose import serve

    _run(serve(settings, lambda _service: ready()))
    return 0


def _supervised(file: Path) -> int:
    """As systemd runs it: what ends the start becomes safe mode, and a venue that is away is waited for."""
    up: list[bool] = []
    wait_ns, waited_ns, told = FIRST_WAIT_NS, 0, False
    while True:
        try:
            return _serve(file, partial(up.append, True))
        except (PlimsollError, OSError) as error:
            if up or not _for_a_person(error):
                raise
            from app.safe import trouble  # not in a service that starts: its memory is counted

            waits = isinstance(error, Later)
            tell = not told and (not waits or waited_ns >= FEED_NS)
            if not _safe(trouble(error, file), file, wait_ns if waits else 0, tell):
                return 0
        told, waited_ns = told or tell, waited_ns + wait_ns
        wait_ns = min(LONGEST_WAIT_NS, wait_ns * 2)


def _for_a_person(error: BaseException) -> bool:
    """Whether another start would fail like this one: not for a bug of ours, nor for a lock soon free."""
    return not isinstance(error, Ours) and not (isinstance(error, Refused) and error.rule == IN_USE)


def _safe(told: Any, file: Path, for_ns: int = 0, tell: bool = True) -> bool:
    """Safe mode; whether its time was over. An error ends with NO_PAGE, having said what it should have."""
    from app.safe import serve

    try:
        return asyncio.run(serve(told, file, for_ns=for_ns, tell=tell))
    except PlimsollError as error:
        logging.getLogger("plimsoll").error("%s: %s", told.title.lower(), told.reason)
        error.exit_code = NO_PAGE
        raise


def _run(service: Coroutine[Any, Any, None]) -> None:
    """A service that cannot start has failed (1 or 2); "refused by a rule" (3) is for commands."""
    try:
        asyncio.run(service)
    except Exception as error:
        cause = first_cause(error)
        if isinstance(cause, Refused) and not isinstance(cause, SettingsError):
            cause.exit_code = 1
        raise cause from None
