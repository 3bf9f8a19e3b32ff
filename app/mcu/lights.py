"""What the lights say: from one picture of the engine to a status, its figures and the colour of an LED.

Pure: nothing is written here, no clock is read. The board takes the status as a wish and decides its own
colours from the truth it knows; the LEDs of the Linux side show ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from app.engine.snapshot import ReasonView, Snapshot
from app.mcu import messages

STARTING, DISARMED, ARMED_FLAT, IN_POSITION, NEAR_LIMIT, DEGRADED_FEED, HALTED, TRIPPED, UPDATING, FAULT = (
    range(len(messages.STATUSES))
)
NEAR_PERCENT = 75  # of a loss limit: where the page's gauges turn amber
BLINK_NS = 500_000_000  # half a period: slow enough for a glance, fast enough to be seen as blinking
TRIPS = frozenset({"switch", "silence_holds"})
STARTS = frozenset({"start", "reconciling"})
FEED = frozenset({"stale_feed", "reconnect"})
NOT_ARMED = "not_armed"
BY_ITSELF = "by itself"  # how a condition that still holds ends
NET_MIN, NET_MAX = -0x8000, 0x7FFF  # int16 of the LIGHTS message
USD_MIN, USD_MAX = -0x8000_0000, 0x7FFF_FFFF  # int32 of the LIGHTS message

Colour = tuple[int, int, int]  # red, green, blue, each 0 or 1
DARK, RED, GREEN, BLUE = (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)
AMBER, MAGENTA, CYAN, WHITE = (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)

# Status -> what an RGB LED shows in the first and in the second half of a period. Green, steady or not, only
# where new positions may be opened; red for what a person must end.
COLOURS: Mapping[int, tuple[Colour, Colour]] = {
    STARTING: (BLUE, DARK),
    DISARMED: (BLUE, BLUE),
    ARMED_FLAT: (GREEN, GREEN),
    IN_POSITION: (GREEN, CYAN),
    NEAR_LIMIT: (AMBER, DARK),
    DEGRADED_FEED: (AMBER, AMBER),
    HALTED: (RED, DARK),
    TRIPPED: (RED, RED),
    UPDATING: (WHITE, DARK),
    FAULT: (MAGENTA, DARK),
}


def _broken(view: Snapshot) -> bool:
    return bool(view.journal or view.board.faults) or view.board.state == "fault"


def _tripped(view: Snapshot) -> bool:
    return view.panel == "open" or bool({reason.code for reason in view.reasons} & TRIPS)


def _starting(view: Snapshot) -> bool:
    return bool(_holding(view) & STARTS) and not _stopped(view)


def _stopped(view: Snapshot) -> bool:
    """By a person or by what only a person ends; a box that was never armed was not stopped."""
    return any(reason.kind == "person" and reason.code != NOT_ARMED for reason in view.reasons)


def _disarmed(view: Snapshot) -> bool:
    """A person must arm, or re-arm what is over: nothing else stands in the way of that."""
    return not view.armed or any(_over(reason) for reason in view.reasons)


def _closed(view: Snapshot) -> bool:
    """By the calendar or a condition, other than what the feed's own status says."""
    return view.state == "halted" and bool(_holding(view) - FEED)


def _near_limit(view: Snapshot) -> bool:
    account = view.account
    used = max(account.maximum_loss_used, account.daily_loss_used) if account else 0
    return view.state == "reducing" or used >= NEAR_PERCENT


def _degraded(view: Snapshot) -> bool:
    return (
        not view.link_up or view.state == "halted" or (view.session_open and any(f.stale for f in view.feeds))
    )


def _in_position(view: Snapshot) -> bool:
    return any(position.net for position in view.positions)


def _over(reason: ReasonView) -> bool:
    """A condition that has ended and waits for a re-arm: see `engine.picture`."""
    return reason.kind == "condition" and reason.ends != BY_ITSELF


def _holding(view: Snapshot) -> set[str]:
    return {reason.code for reason in view.reasons if not _over(reason)}


# What is shown: the first that holds. What is broken before what was stopped, what waits for a person before
# what ends by itself, and a position last, because it is the calm case.
PRECEDENCE: tuple[tuple[int, Callable[[Snapshot], bool]], ...] = (
    (FAULT, _broken),
    (TRIPPED, _tripped),
    (STARTING, _starting),
    (HALTED, _stopped),
    (DISARMED, _disarmed),
    (HALTED, _closed),
    (NEAR_LIMIT, _near_limit),
    (DEGRADED_FEED, _degraded),
    (IN_POSITION, _in_position),
)


def status(view: Snapshot, *, updating: bool = False) -> int:
    """The status of `view`, one of `messages.STATUSES` by its number.

    `updating`: a new version is being installed, which halts trading and is shown instead of that halt.
    """
    found = next((code for code, holds in PRECEDENCE if holds(view)), ARMED_FLAT)
    return UPDATING if updating and found not in (FAULT, TRIPPED) else found


def figures(view: Snapshot) -> tuple[int, int]:
    """Net contracts over all positions and today's net P&L in whole USD, as the LIGHTS message carries them.

    Towards zero, and 0 while the P&L is not known: the status then says that something is wrong.
    """
    net = sum(position.net for position in view.positions)
    told = view.today.net if view.today else ""
    usd = int(Decimal(told)) if told else 0
    return max(NET_MIN, min(NET_MAX, net)), max(USD_MIN, min(USD_MAX, usd))


def colour(code: int, mono_ns: int) -> Colour:
    """What an RGB LED shows at `mono_ns` for the status `code`."""
    return COLOURS[code][mono_ns // BLINK_NS % 2]
