"""The rows of the fault matrix: what is done to a desk that trades, how it heals, and how it must end.

Data only. A step is "board COMMAND" for the board's control socket, "desk COMMAND" for the host's process,
"look" to note what the board says, or "stop" and "kill", which are done to the host's process itself. Faults
of the line come twice, once for each direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

BOARDS = ("virtual", "qemu", "micropython")
MEGABIT = 125_000  # bytes
# QEMU's UART takes a byte a turn of its own loop, 3.5 KB a second: here a tenth, all of it in tests/board.
FLOODS = {"qemu": MEGABIT // 10}


class End(StrEnum):
    """How a fault may end. None of them lets the output on again without a person: `resume` is off."""

    UNHARMED = "unharmed"  # trading went on, the output stayed on
    HELD = "held, tripped"  # no entries; the board tripped by itself or was stopped; a re-arm ends it
    HALTED = "halted, tripped"  # as if a person had halted: disarmed, and durably so
    FAULT = "halted, fault"  # the same, and the board itself is not in order


@dataclass(frozen=True, slots=True)
class Fault:
    """`causes` are those the board may give; `counter` is who counts it under which name."""

    name: str
    steps: tuple[str, ...]
    end: End
    counter: str = ""
    causes: tuple[str, ...] = ()
    heal: tuple[str, ...] = ()
    frames: int = 5  # good ones each way that must follow before it counts as unharmed
    wraps: bool = False  # re-armed, it must outlive the wrap of the board's time
    away: bool = False  # the host's process is stopped or killed: its own times mean nothing


LOST = ("link", "session")  # silence: the board's own deadman, or the host's next session came first
DAMAGED = (*LOST, "noise")
CLOSE = ("board contact both closed",)

LINE = (
    Fault("noise to the host", ("board noise 300",), End.UNHARMED, "host bad"),
    Fault("noise to the board", ("desk line noise 300",), End.UNHARMED, "board bad"),
    Fault("1 Mbit of random bytes to the host", (f"board noise {MEGABIT}",), End.HELD, "host bad", DAMAGED),
    Fault("1 Mbit of random bytes to the board", ("desk line noise FLOOD",), End.HELD, "board bad", DAMAGED),
    Fault("corrupt frames to the host", ("board corrupt 2",), End.UNHARMED, "host bad"),
    Fault("corrupt frames to the board", ("desk line corrupt 2",), End.UNHARMED, "board bad"),
    Fault("truncated frame to the host", ("board truncate 1",), End.UNHARMED, "host bad"),
    Fault("truncated frame to the board", ("desk line truncate 1",), End.UNHARMED, "board bad"),
    Fault("duplicated frames to the host", ("board duplicate 5",), End.UNHARMED, "host duplicate"),
    Fault("duplicated frames to the board", ("desk line duplicate 5",), End.UNHARMED, "board duplicate"),
    Fault("replayed frames to the host", ("board replay",), End.UNHARMED, "host duplicate"),
    Fault("replayed frames to the board", ("desk line replay",), End.UNHARMED, "board duplicate"),
    Fault("reordered frames to the host", ("board swap 2",), End.UNHARMED, "host duplicate"),
    Fault("reordered frames to the board", ("desk line swap 2",), End.UNHARMED, "board duplicate"),
    Fault("dropped frames to the host", ("board drop 2",), End.UNHARMED),
    Fault("dropped frames to the board", ("desk line drop 2",), End.UNHARMED),
    Fault(
        "no more frames to the host", ("board drop 1000",), End.HELD, "host sessions", LOST, ("board drop 0",)
    ),
    Fault(
        "no more frames to the board",
        ("desk line drop 1000",),
        End.HELD,
        "host sessions",
        LOST,
        ("desk line drop 0",),
    ),
    Fault("looped back to the host", ("board loop on",), End.HELD, "host looped", LOST, ("board loop off",)),
    Fault(
        "looped back to the board",
        ("desk line loop on",),
        End.HELD,
        "board looped",
        LOST,
        ("desk line loop off",),
    ),
    Fault(
        "wrong version to the host",
        ("board version 2",),
        End.HELD,
        "host wrong_version",
        LOST,
        ("board version 1",),
    ),
    Fault(
        "wrong version to the board",
        ("desk line version 2",),
        End.HELD,
        "board wrong_version",
        ("protocol",),
        ("desk line version 1",),
    ),
    Fault("wrong session to the host", ("desk line foreign-to-host 2",), End.UNHARMED, "host wrong_session"),
    Fault(
        "wrong session to the board", ("desk line foreign 2",), End.HELD, "board wrong_session", ("protocol",)
    ),
    Fault("stuck byte to the host", ("board stuck 85 600",), End.HELD, "host bad", DAMAGED),
    Fault("stuck byte to the board", ("desk line stuck 600",), End.HELD, "board bad", DAMAGED),
)

PARTIES = (
    Fault("board reboots", ("board reboot",), End.HELD, "board resets", ("boot",)),
    Fault(
        "firmware's loop freezes",
        ("board freeze on",),
        End.HELD,
        "board resets",
        ("boot",),
        ("board freeze off",),
    ),
    Fault("host stops (SIGSTOP)", ("stop",), End.HELD, "host sessions", ("link",), away=True),
    Fault("host is killed (SIGKILL)", ("kill",), End.HELD, "", ("link",), away=True),
    Fault("tty vanishes and comes back", ("board unplug",), End.HELD, "", LOST, ("board plug",)),
    Fault("host's wall clock jumps ahead", ("desk jump 3600",), End.UNHARMED, frames=26),
    Fault("host's wall clock jumps back", ("desk jump -3600",), End.HELD, "", ("host",), ("desk jump 3600",)),
    Fault("board's time jumps, then wraps", ("board clock 2500",), End.HELD, "", LOST, wraps=True),
)

SWITCH = (
    Fault(
        "contact a opens, b follows",
        ("board contact a open", "look", "board contact b open"),
        End.HALTED,
        "",
        ("switch",),
        CLOSE,
    ),
    Fault(
        "contact b opens, a follows",
        ("board contact b open", "look", "board contact a open"),
        End.HALTED,
        "",
        ("switch",),
        CLOSE,
    ),
    Fault("both contacts open", ("board contact both open",), End.HALTED, "", ("switch",), CLOSE),
    Fault(
        "contact a opens and b does not",
        ("board contact a open",),
        End.FAULT,
        "board discrepancy",
        ("switch", "fault"),
        ("board contact b open", *CLOSE),
    ),
    Fault(
        "contact b opens and a does not",
        ("board contact b open",),
        End.FAULT,
        "board discrepancy",
        ("switch", "fault"),
        ("board contact a open", *CLOSE),
    ),
    Fault(
        "read-back is stuck",
        ("board readback stuck", "board contact both open"),
        End.FAULT,
        "board readback",
        ("switch", "fault"),
        ("board readback ok", *CLOSE, "board reboot"),
    ),
)

FAULTS = (*LINE, *PARTIES, *SWITCH)
