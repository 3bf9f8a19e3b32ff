"""One row of the matrix on one board: from RUN through the fault to its end, healed, and to RUN again.

What must never be is asserted at every look. How it ended is returned; a machine that stalls may have held
what would have gone unharmed, so a row may be tried again, and must be safe each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.mcu import messages
from tests.guards import PATIENCE
from tests.matrix.faults import FLOODS, MEGABIT, End, Fault
from tests.matrix.parties import Parties

QUIET_FRAMES = 4  # good ones of the host while the healed board must stay off: about 200 ms
BLOCKED_MS = 100.0  # the loop's longest callback, by the design
SILENCE_MS = 250  # from the last sign of life to the hold
TURNS = 5  # of the firmware's loop until its output must be what its state says; one is enough
KILL_US = 5_000  # contact open to output off and latched, by the guest's time
DEADMAN_US = (
    249_000,
    255_000,
)  # host silent to output off, by the guest's time; a control command costs 2 ms


@dataclass(frozen=True, slots=True)
class Result:
    """How a row ended. `trip_us` is by the board's own time, -1 where it has none; `soft` is what a stalling
    machine may be the reason for.
    """

    end: End
    host: str
    board: str
    cause: str
    trip_us: int
    silence_ms: int
    blocked_ms: float
    counted: int
    soft: tuple[str, ...]


class Row:
    """Carries a fault out on running parties."""

    def __init__(self, parties: Parties, fault: Fault) -> None:
        self._parties, self._fault = parties, fault
        self._off: dict[str, Any] = {}  # the board as first seen off
        self._arms = 0
        self._armed = False  # a person did it: the output may be on
        self.host: dict[str, Any] = {}
        self.board: dict[str, Any] = {}

    def run(self) -> Result:
        self._start()
        self._do()
        self._until(self._ended)
        end, at_end, counted = self._end(), self.board, self._counted()
        held = end is not End.UNHARMED
        self._parties.holds += held
        self._heal(held)
        self._stay_off()
        host = dict(self.host)
        self._rearm()
        if self._fault.wraps:
            self._until(lambda: self.host["board_ms"] < 60_000)
        return self._result(end, at_end, host, counted)

    # -- looking

    def _look(self, both: bool = True) -> None:
        """Ask both sides, and assert what holds at every moment."""
        if both:
            self.host = self._parties.desk.ask("state")
        self.board = told = self._settled_board()
        if self._armed:
            return
        if not told["output"]:
            self._off = self._off or told
        elif self._off:
            raise AssertionError(f"the output went on by itself: {told} {self.host}")
        if self._off and both:
            assert self.host["arms"] <= self._arms, f"the host armed by itself: {self.host}"

    def _settled_board(self) -> dict[str, Any]:
        """The output follows the state within a turn of the firmware's loop; control answers in between."""
        for _ in range(TURNS):
            told = self._parties.board.do("state")
            if "state" in told and told["output"] == (told["state"] == "run"):  # one that reboots says less
                return told
        raise AssertionError(f"the output does not follow the state: {told}")

    def _until(self, condition: Callable[[], Any], both: bool = True) -> None:
        end = time.monotonic() + PATIENCE
        self._look(both)
        while not condition():
            assert time.monotonic() < end, f"{self._fault.name}: {self.host} {self.board} {self._before}"
            self._parties.pause()
            self._look(both)

    def _counter(self, name: str) -> int:
        """What counts the fault, by "side name"."""
        side, _, what = name.partition(" ")
        if side == "host":
            return int(self.host["sessions"] if what == "sessions" else self.host["counters"][what])
        if what == "resets":
            return int(self.board["resets"])
        bits = {"discrepancy": messages.FAULT_DISCREPANCY, "readback": messages.FAULT_READBACK}
        if what in bits:
            return int(self.board["faults"] & bits[what] != 0)
        return int(self.board["counters"][what])

    # -- from RUN to the end

    def _start(self) -> None:
        self._before: dict[str, int] = {}
        self._armed = True
        self._parties.rest()
        self._until(self._runs)
        self._armed = False
        self._arms = self.host["arms"]
        self._before = {name: self._counter(name) for name in ("host good", "board good", "board resets")}
        if self._fault.counter:
            self._before[self._fault.counter] = self._counter(self._fault.counter)

    def _runs(self) -> bool:
        """Whether trading is open and the output on; a person re-arms what is not."""
        if self.host["state"] != "active":
            self._parties.desk.ask("rearm")
            return False
        return bool(self.board["output"]) and self.host["board"] == "run"

    def _do(self) -> None:
        for step in self._fault.steps:
            self._step(step)

    def _step(self, step: str) -> None:
        flood = FLOODS.get(self._parties.name, MEGABIT)
        party, _, command = step.replace("FLOOD", str(flood)).partition(" ")
        if party == "board":
            answer = self._parties.board.do(command)
            assert "error" not in answer, (command, answer)
        elif party == "desk":
            self._parties.desk.ask(command)
        elif party == "look":
            self._look()
        else:
            self._without_host(party)

    def _without_host(self, how: str) -> None:
        """The host is gone until the board has noticed."""
        desk = self._parties.desk
        if how == "stop":
            desk.stop()
        else:
            desk.kill()
        self._until(lambda: self._off, both=False)
        if how == "stop":
            desk.go_on()
        else:
            self._parties.succeed()
            self._arms = 0

    def _ended(self) -> bool:
        """Whether the fault has done what it does, and was counted."""
        counter = self._fault.counter
        counted = not counter or self._counted() > 0 or self._was_reset()
        if self.host["state"] != "active":
            counted = counted or self._fault.end is End.UNHARMED  # held by a stall: it is tried again
            return bool(counted and self._off and self._settled())
        frames = self._fault.frames
        good = all(self._counter(side) >= self._before[side] + frames for side in ("host good", "board good"))
        return bool(counted and good and not self._off and self._fault.end is End.UNHARMED)

    def _counted(self) -> int:
        """How often the fault was counted until now."""
        counter = self._fault.counter
        return self._counter(counter) - self._before[counter] if counter else 0

    def _was_reset(self) -> bool:
        """Whether a stalling machine kept the board from its loop until its watchdog bit: it counts anew."""
        return (
            self._counter("board resets") > self._before["board resets"] and "boot" not in self._fault.causes
        )

    def _settled(self) -> bool:
        """A discrepancy and a stuck output follow the trip by some milliseconds."""
        return self._fault.end is not End.FAULT or self.board["state"] == "fault"

    def _end(self) -> End:
        if self.host["state"] == "active":
            return End.UNHARMED
        if not self.host["person"]:
            return End.HELD
        return End.FAULT if self.board["state"] == "fault" else End.HALTED

    # -- and back

    def _heal(self, held: bool) -> None:
        for step in self._fault.heal:
            self._step(step)
        if not held:
            self._parties.desk.ask("halt")
        self._until(self._agree)

    def _agree(self) -> bool:
        """Board and host say the same: ready, closed, off."""
        sides = (self.board["state"], self.host["board"], self.host["contacts"])
        return sides == ("ready", "ready", "closed") and self.host["closed"]

    def _stay_off(self) -> None:
        """Healed, and nobody asked: it stays closed."""
        good = self._counter("board good") + QUIET_FRAMES
        self._until(lambda: self._counter("board good") >= good)
        assert self.host["state"] != "active", self.host
        if self.host["person"]:
            assert not self.host["armed"], self.host

    def _rearm(self) -> None:
        self._armed = True
        self._until(self._runs)
        assert self.host["arms"] > self._arms or self._fault.away, self.host

    # -- what came of it

    def _trip_us(self) -> int:
        """From the cause to the output's end, by the board's own time."""
        if self._off.get("cause") == "switch":
            return int(self._off["latency_us"])
        guest = self._off.get("guest")
        if guest is None or self._off["cause"] != "link":
            return -1
        return int((guest["dark_us"] - guest["heard_us"]) % 2**32)

    def _result(self, end: End, at_end: dict[str, Any], host: dict[str, Any], counted: int) -> Result:
        fault, trip_us, held = self._fault, self._trip_us(), end is not End.UNHARMED
        cause = self._off["cause"] if held else ""
        soft = []
        if end is not fault.end:
            soft.append(f"{end} instead of {fault.end}")
        elif held and cause not in fault.causes:
            soft.append(f"tripped by {cause}")
        elif fault.counter and counted <= 0:
            soft.append(f"{fault.counter} did not count it")
        if host["blocked_ms"] > BLOCKED_MS and not fault.away:
            soft.append(f"the loop was blocked for {host['blocked_ms']:.0f} ms")
        if host["silence_ms"] > SILENCE_MS and not fault.away:
            soft.append(f"held after a silence of {host['silence_ms']} ms")
        soft += self._late(cause, trip_us)
        state = at_end["state"] if held else "run"
        reasons = ", ".join(host["reasons"]) if held else "trading"
        silence_ms, blocked_ms = (0, 0.0) if fault.away else (host["silence_ms"], host["blocked_ms"])
        return Result(end, reasons, state, cause, trip_us, silence_ms, blocked_ms, counted, tuple(soft))

    def _late(self, cause: str, trip_us: int) -> list[str]:
        """The guest's own time knows no excuse, but what it measures is void when the session was another."""
        if "guest" not in self._off:
            return []
        if cause == "switch":
            assert 0 <= trip_us <= KILL_US, f"contact to output off took {trip_us} us"
        if cause == "link" and trip_us > DEADMAN_US[1]:
            return [f"the deadman took {trip_us} us"]
        return []
