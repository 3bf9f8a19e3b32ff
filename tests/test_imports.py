"""What the service drags in: every module of ``app`` is imported in one clean process."""

from __future__ import annotations

import subprocess
import sys

from tests.guards import PROGRAM_PATIENCE, ROOT
from tests.layers import modules

HEAVY = {"numpy", "pandas", "scipy", "pydantic", "sqlalchemy", "exchange_calendars", "pysignalr"}
TOOLS = {"Cython", "hypothesis", "mypy", "pip", "pkg_resources", "pytest", "setuptools", "unittest"}
PROBE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def imported(names: list[str]) -> set[str]:
    """Return the top-level modules a fresh interpreter holds after importing ``names``; a warning fails."""
    command = [sys.executable, "-W", "error", "-c", PROBE, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PROGRAM_PATIENCE)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_service_imports_nothing_heavy_and_no_tools() -> None:
    found = imported(
        [name for name in modules(ROOT) if name.startswith("app") and not name.endswith("__main__")]
    )
    assert {"aiohttp", "app", "native"} <= found
    assert found & (HEAVY | TOOLS) == set()


UPDATERS = {"tuf", "securesystemslib", "urllib3", "cryptography"}
SERVICE = (
    "app.compose",
    "app.cli.service",
    "app.cli.arguments",
    "app.demo",
    "app.web.server",
    "app.watchdog",
)


def test_the_trading_process_never_loads_the_updaters_packages() -> None:
    assert imported(list(SERVICE)) & UPDATERS == set()


def test_going_back_and_status_need_none_of_them_either() -> None:
    assert (
        imported(["app.cli.updating", "app.update.run", "app.update.machine"]) & {*UPDATERS, "msgspec"}
        == set()
    )
    found = imported(["app.update.check"])
    assert "tuf" in found and "aiohttp" not in found


def test_sees_a_heavy_import() -> None:
    assert "numpy" in imported(["numpy"])
