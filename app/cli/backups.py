"""`plimsoll backup` and `plimsoll restore`: copies of the journal, and the way back.

A passphrase comes from a file or from the terminal, never from an argument or a variable: others read those.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from app.cli import places, rights
from app.clock import SystemClock
from app.config import Secret, read_secret
from app.errors import PlimsollError, Refused, Unable
from app.store import backup as backups

FOLDER = "backups"  # below the data folder, unless --to says otherwise
# Another is being made, one was this second, nothing was traded yet: the service lacks no backup by that.
NO_FAILURE = ("backup.running", "backup.exists", "store.missing")


def back_up(arguments: Namespace) -> int:
    """Make one, or list what there is."""
    data = places.data_dir(arguments)
    folder = (arguments.to or data / FOLDER).absolute()
    made = None
    if not arguments.list:
        with nullcontext() if arguments.to else _told(data, folder):
            passphrase = _new_passphrase(arguments)
            # root may write where the service may not
            with nullcontext() if arguments.to else rights.of(data):
                made = backups.back_up(data, folder, SystemClock(), passphrase)
    found = backups.names(folder) if folder.exists() else []
    if arguments.json:
        print(json.dumps({"folder": str(folder), "made": made and made.name, "backups": found}))
    elif made is not None:
        print(f"Backed up to {made}{', sealed' if backups.is_sealed(made) else ''}; {len(found)} kept.")
    else:
        print("\n".join(str(folder / name) for name in found) or f"No backup in {folder}.")
    return 0


@contextmanager
def _told(data: Path, folder: Path) -> Iterator[None]:
    """Whoever looks after the appliance learns why none was made; who sits at a terminal sees it himself."""
    try:
        yield
    except (PlimsollError, OSError) as error:
        if not sys.stdin.isatty() and getattr(error, "rule", "") not in NO_FAILURE:
            with rights.of(data):
                backups.note_failure(folder, str(error))
        raise
    with rights.of(data):
        backups.forget_failure(folder)


def restore(arguments: Namespace) -> int:
    """Put one back. The service must not run; it comes back halted until a person re-arms."""
    data, source = places.data_dir(arguments), arguments.backup.absolute()
    if not source.is_dir():
        raise Unable("backup.missing", source, hint="plimsoll backup --list names them")
    passphrase = _known_passphrase(arguments) if backups.is_sealed(source) else None
    by = f"cli {getpass.getuser()}"
    with _readable(source, data) as found, rights.of(data):
        aside = backups.restore(found, data, SystemClock(), by, passphrase)
    if arguments.json:
        print(json.dumps({"restored": str(source), "replaced": str(aside), "state": "halted"}))
    else:
        print(f"Restored {source.name}. What was there before is in {aside}.")
        print("Trading is halted until you re-arm: plimsoll rearm")
    return 0


@contextmanager
def _readable(source: Path, data: Path) -> Iterator[Path]:
    """`source`, or a copy of it for as long as this lasts where the service's user may not read it: root made
    it, or it came on a stick.
    """
    files = [source, *source.iterdir()]
    with rights.of(data):
        readable = all(os.access(path, os.R_OK, effective_ids=True) for path in files)
    if readable:
        yield source
        return
    with tempfile.TemporaryDirectory(dir=data.parent) as folder:
        copy = Path(folder, source.name)
        shutil.copytree(source, copy)
        owner = data.stat()
        for path in (
            *copy.iterdir(),
            copy,
            Path(folder),
        ):  # the outermost last: until then only root is in it
            os.chown(path, owner.st_uid, owner.st_gid)
        yield copy


def _new_passphrase(arguments: Namespace) -> Secret | None:
    """What to seal with: the file's, or with --encrypt and no file what is typed twice; None = not sealed."""
    stored = _stored(arguments)
    if stored is not None or not arguments.encrypt:
        return stored
    typed = _typed("Passphrase of the backup: ")
    if typed.reveal() != _typed("The same again: ").reveal():
        raise Refused("backup.passphrase", "the two differ", hint="nothing was written")
    return typed


def _known_passphrase(arguments: Namespace) -> Secret:
    """What to open a sealed backup with."""
    return _stored(arguments) or _typed("Passphrase of the backup: ")


def _stored(arguments: Namespace) -> Secret | None:
    """The passphrase in --passphrase-file or in the settings' own file, None where neither is named."""
    key, file = "--passphrase-file", arguments.passphrase_file
    if file is None:
        key, file = "backup.passphrase_file", places.passphrase_file(arguments)
    return None if file is None else read_secret(key, Path(file).absolute())


def _typed(prompt: str) -> Secret:
    if not sys.stdin.isatty():
        raise Unable("backup.passphrase", "nobody to ask", hint="name its file with --passphrase-file FILE")
    try:
        return Secret(getpass.getpass(prompt))
    except EOFError:
        raise Unable("backup.passphrase", "none was typed") from None
