"""Backups that only the owner's passphrase opens: a file into a sealed one, and back.

Nothing here is cryptography of our own making. OpenSSL does it, in the library that Python itself loads for
TLS: scrypt (RFC 7914) makes keys of the passphrase, ChaCha20-Poly1305 (RFC 8439) hides and authenticates a
file as one message. So it costs no package (`cryptography` is 16 MB, GnuPG is not on every Debian) and no
process with a passphrase in its arguments. `openssl enc` was no choice: it authenticates nothing.

A sealed file is MAGIC, the salt, the ciphertext (as long as the file), the tag. MAGIC, salt and the file's
name are authenticated with it. All files of a backup share a salt that no other backup has, and each has its
own key: a key sees one message, which is why the nonce may be zero. The cost of guessing is fixed by MAGIC
and not read from the file, so that a forged one cannot ask for more memory than there is.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import BinaryIO

from app import durable
from app.config import Secret
from app.errors import Refused, Theirs, Unable

SUFFIX = ".sealed"
MAGIC = b"Plimsoll sealed 1\n"
SALT_BYTES, KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 32, 12, 16
HEADER_BYTES = len(MAGIC) + SALT_BYTES
SCRYPT_N, SCRYPT_R, SCRYPT_P = (
    2**15,
    8,
    3,
)  # 32 MiB; 0.3 s on a PC, some seconds on the board, for each guess too
SCRYPT_MEMORY = 64 * 2**20  # bytes OpenSSL may use: 128 * n * r is 32 MiB, with room for its own
PASSPHRASE_MIN = 12  # characters: who has a copy can guess for years, and no brake slows that
PASSPHRASE_MAX = 1024  # characters; more is a file by mistake
CHUNK = 256 * 1024  # bytes worked on at a time: a journal of years does not fit the board's memory
LIBRARY = "libcrypto.so.3"  # of Debian 12 and 13; their Python needs it too
GET_TAG, SET_TAG = 0x10, 0x11  # EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG of openssl/evp.h


def new_salt() -> bytes:
    """For all files of one backup, and for no other."""
    return os.urandom(SALT_BYTES)


def salt_of(sealed: Path) -> bytes:
    """The salt that `sealed` begins with. Raises Theirs for what is no sealed file, OSError."""
    with sealed.open("rb") as file:
        return _salt(sealed, file.read(HEADER_BYTES))


def keys(passphrase: Secret, salt: bytes, count: int) -> list[bytes]:
    """`count` keys of a passphrase and the salt of one backup; slow and large on purpose.

    Raises Refused for a passphrase whose length is out of bounds.
    """
    plain = unicodedata.normalize("NFKC", passphrase.reveal())
    if not PASSPHRASE_MIN <= len(plain) <= PASSPHRASE_MAX:
        limit = f"{PASSPHRASE_MIN} to {PASSPHRASE_MAX} characters"
        raise Refused("backup.passphrase", f"{len(plain)} characters", limit)
    long = hashlib.scrypt(
        plain.encode(), salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, maxmem=SCRYPT_MEMORY,
        dklen=KEY_BYTES * count,
    )  # fmt: skip
    return [long[at : at + KEY_BYTES] for at in range(0, len(long), KEY_BYTES)]


def seal(source: Path, target: Path, key: bytes, salt: bytes) -> None:
    """Write `source` sealed to the new file `target`, flushed; its name is `target`'s without SUFFIX.

    Raises OSError, Unable (no OpenSSL).
    """
    with (
        closing(_Message(key, _associated(salt, target), sealing=True)) as message,
        source.open("rb") as plain,
        _created(target) as out,
    ):
        out.write(MAGIC + salt)
        for chunk in _chunks(plain, source.stat().st_size):
            out.write(message.update(chunk))
        out.write(message.tag())
        durable.sync(out)


def unseal(sealed: Path, target: Path, key: bytes) -> None:
    """Write what `sealed` holds to the new file `target`, flushed.

    Raises Theirs when the passphrase was another or a byte is not as it was written, and OSError; then
    `target` is as it was.
    """
    with _created(target) as out:
        try:
            for chunk in _opened(sealed, key):
                out.write(chunk)
            durable.sync(out)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


def check(sealed: Path, key: bytes) -> None:
    """Read all of it. Raises as `unseal` does."""
    for _ in _opened(sealed, key):
        pass


def _opened(sealed: Path, key: bytes) -> Iterator[bytes]:
    """What it holds, piece by piece, to be thrown away unless the last piece is followed by a normal end."""
    with sealed.open("rb") as file:
        salt = _salt(sealed, file.read(HEADER_BYTES))
        length = os.fstat(file.fileno()).st_size - HEADER_BYTES - TAG_BYTES
        if length < 0:
            raise Theirs(str(sealed), "ends too early")
        with closing(_Message(key, _associated(salt, sealed), sealing=False)) as message:
            for chunk in _chunks(file, length):
                yield message.update(chunk)
            if not message.verified(file.read(TAG_BYTES)):
                raise Theirs(str(sealed), "does not open: another passphrase, or a damaged file")


def _salt(sealed: Path, header: bytes) -> bytes:
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        raise Theirs(str(sealed), "is no sealed file that this program knows")
    return header[len(MAGIC) :]


def _associated(salt: bytes, sealed: Path) -> bytes:
    return MAGIC + salt + sealed.name.removesuffix(SUFFIX).encode()


def _created(path: Path) -> BinaryIO:
    """A new file for our own user alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _chunks(file: BinaryIO, length: int) -> Iterator[bytes]:
    """The next `length` bytes, or fewer where the file has become shorter."""
    while length > 0 and (chunk := file.read(min(CHUNK, length))):
        length -= len(chunk)
        yield chunk


