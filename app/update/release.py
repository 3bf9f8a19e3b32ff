"""A repository of signed releases: plain files that any web server, bucket or folder can serve.

    metadata/N.root.json        who may sign what; root itself by two of its three keys
    metadata/N.targets.json     the releases, each with what it is for
    metadata/N.snapshot.json    which targets belong together
    metadata/timestamp.json     the newest snapshot; written last, renewed before it expires
    targets/HASH.NAME           the releases themselves

Runs on a developer's machine, or where a scheduled job renews the timestamp. Nothing of it runs on an
appliance.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from tuf.api.metadata import Key, Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from app import durable
from app.clock import NS, Clock
from app.errors import Unable
from app.update import artifact, keys
from app.update.keys import Secret
from app.update.trust import SIGNED_AT
from app.update.versions import NONE, parse

ROOT_KEYS, ROOT_THRESHOLD = 3, 2  # one may be lost, one may be stolen
ROLES = ("targets", "snapshot", "timestamp")
DAYS = {"root": 3_652, "targets": 365, "snapshot": 90, "timestamp": 60}  # until it expires
FOLDER_TARGETS, FOLDER_METADATA = "targets", "metadata"
FILE_LIMIT = 5_000_000  # bytes of one file of metadata
NUMBERED = re.compile(r"(\d{1,9})\.([a-z]+)\.json")

Signed = TypeVar("Signed", Root, Targets, Snapshot, Timestamp)


class Repository:
    """One repository in `folder`, its keys in `places`; `secret` asks for the passphrase of a key's file."""

    def __init__(self, folder: Path, places: Sequence[Path], secret: Secret, clock: Clock) -> None:
        self._metadata, self._targets = folder / FOLDER_METADATA, folder / FOLDER_TARGETS
        self._places, self._secret, self._clock = list(places), secret, clock

    def init(self) -> Path:
        """Make keys and an empty repository; returns the root to embed. Raises Refused when there is one."""
        if self._metadata.exists():
            raise _refused("release.exists", self._metadata, "it has a repository already")
        self._metadata.mkdir(parents=True)
        self._targets.mkdir(exist_ok=True)
        root = Root(version=1, expires=self._expiry("root"), consistent_snapshot=True)
        roots = [keys.make(self._places[0], "root", self._secret) for _ in range(ROOT_KEYS)]
        for signer in roots:
            root.add_key(signer.public_key, "root")
        root.roles["root"].threshold = ROOT_THRESHOLD
        for role in ROLES:
            root.add_key(keys.make(self._places[0], role, self._secret).public_key, role)
        metadata = Metadata(root)
        for signer in roots:
            metadata.sign(signer, append=True)
        self._write(metadata)
        self._sign(Targets(version=1, expires=self._expiry("targets")))
        self.publish()
        return self._metadata / "1.root.json"

    def sign(self, file: Path, boards: Sequence[str], min_from: str = NONE) -> str:
        """Add a release to the targets; `publish` makes it known. Returns its name.

        Raises Refused, Damaged, ValueError (a version that is none), OSError.
        """
        manifest = artifact.manifest_of(file)
        parse(manifest.version)
        parse(min_from)
        if not (manifest.schema and manifest.schema_oldest):
            raise _refused("release.schema", file, "its manifest does not say which journal it keeps")
        target = TargetFile.from_file(file.name, str(file), ["sha256"])
        target.unrecognized_fields["custom"] = {
            "name": manifest.name,
            "version": manifest.version,
            "arch": manifest.arch,
            "boards": list(boards),
            "pythons": list(manifest.pythons),
            "schema": manifest.schema,
            "schema_oldest": manifest.schema_oldest,
            "min_from": min_from,
            "unpacked": sum(size for _, size in manifest.files.values()),
        }
        kept = self._targets / f"{target.hashes['sha256']}.{file.name}"
        if not kept.exists():
            shutil.copyfile(file, kept)
            durable.flush(kept)
            durable.flush(self._targets)
        targets = self._newest("targets", Targets)
        targets.targets[file.name] = target
        self._renewed(targets)
        return manifest.name

    def withdraw(self, file: str) -> None:
        """Take a release out of the targets; `publish` makes it known."""
        targets = self._newest("targets", Targets)
        if targets.targets.pop(file, None) is None:
            raise _refused("release.unknown", file, "plimsoll release sign adds one")
        self._renewed(targets)

    def publish(self) -> None:
        """Sign snapshot and timestamp anew: makes the targets known, or keeps what is known from expiring."""
        described = {"targets.json": self._described("targets")}
        version = self._version("snapshot") + 1
        self._sign(Snapshot(version=version, expires=self._expiry("snapshot"), meta=described))
        timestamp = Timestamp(
            version=self._version("timestamp") + 1,
            expires=self._expiry("timestamp"),
            snapshot_meta=self._described("snapshot"),
        )
        timestamp.unrecognized_fields[SIGNED_AT] = self._clock.wall_ns() // NS
        self._sign(timestamp)

    def rotate(self, role: str, lost: str = "") -> None:
        """Replace the keys of `role`; for root the one whose id begins with `lost`, or the first.

        The new root is signed by enough of the old keys and of the new ones. Metadata of a rotated role is
        signed anew, so that nothing the old key signed is accepted any more.
        """
        old = self._newest("root", Root)
        before = list(old.roles["root"].keyids)
        fresh: Key = keys.make(self._places[0], role, self._secret).public_key
        gone = [each for each in old.roles[role].keyids if role != "root" or each.startswith(lost)]
        if not gone:
            raise _refused("release.key", lost, "no such key signs the root")
        for keyid in gone[:1] if role == "root" else gone:
            old.revoke_key(keyid, role)
        old.add_key(fresh, role)
        old.version, old.expires = old.version + 1, self._expiry("root")
        self._sign_root(Metadata(old), before)
        if role == "targets":
            self._renewed(self._newest("targets", Targets))
        if role in ROLES:
            self.publish()

    def _sign_root(self, metadata: Metadata[Root], before: Sequence[str]) -> None:
        """By the old keys and the new: a device that knows only the old ones follows."""
        ids = dict.fromkeys((*before, *metadata.signed.roles["root"].keyids))
        signers = list(keys.find(self._places, "root", ids, self._secret))
        have = {signer.public_key.keyid for signer in signers}
        for group in (before, metadata.signed.roles["root"].keyids):
            if len(have.intersection(group)) < ROOT_THRESHOLD:
                raise _refused(
                    "release.threshold", f"{len(have)} root keys here", f"{ROOT_THRESHOLD} are needed"
                )
        for signer in signers:
            metadata.sign(signer, append=True)
        self._write(metadata)

    def _renewed(self, targets: Targets) -> None:
        targets.version, targets.expires = self._version("targets") + 1, self._expiry("targets")
        self._sign(targets)

    def _sign(self, signed: Signed) -> None:
        ids = self._newest("root", Root).roles[signed.type].keyids
        metadata: Metadata[Signed] = Metadata(signed)
        metadata.sign(keys.one(self._places, signed.type, ids, self._secret))
        self._write(metadata)

    def _write(self, metadata: Metadata[Signed]) -> None:
        kind = metadata.signed.type
        name = "timestamp.json" if kind == "timestamp" else f"{metadata.signed.version}.{kind}.json"
        durable.write(self._metadata / name, metadata.to_bytes())

    def _newest(self, role: str, kind: type[Signed]) -> Signed:
        signed = Metadata.from_bytes(durable.read(self._path(role), FILE_LIMIT)).signed
        if not isinstance(signed, kind):
            raise _refused("release.metadata", self._path(role), f"is none of {role}")
        return signed

    def _described(self, role: str) -> MetaFile:
        data = self._path(role).read_bytes()
        return MetaFile.from_data(self._version(role), data, ["sha256"])

    def _path(self, role: str) -> Path:
        if role == "timestamp":
            return self._metadata / "timestamp.json"
        return self._metadata / f"{self._version(role)}.{role}.json"

    def _version(self, role: str) -> int:
        """Of the newest metadata of `role`, 0 = there is none."""
        if role == "timestamp":
            path = self._metadata / "timestamp.json"
            return self._newest("timestamp", Timestamp).version if path.exists() else 0
        names = (NUMBERED.fullmatch(path.name) for path in self._metadata.iterdir())
        return max((int(found[1]) for found in names if found and found[2] == role), default=0)

    def _expiry(self, role: str) -> datetime:
        now = datetime.fromtimestamp(self._clock.wall_ns() // NS, UTC)
        return now + timedelta(days=DAYS[role])


def _refused(rule: str, value: object, hint: str) -> Unable:
    return Unable(rule, value, hint=hint)
