"""`plimsoll run` and `plimsoll demo`: start the service in this process."""

from __future__ import annotations

import asyncio
import logging
from argparse import Namespace
from collections.abc import Coroutine
from functools import partial
from typing import Any

from app.cli import places
from app.cli.causes import first_cause
from app.errors import Refused, SettingsError


def run(arguments: Namespace) -> int:
    """The service with its settings file, until it is stopped."""
    from app.config import load_file
    from app.ops import logs

    file = places.config_file(arguments)
    if not file.exists():
        raise SettingsError("--config", f"{file} is not there; plimsoll demo needs none")
    settings = load_file(file)
    logs.set_up()
    from app.compose import serve

    _run(serve(settings, lambda _service: None))
    return 0


def demo(arguments: Namespace) -> int:
    """The appliance on its own simulator, until Ctrl-C."""
    from app import demo as appliance
    from app.ops import logs

    logs.set_up(logging.WARNING, stamped=True)
    home = arguments.home.absolute() if arguments.home else places.demo_home()
    _run(appliance.run(home, arguments.port, keep=arguments.keep, say=partial(print, flush=True)))
    return 0


def _run(service: Coroutine[Any, Any, None]) -> None:
    """A service that cannot start has failed (1 or 2); "refused by a rule" (3) is for commands."""
    try:
        asyncio.run(service)
    except Exception as error:
        cause = first_cause(error)
        if isinstance(cause, Refused) and not isinstance(cause, SettingsError):
            cause.exit_code = 1
        raise cause from None
