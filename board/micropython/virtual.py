"""The virtual MicroPython board: a target whose contacts, output and faults a control socket commands.

The commands and answers are those of the C virtual board. It protects nobody.
"""

import json
import random
import time

from app.mcu import messages, session
from board.micropython import firmware, lights, line
from board.micropython.board import Board

WATCHDOG_MS = 250  # unfed for this long the board is reset
# Between two looks at the clock, which the runner takes every millisecond, frozen or not: as much as makes a
# beat due, so that a process which rarely runs says no less.
GAP_MS = session.BEAT_MS
FOREVER_MS = 1 << 60
COUNTERS = ("good", "bad", "duplicate", "looped", "wrong_session", "wrong_version")


class Machine:
    """The hardware that the firmware believes it runs on; towards the runner the side that it runs."""

    def __init__(self, codec, port, random32, hash_: bytes, two_channels: bool) -> None:
        self.lost = False
        self.port = port
        self.line = line.Line(port.write, lambda: random.getrandbits(32))
        self.contacts_bits = messages.CONTACT_A | messages.CONTACT_B if two_channels else messages.CONTACT_A
        self.energised = False
        self.stuck = False  # reads energised whatever the output is: a welded relay
        self.latency_us = 0  # from an opened contact to output off and latched, the last time
        self.resets = -1
        self._all = self.contacts_bits
        self._codec = codec
        self._random32 = random32
        self._hash = hash_
        self._ticks = time.ticks_ms()
        self._now_ms = 0
        self._frozen_until_ms = 0
        self._fed_ms = 0
        self._opened = 0  # contacts that opened since the last look: what their interrupts note
        self._opened_us: int | None = None
        self.reset(messages.RESET_POWER)

    def now_ms(self) -> int:
        """The board's time. It stands still while the process does not run: no watchdog of real hardware
        bites because some other program had the processor.
        """
        ticks = time.ticks_ms()
        self._now_ms += min(time.ticks_diff(ticks, self._ticks), GAP_MS)
        self._ticks = ticks
        return self._now_ms

    def reset(self, cause: int) -> None:
        now_ms = self.now_ms()
        self.energised = False  # the pin of a processor in reset drives nothing
        self.resets += 1
        self._fed_ms = now_ms
        identity = (self._hash, cause, self._random32())
        two_channels = self._all & messages.CONTACT_B != 0
        self.board = Board(self._codec, self._random32, identity, two_channels, now_ms)

    # The side that the runner turns

    def feed(self, data: bytes, now_ms: int) -> list[tuple]:
        """One turn of the firmware's loop, unless it is frozen; the watchdog bites either way."""
        if now_ms - self._fed_ms > WATCHDOG_MS:
            self.reset(messages.RESET_WATCHDOG)
        if self.frozen(now_ms):
            return []
        firmware.turn(self.board, self, now_ms)
        return self.board.feed(data, now_ms)

    def poll(self, now_ms: int) -> tuple[bytes, int]:
        self.line.tick(now_ms)
        return (b"", now_ms) if self.frozen(now_ms) else self.board.poll(now_ms)

    def close(self) -> list[tuple]:
        return []

    def read(self) -> bytes:
        """The bytes of the host; they wait while the loop is frozen."""
        return b"" if self.frozen(self.now_ms()) else self.line.receive(self.port.read())

    def write(self, data: bytes) -> None:
        self.line.send(data, self.now_ms())

    def frozen(self, now_ms: int) -> bool:
        return now_ms < self._frozen_until_ms

    def freeze(self, milliseconds: int) -> None:
        self._frozen_until_ms = self.now_ms() + milliseconds if milliseconds else 0

    def jump(self, left_ms: int) -> None:
        """Make the millisecond counter jump to so many before its 32 bits begin again at 0."""
        ahead_ms = (1 << 32) - left_ms - self.now_ms()
        self._now_ms += ahead_ms
        self._fed_ms += ahead_ms  # the watchdog has a clock of its own

    # The target that the firmware sees

    def contacts(self) -> int:
        opened, self._opened = self._opened, 0
        return self.contacts_bits & ~opened

    def read_back(self) -> bool:
        return self.energised or self.stuck

    def output(self, on: bool) -> None:
        self.energised = on
        if self._opened_us is not None and not on:
            self.latency_us = time.ticks_diff(time.ticks_us(), self._opened_us)
            self._opened_us = None

    def show(self, board: int, host: int) -> None:
        self.lights = (lights.NAMES[board], lights.NAMES[host])

    def feed_watchdog(self) -> None:
        self._fed_ms = self._now_ms

    def set_contacts(self, closed: int) -> None:
        """Set the contacts; an opening interrupts the firmware at once."""
        opened = self.contacts_bits & ~closed
        self.contacts_bits = closed & self._all
        if opened:
            self._opened_us = time.ticks_us() if self.energised else None
            self.energised = False
            self._opened |= opened

    def state(self) -> dict:
        board = self.board
        counters = {COUNTERS[index]: board.peer.counted[index] for index in range(len(COUNTERS))}
        counters["ignored"] = board.peer.counted[len(COUNTERS)]
        counters["overrun"] = board.overrun
        return {
            "state": messages.STATES[board.state],
            "cause": messages.CAUSES[board.cause],
            "contacts": board.contacts.closed,
            "output": self.energised,
            "faults": board.faults,
            "live": board.peer.live,
            "session": board.peer.session,
            "trip_id": board.trip[0],
            "trip_acknowledged": board.acknowledged,
            "boot_id": board.identity[2],
            "resets": self.resets,
            "plugged": self.port.plugged,
            "lights": self.lights,
            "matrix": "",
            "latency_us": self.latency_us,
            "counters": counters,
        }


