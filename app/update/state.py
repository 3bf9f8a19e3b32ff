"""What the updater remembers over power cuts: `ota.json`, one small file, replaced whole.

A missing file is a first start. What another version added is left aside, and what it did not know has its
usual value: an updater that came back must know which release failed. A damaged file, or one of another
format, is not guessed at: the release that is linked now is taken as the good one, nothing is on trial, and
the problem is told. What is decided from it is in `decide`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from app import durable
from app.errors import clean
from app.update.versions import NONE, parse, version_of

FILE = "ota.json"
FORMAT = 1
FILE_LIMIT = 65_536  # bytes; it has some 600
NEEDED = frozenset({"good", "trial", "bad", "floor"})  # of every version
BAD_KEPT = 32  # releases remembered as failed; older ones are below the floor by then
WINDOW_S = 24 * 3_600  # seconds of uptime after a commit in which a start limit means the new release


@dataclass(frozen=True, slots=True)
class Ota:
    """Releases are named by their folder. `window_s` is uptime left in which a late failure leads back;
    `boot` and `mark_s` say up to which second of which boot it was charged.
    """

    good: str = ""  # passed its health check last; "" = nothing known
    previous: str = ""  # was good before it, kept as the way back
    trial: str = ""  # linked or about to be, not committed yet
    tries: int = 0  # starts of the trial so far
    back: bool = False  # the trial failed: the way back was decided and may be under way
    floor: str = NONE  # no version below it is installed any more; raised at a commit only
    bad: tuple[str, ...] = ()
    step: str = ""  # the last step begun, for people
    window_s: int = 0
    boot: str = ""
    mark_s: int = 0

    def failed(self, release: str) -> Ota:
        """With `release` remembered as bad, the newest last."""
        return replace(self, bad=(*(name for name in self.bad if name != release), release)[-BAD_KEPT:])

    def charged(self, boot: str, mono_s: int) -> Ota:
        """With the uptime since the last charge taken off the window. Uptime between the last charge and a
        power cut is not known and not counted: the window is then longer, never shorter.
        """
        spent = mono_s - self.mark_s if boot == self.boot else mono_s
        return replace(self, window_s=max(0, self.window_s - max(0, spent)), boot=boot, mark_s=mono_s)


def load(folder: Path, linked: str) -> tuple[Ota, str]:
    """What is remembered in `folder`, and what is wrong with it ("" = nothing). `linked` is the release that
    is linked now.
    """
    fresh = Ota(good=linked, floor=version_of(linked))
    try:
        return _parse(durable.read(folder / FILE, FILE_LIMIT)), ""
    except FileNotFoundError:
        return fresh, ""
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        return fresh, f"{FILE} is unusable ({clean(error)}); {linked or 'nothing'} is taken as good"


def save(folder: Path, ota: Ota) -> None:
    """Make it durable. Raises OSError; then what was remembered before still is."""
    document = {"format": FORMAT, **asdict(ota)}
    durable.write(folder / FILE, json.dumps(document, indent=1).encode() + b"\n")


def _parse(data: bytes) -> Ota:
    document = json.loads(data)
    if not isinstance(document, dict) or document.pop("format") != FORMAT:
        raise ValueError("a format of another version")
    known = [each.name for each in fields(Ota)]
    told = {key: value for key, value in document.items() if key in known}
    if not told.keys() >= NEEDED:
        raise ValueError("keys are missing")
    ota = Ota(**{**told, "bad": tuple(told["bad"])})
    for name in known:
        value = getattr(ota, name)
        if type(value) is not type(getattr(Ota(), name)):
            raise ValueError(f"{name} is of the wrong kind")
    if not all(map(_is_name, (*ota.bad, ota.good, ota.previous, ota.trial))) or ota.tries < 0:
        raise ValueError("a release that is none")
    parse(ota.floor)
    return ota


def _is_name(name: object) -> bool:
    """A folder's plain name: what is read here is joined to a path."""
    return isinstance(name, str) and not set(name) & set("/\0") and name not in (".", "..")
