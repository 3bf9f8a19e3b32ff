"""One host session and one board on a virtual clock, on CPython and MicroPython: every byte and event.

Both interpreters must print the same. Runs as ``vectors.py`` does:
``micropython tests/mcu/scenario.py ROOT [PATH...]``.
"""

import sys

TICK_MS = 1
LAG_MS = 3  # of the wire, each way
IDENTITY = (b"\x00\x01\x02\x03\x04\x05\x06\x07", 1, 77)
CLOSED, OPEN = 3, 0
# When: the contacts, whether the work loop turns, whether bytes arrive, and what the host asks for.
SCRIPT = {
    0: ("closed", "turning", "plugged"),
    400: ("arm",),
    600: ("open",),
    700: ("closed",),
    1000: ("arm",),
    1200: ("lights",),
    1300: ("stop",),
    1600: ("arm",),
    1800: ("hung",),
    2000: ("turning",),
    2400: ("unplugged",),
}
END_MS = 2800


class Numbers:
    """A sequence of 32-bit numbers that both interpreters compute alike: a linear congruence."""

    def __init__(self, seed: int) -> None:
        self.value = seed

    def next(self) -> int:
        self.value = (self.value * 1664525 + 1013904223) & 0xFFFFFFFF
        return self.value


class Wires:
    """Bytes each way, each piece with the time at which it arrives."""

    def __init__(self) -> None:
        self.queues = {"host": [], "board": []}

    def put(self, side: str, data: bytes, now_ms: int) -> None:
        if data:
            self.queues[side].append((now_ms + LAG_MS, data))

    def take(self, side: str, now_ms: int) -> bytes:
        here = b"".join([data for due, data in self.queues[side] if due <= now_ms])
        self.queues[side] = [(due, data) for due, data in self.queues[side] if due > now_ms]
        return here


def play(codec, session, board_class):
    """Yield the lines of the scenario: time, who, and what was sent or meant."""
    numbers = Numbers(2013)
    board = board_class(codec, numbers.next, IDENTITY, True, 0)
    host = session.Session(codec, numbers.next(), numbers.next(), 0, numbers.next)
    wires = Wires()
    facts = {"contacts": OPEN, "turning": False, "plugged": True, "on": False}
    for now_ms in range(0, END_MS, TICK_MS):
        for word in SCRIPT.get(now_ms, ()):
            order(word, facts, host)
        if facts["turning"]:
            host.beat_allowed(now_ms)
        board.sample(facts["contacts"], now_ms)
        board.read_back(board.output, now_ms)
        board.feed(wires.take("board", now_ms), now_ms)
        for event in host.feed(wires.take("host", now_ms), now_ms):
            yield f"{now_ms} event {event}"
        for side, other, name in ((host, "board", "host"), (board, "host", "board")):
            data = side.poll(now_ms)[0]
            if data:
                yield f"{now_ms} {name} {data.hex()}"
            if facts["plugged"]:
                wires.put(other, data, now_ms)
        if board.output != facts["on"]:
            facts["on"] = board.output
            yield f"{now_ms} output {board.output} cause {board.cause}"


def order(word: str, facts: dict, host) -> None:
    if word in ("closed", "open"):
        facts["contacts"] = CLOSED if word == "closed" else OPEN
    elif word in ("turning", "hung"):
        facts["turning"] = word == "turning"
    elif word in ("plugged", "unplugged"):
        facts["plugged"] = word == "plugged"
    elif word == "lights":
        host.lights(3, -1, 250)
    elif word == "arm":
        host.arm()
    else:
        host.stop()


def main(root: str, more: list[str]) -> None:
    sys.path[:0] = [root] + more
    from app.mcu import messages, session
    from board.micropython.board import Board

    for line in play(messages.Cbor2Codec(), session, Board):
        print(line)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