def answer(machine: Machine, command: str) -> str:
    """Carry out one command and return the line that answers it."""
    words = command.split()
    try:
        act, count = COMMANDS[words[0]]
        if len(words) != count:
            raise ValueError("wrong number of words")
        found = act(machine, *words)
    except (KeyError, IndexError):
        found = {"error": "unknown command"}
    except (ValueError, OSError) as error:
        found = {"error": str(error)}
    return json.dumps({"ok": True} if found is None else found)


def _chosen(word: str, choices: tuple) -> bool:
    """Whether a word is the first of two choices."""
    if word not in choices:
        raise ValueError(" or ".join(choices))
    return word == choices[0]


def _contact(machine: Machine, _name: str, which: str, position: str) -> None:
    masks = {
        "a": messages.CONTACT_A,
        "b": messages.CONTACT_B,
        "both": messages.CONTACT_A | messages.CONTACT_B,
    }
    if which not in masks:
        raise ValueError("contact a, b or both")
    mask = masks[which]
    closed = machine.contacts_bits
    machine.set_contacts(closed & ~mask if _chosen(position, ("open", "closed")) else closed | mask)


def _plug(machine: Machine, _name: str) -> dict:
    if not machine.port.plugged:
        machine.port.plug()
    return {"ok": True, "pty": machine.port.name}


def _freeze(machine: Machine, _name: str, length: str) -> None:
    if length in ("on", "off"):
        machine.freeze(FOREVER_MS if length == "on" else 0)
    else:
        machine.freeze(int(length))


def _count(machine: Machine, name: str, count: str) -> None:
    machine.line.counts[name] = int(count)


def _replay(machine: Machine, _name: str) -> dict:
    return {"ok": True, "frames": machine.line.replay(machine.now_ms())}


def _loop(machine: Machine, _name: str, position: str) -> None:
    machine.line.loop = _chosen(position, ("on", "off"))


def _stuck(machine: Machine, _name: str, byte: str, milliseconds: str) -> None:
    machine.line.stuck_byte = int(byte) & 0xFF
    machine.line.stuck_until_ms = machine.now_ms() + int(milliseconds)


def _clock(machine: Machine, _name: str, left_ms: str) -> None:
    machine.jump(int(left_ms))


def _read_back(machine: Machine, _name: str, position: str) -> None:
    machine.stuck = _chosen(position, ("stuck", "ok"))


def _version(machine: Machine, _name: str, version: str) -> None:
    machine.line.version = int(version) & 0xFF


COMMANDS = {
    "contact": (_contact, 3),
    "unplug": (lambda machine, _name: machine.port.unplug(), 1),
    "plug": (_plug, 1),
    "freeze": (_freeze, 2),
    "replay": (_replay, 1),
    "loop": (_loop, 2),
    "stuck": (_stuck, 3),
    "reboot": (lambda machine, _name: machine.reset(messages.RESET_SOFTWARE), 1),
    "readback": (_read_back, 2),
    "version": (_version, 2),
    "clock": (_clock, 2),
    "state": (lambda machine, _name: machine.state(), 1),
}
for _fault in line.COUNTS:
    COMMANDS[_fault] = (_count, 2)
