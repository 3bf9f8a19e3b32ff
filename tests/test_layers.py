"""The import rules hold, and each rule is seen to catch an offence planted in a synthetic tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards import ROOT
from tests.layers import ROWS, offences


def plant(root: Path, files: dict[str, str]) -> list[str]:
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return offences(root)


def test_the_tree_keeps_the_layers() -> None:
    found = offences(ROOT)
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(
    ("file", "source", "verdict"),
    [
        ("app/shortcuts.py", "", "app.shortcuts: no row"),
        ("app/shortcuts/deep.py", "", "app.shortcuts.deep: no row"),
        ("native/fast_py.py", "import app.errors", "native may not import app.errors"),
        ("app/errors.py", "import app.clock", "app.errors may not import app.clock"),
        ("app/clock.py", "import app.config", "app.clock may not import app.config"),
        ("app/config.py", "import app.clock", "app.config may not import app.clock"),
        ("app/domain/orders.py", "from app.risk import gate", "app.domain may not import app.risk"),
        ("app/domain/orders.py", "import app.clock", "app.domain may not import app.clock"),
        ("app/risk/gate.py", "from ..engine import ports", "app.risk may not import app.engine"),
        ("app/strategies/orb.py", "import app.risk.gate", "app.strategies may not import app.risk.gate"),
        ("app/planner/plan.py", "import app.strategies", "app.planner may not import app.strategies"),
        ("app/engine/loop.py", "import app.strategies.orb", "app.engine may not import app.strategies.orb"),
        ("app/engine/loop.py", "def f():\n    import app.store", "app.engine may not import app.store"),
        (
            "app/venues/topstepx/rest.py",
            "import app.engine.loop",
            "app.venues.topstepx may not import app.engine.loop",
        ),
        (
            "app/venues/topstepx/rest.py",
            "import app.risk.gate",
            "app.venues.topstepx may not import app.risk.gate",
        ),
        ("app/venues/topstepx/rest.py", "import app.venues.tradernet", "may not import app.venues.tradernet"),
        ("app/venues/other.py", "import app.domain", "app.venues may not import app.domain"),
        ("app/simulator/server.py", "import app.risk.gate", "app.simulator may not import app.risk.gate"),
        (
            "app/simulator/server.py",
            "import app.venues.topstepx",
            "app.simulator may not import app.venues.topstepx",
        ),
        ("app/backtest/replay.py", "import app.store", "app.backtest may not import app.store"),
        ("app/store/journal.py", "import app.engine.loop", "app.store may not import app.engine.loop"),
        ("app/mcu/runner.py", "import app.engine.commands", "app.mcu may not import app.engine.commands"),
        ("app/mcu/frame.py", "import app.errors", "app.mcu.frame may not import app.errors"),
        ("app/mcu/session.py", "import app.clock", "app.mcu.session may not import app.clock"),
        ("app/web/pages.py", "from app.store import journal", "app.web may not import app.store"),
        (
            "app/update/slots.py",
            "import app.engine.snapshot",
            "app.update may not import app.engine.snapshot",
        ),
        ("app/ops/health.py", "import app.engine.ports", "app.ops may not import app.engine.ports"),
        (
            "app/domain/x.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import app.store",
            "app.store",
        ),
    ],
)
def test_rejects_a_wrong_direction(tmp_path: Path, file: str, source: str, verdict: str) -> None:
    found = plant(tmp_path, {file: source})
    assert len(found) == 1
    assert verdict in found[0]


@pytest.mark.parametrize(
    ("file", "module"),
    [
        *[
            ("app/domain/x.py", name)
            for name in ("asyncio", "socket", "sqlite3", "threading", "os.path", "random")
        ],
        ("app/risk/x.py", "asyncio"),
        ("app/strategies/x.py", "random"),
        ("app/planner/x.py", "concurrent.futures"),
        ("app/venues/topstepx/codec.py", "asyncio"),
        ("app/venues/tradernet/codec/orders.py", "socket"),
        ("app/engine/loop.py", "asyncio"),
        ("app/simulator/matching.py", "asyncio"),
        ("app/simulator/anything/deep.py", "threading"),
        ("app/mcu/session.py", "enum"),
        ("app/mcu/frame.py", "asyncio"),
    ],
)
def test_rejects_input_and_output_in_pure_code(tmp_path: Path, file: str, module: str) -> None:
    assert len(plant(tmp_path, {file: f"import {module}"})) == 1


@pytest.mark.parametrize(
    ("module", "allowed", "refused"),
    [
        ("aiohttp", "app/venues/topstepx/rest.py", "app/cli.py"),
        ("aiohttp.web", "app/simulator/server.py", "app/simulator/exchange.py"),
        ("asyncio", "app/simulator/server/hubs.py", "app/simulator/market.py"),
        ("random", "app/simulator/market.py", "app/domain/bars.py"),
        ("aiohttp", "app/web/server.py", "app/engine/loop.py"),
        ("aiosqlite", "app/store/journal.py", "app/web/server.py"),
        ("serial", "app/mcu/port.py", "app/mcu/runner.py"),
        ("cbor2", "app/mcu/messages.py", "app/mcu/frame.py"),
        ("time", "app/clock.py", "app/engine/loop.py"),
        ("msgspec", "app/config.py", "native/fast_py.py"),
        ("Cython", "native/build.py", "native/fast_py.py"),
    ],
)
def test_keeps_each_library_in_its_place(tmp_path: Path, module: str, allowed: str, refused: str) -> None:
    assert plant(tmp_path, {allowed: f"from {module} import x"}) == []
    assert len(plant(tmp_path, {refused: f"from {module} import x"})) == 1


@pytest.mark.parametrize(
    "module", ["numpy", "pandas", "scipy", "pydantic", "sqlalchemy", "exchange_calendars"]
)
def test_rejects_what_the_service_never_imports(tmp_path: Path, module: str) -> None:
    assert f"{module} may be imported by nobody" in plant(tmp_path, {"app/cli.py": f"import {module}"})[0]


@pytest.mark.parametrize(
    "call",
    [
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "datetime.fromtimestamp(1)",
        "loop.time()",
        "self._loop.time()",
    ],
)
def test_rejects_a_second_door_to_time(tmp_path: Path, call: str) -> None:
    assert "is for app.clock alone" in plant(tmp_path, {"app/engine/loop.py": f"x = {call}"})[0]
    assert plant(tmp_path / "clock", {"app/clock.py": f"x = {call}"}) == []


def test_accepts_arithmetic_on_times(tmp_path: Path) -> None:
    source = "from datetime import datetime\nx = datetime.fromtimestamp(1, UTC)\ny = q.time(1)\nz = x.time()"
    assert plant(tmp_path, {"app/domain/x.py": source}) == []


def test_rejects_import_cycles(tmp_path: Path) -> None:
    files = {
        "app/domain/a.py": "from app.domain import b",
        "app/domain/b.py": "from .c import x",
        "app/domain/c.py": "import app.domain.a",
    }
    assert plant(tmp_path, files) == [
        "import cycle: app.domain.a -> app.domain.b -> app.domain.c -> app.domain.a"
    ]


def test_accepts_what_the_table_allows(tmp_path: Path) -> None:
    files = {
        f"{row.replace('.', '/')}/x.py": "\n".join(
            f"import {target}" for target in targets if target not in ("app", row)
        )
        for row, targets in ROWS.items()
        if row not in ("app", "app.venues", "app.mcu.frame", "app.mcu.messages", "app.mcu.session")
    }
    assert plant(tmp_path, files) == []
