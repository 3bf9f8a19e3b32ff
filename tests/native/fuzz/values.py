"""Python values drawn from a fuzzer's bytes: mostly the plausible, often the awkward. Pure."""

from __future__ import annotations

from typing import Any

AWKWARD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1,
    2**64, 12345678901234567890, -12345678901234567890, float("nan"), float("inf"), 1e308, -0.0, 26801.5,
    0.25, "", "a-tag", "\0", '"', "\\", "\x7f", "é", "\udcff", "x" * 128, "x" * 129, b"", b"\xff", (), [], {},
)  # fmt: skip
NESTING = 6  # tuples in tuples: two more than a payload may have


class Values:
    """Draws from `data` until it is used up, then zeros for ever."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def bytes(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken + bytes(count - len(taken))

    def byte(self) -> int:
        return self.bytes(1)[0]

    def integer(self) -> int:
        """Of one to nine bytes, so that it goes beyond 64 bits; signed."""
        return int.from_bytes(self.bytes(1 + self.byte() % 9), "big", signed=True)

    def value(self, nesting: int = 0) -> Any:
        """One value of any kind."""
        kind = self.byte()
        if kind < 96:
            return self.integer()
        if kind < 128:
            return self.byte()
        if kind < 192:
            return AWKWARD[self.byte() % len(AWKWARD)]
        if kind < 216:
            return self.bytes(self.byte() % 140).decode("utf-8", "surrogateescape")
        if kind < 236 or nesting == NESTING:
            return self.bytes(self.byte() % 140)
        return tuple(self.value(nesting + 1) for _ in range(self.byte() % 5))


def drawing(value: Any) -> bytes:
    """The bytes from which `Values.value` draws `value`, for seeds; ValueError where there are none."""
    for place, awkward in enumerate(AWKWARD):
        if type(awkward) is type(value) and repr(awkward) == repr(value):
            return bytes([128, place])
    if type(value) is int and -(2**71) <= value < 2**71:
        return bytes([0, 8]) + value.to_bytes(9, "big", signed=True)
    if type(value) is str and len(value.encode()) < 140:
        return bytes([192, len(value.encode())]) + value.encode()
    raise ValueError(f"never drawn: {value!r}")
