"""Resident memory of the running service, once in agreement and a minute later, and what it has imported."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from tests.bench.appliance import rss_mb, service, simulator, synced, write_settings
from tests.bench.figures import Row, measured, most

JOB = "service_memory"
ROUNDS = 5  # starts; the minute is waited for once, growth is the soak test's business
GOAL_MB = 60
SYMBOLS = ("ES", "NQ", "YM")
QUOTES = "50"  # a second and symbol
SETTLED_S = 60
HEAVY = ("numpy", "pandas", "scipy", "pydantic", "sqlalchemy")
IMPORTED = re.compile(r"^import time:.*\| +([\w.]+)$", re.MULTILINE)  # a line of -X importtime


def measure() -> list[Row]:
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with simulator(home, "--quotes-per-second", QUOTES) as url:
            first = [await _rss_once(home / str(n), url) for n in range(ROUNDS)]
            later = await _rss_once(home / "later", url, SETTLED_S)
            modules = await _imported(home / "modules", url)
    heavy = sorted(modules.intersection(HEAVY))
    note = "imported: " + ", ".join(heavy) if heavy else f"none of {', '.join(HEAVY)}"
    return [
        measured(JOB, "RSS, books agree", "MB", first, most(GOAL_MB)),
        measured(JOB, f"RSS, {SETTLED_S} s later", "MB", [later], most(GOAL_MB)),
        measured(JOB, "modules imported", "modules", [len(modules)]),
        measured(JOB, "heavy modules imported", "modules", [len(heavy)], most(0), note=note),
    ]


async def _rss_once(home: Path, url: str, settle_s: float = 0) -> float:
    async with service(write_settings(home, url, SYMBOLS)) as child:
        await synced(child, home / "data")
        await asyncio.sleep(settle_s)
        return rss_mb(child.pid)


async def _imported(home: Path, url: str) -> set[str]:
    """Names of every module the service imports until its books agree, as the interpreter itself tells."""
    script = (sys.executable, "-X", "importtime", "-m", "app", "run")
    async with service(write_settings(home, url, SYMBOLS), script=script) as child:
        await synced(child, home / "data")
    return set(IMPORTED.findall(child.log.read_text(errors="replace")))
