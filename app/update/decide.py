"""What the updater does next. Pure: facts in, decision out; nothing here touches a file, a clock or a socket.

The steps of an update, in their order, are the table `Step`. A power cut can end any of them; `recover` says
from what is remembered alone how it goes on, without network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum

from app.update.state import Ota
from app.update.versions import parse, version_of

TRIES_MAX = 2  # starts of a release on trial: one may be lost to a power cut that was not its fault
RESERVE = 100_000_000  # bytes that stay free for the journal and the log, whatever an update takes
COPIES = 2  # of the download: the one fetched and the one adopted; of what it unpacks to: release and updater
PROBES_GOOD = 3  # in a row
HEALTH_LIMIT_NS = 90_000_000_000  # a start takes a second; the rest is a slow disk and a venue that is away
RESTARTS_MAX = 2  # of one trial while its health is judged: the third start is a crash loop


class Step(IntEnum):
    """The numbered steps. Up to UNPACK nothing that runs is touched; INTENT is the point from which a power
    cut has to be recovered from; COMMIT ends that. BACK to BAD are the way back.
    """

    CHECK = 1
    REFUSE = 2
    DOWNLOAD = 3
    VERIFY = 4
    UNPACK = 5
    BACKUP = 6
    INTENT = 7
    STOP = 8
    SWITCH = 9
    START = 10
    HEALTH = 11
    COMMIT = 12
    PRUNE = 13
    COPY = 14
    BACK = 15
    BACK_STOP = 16
    BACK_SWITCH = 17
    BACK_START = 18
    BAD = 19


WORDS = {
    Step.CHECK: "looking for a release",
    Step.REFUSE: "judging {0}",
    Step.DOWNLOAD: "downloading {0}",
    Step.VERIFY: "verifying {0}",
    Step.UNPACK: "unpacking {0}",
    Step.BACKUP: "backing up the journal before {0}",
    Step.INTENT: "about to switch to {0}",
    Step.STOP: "stopping the service for {0}",
    Step.SWITCH: "switching to {0}",
    Step.START: "starting {0}",
    Step.HEALTH: "watching {0}",
    Step.COMMIT: "keeping {0}",
    Step.PRUNE: "removing old releases",
    Step.COPY: "renewing the updater's own copy",
    Step.BACK: "going back from {0}",
    Step.BACK_STOP: "stopping {0}",
    Step.BACK_SWITCH: "switching back from {0}",
    Step.BACK_START: "starting what ran before {0}",
    Step.BAD: "remembering that {0} failed",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A release that signed metadata offers. `name` is its folder's, `target` its path in the repository."""

    target: str
    name: str
    version: str
    arch: str
    boards: tuple[str, ...]
    pythons: tuple[str, ...]
    schema: int  # of state.db
    schema_oldest: int  # a program of this one can open what the release leaves behind
    min_from: str  # lowest version it can be installed over
    length: int  # bytes
    unpacked: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Here:
    """This machine. `current` is the release that is linked; `free` is None before space matters."""

    current: str
    arch: str
    board: str
    python: str
    schema: int
    free: int | None = None


@dataclass(frozen=True, slots=True)
class No:
    """Why not: `rule` is stable, `words` are for people."""

    rule: str
    words: str


def refuse(offer: Offer, here: Here, ota: Ota) -> No | None:
    """The first rule that forbids `offer`, None when nothing does. Holds before a byte is downloaded."""
    version, running = parse(offer.version), parse(version_of(here.current))
    if offer.arch != here.arch:
        return No("arch", f"{offer.name} is for {offer.arch}, here is {here.arch}")
    if here.board not in offer.boards:
        return No("board", f"{offer.name} is for {' or '.join(offer.boards)}, here is {here.board}")
    if here.python not in offer.pythons:
        return No("python", f"{offer.name} needs Python {' or '.join(offer.pythons)}, here is {here.python}")
    if version_of(offer.name) in map(version_of, ota.bad):
        return No("bad", f"{offer.version} failed here before")
    if version < parse(ota.floor) or version < running:
        return No(
            "floor", f"{offer.version} is older than {max(ota.floor, version_of(here.current), key=parse)}"
        )
    if offer.schema < here.schema:
        return No("schema", f"{offer.name} keeps journals of version {offer.schema}, here is {here.schema}")
    if offer.schema_oldest > here.schema:  # expand, then contract: what runs must be able to come back
        words = f"after {offer.name} the journal could not be opened by {here.current} any more"
        return No("schema", f"{words}; install a release between them first")
    if running < parse(offer.min_from):
        return No("min_from", f"{offer.name} needs {offer.min_from} to be installed before it")
    if here.free is not None and here.free < needed(offer):
        return No("space", f"{here.free} bytes are free, {offer.name} needs {needed(offer)}")
    return None


