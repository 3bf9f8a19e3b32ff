"""`plimsoll passwd`: set the password of the page. It holds at the next login; open sessions end."""

from __future__ import annotations

import sys
from argparse import Namespace
from getpass import getpass

from app.cli import places
from app.errors import Refused
from app.web.login import PASSWORD_FILE, PASSWORD_MAX, PasswordFile, check_length


def run(arguments: Namespace) -> int:
    """Ask twice (or read one line with --stdin) and store the hash."""
    folder = places.data_dir(arguments)
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    password = _line() if arguments.stdin else _asked()
    PasswordFile(folder / PASSWORD_FILE).write(password)
    print(f"The page of {folder} now asks for this password.")
    return 0


def _line() -> str:
    return sys.stdin.readline(PASSWORD_MAX + 2).rstrip("\r\n")


def _asked() -> str:
    first = getpass("New password for the page (8 characters or more, 15 are better): ")
    check_length(first)
    if getpass("Again: ") != first:
        raise Refused("password.repeat", hint="the two entries differ, nothing was changed")
    return first
