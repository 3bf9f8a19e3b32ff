"""Which releases are authentic and newest: The Update Framework's client, with what it leaves to us.

Left to us: a clock that can be believed, metadata flushed to the disk, and what a refusal means. The root
that everything rests on comes with the installed release; roots signed by it may follow.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tuf.api.exceptions import (
    DownloadError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, TargetFile, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from app import durable
from app.clock import NS, Clock
from app.errors import Theirs, Unable, Unreachable, clean
from app.update.decide import Offer
from app.update.versions import parse

METADATA = "metadata"
CLOCK = "clock.json"
CLOCK_LIMIT = 1_000  # bytes
SIGNED_AT = "x-plimsoll-signed-at"  # in the timestamp: seconds of UTC
OFFERS_MAX = 10_000  # releases of one repository that are looked at; its list of 1 MB has room for fewer
STALE = "update.stale"
LIMITS = UpdaterConfig(
    max_root_rotations=64,  # keys a device that was off for long catches up on
    max_delegations=1,  # there are none
    root_max_length=65_536,
    timestamp_max_length=16_384,
    snapshot_max_length=65_536,
    targets_max_length=1_000_000,
)


class Trust:
    """What is trusted, kept in `folder`. One object is one look at the repository."""

    def __init__(
        self, folder: Path, root: bytes, url: str, fetcher: FetcherInterface, clock: Clock, built_ns: int
    ) -> None:
        self._folder, self._metadata = folder, folder / METADATA
        self._root, self._url, self._fetcher, self._clock = root, url.rstrip("/"), fetcher, clock
        self._built_ns = built_ns

    def offers(self) -> list[Offer]:
        """All releases that are offered.

        Raises Refused (`update.clock`, `update.stale`: keep what runs), Theirs (not authentic, older than
        what was seen, or no metadata of ours), Unreachable, OSError.
        """
        self._check_clock()
        self._metadata.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            updater = Updater(
                str(self._metadata),
                f"{self._url}/metadata/",
                fetcher=self._fetcher,
                config=LIMITS,
                bootstrap=self._root,
            )
            updater.refresh()
            listed = _listed(self._metadata)
            offers = [offer(updater.get_targetinfo(path)) for path in listed]
        except ExpiredMetadataError as error:
            words = f"update info stale: {error}"
            raise Unable(STALE, words, hint="the repository was not renewed in time") from None
        except DownloadLengthMismatchError as error:
            raise Theirs("update server", error) from None
        except DownloadError as error:
            raise Unreachable("update server", clean(error)) from None
        except RepositoryError as error:
            raise Theirs("update server", f"{type(error).__name__}: {error}") from None
        finally:
            self._flush()
        self._raise_floor()
        return [each for each in offers if each is not None]

    def floor_ns(self) -> int:
        """No honest clock shows less: the newest of build, signature, and the last time that was right."""
        try:
            kept = json.loads(durable.read(self._folder / CLOCK, CLOCK_LIMIT))["floor_ns"]
        except (OSError, ValueError, KeyError, TypeError):
            kept = 0
        return max(self._built_ns, kept if type(kept) is int else 0)

    def _check_clock(self) -> None:
        now_ns, floor_ns = self._clock.wall_ns(), self.floor_ns()
        if now_ns < floor_ns:
            shown = [datetime.fromtimestamp(each // NS, UTC).isoformat() for each in (now_ns, floor_ns)]
            raise Unable("update.clock", f"it says {shown[0]}, which is before {shown[1]}")

    def _raise_floor(self) -> None:
        """The metadata was accepted, so the clock is not past its expiry, nor before its signature."""
        signed = Metadata[Timestamp].from_file(str(self._metadata / "timestamp.json")).signed
        at_s = signed.unrecognized_fields.get(SIGNED_AT, 0)
        signed_ns = at_s * NS if type(at_s) is int else 0
        expires_ns = int(signed.expires.timestamp()) * NS
        shown_ns = max(signed_ns, self._clock.wall_ns())
        document = {"floor_ns": max(self.floor_ns(), min(shown_ns, expires_ns))}
        durable.write(self._folder / CLOCK, json.dumps(document).encode())

    def _flush(self) -> None:
        """The client renames and leaves flushing to the kernel; losing this would lose what was seen."""
        for path in sorted(self._metadata.rglob("*")):
            if not path.is_symlink():
                durable.flush(path)
        durable.flush(self._metadata)
        durable.flush(self._folder)


def _listed(metadata: Path) -> list[str]:
    """The paths in the targets that the client has just verified and kept."""
    targets = Metadata[Targets].from_file(str(metadata / "targets.json")).signed.targets
    return sorted(targets)[:OFFERS_MAX]


def offer(info: TargetFile | None) -> Offer | None:
    """What signed metadata says of a release; None for anything that is not one of ours."""
    if info is None:
        return None
    custom: Any = info.custom or {}
    try:
        made = Offer(
            target=info.path,
            name=str(custom["name"]),
            version=str(custom["version"]),
            arch=str(custom["arch"]),
            boards=tuple(str(each) for each in custom["boards"]),
            pythons=tuple(str(each) for each in custom["pythons"]),
            schema=int(custom["schema"]),
            schema_oldest=int(custom["schema_oldest"]),
            min_from=str(custom["min_from"]),
            length=info.length,
            unpacked=int(custom["unpacked"]),
            sha256=info.hashes["sha256"],
        )
        parse(made.version)
        parse(made.min_from)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    plain = made.name.partition("-")[0] == made.version and "/" not in made.name and made.unpacked >= 0
    return made if plain and len(made.sha256) == 64 and made.sha256.isalnum() else None
