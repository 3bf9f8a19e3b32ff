"""The full SQL of every version of both files, and the steps from one version to the next.

`<file>_<version>.sql` is the whole schema of a version; a later version adds `<file>_<old>_to_<new>.sql`.
Files of old versions are never edited: databases in the field were made by them.

Expand, then contract. A step adds what the next program needs and takes nothing away that the one before it
uses, so that an update can go back: the older program opens the newer file and works on. What must go goes in
a later step, whose SQL begins with CONTRACTS; programs before it are then refused. Tests hold both: every
unmarked step only adds, and each program that a file admits does on it what it did before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

CONTRACTS = "-- contracts:"  # then why, and since when no program needs what goes
_BITS = 16  # of user_version, 32 bits: the lower hold the version, the upper the oldest program admitted


@dataclass(frozen=True, slots=True)
class Schema:
    """What one file must look like. `steps[n]` is the SQL that leads from version n to n + 1."""

    file: str
    application_id: int
    synchronous: str
    steps: tuple[str, ...]

    @property
    def version(self) -> int:
        return len(self.steps)

    @property
    def oldest(self) -> int:
        """The oldest version whose program can work on a file of this one."""
        return max((n for n, step in enumerate(self.steps, 1) if step.startswith(CONTRACTS)), default=1)

    @property
    def stamp(self) -> int:
        """The `user_version` of a file: which version it has, and which programs may open it."""
        return self.oldest << _BITS | self.version

    def admits(self, stamp: int) -> bool:
        """Whether a program with this schema may work on a file with that stamp, after migrating an older."""
        oldest, version = stamp >> _BITS or stamp, version_of(stamp)
        return stamp > 0 and version > 0 and oldest <= self.version

    def statements(self, version: int) -> list[str]:
        """The statements from `version` to this one, the stamp included; none for a file that is as new."""
        if version >= self.version:
            return []
        parts = [part for step in self.steps[version:] for part in split(step)]
        return [*parts, f"PRAGMA user_version = {self.stamp}"]


def version_of(stamp: int) -> int:
    """The version in a file's `user_version`. Files made before stamps hold the bare number."""
    return stamp & (1 << _BITS) - 1


def split(script: str) -> Sequence[str]:
    """The statements of an SQL script, comments kept with the statement that follows."""
    found, begun = [], ""
    for part in script.split(";")[:-1]:
        begun += f"{part};"
        if sqlite3.complete_statement(begun):
            found.append(begun.strip())
            begun = ""
    return found


def sql(name: str) -> str:
    """The text of a packaged SQL file."""
    return resources.files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


STATE = Schema("state.db", 0x506C5331, "FULL", (sql("state_1"), sql("state_1_to_2")))
MARKET = Schema("market.db", 0x506C4D31, "NORMAL", (sql("market_1"),))
