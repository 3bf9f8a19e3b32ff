"""The full SQL of every version of both files, and the steps from one version to the next.

`<file>_<version>.sql` is the whole schema of a version; a later version adds `<file>_<old>_to_<new>.sql`.
Files of old versions are never edited: databases in the field were made by them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources


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

    def statements(self, version: int) -> list[str]:
        """The statements from `version` to the newest, its number included; empty when it is the newest."""
        if version == self.version:
            return []
        parts = [part for step in self.steps[version:] for part in split(step)]
        return [*parts, f"PRAGMA user_version = {self.version}"]


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
