"""`plimsoll update`: what the updater's units call, and what an owner may ask of it.

It runs from the updater's own copy of a release and reads what it needs of the settings leniently: a file
broken by hand must not take the way back away.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli import places
from app.clock import NS, SystemClock
from app.errors import Refused, SettingsError
from app.update import locks, renewal, state, switch, telling
from app.update.machine import Page, Systemd, here, installed
from app.update.run import COMMITTED, RESTED, STRANDED, WAITS, WENT_BACK, Driver, Places
from app.update.telling import Teller

if TYPE_CHECKING:
    from app.update.check import Source

WHATS = {
    "check": "say what there is to install; downloads nothing",
    "fetch": "download and verify the newest release (what the timer starts, without rights)",
    "apply": "install the newest release now; waits for no timer",
    "switch": "install what was fetched, where update.automatic says so (what the timer starts, as root)",
    "rollback": "back to the release before",
    "status": "what it does, did, and what is installed",
    "recover": "at boot, before the service: link what shall run",
    "confirm": "at boot, after the service: finish an update that was interrupted",
    "failed": "after the service was given up: back to the release before, soon after an update",
}
MEMORY = Path("/var/lib/plimsoll-update")
DOWNLOADS, ADOPTED = "downloads", "adopted"  # of who may only download, and of who may switch
USER = "plimsoll-update"
SHOWN_TO_SERVICE = Path("/run/plimsoll")
LOCK = SHOWN_TO_SERVICE / "update.lock"
EMBEDDED = Path(__file__).resolve().parents[1] / "update" / "root.json"
ROOT_LIMIT = 65_536  # bytes
EVERYWHERE = ("0.0.0.0", "::", "[::]")  # a page there answers on this machine's loopback too
OPTIONAL = (
    "asn1crypto",
    "boto3",
    "botocore",
    "cryptography",
    "hvac",
    "sigstore",
)  # tuf's, for signing elsewhere
FETCH_LIMIT_S = 4_000  # a download has an hour
OUTCOMES = {
    COMMITTED: 0,
    RESTED: 0,
    WAITS: 3,
    WENT_BACK: 1,
    STRANDED: 1,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the updater needs of the settings."""

    url: str = ""
    automatic: bool = False
    root_file: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    data_dir: str = "/var/lib/plimsoll"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of `plimsoll update`."""
    parser.add_argument(
        "what", choices=WHATS, help="; ".join(f"{name}: {text}" for name, text in WHATS.items())
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file of the service")
    parser.add_argument("--now", action="store_true", help="do not wait while the service is exposed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--home", type=Path, default=Places().home, metavar="DIR", help="where releases lie")
    parser.add_argument("--memory", type=Path, default=MEMORY, metavar="DIR", help="what it remembers")


def run(arguments: Namespace) -> int:
    """Do it. Exit code 0 done or nothing to do, 1 failed or went back, 3 it waits or was refused."""
    _only_our_own()
    called: dict[str, Callable[[Namespace], int]] = {
        "status": _status,
        "check": _check,
        "fetch": _fetch,
        "apply": _apply,
        "switch": _switch,
    }
    if arguments.what in called:
        return called[arguments.what](arguments)
    with locks.alone(arguments.memory):
        return _repair(arguments.what, _driver(arguments), arguments.now)


def _only_our_own() -> None:
    """Signatures are checked by the release's own code, in 28 MB: what the system may have installed and tuf
    would load too is neither pinned nor needed, and would take up to 20 MB more.
    """
    modules: dict[str, Any] = sys.modules
    for name in OPTIONAL:
        modules.setdefault(name, None)


def wanted(file: Path) -> Wanted:
    """What can be read of the settings; defaults for the rest. An empty url means: no updates."""
    try:
        document: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return Wanted()
    usual = Wanted()

    def one(section: str, key: str, otherwise: Any) -> Any:
        table = document.get(section, {}) if section else document
        value = table.get(key) if isinstance(table, dict) else None
        return value if type(value) is type(otherwise) else otherwise

    return Wanted(
        url=one("update", "url", usual.url),
        automatic=one("update", "automatic", usual.automatic),
        root_file=one("update", "root_file", usual.root_file),
        host=one("web", "host", usual.host),
        port=one("web", "port", usual.port),
        data_dir=one("", "data_dir", usual.data_dir),
    )


def _source(arguments: Namespace) -> Source:
    from app.update.check import Source

    settings = wanted(places.config_file(arguments))
    if not settings.url:
        raise SettingsError("update.url", "is empty: there are no updates")
    file = Path(settings.root_file) if settings.root_file else EMBEDDED
    try:
        root = file.read_bytes()[:ROOT_LIMIT]
    except OSError:
        hint = "embed the root.json that plimsoll release init made, or name it in update.root_file"
        raise Refused("update.root", f"{file} is not there", hint=hint) from None
    manifest = installed(arguments.home)
    return Source(settings.url, root, manifest.built_s * NS if manifest else 0)


def _driver(arguments: Namespace) -> Driver:
    clock = SystemClock()
    settings = wanted(places.config_file(arguments))
    journal = Path(settings.data_dir) / "state.db"
    host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host.strip("[]")
    world = Systemd(Page(host, settings.port), LOCK, journal, clock)
    teller = Teller(arguments.memory, clock, (SHOWN_TO_SERVICE,))
    return Driver(Places(arguments.home, arguments.memory), world, clock, teller)


def _status(arguments: Namespace) -> int:
    remembered, problem = state.load(arguments.memory, switch.linked(arguments.home))
    told = telling.told(arguments.memory)
    checked = telling.told(arguments.memory / DOWNLOADS)
    board = _firmware(arguments.memory)
    document = {
        "installed": switch.linked(arguments.home),
        "previous": remembered.previous,
        "trial": remembered.trial,
        "bad": list(remembered.bad),
        "problem": problem,
        "firmware": board,
        "update": told,
        "check": checked,
    }
    if arguments.json:
        print(json.dumps(document))
        return 0
    print(f"Installed: {document['installed'] or 'nothing'}")
    for words, value in (
        ("Before it", remembered.previous),
        ("On trial", remembered.trial),
        ("Problem", problem),
    ):
        if value:
            print(f"{words}: {value}")
    for words, value in (
        ("Failed here", ", ".join(remembered.bad)),
        ("Board", board),
        ("Last look", checked.get("words", "")),
    ):
        if value:
            print(f"{words}: {value}")
    print(f"Updater: {told.get('doing') or told.get('words') or 'has done nothing yet'}")
    return 0


def _firmware(memory: Path) -> str:
    """How the board's firmware stands, "" when there is nothing to say."""
    try:
        return renewal.load(memory).words
    except Refused as refusal:
        return str(refusal)


