"""Backups while the power goes: one that has a name is whole, and a restore leaves a journal that starts,
halted.

`python -m tests.power.backups FOLDER backup|restore` says what it tries and what is done, as the ledger does.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from app.clock import SystemClock
from app.engine.records import Recovered
from app.errors import PlimsollError
from app.store import backup, open_journal
from app.store.schema import MARKET, STATE
from tests.guards import ROOT
from tests.power.checking import LOST, Line, damage
from tests.power.ledger import say

KINDS = ("backup", "restore")
LINES = 80  # of a ledger that is killed then: its last rows are in the log only


def prepare(folder: Path, kind: str) -> None:
    """A journal whose service was killed while armed or not, and for a restore a backup of it."""
    journal = folder / "journal"
    journal.mkdir()
    ledger = subprocess.Popen(
        [sys.executable, "-m", "tests.power.ledger", str(journal)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert ledger.stdout is not None
    for _ in range(LINES):
        ledger.stdout.readline()
    ledger.kill()
    ledger.communicate()
    if kind == "restore":
        backup.back_up(journal, folder / "backups", SystemClock())


def problems(folder: Path, kind: str, lines: list[Line]) -> list[str]:
    """What is wrong after a cut, in words."""
    done = {"ack": 1} in lines
    try:
        found = asyncio.run(_recovered(folder / "journal"))
        names = backup.names(folder / "backups") if (folder / "backups").exists() else []
        for name in names:
            for schema in (STATE, MARKET):
                backup.verify(folder / "backups" / name / schema.file, schema)
    except PlimsollError as error:
        return [f"{LOST}{error}"]
    wrong = [*damage(folder / "journal")]
    if done and not names:
        wrong.append(f"{LOST}the backup")
    if kind == "restore" and done:
        wrong += _not_restored(found)
    if kind == "restore" and not found.fills and _holds(folder / "journal"):
        wrong.append(f"{LOST}every fill, and no file was put aside")
    return wrong


def _not_restored(found: Recovered) -> list[str]:
    armed = found.latch is None or found.latch.armed or not found.latch.reasons
    jumped = found.tags_reserved > backup.TAG_JUMP
    return [f"{LOST}{found.latch}, tags {found.tags_reserved}"] if armed or not jumped else []


def _holds(journal: Path) -> bool:
    """Whether nothing was put aside: then the old journal must still be there."""
    return not any(journal.glob("replaced-*"))


async def _recovered(journal: Path) -> Recovered:
    store = await open_journal(journal, SystemClock())
    try:
        return await store.recover(1)
    finally:
        await store.close()


def main(folder: Path, kind: str) -> None:
    say({"try": 1})
    if kind == "backup":
        backup.back_up(folder / "journal", folder / "backups", SystemClock())
    else:
        (name,) = backup.names(folder / "backups")
        backup.restore(folder / "backups" / name, folder / "journal", SystemClock(), "test")
    say({"ack": 1})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
