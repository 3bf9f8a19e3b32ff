"""The owner's password, the sessions it opens, and the brake on guessing. No HTTP here.

One file holds the scrypt hash (`plimsoll passwd` writes it, the service reads it at each login, so that a new
password holds at once and ends every session of the old one). Sessions live in memory only: a restart ends
them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from app import durable
from app.clock import NS, Clock
from app.errors import Later, LoginRefused, RateLimited, Refused

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 5  # 16 MiB and about 0.2 s on a PC, 1-1.5 s on the board
SCRYPT_MEMORY = 64 * 2**20  # bytes OpenSSL may use: 128 * n * r is 16 MiB, with room for its own
SALT_BYTES = 16
PASSWORD_MIN, PASSWORD_MAX = 8, 128  # characters; 15 are advised, no rule on which
FILE_LIMIT = 4096  # bytes of the password file
TOKEN_BYTES = 16  # 128 bits: not guessable
SESSIONS_MAX = 16  # the owner's browsers; the oldest makes room
IDLE_NS = 12 * 3600 * NS  # an open page counts as use; the flatten control must still work in the morning
ABSOLUTE_NS = 7 * 24 * 3600 * NS
WAITING_MAX = 4  # logins waiting for the one hash at a time
SOURCES_MAX = 64  # addresses whose failures are remembered
PASSWORD_FILE = "password"  # in the data folder
FORGIVE_NS = 900 * NS  # after this long without a failure an address starts afresh


class PasswordFile:
    """The stored hash. Blocking; call it from a thread where a loop runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.exists()

    def identity(self) -> tuple[int, int, int]:
        """Changes whenever the password is set anew; zeros without a file."""
        try:
            stat = self.path.stat()
        except OSError:
            return 0, 0, 0
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def write(self, password: str) -> None:
        """Replace the hash durably. Raises Refused for a length out of bounds, OSError for the disk."""
        check_length(password)
        salt = secrets.token_bytes(SALT_BYTES)
        words = {"scheme": "scrypt", "n": SCRYPT_N, "r": SCRYPT_R, "p": SCRYPT_P}
        text = json.dumps({**words, "salt": salt.hex(), "hash": _hash(password, salt).hex()})
        replace_file(self.path, text.encode())

    def verify(self, password: str) -> bool:
        """Whether it is the stored password. Raises LoginRefused when none can be read."""
        try:
            with self.path.open("rb") as file:
                stored = json.loads(file.read(FILE_LIMIT))
            salt, expected = bytes.fromhex(stored["salt"]), bytes.fromhex(stored["hash"])
        except FileNotFoundError:
            raise LoginRefused("login", hint="no password is set, run: plimsoll passwd") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise LoginRefused(
                "login", hint="the password file is unreadable, run: plimsoll passwd"
            ) from None
        return hmac.compare_digest(_hash(password, salt), expected)


def check_length(password: str) -> None:
    """Raises Refused for a password outside the bounds."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise Refused("password.length", len(password), f"{PASSWORD_MIN} to {PASSWORD_MAX} characters")


def _hash(password: str, salt: bytes) -> bytes:
    plain = unicodedata.normalize("NFKC", password).encode()
    return hashlib.scrypt(plain, salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, maxmem=SCRYPT_MEMORY)


def replace_file(path: Path, data: bytes) -> None:
    """For the service's own user alone, also where root sets it: old or new, never half."""
    durable.write(path, data, 0o600, folders_owner=True)


@dataclass(slots=True)
class Session:
    began_ns: int
    used_ns: int


