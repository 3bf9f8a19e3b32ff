"""How long each stage of the tests took, in minutes, and which was longer than it may be on a CI's machine.

`./build.sh test` names a file in PLIMSOLL_STAGES; itself and every pytest it runs add lines to it, and
`python tests/stages.py FILE` prints the table at the end. Over a ceiling is said and fails nothing: machines
differ.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "PLIMSOLL_STAGES"


@dataclass(frozen=True, slots=True)
class Stage:
    """Long tests by where they lie; the first stage that names a place has it."""

    name: str
    ceiling: float | None = None  # minutes
    places: tuple[str, ...] = ()


COMPILE, FAST, BUNDLE = Stage("compile", 8), Stage("fast", 2), Stage("file for x86_64, two Pythons", 8)
OTHER, PYTEST = Stage("other long tests"), Stage("collecting, between tests")
LONG = (
    Stage("aarch64, emulated", 8, ("tests/aarch64/",)),
    Stage(BUNDLE.name, BUNDLE.ceiling, ("tests/update/test_bundle.py",)),
    Stage("systemd and updates", 10, ("tests/booted/", "tests/systemd/", "tests/update/", "tests/install/")),
    Stage("a machine's plug, on demand", None, ("tests/power/test_uml.py",)),
    Stage("power cuts", 3, ("tests/power/",)),
    Stage("browser, MicroPython, QEMU board", 5, ("tests/browser/", "tests/mcu/", "tests/board/")),
    Stage("fuzz", None, ("tests/native/",)),
    Stage("soak, kill -9, faults", None, ("tests/soak/", "tests/matrix/")),
    OTHER,
)
CEILINGS = {stage.name: stage.ceiling for stage in (COMPILE, FAST, BUNDLE, *LONG, PYTEST)}

_aside: list[tuple[str, float]] = []


def aside(stage: Stage, seconds: float) -> None:
    """Count what a test did for others too, such as a build, as another stage's time."""
    _aside.append((stage.name, seconds))


def stage_of(long_test: str) -> str:
    """The stage of a long test by its name."""
    return next((s.name for s in LONG for place in s.places if long_test.startswith(place)), OTHER.name)


def fast() -> str:
    """The fast suite is one stage for each Python and kind of twins."""
    pure = ", pure twins" if os.environ.get("PLIMSOLL_NATIVE") == "pure" else ""
    return f"{FAST.name}, Python {sys.version_info[0]}.{sys.version_info[1]}{pure}"


class Meter:
    """Adds up what pytest reports; a plugin of the process that reports. `workers` share the tests."""

    def __init__(self, workers: int = 1) -> None:
        self.seconds: dict[str, float] = {}
        self._workers = workers
        self._begun, self._fast = time.monotonic(), fast()

    def add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def pytest_runtest_logreport(self, report: Any) -> None:
        long = "long" in report.keywords or "power" in report.keywords
        stage = stage_of(report.nodeid) if long else self._fast
        self.add(stage, report.duration / self._workers)
        while _aside:
            other, seconds = _aside.pop()
            self.add(other, seconds)
            self.add(stage, -seconds)

    def pytest_sessionfinish(self) -> None:
        self.add(PYTEST.name, time.monotonic() - self._begun - sum(self.seconds.values()))
        with open(os.environ[VARIABLE], "a") as file:
            file.writelines(f"{stage}\t{seconds:.2f}\n" for stage, seconds in self.seconds.items())


def table(lines: Iterable[str]) -> str:
    """The stages in the order in which they first came, in minutes."""
    minutes: dict[str, float] = {}
    for line in lines:
        stage, seconds = line.rstrip("\n").split("\t")
        minutes[stage] = minutes.get(stage, 0.0) + float(seconds) / 60
    rows = [f"{'stage':36} minutes  ceiling"]
    for stage, took in minutes.items():
        ceiling = CEILINGS.get(stage.partition(", Python ")[0])
        over = "  LONGER THAN IT MAY BE" if ceiling and took > ceiling else ""
        rows.append(f"{stage:36} {took:7.1f}  {ceiling or '':>7}{over}".rstrip())
    return "\n".join([*rows, f"{'together':36} {sum(minutes.values()):7.1f}"])


if __name__ == "__main__":
    print(table(Path(sys.argv[1]).read_text().splitlines()))
