"""`plimsoll passwd`: set the password of the page, or make the one-time code to set the first one there."""

from __future__ import annotations

import sys
from argparse import Namespace
from getpass import getpass
from pathlib import Path

from app.cli import places
from app.clock import SystemClock
from app.errors import Refused
from app.web.claim import CODE_FILE, SetupCode
from app.web.login import PASSWORD_FILE, PASSWORD_MAX, PasswordFile, check_length


def run(arguments: Namespace) -> int:
    """Ask twice (or read one line with --stdin) and store the hash. It holds at the next login; open sessions
    end.
    """
    folder = places.data_dir(arguments)
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    if arguments.code:
        return _code(folder)
    password = _line() if arguments.stdin else _asked()
    PasswordFile(folder / PASSWORD_FILE).write(password)
    print(f"The page of {folder} now asks for this password.")
    return 0


def _code(folder: Path) -> int:
    """Show a new one-time code, once. Raises Refused when there is a password to change instead."""
    if PasswordFile(folder / PASSWORD_FILE).exists():
        raise Refused("password.code", hint="a password is set already; change it with plimsoll passwd")
    print(SetupCode(folder / CODE_FILE, SystemClock()).make())
    print(
        "Type it on the page within 10 minutes of the next start; it sets the password once.", file=sys.stderr
    )
    return 0


def _line() -> str:
    return sys.stdin.readline(PASSWORD_MAX + 2).rstrip("\r\n")


def _asked() -> str:
    first = getpass("New password for the page (8 characters or more, 15 are better): ")
    check_length(first)
    if getpass("Again: ") != first:
        raise Refused("password.repeat", hint="the two entries differ, nothing was changed")
    return first
