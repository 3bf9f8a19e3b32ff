"""`plimsoll backup` and `plimsoll restore`: copies of the journal, and the way back."""

from __future__ import annotations

import getpass
import json
from argparse import Namespace

from app.cli import places
from app.clock import SystemClock
from app.errors import Unable
from app.store import backup as backups

FOLDER = "backups"  # below the data folder, unless --to says otherwise


def back_up(arguments: Namespace) -> int:
    """Make one, or list what there is."""
    data = places.data_dir(arguments)
    folder = (arguments.to or data / FOLDER).absolute()
    made = None if arguments.list else backups.back_up(data, folder, SystemClock())
    found = backups.names(folder) if folder.exists() else []
    if arguments.json:
        print(json.dumps({"folder": str(folder), "made": made and made.name, "backups": found}))
    elif made is not None:
        print(f"Backed up to {made}; {len(found)} kept.")
    else:
        print("\n".join(str(folder / name) for name in found) or f"No backup in {folder}.")
    return 0


def restore(arguments: Namespace) -> int:
    """Put one back. The service must not run; it comes back halted until a person re-arms."""
    data, source = places.data_dir(arguments), arguments.backup.absolute()
    if not source.is_dir():
        raise Unable("backup.missing", source, hint="plimsoll backup --list names them")
    aside = backups.restore(source, data, SystemClock(), by=f"cli {getpass.getuser()}")
    if arguments.json:
        print(json.dumps({"restored": str(source), "replaced": str(aside), "state": "halted"}))
    else:
        print(f"Restored {source.name}. What was there before is in {aside}.")
        print("Trading is halted until you re-arm: plimsoll rearm")
    return 0
