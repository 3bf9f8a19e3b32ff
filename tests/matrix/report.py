"""What the matrix found, as a table for people, and the shorter one of `board/README.md`.

A cell tells why the host trades no more, then the board's state and cause, and how long the output took to
go off by the board's own time, where it has one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.guards import ROOT
from tests.matrix.faults import BOARDS, FAULTS

if TYPE_CHECKING:
    from tests.matrix.row import Result

README = ROOT / "board" / "README.md"
BEGIN, END = "<!-- fault matrix: held equal by tests/matrix -->\n", "<!-- fault matrix ends -->"
PART = re.compile(re.escape(BEGIN) + "(.*?)" + re.escape(END), re.DOTALL)


class Report:
    """`results` by board and fault; `missing` says why a board was not there."""

    def __init__(self) -> None:
        self.results: dict[tuple[str, str], Result] = {}
        self.missing: dict[str, str] = {}
        self.figures: list[str] = []

    def add(self, board: str, fault: str, result: Result) -> None:
        self.results[board, fault] = result

    def text(self) -> str:
        rows: list[tuple[str, ...]] = [("fault", *BOARDS)]
        rows += [(one.name, *(self._cell(board, one.name) for board in BOARDS)) for one in FAULTS]
        widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
        lines = ["".join(map(str.ljust, row, widths)) for row in rows]
        lines += [f"{board} was not there: {why}" for board, why in self.missing.items()]
        return "\n".join([line.rstrip() for line in [*lines, *self._summary(), *self.figures]]) + "\n"

    def _cell(self, board: str, fault: str) -> str:
        result = self.results.get((board, fault))
        if result is None:
            return "not run"
        if not result.cause:
            return str(result.end)
        took = f" after {result.trip_us / 1000:.2f} ms" if result.trip_us >= 0 else ""
        return f"{result.host} | {result.board}: {result.cause}{took}"

    def _summary(self) -> list[str]:
        lines = []
        for board in BOARDS:
            rows = [result for (name, _), result in self.results.items() if name == board]
            if rows:
                silence = max(row.silence_ms for row in rows)
                blocked = max(row.blocked_ms for row in rows)
                lines.append(
                    f"{board}: longest silence of the board before the hold {silence} ms, "
                    f"longest callback of the host's loop {blocked:.1f} ms"
                )
        return lines


def shortened() -> str:
    """The table of the README: each fault, who counts it, and how it ends on every board."""
    rows = [f"| {fault.name} | {fault.counter.replace('_', ' ')} | {fault.end} |" for fault in FAULTS]
    return "\n".join(["| fault | counted by | ends |", "| --- | --- | --- |", *rows, ""])


def readme_part(path: Path = README) -> str:
    found = PART.search(path.read_text())
    assert found is not None, "the README has no fault matrix"
    return found[1]