@cache
def _library() -> ctypes.CDLL:
    """OpenSSL, its functions declared as openssl/evp.h does. Raises Unable where there is none."""
    try:
        found = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise Unable("backup.openssl", error, hint="apt install libssl3") from None
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    length = ctypes.POINTER(number)
    for name, gives, takes in (
        ("EVP_chacha20_poly1305", pointer, ()),
        ("EVP_CIPHER_CTX_new", pointer, ()),
        ("EVP_CIPHER_CTX_free", None, (pointer,)),
        ("EVP_CIPHER_CTX_ctrl", number, (pointer, number, number, pointer)),
        ("EVP_CipherInit_ex", number, (pointer, pointer, pointer, text, text, number)),
        ("EVP_CipherUpdate", number, (pointer, pointer, length, text, number)),
        ("EVP_CipherFinal_ex", number, (pointer, pointer, length)),
    ):
        function = getattr(found, name)
        function.restype, function.argtypes = gives, takes
    return found


class _Message:
    """One message of ChaCha20-Poly1305, its associated data first. `close` frees what OpenSSL holds."""

    def __init__(
        self, key: bytes, associated: bytes, *, sealing: bool, nonce: bytes = bytes(NONCE_BYTES)
    ) -> None:
        self._crypto = _library()
        self._context = self._crypto.EVP_CIPHER_CTX_new()
        self._length = ctypes.c_int()
        self._buffer = ctypes.create_string_buffer(CHUNK)
        cipher = self._crypto.EVP_chacha20_poly1305()
        self._do(self._crypto.EVP_CipherInit_ex(self._context, cipher, None, key, nonce, int(sealing)))
        self._update(None, associated)

    def update(self, data: bytes) -> bytes:
        """The next at most CHUNK bytes, hidden or opened. What was opened is not yet to be trusted."""
        self._update(self._buffer, data)
        return self._buffer.raw[: self._length.value]

    def tag(self) -> bytes:
        """What a reader needs to be sure; ends a sealed message."""
        self._do(self._crypto.EVP_CipherFinal_ex(self._context, self._buffer, self._length))
        tag = ctypes.create_string_buffer(TAG_BYTES)
        self._do(self._crypto.EVP_CIPHER_CTX_ctrl(self._context, GET_TAG, TAG_BYTES, tag))
        return tag.raw

    def verified(self, tag: bytes) -> bool:
        """Whether all of it, associated data too, is what was sealed with this key. Ends the message."""
        if len(tag) != TAG_BYTES:
            return False
        self._do(self._crypto.EVP_CIPHER_CTX_ctrl(self._context, SET_TAG, TAG_BYTES, tag))
        return bool(self._crypto.EVP_CipherFinal_ex(self._context, self._buffer, self._length) == 1)

    def close(self) -> None:
        """Idempotent."""
        self._crypto.EVP_CIPHER_CTX_free(self._context)
        self._context = None

    def _update(self, out: ctypes.Array[ctypes.c_char] | None, data: bytes) -> None:
        assert len(data) <= CHUNK
        self._do(self._crypto.EVP_CipherUpdate(self._context, out, self._length, data, len(data)))

    @staticmethod
    def _do(answer: int) -> None:
        if answer != 1:
            raise Unable("backup.openssl", "refused to work")
