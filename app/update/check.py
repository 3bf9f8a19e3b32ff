"""The part of an update that needs the network and no rights: look, judge, download, verify.

It runs as a user of its own. What it leaves, kept metadata and a file named by its hash, is believed by
nobody: `adopt` checks every signature and byte again for whoever may switch.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from app import durable
from app.clock import Clock
from app.errors import Theirs, Unable
from app.update import state
from app.update.decide import WORDS, Here, No, Offer, Step, choose
from app.update.fetch import PART, Kept, Web, discard, is_file
from app.update.state import Ota
from app.update.telling import QUIET, WORKING, Teller
from app.update.trust import METADATA, Trust

FILES = "files"
TRUST = "trust"


@dataclass(frozen=True, slots=True)
class Source:
    """Where releases come from and what is trusted. `built_ns` is when the running release was built."""

    url: str
    root: bytes
    built_ns: int


def look(
    folder: Path, source: Source, here: Here, ota: Ota, web: Web, clock: Clock
) -> tuple[Offer | None, No | None]:
    """Steps 1 and 2: the release to install, or why none. Raises what `Trust.offers` raises."""
    offers = Trust(folder / TRUST, source.root, source.url, web, clock, source.built_ns).offers()
    free = shutil.disk_usage(folder).free
    return choose(offers, replace(here, free=free), ota)


def fetch(
    folder: Path, source: Source, here: Here, memory: Path, clock: Clock, teller: Teller
) -> Path | None:
    """Steps 1 to 4: the verified file of the release to install, None when there is none.

    Raises what `look` and `Web.download` raise; the running release is not touched by any of it.
    """
    web = Web(clock)
    ota, _ = state.load(memory, here.current)
    teller.status(WORDS[Step.CHECK], WORDS[Step.CHECK], WORKING, step=int(Step.CHECK))
    found, no = look(folder, source, here, ota, web, clock)
    if found is None:
        _keep_only(folder, "")
        words = f"refused: {no.words}" if no else f"{here.current} is the newest"
        teller.decided(Step.REFUSE.name.lower(), words, rule=no.rule if no else "")
        teller.status("", words, QUIET, rule=no.rule if no else "")
        return None
    _keep_only(folder, found.sha256)
    words = WORDS[Step.DOWNLOAD].format(found.name)
    teller.decided(Step.DOWNLOAD.name.lower(), words)
    teller.status(words, words, WORKING, step=int(Step.DOWNLOAD))
    file = download(folder, source, found, web)
    teller.decided(Step.VERIFY.name.lower(), f"{found.name} is what was signed")
    teller.status("", f"{found.name} is ready to install", QUIET)
    return file


def download(folder: Path, source: Source, offer: Offer, web: Web) -> Path:
    """Steps 3 and 4. A part that went bad is thrown away and the whole fetched once more."""
    file = folder / FILES / offer.sha256
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if is_file(file, offer.length, offer.sha256):
        return file
    part = file.with_suffix(PART)
    for _ in range(2 if part.exists() else 1):
        web.download(address(source, offer), part, offer.length)
        if is_file(part, offer.length, offer.sha256):
            part.replace(file)
            discard(part)
            durable.flush(file.parent)
            return file
        discard(part)
    raise Theirs("update server", f"{offer.target} is not what was signed")


def address(source: Source, offer: Offer) -> str:
    """Consistent snapshots: the file's name begins with its hash, so a name never changes its bytes."""
    folder, _, name = offer.target.rpartition("/")
    return f"{source.url.rstrip('/')}/targets/{folder and folder + '/'}{offer.sha256}.{name}"


def _keep_only(folder: Path, sha256: str) -> None:
    """Downloads of releases that are not wanted any more give their space back."""
    for path in (folder / FILES).glob("*"):
        if path.name.partition(".")[0] != sha256:
            path.unlink()


def adopt(
    folder: Path, own: Path, source: Source, here: Here, ota: Ota, clock: Clock
) -> tuple[Offer, Path] | None:
    """For who may switch: the release that was downloaded into `folder`, checked anew from the root on, and
    copied into `own`, where nobody else can change it. None when there is none to install.

    Raises what `Trust.offers` raises, Theirs when the file is not what was signed.
    """
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = Kept(folder / TRUST / METADATA)
    offers = Trust(own / TRUST, source.root, source.url, kept, clock, source.built_ns).offers()
    found, _ = choose(offers, replace(here, free=shutil.disk_usage(own).free), ota)
    if found is None:
        return None
    target = own / found.name
    for path in own.iterdir():
        if path.is_file() and path != target:
            path.unlink()  # of a release that is not wanted any more
    if not is_file(target, found.length, found.sha256):
        _copy(folder / FILES / found.sha256, target, found.length)
    if not is_file(target, found.length, found.sha256):
        target.unlink()
        raise Theirs("download", f"{found.target} is not what was signed")
    return found, target


def _copy(source: Path, target: Path, length: int) -> None:
    if not source.exists():
        raise Unable("update.download", "it is not there yet", hint="plimsoll update fetch")
    with target.open("wb") as file:
        for chunk in durable.chunks(source, length + 1):
            file.write(chunk)
        durable.sync(file)
