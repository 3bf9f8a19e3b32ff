"""The plug of a desk that trades: `python -m tests.power.desk FOLDER CUTS SYNCHRONOUS` prints a line a cut.

The service's whole home lies on a disk that is cut, simulator and auditor are outside. Right after the cut
the journal on the disk must know every order that the venue has; then the service starts on that disk, and
its books must agree with the venue again. With another SYNCHRONOUS than FULL it only looks at the journal.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path

from tests.bench.appliance import SPECIAL, Child, simulator, spawn, until_async
from tests.conftest import SEED
from tests.guards import PATIENCE
from tests.power.disk import Disk, in_memory
from tests.power.intents import unjournalled
from tests.soak.auditor import read_venue
from tests.soak.test_kill9 import ACCOUNT, Desk

MEGABYTES = 64
LATE_MS, PACE_MS = "20", "60"  # of the venue's answers, and between two acts of the strategy
TRADES_S = (0.5, 2.5)  # from the word to go to the cut


class PluggedDesk(Desk):
    """The soak test's desk on `disk`; what it says is kept outside."""

    def __init__(self, disk: Disk, url: str, rng: random.Random, synchronous: str) -> None:
        home = disk.root / "home"
        home.mkdir()
        super().__init__(home, url, rng)
        disk.sync()
        self._log, self._synchronous = disk.image.with_name("service.log"), synchronous
        self.weak = synchronous != "FULL"

    async def start(self) -> Child:
        module = ("-m", "tests.power.trader", "--synchronous", self._synchronous)
        seed = str(self.rng.getrandbits(32))
        command = (sys.executable, *module, "--config", self.file, "--seed", seed, "--pace", PACE_MS)
        self.child = await spawn(self._log, *command)
        return self.child


async def main(folder: Path, cuts: int, synchronous: str) -> None:
    in_memory(folder)
    rng = random.Random(f"{SEED} desk")
    async with simulator(folder, "--late", LATE_MS, "--quotes-per-second", "50", script=SPECIAL) as url:
        with Disk(folder / "plugged", MEGABYTES) as disk:
            desk = PluggedDesk(disk, url, rng, synchronous)
            try:
                for number in range(cuts):
                    await _cut(desk, disk, number)
            finally:
                if desk.child is not None and desk.child.alive:
                    await desk.child.kill()


async def _cut(desk: PluggedDesk, disk: Disk, number: int) -> None:
    child = desk.child or await desk.start()
    await desk.compared()
    await desk.trades_again()
    before = await read_venue(desk.url, ACCOUNT)
    os.kill(child.pid, signal.SIGUSR1)

    async def traded() -> bool:
        return bool((await read_venue(desk.url, ACCOUNT)).orders.keys() - before.orders.keys())

    await until_async(traded, "an order since the word to go", PATIENCE)
    await asyncio.sleep(desk.rng.uniform(*TRADES_S))
    os.kill(child.pid, signal.SIGSTOP)
    venue = await read_venue(desk.url, ACCOUNT)  # whatever is there was sent, so it was journalled before
    disk.freeze()
    await child.kill()
    disk.reboot()
    problems = unjournalled(desk.data / "state.db", venue)
    if desk.weak:
        desk.child = None
    else:
        await desk.start()
        await desk.compared()
    acked = len(venue.orders) + len(venue.trades)
    print(json.dumps({"cut": f"desk {number}", "acked": acked, "problems": problems}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
