"""The customTag of our orders: `<prefix>-strategy-<strategy>-<order type>-<counter>-<unix seconds>`.

A tag is unique for ever on the account, also when the order was rejected, so counters come from durably
reserved blocks: a crash wastes what is left of a block and never uses a number twice. Pure: who journals
the reservation is the engine. The venue appends `-SL` and `-TP` to the tag of the entry for its bracket
legs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.errors import Ours, Refused

DEFAULT_PREFIX = "Plimsoll-v1.0"
TAG_LIMIT = 128  # characters: prefix, names and two numbers, with room for the suffix of a leg
PREFIX_LIMIT = 24  # characters
STRATEGY_LIMIT = 32  # characters
ORDER_TYPE_LIMIT = 16  # characters
RESERVE_BLOCK = 64  # counters per reservation: one journal write for dozens of orders
RESERVE_BELOW = 16  # counters left when the next block is asked for: more than one burst of orders uses

_PREFIX = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{PREFIX_LIMIT - 1}}}")
_STRATEGY = re.compile(rf"[a-z0-9_]{{1,{STRATEGY_LIMIT}}}")
_ORDER_TYPE = re.compile(rf"[a-z0-9_]{{1,{ORDER_TYPE_LIMIT}}}")
_BODY = re.compile(
    rf"-strategy-([a-z0-9_]{{1,{STRATEGY_LIMIT}}})-([a-z0-9_]{{1,{ORDER_TYPE_LIMIT}}})"
    r"-([1-9][0-9]{0,17})-(0|[1-9][0-9]{0,11})(?:-(SL|TP))?"
)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag taken apart. `unix_s` is market time, `leg` is "" for an entry, "SL" or "TP" for its legs."""

    strategy: str
    order_type: str
    counter: int
    unix_s: int
    leg: str = ""


class TagMint:
    """Mints tags. `next_counter` is the first unused counter, `reserved_to` the last that is durable."""

    __slots__ = ("next_counter", "prefix", "reserved_to")

    def __init__(self, prefix: str, next_counter: int, reserved_to: int) -> None:
        """Raises Refused for a prefix that a tag cannot carry, Ours for counters that make no sense."""
        if not _PREFIX.fullmatch(prefix):
            raise Refused("tags.prefix", prefix, f"letters, digits, . _ -, {PREFIX_LIMIT} characters")
        if next_counter < 1 or reserved_to < next_counter - 1:
            raise Ours(f"tag counter {next_counter} with {reserved_to} reserved")
        self.prefix, self.next_counter, self.reserved_to = prefix, next_counter, reserved_to

    def mint(self, strategy: str, order_type: str, unix_s: int) -> str:
        """A tag never used before. Raises Refused, without using a counter up, when none is reserved."""
        if not _STRATEGY.fullmatch(strategy):
            raise Refused("tags.strategy", strategy, f"a-z, 0-9, _, {STRATEGY_LIMIT} characters")
        if not _ORDER_TYPE.fullmatch(order_type):
            raise Refused("tags.order_type", order_type, f"a-z, 0-9, _, {ORDER_TYPE_LIMIT} characters")
        if unix_s < 0:
            raise Refused("tags.time", f"{unix_s} s", "0 s", "the clock is not set")
        if self.next_counter > self.reserved_to:
            raise Refused(
                "tags.reserved", self.next_counter, self.reserved_to, "the next block is on its way"
            )
        counter = self.next_counter
        self.next_counter += 1
        return f"{self.prefix}-strategy-{strategy}-{order_type}-{counter}-{unix_s}"

    def needs_reserve(self) -> int | None:
        """The counter up to which to reserve durably now; None while enough are left."""
        if self.reserved_to - self.next_counter + 1 >= RESERVE_BELOW:
            return None
        return self.reserved_to + RESERVE_BLOCK

    def reserved(self, up_to: int) -> None:
        """The journal holds the reservation up to and including `up_to`. An older answer changes nothing."""
        self.reserved_to = max(self.reserved_to, up_to)


def parse(tag: str, prefix: str = DEFAULT_PREFIX) -> Tag | None:
    """The parts of a tag with our `prefix`; None for every other text, whoever wrote it."""
    if len(tag) > TAG_LIMIT or not tag.startswith(prefix):
        return None
    match = _BODY.fullmatch(tag, len(prefix))
    if match is None:
        return None
    strategy, order_type, counter, unix_s, leg = match.groups()
    return Tag(strategy, order_type, int(counter), int(unix_s), leg or "")
