"""A service in a file: what runs and how it behaves is decided by its version, nothing waits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.clock import VirtualClock
from app.update import switch
from app.update.decide import Exposure, Offer, Probe, Step
from app.update.renewal import CARRIED
from app.update.run import Driver, Places
from app.update.state import Ota, load
from app.update.telling import Teller
from app.update.versions import version_of
from tests.update.repositories import NOW_NS, made, name_of

WELL = "well"
BEHAVIOURS = ("crash loop", "never ready", "no answer", "wrong version", "no journal", "gave up")


class World:
    """`behaviour` by version; what runs lies in the file `running`, for it outlives the updater."""

    def __init__(self, folder: Path, clock: VirtualClock) -> None:
        self.running, self.home, self.clock = folder / "running", folder / "home", clock
        self.behaviour: dict[str, str] = {}
        self.from_now_on: dict[str, str] = {}  # at the next start: settings that were broken while it ran
        self.exposed = Exposure.CLEAR
        self.calls: list[str] = []
        self.boot, self.age_s = "boot", 1_000
        self.on_back_up: Callable[[], None] = lambda: None
        self.restarts = 0
        self.visited = (
            False  # by a browser that waits in the page's socket: what was stopped is started again
        )

    def start(self) -> None:
        self.calls.append("start")
        if not self.runs:
            self.running.write_text(switch.linked(self.home))
            self.restarts = 0
            self.behaviour |= self.from_now_on

    def stop(self) -> None:
        self.calls.append("stop")
        self.running.unlink(missing_ok=True)
        if self.visited:
            self.running.write_text(switch.linked(self.home))

    @property
    def runs(self) -> str:
        return self.running.read_text() if self.running.exists() else ""

    def probe(self) -> Probe:
        if not self.runs:
            return Probe(failed=True)
        version = version_of(self.runs)
        how = self.behaviour.get(version, WELL)
        self.restarts += how == "crash loop"
        return {
            WELL: Probe(True, version, True),
            "crash loop": Probe(restarts=self.restarts),
            "never ready": Probe(False, version, True),
            "no answer": Probe(True, "", False),
            "wrong version": Probe(True, "9.9.9", True),
            "no journal": Probe(True, version, False),
            "gave up": Probe(failed=True),
            "rising": Probe(moving=True),
            "safe": Probe(ready=True, safe="safe mode: the settings are wrong"),
            "ill": Probe(True, version, True, ills=frozenset({"board"})),
        }[how]

    def pause(self, duration_ns: int) -> None:
        self.clock.advance(duration_ns)

    @contextmanager
    def quiet(self) -> Iterator[Exposure]:
        yield self.exposed

    def back_up(self) -> None:
        self.calls.append("back up")
        self.on_back_up()

    def uptime(self) -> tuple[str, int]:
        return self.boot, self.age_s


class Board:
    """A machine with an installed release and others at hand, in `folder`. `driver()` is a new updater."""

    def __init__(
        self,
        folder: Path,
        installed: str = "0.1.0",
        others: tuple[str, ...] = ("0.2.0",),
        protocols: dict[str, int] | None = None,
    ) -> None:
        self.protocols = protocols or {}  # of the board, by version; 0 and none = not said
        self.folder = folder
        self.places = Places(folder / "home", folder / "memory")
        self.clock = VirtualClock(NOW_NS)
        self.world = World(folder, self.clock)
        self.names = {version: folder / version for version in (installed, *others)}
        self.installed = installed

    def install(self) -> Board:
        self.places.home.mkdir(parents=True)
        self.places.memory.mkdir()
        for version, file in self.names.items():
            spoken = self.protocols.get(version, 0)
            made(file, version, {CARRIED: b'{"protocol_version": %d}' % spoken} if spoken else None)
        self.add(self.installed)
        switch.switch(self.places.home, self.name(self.installed))
        self.world.start()
        self.world.calls.clear()
        return self

    def add(self, version: str) -> None:
        switch.add(self.places.home, self.names[version], self.name(version))

    def name(self, version: str) -> str:
        return name_of(self.names[version])

    def driver(self, on_step: Callable[[Step], None] = lambda step: None) -> Driver:
        return Driver(self.places, self.world, self.clock, Teller(self.places.memory, self.clock), on_step)

    def apply(self, version: str = "0.2.0", told: bool = False, driver: Driver | None = None) -> str:
        return (driver or self.driver()).apply(offer(self.names[version]), self.names[version], told)

    def boot(self) -> str:
        """Power is back: first what shall run, then it runs, then what was under way is finished."""
        self.driver().recover()
        self.world.start()
        driver = self.driver()
        driver.resume()
        return driver.confirm()

    @property
    def ota(self) -> Ota:
        return load(self.places.memory, self.linked)[0]

    @property
    def linked(self) -> str:
        return switch.linked(self.places.home)

    def consistent(self) -> bool:
        """Old or new, whole, linked, remembered and running; nothing under way."""
        ota, problem = load(self.places.memory, self.linked)
        settled = not problem and not ota.trial and ota.good == self.linked == self.world.runs
        return settled and switch.is_whole(self.places.home / switch.RELEASES / self.linked)


def offer(file: Path) -> Offer:
    name = name_of(file)
    size = os.path.getsize(file)
    return Offer(str(file), name, version_of(name), "x", (), (), 2, 1, "0", size, size, "0" * 64)
