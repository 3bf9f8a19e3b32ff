"""Keys that sign releases: made, encrypted and read on a developer's machine, never on an appliance.

A key is a PKCS#8 file `<role>-<begin of its id>.pem`, encrypted with a passphrase. Needs `cryptography`,
which the appliance does not have.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from app import durable
from app.errors import Unable

FILE_LIMIT = 10_000  # bytes; a key has some 300
ID_SHOWN = 16  # characters of a key's id in its file's name
PASSPHRASE_LEAST = 8  # bytes; the file may be on a stick that gets lost

Secret = Callable[[str], bytes]  # the passphrase for a file's name


def make(folder: Path, role: str, secret: Secret) -> CryptoSigner:
    """A new Ed25519 key for `role` in `folder`. Raises Refused (a passphrase too short), OSError."""
    private = Ed25519PrivateKey.generate()
    signer = CryptoSigner(private)
    name = _name(role, signer.public_key.keyid)
    passphrase = secret(name)
    if len(passphrase) < PASSPHRASE_LEAST:
        raise _refused("release.passphrase", "too short", f"{PASSPHRASE_LEAST} characters")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    durable.write(folder / name, pem, mode=0o600)
    return signer


def find(folders: Iterable[Path], role: str, ids: Iterable[str], secret: Secret) -> Iterator[CryptoSigner]:
    """The keys of `role` that lie in `folders`, opened. Raises Refused for a wrong passphrase or file."""
    places = list(folders)
    for keyid in ids:
        name = _name(role, keyid)
        path = next((folder / name for folder in places if (folder / name).exists()), None)
        if path is not None:
            signer = _open(path, secret(name))
            if signer.public_key.keyid != keyid:
                raise _refused("release.key", path, "", "holds another key than its name says")
            yield signer


def one(folders: Iterable[Path], role: str, ids: Iterable[str], secret: Secret) -> CryptoSigner:
    """The first of `find`. Raises Refused when there is none."""
    found = next(find(folders, role, ids, secret), None)
    if found is None:
        raise _refused("release.key", f"no key of {role} here", "", "name its folder with --keys")
    return found


def _open(path: Path, passphrase: bytes) -> CryptoSigner:
    try:
        private = load_pem_private_key(durable.read(path, FILE_LIMIT), passphrase)
    except (ValueError, TypeError):
        raise _refused("release.key", path, "", "wrong passphrase, or not a key") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise _refused("release.key", path, "", "is no Ed25519 key")
    return CryptoSigner(private)


def _name(role: str, keyid: str) -> str:
    return f"{role}-{keyid[:ID_SHOWN]}.pem"


def _refused(rule: str, value: object, limit: object = "", hint: str = "") -> Unable:
    return Unable(rule, os.fspath(value) if isinstance(value, Path) else value, limit, hint)
