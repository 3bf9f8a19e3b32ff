"""The engine's own numbers: each has a name, a unit and a reason. Account rules and risk limits live in
`app.risk`.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.clock import MS, NS
from app.risk.state import Goal

# Repeats of a halt's reads, cancels and closes: quick while it matters, then steady within the reserved rate
# budget.
PURSUIT_DELAYS_NS = (250 * MS, 500 * MS, 1 * NS, 2 * NS, 5 * NS)
# An order absent from this many complete reads over this long does not exist (section 3 rule 4 of the
# design).
LOST_READS = 3
LOST_AFTER_NS = 30 * NS
DOUBT_READ_DELAYS_NS = (
    0,
    1 * NS,
    5 * NS,
    15 * NS,
    16 * NS,
    10 * NS,
)  # sums past LOST_AFTER_NS, then every last one
# A mismatch may be a fill under way during the read: it is a difference only after this many complete reads
# agree on it.
DIFFERENCE_READS = 3
DIFFERENCE_READ_DELAY_NS = 2 * NS
RETRY_READ_NS = 5 * NS  # after a failed complete read while trading is closed for it
ROUTINE_READ_NS = 60 * NS  # continuous reconciliation: one complete read a minute is 6 of 160 requests
DISPUTE_READ_NS = 500 * MS  # a position report, its fill and its balance come within milliseconds
STRAY_READ_NS = 2 * NS  # between the two reads that prove a leg to be a stray
ORPHAN_READ_NS = 2 * NS  # an execution whose order is not known yet: ask the venue after this long
ORPHANS_LIMIT = 200  # executions waiting for their order; more means something is badly wrong: trading closes
FLATTEN_LEAD_NS = 60 * NS  # flattening at the end of the day begins this long before it must be done
EVENTS_KEPT = 50  # lines of the event list kept in memory for page and CLI
ORDERS_SHOWN = 50
ORDERS_KEPT_NS = 2 * 24 * 3600 * NS  # ended orders stay in memory this long; the journal keeps them for ever
BARS_GRACE_NS = 2 * NS  # the venue finishes a minute's bar this long after the minute
BARS_RETRY_NS = 5 * NS
BARS_KEPT_NS = 60 * 24 * 3600 * NS  # the venue keeps about 63 days of minutes
SILENCE_WINDOW_NS = 3600 * NS
SILENCE_HOLDS_PER_HOUR = 3  # more than this many silence holds an hour need a person
HISTORY_DAYS = 60  # executions are read back at most this far to rebuild the loss floor
CLOCK_JITTER_NS = (
    500 * MS
)  # a step back smaller than this is a clock being disciplined, a larger one is a clock that lies
HEARTBEAT_NS = 50 * MS  # to the board, which trips after 250 ms of silence
SHOW_NS = 100 * MS  # the lights follow at most this often
TICK_NS = 1 * NS  # the limits are watched at least this often


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the owner decides about the engine. `resume` is `board.resume`."""

    account_id: int
    version: str = ""
    mode: str = "simulate"
    clock: str = "system"
    resume: bool = False
    tag_prefix: str = "Plimsoll-v1.0"
    feed_silence_ns: int = (
        30 * NS
    )  # a quote older than this in session hours closes trading until the next one
    on_trip: Goal = Goal.FLAT  # what the switch, or what acts as it, makes the engine pursue
    link_flatten_after_ns: int = 30 * NS  # silence of the board beyond this acts as a trip
    # The periods of the engine's own timers. A replay has no board and no one watching the page, and its
    # venue cannot disagree with itself: it sets the first two to 0 (off) and stretches the others.
    heartbeat_ns: int = HEARTBEAT_NS
    show_ns: int = SHOW_NS
    tick_ns: int = TICK_NS
    routine_read_ns: int = ROUTINE_READ_NS