def needed(offer: Offer) -> int:
    """Free bytes asked for before anything is begun."""
    return COPIES * (offer.length + offer.unpacked) + RESERVE


def choose(offers: Iterable[Offer], here: Here, ota: Ota) -> tuple[Offer | None, No | None]:
    """The newest release that may be installed; else why the newest that is not installed may not."""
    others = [offer for offer in offers if offer.name != here.current]
    newest_first = sorted(others, key=lambda offer: (parse(offer.version), offer.name), reverse=True)
    why: No | None = None
    for offer in newest_first:
        no = refuse(offer, here, ota)
        if no is None and parse(offer.version) > parse(version_of(here.current)):
            return offer, None
        why = why or no
    return None, why


class Exposure(Enum):
    """Whether the service says that it must not be stopped: it holds the update lock while it may not."""

    CLEAR = "clear"
    EXPOSED = "exposed"
    UNKNOWN = "unknown"  # it runs and there is no lock to ask, or it is only just starting


class Way(Enum):
    """How it goes on after an interruption."""

    REST = "rest"  # nothing was under way
    TRY = "try"  # the trial gets a start, which is counted first
    BACK = "back"  # to the good release
    MEND = "mend"  # nothing under way, but the link leads nowhere


def recover(ota: Ota, linked: str, whole: Iterable[str]) -> tuple[Way, str]:
    """How to go on, and why. `linked` is "" when the link leads nowhere; `whole` are the releases whose every
    byte is as its manifest says.
    """
    intact = frozenset(whole)
    if not ota.trial:
        return (Way.REST, "") if linked else (Way.MEND, "the link to the release leads nowhere")
    if ota.back:
        return Way.BACK, "the way back was interrupted"
    if ota.trial not in intact:
        return Way.BACK, f"{ota.trial} is damaged"
    if ota.tries >= TRIES_MAX:
        return Way.BACK, f"{ota.trial} was started {ota.tries} times and never finished"
    return Way.TRY, ""


def way_back(ota: Ota, whole: Iterable[str]) -> str:
    """The release to go back to: the good one, else the one before; "" when neither is whole."""
    intact = frozenset(whole)
    return next((name for name in (ota.good, ota.previous) if name in intact and name != ota.trial), "")


@dataclass(frozen=True, slots=True)
class Probe:
    """The service seen from outside. `ills` are what it says is wrong, by code; `safe` is why it is in safe
    mode or waits for the venue, "" = it is not.
    """

    ready: bool = False  # told its supervisor so
    version: str = ""  # as its page answers, "" = no answer
    journal: bool = False
    restarts: int = 0  # by its supervisor, since it was last started on purpose
    failed: bool = False  # given up by its supervisor
    moving: bool = False  # its supervisor starts or stops it just now, so it may fail yet
    ills: frozenset[str] = frozenset()
    safe: str = ""


@dataclass(slots=True)
class Judge:
    """The health of a release on trial, probe by probe. What was ill `before` need not be well now."""

    version: str
    before: frozenset[str]
    began_ns: int
    good: int = 0
    last: str = "it never answered"

    def see(self, probe: Probe, now_ns: int) -> bool | None:
        """True = keep it, False = go back (`last` says why), None = look again."""
        if probe.failed or probe.restarts > RESTARTS_MAX:
            self.last = f"it ended and was restarted {probe.restarts} times"
            return False
        wrong = self._wrong(probe)
        if probe.version and probe.version != self.version:
            self.last = wrong
            return False
        self.good = self.good + 1 if not wrong else 0
        if self.good >= PROBES_GOOD:
            return True
        self.last = wrong or self.last
        return False if now_ns - self.began_ns >= HEALTH_LIMIT_NS else None

    def _wrong(self, probe: Probe) -> str:
        if probe.safe:
            return probe.safe
        if not probe.version:
            return "its page did not answer"
        if probe.version != self.version:
            return f"it says it is {probe.version}, not {self.version}"
        if not probe.ready:
            return "it never said that it is ready"
        if not probe.journal:
            return "its journal is not open"
        return ", ".join(sorted(probe.ills - self.before))