class Sessions:
    """Opaque tokens of logged-in browsers; only their digests are kept. Times are monotonic."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[bytes, Session] = {}

    def begin(self) -> str:
        """A new token; at most SESSIONS_MAX live, the one unused longest makes room."""
        if len(self._open) >= SESSIONS_MAX:
            del self._open[min(self._open, key=lambda digest: self._open[digest].used_ns)]
        token, now = secrets.token_hex(TOKEN_BYTES), self._clock.mono_ns()
        self._open[_digest(token)] = Session(now, now)
        return token

    def use(self, token: str) -> bool:
        """Whether `token` is a live session; using it keeps it from idling out."""
        digest, now = _digest(token), self._clock.mono_ns()
        session = self._open.get(digest)
        if session is None:
            return False
        if now - session.used_ns > IDLE_NS or now - session.began_ns > ABSOLUTE_NS:
            del self._open[digest]
            return False
        session.used_ns = now
        return True

    def end(self, token: str) -> None:
        self._open.pop(_digest(token), None)

    def end_all(self) -> None:
        self._open.clear()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Brake:
    """Failures make the next try wait: `free` at once, then 1, 2, 4 s up to `longest_ns`. No lock-out."""

    def __init__(self, free: int, longest_ns: int) -> None:
        self._free, self._longest_ns = free, longest_ns
        self.failures, self.last_ns = 0, 0

    def wait_ns(self, now_ns: int) -> int:
        """How long from `now_ns` until the next try may be made; 0 = now."""
        if now_ns - self.last_ns > FORGIVE_NS:
            self.failures = 0
        over = self.failures - self._free
        if over < 0:
            return 0
        pause = min(self._longest_ns, NS << min(over, 16))
        return max(0, self.last_ns + pause - now_ns)

    def failed(self, now_ns: int) -> None:
        self.failures, self.last_ns = self.failures + 1, now_ns


class Codes(Protocol):
    """The one-time code of the first set-up, see `claim`."""

    def live(self) -> bool: ...
    def right(self, code: str) -> bool: ...
    def end(self) -> None: ...


class Login:
    """Turns a password into a session: one hash at a time, in a thread, after the brakes were asked."""

    def __init__(self, clock: Clock, file: PasswordFile, codes: Codes | None = None) -> None:
        self._clock, self._file, self._codes = clock, file, codes
        self.sessions = Sessions(clock)
        self._everyone = Brake(free=20, longest_ns=4 * NS)
        self._sources: dict[str, Brake] = {}
        self._one = asyncio.Lock()
        self._waiting = 0
        self._identity = file.identity()

    def required(self) -> bool:
        """Whether a password is set. A new password ends all sessions of the old one."""
        identity = self._file.identity()
        if identity != self._identity:
            self._identity = identity
            self.sessions.end_all()
        return identity != (0, 0, 0)

    async def enter(self, password: Any, source: str) -> str:
        """A session token. Raises RateLimited, or LoginRefused for a wrong password (or none set)."""
        if not isinstance(password, str) or len(password) > PASSWORD_MAX:
            raise LoginRefused("login", hint="a password is a text of at most 128 characters")
        async with self._turn(source):
            right = await asyncio.to_thread(self._file.verify, password)
            return self._opened(source) if right else self._failed(source, "wrong password")

    async def claim(self, code: Any, password: Any, source: str) -> str:
        """A session token for who sets the first password with the one-time code, which is spent by it.

        Raises RateLimited, LoginRefused (a password is set, no code is live, a wrong code), Refused for a
        password of the wrong length, Later for a disk that cannot keep it; the last two spend nothing.
        """
        if not isinstance(code, str) or not isinstance(password, str):
            raise LoginRefused("claim", hint="a code and a password are texts")
        check_length(password)
        async with self._turn(source):
            if self.required():
                raise LoginRefused("claim", hint="a password is set already: log in")
            if self._codes is None or not self._codes.live():
                raise LoginRefused("claim", hint="no code is valid now, run: plimsoll passwd --code")
            if not self._codes.right(code):
                return self._failed(source, "wrong code")
            try:
                await asyncio.to_thread(self._file.write, password)
            except OSError as error:
                raise Later("page", f"the password cannot be written: {error.strerror}") from None
            await asyncio.to_thread(self._codes.end)
            return self._opened(source)

    @asynccontextmanager
    async def _turn(self, source: str) -> AsyncIterator[None]:
        """One try at a time, few waiting, none before its brakes let it. Raises RateLimited."""
        if self._waiting >= WAITING_MAX:
            raise RateLimited("login", NS)
        self._check_brakes(source)
        self._waiting += 1
        try:
            async with self._one:
                self._check_brakes(source)
                yield
        finally:
            self._waiting -= 1

    def _check_brakes(self, source: str) -> None:
        now = self._clock.mono_ns()
        own = self._sources.get(source)
        wait = max(self._everyone.wait_ns(now), own.wait_ns(now) if own else 0)
        if wait:
            raise RateLimited("login", wait)

    def _opened(self, source: str) -> str:
        self._sources.pop(source, None)
        self.required()
        return self.sessions.begin()

    def _failed(self, source: str, what: str) -> str:
        now = self._clock.mono_ns()
        self._everyone.failed(now)
        if source not in self._sources and len(self._sources) >= SOURCES_MAX:
            del self._sources[min(self._sources, key=lambda s: self._sources[s].last_ns)]
        self._sources.setdefault(source, Brake(free=3, longest_ns=60 * NS)).failed(now)
        raise LoginRefused("login", hint=what)
