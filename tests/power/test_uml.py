"""A whole machine with the installed artifact trades, and its plug is pulled at random moments.

Not among the tests that always run: `./build.sh test power`, with PLIMSOLL_CUTS for more or fewer of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.install.edit import with_values
from tests import bundled
from tests.booted import roots
from tests.booted.appliance import SETTINGS, Appliance
from tests.conftest import SEED
from tests.guards import ROOT
from tests.power import uml
from tests.power.cuts import Cut, bad, lost
from tests.soak import trader

pytestmark = pytest.mark.power

CUTS = int(os.environ.get("PLIMSOLL_CUTS", "10"))
CUT_S = 400  # patience for one of them
SYMBOL = "MES"  # small enough for hundreds of round trips within the day's loss limit
IMAGE_MB = 1_500  # sparse
RESTLESS = "/usr/local/lib/desk"  # below what the service sees
PROXY = "/usr/lib/systemd/systemd-socket-proxyd"
RISK = {
    "default_max_contracts": 5,
    "orders_per_minute": 160,
    "orders_per_day": 100_000,
    "duplicate_window_ms": 100,
}
UNITS = {
    "systemd/network/20-plugged.network": uml.NETWORK,
    "systemd/system/venue.socket": "[Socket]\nListenStream=127.0.0.1:8090\n",
    "systemd/system/venue.service": f"[Service]\nExecStart={PROXY} {uml.HOST}:8090\n",
    "systemd/system/plimsoll.service.d/50-restless.conf": (
        f"[Service]\nExecStart=\nExecStart=/usr/bin/python3 -sE {RESTLESS}/restless.py"
        " --config /etc/plimsoll/plimsoll.toml --pace 60\n"
    ),
}
# The soak tests' strategy, awake from the start, in the installed program.
PROGRAM = """\
import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path("/opt/plimsoll/current").resolve())]
from app.store import journal

import trader


class Awake(trader.Restless):
    def __init__(self, *values):
        super().__init__(*values)
        self.live = True


journal.STATE = replace(journal.STATE, synchronous="{synchronous}")
trader.Restless = Awake
trader.main()
"""


@pytest.fixture(scope="module")
def system() -> Path:
    try:
        return uml.kernel()
    except uml.UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def installed(system: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of Debian 13 with the artifact installed and set up, for a disk."""
    try:
        debian = roots.root("trixie")
    except roots.UnavailableError as error:
        pytest.skip(str(error))
    artifact = bundled.build(tmp_path_factory.mktemp("artifact"))
    with Appliance(debian, tmp_path_factory.mktemp("installed")) as box:
        box.boot()
        box.install(artifact)
        box.set_up()
        box.stop()
        text = with_values(box.read(SETTINGS), "", {"clock": "simulator"})
        text = with_values(text, "topstepx", {"symbols": (SYMBOL,)})
        box.write(SETTINGS, with_values(text, "risk", RISK))
        for name, content in UNITS.items():
            box.write(f"/etc/{name}", content)
        wanted = box.root / "etc/systemd/system"
        (wanted / "multi-user.target.wants/venue.service").unlink()
        (wanted / "sockets.target.wants").mkdir(exist_ok=True)
        (wanted / "sockets.target.wants/venue.socket").symlink_to("../venue.socket")
        box.put(Path(trader.__file__), f"{RESTLESS}/trader.py", 0o644)
        yield box.root


def pulled(root: Path, folder: Path, system: Path, cuts: int, synchronous: str) -> list[Cut]:
    """A disk of `root`, its machine's plug pulled `cuts` times."""
    (root / RESTLESS.lstrip("/") / "restless.py").write_text(PROGRAM.format(synchronous=synchronous))
    image = folder / "root.img"
    with image.open("wb") as file:
        file.truncate(IMAGE_MB * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", root, image], check=True, timeout=CUT_S)
    done = subprocess.run(
        [*uml.APART, sys.executable, "-m", "tests.power.plug", folder, image, system, str(cuts), str(SEED)],
        cwd=ROOT, capture_output=True, text=True, timeout=CUT_S * (cuts + 1), check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-6_000:]
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    return found


def test_loses_nothing_and_trades_again_after_each_cut(installed: Path, system: Path, tmp_path: Path) -> None:
    found = pulled(installed, tmp_path, system, CUTS, "FULL")
    assert len(found) == CUTS + 1 and bad(found) == []
    assert found[-1]["acked"] > CUTS * 4, "hardly anything was traded"


def test_sees_orders_that_were_sent_before_they_were_durable(
    installed: Path, system: Path, tmp_path: Path
) -> None:
    assert lost(pulled(installed, tmp_path, system, 1, "NORMAL"))
