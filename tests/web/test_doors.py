"""The doors in front of the server: how many connections, and how long a silent one may stay."""

from __future__ import annotations

import asyncio

from app.clock import NS, VirtualClock
from app.web.doors import IDLE_LIMIT_NS, SWEEP_NS, Doors


class Wire(asyncio.Transport):
    """A transport that only knows whether it was cut."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = 0

    def abort(self) -> None:
        self.aborted += 1

    def was_cut(self) -> bool:
        return self.aborted > 0


class Served(asyncio.Protocol):
    def __init__(self) -> None:
        self.made = self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made = True

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True


def _doors(limit: int = 2) -> tuple[VirtualClock, Doors, list[Served]]:
    clock, served = VirtualClock(NS), list[Served]()

    def serve() -> asyncio.Protocol:
        served.append(Served())
        return served[-1]

    return clock, Doors(clock, serve, limit), served


def _knock(doors: Doors) -> Wire:
    wire, door = Wire(), doors()
    door.connection_made(wire)
    return wire


def test_cuts_a_silent_connection_after_the_limit() -> None:
    clock, doors, _ = _doors()
    wire = _knock(doors)
    clock.advance(IDLE_LIMIT_NS - SWEEP_NS)
    assert not wire.was_cut()
    clock.advance(2 * SWEEP_NS)
    assert wire.was_cut() and len(doors) == 0


def test_keeps_a_connection_that_is_being_served() -> None:
    clock, doors, _ = _doors()
    wire = _knock(doors)
    doors.serving(wire)
    clock.advance(100 * IDLE_LIMIT_NS)
    assert not wire.was_cut()
    doors.served(wire)
    clock.advance(IDLE_LIMIT_NS + SWEEP_NS)
    assert wire.was_cut()


def test_makes_room_by_cutting_the_longest_silent() -> None:
    clock, doors, _ = _doors()
    first = _knock(doors)
    clock.advance(NS)
    second = _knock(doors)
    third = _knock(doors)
    assert (first.was_cut(), second.was_cut(), third.was_cut()) == (True, False, False)
    assert len(doors) == 2


def test_never_holds_more_than_the_limit_in_one_burst() -> None:
    _, doors, _ = _doors(limit=3)
    wires = [_knock(doors) for _ in range(50)]
    assert len(doors) == 3 and sum(wire.was_cut() for wire in wires) == 47


def test_refuses_one_more_when_all_are_being_served() -> None:
    _, doors, served = _doors()
    for _ in range(2):
        doors.serving(_knock(doors))
    late = _knock(doors)
    assert late.was_cut() and not served[-1].made and len(doors) == 2


def test_tells_the_protocol_of_its_end_only_if_it_began() -> None:
    _, doors, served = _doors(limit=1)
    door = doors()
    wire = Wire()
    door.connection_made(wire)
    doors.serving(wire)
    refused = doors()
    refused.connection_made(Wire())
    refused.connection_lost(None)
    door.connection_lost(None)
    assert [s.lost for s in served] == [True, False] and len(doors) == 0


def test_close_cuts_everything_and_may_be_repeated() -> None:
    clock, doors, _ = _doors()
    wire = _knock(doors)
    doors.close()
    doors.close()
    assert wire.was_cut() and len(doors) == 0 and clock.next_due_ns() is None
