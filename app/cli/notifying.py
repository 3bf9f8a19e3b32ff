"""`plimsoll notify test`: one message to `notify.url`, so that the owner sees it arrive before it matters."""

from __future__ import annotations

from argparse import Namespace

from app.cli import places
from app.config import load_file
from app.errors import SettingsError
from app.ops.alerts import NORMAL, Alert
from app.ops.notifier import Target, post


def run(arguments: Namespace) -> int:
    """Send it, saying what the other side answered when it did not take it."""
    file = places.config_file(arguments)
    target = Target.of(load_file(file).notify)
    if target is None:
        raise SettingsError("notify.url", f"is empty in {file}; nobody is told")
    post(target, Alert("test", "Plimsoll: a test", "If you can read this, you will be told.", NORMAL))
    print("Sent; look at your phone.")
    return 0
