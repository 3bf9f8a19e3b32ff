"""What the LEDs of a MicroPython board show: pure, from the board's own truth and what the host asked for.

The same tables as the C firmware's lights. Red is steady while tripped, before any host was heard too; green
appears in RUN with a live host and never else, whatever was requested.
"""

from app.mcu import messages

OFF, BLUE, GREEN, RED, AMBER = 0, 1, 2, 4, 6  # bits: red 4, green 2, blue 1
NAMES = ("off", "blue", "green", "cyan", "red", "magenta", "amber", "white")
STEADY, SLOW_MS, FAST_MS = 0, 512, 128  # half periods: "look when you pass" and "look now"

BOARD = ((RED, STEADY), (AMBER, STEADY), (GREEN, STEADY), (RED, FAST_MS))  # by state
HOST = (  # by status
    (BLUE, SLOW_MS),
    (BLUE, STEADY),
    (GREEN, STEADY),
    (GREEN, SLOW_MS),
    (AMBER, FAST_MS),
    (AMBER, SLOW_MS),
    (RED, SLOW_MS),
    (RED, STEADY),
    (BLUE, FAST_MS),
    (RED, FAST_MS),
)
_BROKEN = messages.FAULT_DISCREPANCY | messages.FAULT_READBACK


def show(state: int, faults: int, live: bool, request: tuple | None, now_ms: int) -> tuple[int, int]:
    """Return the colours of the board's LED and of the host's LED, as bits."""
    truth = messages.FAULT if faults & _BROKEN else state
    if truth == messages.RUN and not live:
        truth = messages.TRIPPED  # the deadman comes first; should it ever not, no green
    host = OFF
    if live and request is not None:
        colour, half_ms = HOST[request[0]]
        if colour == GREEN and truth != messages.RUN:
            colour = AMBER  # the host believes it trades; the output says it does not
        host = _blinking(colour, half_ms, now_ms)
    return _blinking(BOARD[truth][0], BOARD[truth][1], now_ms), host


def _blinking(colour: int, half_ms: int, now_ms: int) -> int:
    return OFF if half_ms and now_ms // half_ms % 2 else colour
