"""The one-time code by which a fresh appliance takes its first password from the page. No HTTP here.

`plimsoll passwd --code` (the installer runs it) makes the code and shows it once; the file keeps its hash
alone. It ends with its use, or ten minutes after the first start of the service that asks for it. Those ten
minutes are counted on the monotonic clock, and across a restart on both clocks: a reboot, or a clock that was
set, ends the code early rather than late. A code whose time is over leaves a mark until a new one is made or
a password is set: an appliance that nobody claimed yet trades on after a power cut.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.clock import NS, Clock
from app.errors import clean
from app.web.login import replace_file

CODE_FILE = "setup-code"  # in the data folder
CODE_BYTES = 10  # 80 bits: guessing is hopeless even without a brake
GROUP = 4  # characters between dashes: 4 groups are read from a screen without losing the place
LIFE_NS = 600 * NS  # ten minutes from the first start that asks for it
FILE_LIMIT = 512  # bytes
OVER = {"over": True}  # what the file says once the time is over; a clock that is set later wakes no code


class SetupCode:
    """The code of one data folder. Its calls touch the disk: run them in a thread where a loop runs."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._hash, self._ends_ns = "", 0  # of the code that this process asks for, monotonic

    def make(self) -> str:
        """A new code, for showing once: "ABCD-EFGH-IJKL-MNOP". Replaces an older one. Raises OSError."""
        code = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode()
        replace_file(self._path, json.dumps({"hash": _hash(code)}).encode())
        return "-".join(code[at : at + GROUP] for at in range(0, len(code), GROUP))

    def begin(self) -> None:
        """The service starts: from now on the code runs, unless its time is over already. Raises OSError."""
        told = self._read()
        now, wall = self._clock.mono_ns(), self._clock.wall_ns()
        left_ns = _left_ns(told, now, wall)
        if left_ns <= 0:
            self._over(told)
            return
        if "begun" not in told:
            replace_file(self._path, json.dumps({**told, "begun": now, "begun_wall": wall}).encode())
        self._hash, self._ends_ns = told["hash"], now + left_ns

    def unused(self) -> bool:
        """Whether one was made and no password set since, also where its time is over. Looks at the file."""
        return bool(self._read())

    def waits(self) -> bool:
        """Whether a code would be taken after `begin`. Looks at the file."""
        return _left_ns(self._read(), self._clock.mono_ns(), self._clock.wall_ns()) > 0

    def live(self) -> bool:
        """Whether a code would be taken now."""
        return bool(self._hash) and self._clock.mono_ns() < self._ends_ns

    def right(self, code: str) -> bool:
        """Whether `code` is the one, however it is written (small letters, no dashes)."""
        said = "".join(c for c in clean(code, 64).upper() if c.isalnum())
        return self.live() and hmac.compare_digest(_hash(said), self._hash)

    def end(self) -> None:
        """The code is spent. A disk that cannot forget it is no reason to take it again in this process."""
        self._hash, self._ends_ns = "", 0
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _over(self, told: dict[str, Any]) -> None:
        """Its time is over; what makes no sense is no code at all. Raises OSError."""
        if not told:
            self.end()
            return
        self._hash, self._ends_ns = "", 0
        if told != OVER:
            replace_file(self._path, json.dumps(OVER).encode())

    def _read(self) -> dict[str, Any]:
        """What the file says, {} for none and for one that makes no sense."""
        try:
            with self._path.open("rb") as file:
                told = json.loads(file.read(FILE_LIMIT))
        except (OSError, ValueError):
            return {}
        if told == OVER and told["over"] is True:
            return OVER
        sound = isinstance(told, dict) and isinstance(told.get("hash"), str)
        times = sound and all(isinstance(told.get(key, 0), int) for key in ("begun", "begun_wall"))
        return told if times and ("begun" in told) == ("begun_wall" in told) else {}


def _left_ns(told: dict[str, Any], mono_ns: int, wall_ns: int) -> int:
    """How long the code in the file still lasts: the shorter by either clock, nothing when one ran back."""
    if "hash" not in told:
        return 0
    if "begun" not in told:
        return LIFE_NS
    spent = (mono_ns - told["begun"], wall_ns - told["begun_wall"])
    return LIFE_NS - max(spent) if min(spent) >= 0 else 0


def _hash(code: str) -> str:
    """Of 80 random bits: nothing slower is needed to keep it."""
    return hashlib.sha256(code.encode()).hexdigest()
