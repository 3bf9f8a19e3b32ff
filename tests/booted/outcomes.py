"""The table of faults: what was done to the machine, what followed, and after how many seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.guards import ROOT

FILE = ROOT / "build" / "booted.txt"


@dataclass
class Outcomes:
    """Rows in the order in which they came."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def tell(self, fault: str, followed: str, seconds: float | None = None) -> None:
        self.rows.append((fault, followed, "" if seconds is None else f"{seconds:.2f} s"))

    def table(self) -> str:
        wide = max(len(fault) for fault, _, _ in self.rows)
        far = max(len(followed) for _, followed, _ in self.rows)
        return "".join(
            f"{fault:{wide}}  {followed:{far}}  {time:>8}\n" for fault, followed, time in self.rows
        )

    def write(self, file: Path = FILE) -> None:
        file.parent.mkdir(exist_ok=True)
        file.write_text(self.table())
