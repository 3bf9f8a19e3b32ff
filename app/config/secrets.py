"""Secrets by path: read once, checked for who else may read them, wrapped so that no text ever shows them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from app.errors import SettingsError

SECRET_LIMIT = 4_096  # bytes; a key is some dozens, a bearer token some hundreds, more is another file
OTHERS = stat.S_IRWXG | stat.S_IRWXO
CREDENTIALS = Path("/etc/plimsoll/credentials")  # root's own; the service gets copies from systemd
NOT_THERE = b"\n"  # what the unit passes for a file that is missing (SetCredential=)
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"  # where systemd put what LoadCredential= names


class Secret:
    """A text that `str`, `repr`, a format or a pickle never shows. `reveal()` is the one way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not serialised")


def credential(path: Path) -> Path:
    """Where the service itself reads the secret at `path`: systemd's copy of one in CREDENTIALS, if it passed
    one.
    """
    passed = os.environ.get(CREDENTIALS_VARIABLE)
    if passed and path.parent == CREDENTIALS and (copy := Path(passed) / path.name).exists():
        return copy
    return path


def read_secret(key: str, path: Path) -> Secret:
    """The stripped text of the file that the setting `key` names, or of systemd's copy of it.

    Raises SettingsError when it is missing, empty, too long, no text, no plain file, or open to others; the
    error never holds a byte of it.
    """
    copy = credential(path)
    try:
        descriptor = os.open(copy, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SettingsError(key, f"{path} cannot be read: {error.strerror}") from None
    try:
        # A copy's group bit is the mask of the one access list that systemd gives it: it is for us alone.
        _check_owner(key, path, os.fstat(descriptor), OTHERS if copy == path else OTHERS & ~stat.S_IRGRP)
        data = os.read(descriptor, SECRET_LIMIT + 1)
    except OSError as error:
        raise SettingsError(key, f"{path} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if copy != path and data == NOT_THERE:
        raise SettingsError(key, f"{path} is missing: put it there (the venue's key: plimsoll setup)")
    return Secret(_text(key, path, data))


def _check_owner(key: str, path: Path, status: os.stat_result, others: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError(key, f"{path} is not a plain file")
    if status.st_mode & others:
        mode = stat.S_IMODE(status.st_mode)
        raise SettingsError(key, f"{path} is open to others (mode {mode:o}); run: chmod 600 {path}")


def _text(key: str, path: Path, data: bytes) -> str:
    if len(data) > SECRET_LIMIT:
        raise SettingsError(key, f"{path} is longer than {SECRET_LIMIT} bytes; that is no secret of ours")
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise SettingsError(key, f"{path} is not text") from None
    if not text or not text.isprintable():
        raise SettingsError(key, f"{path} must hold one line of text")
    return text
