"""A sealed file opens with its passphrase, whole, or not at all."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from app.config import Secret
from app.errors import Refused, Theirs, Unable
from app.store import sealing
from app.store.sealing import (
    CHUNK,
    HEADER_BYTES,
    KEY_BYTES,
    MAGIC,
    NONCE_BYTES,
    PASSPHRASE_MAX,
    PASSPHRASE_MIN,
    TAG_BYTES,
    _Message,
    check,
    keys,
    new_salt,
    salt_of,
    seal,
    unseal,
)

SALT = bytes(range(32))
KEY = bytes(reversed(range(KEY_BYTES)))
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7)

# RFC 8439, section 2.8.2.
RFC_KEY = bytes(range(0x80, 0xA0))
RFC_NONCE = bytes.fromhex("070000004041424344454647")
RFC_ASSOCIATED = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
RFC_TEXT = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    b"sunscreen would be it."
)
RFC_TAG = bytes.fromhex("1ae10b594f09e26a7e902ecbd0600691")


def sealed_file(folder: Path, content: bytes, name: str = "state.db.sealed") -> Path:
    plain = folder / "plain"
    plain.write_bytes(content)
    seal(plain, folder / name, KEY, SALT)
    return folder / name


@pytest.mark.parametrize("size", SIZES)
def test_gives_back_every_byte(tmp_path: Path, size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    sealed = sealed_file(tmp_path, content)
    assert sealed.stat().st_size == HEADER_BYTES + size + TAG_BYTES
    assert salt_of(sealed) == SALT
    check(sealed, KEY)
    unseal(sealed, tmp_path / "opened", KEY)
    assert (tmp_path / "opened").read_bytes() == content
    assert {path.stat().st_mode & 0o077 for path in (sealed, tmp_path / "opened")} == {0}


def test_makes_the_published_vector() -> None:
    with closing(_Message(RFC_KEY, RFC_ASSOCIATED, sealing=True, nonce=RFC_NONCE)) as message:
        assert message.update(RFC_TEXT).startswith(bytes.fromhex("d31a8d34648e60db7b86afbc53ef7ec2"))
        assert message.tag() == RFC_TAG


@pytest.mark.parametrize("size", SIZES)
def test_another_implementation_opens_it(tmp_path: Path, size: int) -> None:
    content = bytes(size)
    raw = sealed_file(tmp_path, content).read_bytes()
    associated = MAGIC + SALT + b"state.db"
    opened = ChaCha20Poly1305(KEY).decrypt(bytes(NONCE_BYTES), raw[HEADER_BYTES:], associated)
    assert opened == content


def test_refuses_every_flipped_byte_and_every_length_but_its_own(tmp_path: Path) -> None:
    sealed, opened = sealed_file(tmp_path, b"twenty bytes of text"), tmp_path / "opened"
    whole = sealed.read_bytes()
    damaged = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    damaged += [whole[:at] for at in range(len(whole))]
    damaged += [whole + b"\0", whole + whole, b""]
    for content in damaged:
        sealed.write_bytes(content)
        with pytest.raises(Theirs):
            unseal(sealed, opened, KEY)
        assert not opened.exists()


def test_refuses_another_key_and_another_name(tmp_path: Path) -> None:
    sealed = sealed_file(tmp_path, b"content")
    with pytest.raises(Theirs, match="does not open: another passphrase, or a damaged file"):
        unseal(sealed, tmp_path / "opened", bytes(KEY_BYTES))
    with pytest.raises(Theirs, match="does not open"):
        unseal(sealed.rename(tmp_path / "market.db.sealed"), tmp_path / "opened", KEY)
    assert not (tmp_path / "opened").exists()


def test_never_writes_over_a_file(tmp_path: Path) -> None:
    sealed = sealed_file(tmp_path, b"content")
    before = sealed.read_bytes()
    with pytest.raises(FileExistsError):
        seal(tmp_path / "plain", sealed, KEY, SALT)
    with pytest.raises(FileExistsError):
        unseal(sealed, tmp_path / "plain", bytes(KEY_BYTES))
    assert sealed.read_bytes() == before and (tmp_path / "plain").read_bytes() == b"content"


def test_makes_other_keys_of_another_passphrase_salt_and_file() -> None:
    passphrase = Secret("correct horse battery")
    first = keys(passphrase, SALT, 2)
    assert first == keys(passphrase, SALT, 2) and len(set(first)) == 2
    others = keys(Secret("correct horse batterz"), SALT, 2) + keys(passphrase, new_salt(), 2)
    assert len({*first, *others}) == 6
    assert {len(key) for key in first} == {KEY_BYTES}


def test_takes_a_passphrase_however_its_letters_are_composed() -> None:
    assert keys(Secret("na\u00efve passphrase"), SALT, 1) == keys(Secret("nai\u0308ve passphrase"), SALT, 1)


@pytest.mark.parametrize("length", [PASSPHRASE_MIN - 1, PASSPHRASE_MAX + 1])
def test_refuses_a_passphrase_out_of_bounds(length: int) -> None:
    with pytest.raises(Refused, match=r"backup\.passphrase: \d+ characters"):
        keys(Secret("x" * length), SALT, 1)


def test_salts_are_never_the_same() -> None:
    assert len({new_salt() for _ in range(100)}) == 100


def test_says_what_is_missing_without_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "LIBRARY", "libnone.so.3")
    sealing._library.cache_clear()
    try:
        with pytest.raises(Unable, match=r"backup\.openssl.*apt install libssl3"):
            _Message(KEY, b"", sealing=True)
    finally:
        sealing._library.cache_clear()
