"""Collects what the matrix found and prints it at the end, also into `board/build/matrix.txt`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.guards import ROOT
from tests.matrix.report import Report

FILE = ROOT / "board" / "build" / "matrix.txt"
REPORT = Report()


@pytest.fixture(scope="session")
def report() -> Iterator[Report]:
    """What every row adds to."""
    yield REPORT
    if REPORT.results:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(REPORT.text())


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if REPORT.results or REPORT.figures:
        terminalreporter.write_sep("=", "the fault matrix")
        terminalreporter.write(REPORT.text())
