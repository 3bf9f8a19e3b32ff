"""`plimsoll update`: what the updater's units call, and what an owner may ask of it.

It runs from the updater's own copy of a release and reads what it needs of the settings leniently: a file
broken by hand must not take the way back away.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli import places
from app.clock import NS, SystemClock
from app.errors import NOT_YOURS, Refused, SettingsError, Unable
from app.install.edit import literal
from app.update import locks, orders, renewal, state, switch, telling
from app.update.machine import Page, Systemd, here, installed
from app.update.run import COMMITTED, RESTED, RUNS, STRANDED, WAITS, WENT_BACK, Driver, Places
from app.update.telling import Teller

if TYPE_CHECKING:
    from app.update.check import Source
    from app.update.decide import Offer

WHATS = {
    "check": "say what there is to install; downloads nothing",
    "fetch": "download and verify the newest release (what the timer starts, without rights)",
    "apply": "fetch and install the newest release now; waits for no timer",
    "switch": "install what was fetched, where update.automatic says so (what the timer starts, as root)",
    "rollback": "back to the release before",
    "status": "what it does, did, and what is installed",
    "recover": "at boot, before the service: link what shall run",
    "confirm": "at boot, after the service: finish an update that was interrupted",
    "failed": "after the service was given up: back to the release before, soon after an update",
}
MEMORY = Path("/var/lib/plimsoll-update")
DOWNLOADS, ADOPTED = "downloads", "adopted"  # of who may only download, and of who may switch
LOCK = Path("/run/plimsoll/update.lock")  # the service makes it
OWN = Path(__file__).resolve().parents[2]  # the updater's copy of a release, or whatever this runs from
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
FETCHING, SWITCHING = "plimsoll-update.service", "plimsoll-switch.service"
FETCH_LIMIT_S = 4_000  # a download has an hour
BUSY_LIMIT_S = 60  # for another updater to end, such as one that confirms
OUTCOMES = {
    COMMITTED: 0,
    RESTED: 0,
    RUNS: 0,
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
        "apply": _order,
        "rollback": _order,
        "switch": _switch,
    }
    with locks.used(OWN):
        return called.get(arguments.what, _repair)(arguments)


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

    config = places.config_file(arguments)
    settings = wanted(config)
    if not settings.url and config.exists() and not os.access(config, os.R_OK):
        raise SettingsError("--config", f"{config}: {NOT_YOURS}")
    if not settings.url:
        raise SettingsError("update.url", "is empty: there are no updates")
    file = Path(settings.root_file) if settings.root_file else EMBEDDED
    try:
        root = file.read_bytes()[:ROOT_LIMIT]
    except OSError:
        hint = "embed the root.json that plimsoll release init made, or name it in update.root_file"
        raise Unable("update.root", f"{file} is not there", hint=hint) from None
    manifest = installed(arguments.home)
    return Source(settings.url, root, manifest.built_s * NS if manifest else 0)


def _driver(arguments: Namespace) -> Driver:
    clock = SystemClock()
    settings = wanted(places.config_file(arguments))
    journal = Path(settings.data_dir) / "state.db"
    host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host.strip("[]")
    world = Systemd(Page(host, settings.port), LOCK, journal, clock)
    teller = Teller(arguments.memory, clock)
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


def _as_owner(arguments: Namespace) -> int | None:
    """Root leaves what has the network to the owner of the downloads: what root made there he could not
    replace, and a link of his could lead root anywhere. The exit code; None where that is us. He may not
    read the settings, and is told no more of them than he needs.
    """
    folder = arguments.memory / DOWNLOADS
    owner = folder.stat().st_uid
    if not (_is_root() and owner):
        return None
    words = [sys.executable, "-sE", sys.argv[0], "update", arguments.what, *(["--json"] * arguments.json)]
    words += ["--home", str(arguments.home), "--memory", str(arguments.memory)]
    group = folder.stat().st_gid
    rights: dict[str, Any] = {"user": owner, "group": group, "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="plimsoll-") as inside:
        told = Path(inside) / "plimsoll.toml"
        told.write_text(_excerpt(wanted(places.config_file(arguments))), encoding="utf-8")
        for path in (told, Path(inside)):
            os.chown(path, owner, group)
        words += ["--config", str(told)]
        return subprocess.run(words, timeout=FETCH_LIMIT_S, check=False, **rights).returncode


def _excerpt(settings: Wanted) -> str:
    """What the downloader needs of the settings, as TOML."""
    url, root_file = literal(settings.url), literal(settings.root_file)
    return f"[update]\nurl = {url}\nroot_file = {root_file}\n"


def _check(arguments: Namespace) -> int:
    done = _as_owner(arguments)
    if done is not None:
        return done
    from app.update import check
    from app.update.fetch import Web

    clock, folder = SystemClock(), arguments.memory / DOWNLOADS
    remembered, _ = state.load(arguments.memory, switch.linked(arguments.home))
    with locks.alone(folder):
        source, machine = _source(arguments), here(arguments.home)
        offer, no = check.look(folder, source, machine, remembered, Web(clock), clock)
    said = f"{offer.name} can be installed" if offer else no.words if no else "the newest is installed"
    if arguments.json:
        found = {"offer": offer.name if offer else "", "refused": no.rule if no else "", "words": said}
        print(json.dumps(found))
    else:
        print(f"{said[0].upper()}{said[1:]}.")
    return 0


def _fetch(arguments: Namespace) -> int:
    done = _as_owner(arguments)
    if done is not None:
        return done
    from app.update import check

    clock, folder = SystemClock(), arguments.memory / DOWNLOADS
    teller = Teller(folder, clock)
    with locks.alone(folder), _told(teller, "fetch", telling.QUIET):
        source = _source(arguments)
        check.fetch(folder, source, here(arguments.home), arguments.memory, clock, teller)
    return 0


@contextmanager
def _told(teller: Teller, what: str, light: str) -> Iterator[None]:
    """What ends it is said where page and command line look, too."""
    try:
        yield
    except Exception as error:
        rule = getattr(error, "rule", "") or type(error).__name__
        teller.decided(what, str(error), rule=rule)
        teller.status("", str(error), light, rule=rule)
        raise


def _order(arguments: Namespace) -> int:
    """The unit does it: a terminal that closes must not leave the service between two releases."""
    if not _is_root():
        raise Unable("update.rights", "only root may", hint=f"sudo plimsoll update {arguments.what}")
    memory, clock = arguments.memory, SystemClock()
    began_ns = clock.wall_ns()
    orders.leave(memory, orders.Order(arguments.what, arguments.now), clock)
    try:
        fetched = arguments.what == orders.ROLLBACK or _start(FETCHING)
        done = fetched and _start(SWITCHING)
    finally:
        orders.take(memory, clock)
    told = telling.told(memory if fetched else memory / DOWNLOADS)
    if told.get("at_ns", 0) < began_ns:
        told = telling.told(memory / DOWNLOADS)
    print(f"{told.get('words') or 'it said nothing; see journalctl -u plimsoll-switch'}.")
    return (
        _ended(told.get("outcome", RESTED), WENT_BACK if arguments.what == "rollback" else "") if done else 1
    )


def _is_root() -> bool:
    return os.geteuid() == 0


def _start(unit: str) -> bool:
    """Start it and wait until it is over; False when it failed."""
    return not subprocess.run(("systemctl", "start", unit), check=False, timeout=FETCH_LIMIT_S).returncode


def _switch(arguments: Namespace) -> int:
    from app.update import check

    order = orders.take(arguments.memory, SystemClock())
    if order is None and not wanted(places.config_file(arguments)).automatic:
        return 0
    order = order or orders.Order(orders.APPLY)
    with locks.alone(arguments.memory, BUSY_LIMIT_S):
        driver = _driver(arguments)
        with _told(driver.teller, "switch", telling.FAILED):
            if order.what == orders.ROLLBACK:
                return _ended(driver.roll_back(order.now), wanted=WENT_BACK)
            memory, source, machine = arguments.memory, _source(arguments), here(arguments.home)
            folders = memory / DOWNLOADS, memory / ADOPTED
            found = check.adopt(*folders, source, machine, driver.ota, SystemClock())
            return _install(driver, *found, order.now) if found else 0


def _install(driver: Driver, offer: Offer, file: Path, now: bool) -> int:
    outcome = driver.apply(offer, file, now)
    if outcome != WAITS:
        file.unlink()
    return _ended(outcome)


def _ended(outcome: str, wanted: str = "") -> int:
    """The exit code; what was `wanted` is no failure."""
    return 0 if outcome == wanted else OUTCOMES.get(outcome, 1)


def _repair(arguments: Namespace) -> int:
    """What the units of boot and failure call."""
    with locks.alone(arguments.memory, BUSY_LIMIT_S):
        driver = _driver(arguments)
        if arguments.what == "failed":
            return 0 if driver.failed_late() in (WENT_BACK, RUNS) else 1  # then the safe page takes over
        if arguments.what == "recover":
            driver.recover()
            return 0
        driver.resume()
        return OUTCOMES[driver.confirm(arguments.now)]