def _check(arguments: Namespace) -> int:
    from app.update import check
    from app.update.fetch import Web

    clock = SystemClock()
    folder = arguments.memory / DOWNLOADS
    remembered, _ = state.load(arguments.memory, switch.linked(arguments.home))
    with locks.alone(folder):
        offer, no = check.look(
            folder, _source(arguments), here(arguments.home), remembered, Web(clock), clock
        )
    words = f"{offer.name} can be installed" if offer else no.words if no else "the newest is installed"
    if arguments.json:
        print(
            json.dumps(
                {"offer": offer.name if offer else "", "refused": no.rule if no else "", "words": words}
            )
        )
    else:
        print(f"{words[0].upper()}{words[1:]}.")
    return 0


def _fetch(arguments: Namespace) -> int:
    from app.update import check

    clock, folder = SystemClock(), arguments.memory / DOWNLOADS
    teller = Teller(folder, clock)
    with locks.alone(folder):
        try:
            source = _source(arguments)
            check.fetch(folder, source, here(arguments.home), arguments.memory, clock, teller)
        except Exception as error:
            teller.decided("fetch", str(error))
            teller.status("", str(error), telling.QUIET)
            raise
    return 0


def _apply(arguments: Namespace) -> int:
    """Fetch as the user without rights, then switch."""
    words = [sys.executable, "-sE", sys.argv[0], "update", "fetch", "--home", str(arguments.home)]
    words += ["--memory", str(arguments.memory), "--config", str(places.config_file(arguments))]
    as_user: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(words, timeout=FETCH_LIMIT_S, check=False, **as_user)
    return done.returncode or _install(arguments)


def _switch(arguments: Namespace) -> int:
    if not wanted(places.config_file(arguments)).automatic:
        return 0
    return _install(arguments)


def _install(arguments: Namespace) -> int:
    from app.update import check

    clock, memory = SystemClock(), arguments.memory
    with locks.alone(memory):
        driver = _driver(arguments)
        found = check.adopt(
            memory / DOWNLOADS, memory / ADOPTED, _source(arguments), here(arguments.home), driver.ota, clock
        )
        if found is None:
            return 0
        offer, file = found
        outcome = driver.apply(offer, file, arguments.now)
        if outcome != WAITS:
            file.unlink()
    return OUTCOMES[outcome]


def _repair(what: str, driver: Driver, told: bool) -> int:
    if what == "recover":
        driver.recover()
        return 0
    if what == "rollback":
        return 0 if driver.back("an operator said so") == WENT_BACK else 1
    if what == "failed":
        return 0 if driver.failed_late() == WENT_BACK else 1  # then the safe page takes over
    driver.recover()
    return OUTCOMES[driver.confirm(told)]
