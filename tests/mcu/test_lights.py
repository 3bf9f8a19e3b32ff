"""The lights: every combination of what the engine may show gives the status that weighs most."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from app.engine.snapshot import BoardView, PositionView, ReasonView, Snapshot
from app.mcu import lights, messages
from tests.web.pictures import ACCOUNT, ACTIVE, FEED, POSITION, TODAY

CALM = replace(ACTIVE, positions=())
# What may be the case -> the code of its reason and who ends it. Heaviest first.
PLANTED = {
    "fault": ("journal", "person", "a person re-arms"),
    "tripped": ("switch", "person", "a person re-arms"),
    "stopped": ("halt", "person", "a person re-arms"),
    "starting": ("start", "condition", "by itself"),
    "never_armed": ("not_armed", "person", "a person re-arms"),
    "over": ("reconnect", "condition", "over; waits for a re-arm (board.resume is false)"),
    "closed": ("session_closed", "time", "by the calendar"),
    "stale": ("stale_feed", "condition", "by itself"),
}


def reason(code: str, kind: str, ends: str) -> ReasonView:
    return ReasonView(code, kind, "*", "halted", "no_entries", 1, 0, "", ends)


def picture(chosen: set[str]) -> Snapshot:
    """A snapshot in which exactly `chosen` is the case."""
    reasons = tuple(reason(*PLANTED[name]) for name in PLANTED if name in chosen)
    view = replace(CALM, reasons=reasons, state="halted" if reasons else "active")
    view = replace(view, armed=not any(r.kind == "person" for r in reasons))
    if "fault" in chosen:
        view = replace(view, journal="disk full")
    if "near" in chosen:
        view = replace(view, account=replace(ACCOUNT, daily_loss_used=80))
    if "position" in chosen:
        view = replace(view, positions=(POSITION,))
    return view


def expected(chosen: set[str]) -> int:
    """The same order in other words: one question after the other."""
    if "fault" in chosen:
        return 9
    if "tripped" in chosen:
        return 7
    if "stopped" in chosen:
        return 6
    if "starting" in chosen:
        return 0
    if chosen & {"never_armed", "over"}:
        return 1
    if "closed" in chosen:
        return 6
    if "near" in chosen:
        return 4
    if "stale" in chosen:
        return 5
    return 3 if "position" in chosen else 2


def test_shows_the_heaviest_of_everything_that_may_be_the_case() -> None:
    names = [*PLANTED, "near", "position"]
    seen = set()
    for flags in product((False, True), repeat=len(names)):
        chosen = {name for name, flag in zip(names, flags, strict=True) if flag}
        got = lights.status(picture(chosen))
        assert got == expected(chosen), chosen
        seen.add(got)
        updating = lights.status(picture(chosen), updating=True)
        assert updating == (got if got in (lights.FAULT, lights.TRIPPED) else lights.UPDATING)
        seen.add(updating)
    assert seen == set(range(len(messages.STATUSES))), "a status that nothing shows"


@pytest.mark.parametrize(
    ("view", "status"),
    [
        (replace(CALM, board=BoardView(state="fault")), "fault"),
        (replace(CALM, board=BoardView(faults=("discrepancy",))), "fault"),
        (replace(CALM, panel="open"), "tripped"),
        (replace(CALM, armed=False), "disarmed"),
        (replace(CALM, state="reducing"), "near_limit"),
        (replace(CALM, account=replace(ACCOUNT, maximum_loss_used=75)), "near_limit"),
        (replace(CALM, account=replace(ACCOUNT, maximum_loss_used=74)), "armed_flat"),
        (replace(CALM, account=None), "armed_flat"),
        (replace(CALM, feeds=(replace(FEED, stale=True),)), "degraded_feed"),
        (replace(CALM, feeds=(replace(FEED, stale=True),), session_open=False), "armed_flat"),
        (replace(CALM, link_up=False), "degraded_feed"),
        (replace(CALM, positions=(replace(POSITION, net=-3),)), "in_position"),
    ],
)
def test_sees_each_cause(view: Snapshot, status: str) -> None:
    assert messages.STATUSES[lights.status(view)] == status


@pytest.mark.parametrize(
    ("nets", "told", "figures"),
    [
        ((), "204.94", (0, 204)),
        ((2, -5), "-0.99", (-3, 0)),
        ((1,), "-1.01", (1, -1)),
        ((40_000,), "9999999999.00", (32_767, 2_147_483_647)),
        ((-40_000,), "-9999999999.00", (-32_768, -2_147_483_648)),
        ((1,), "", (1, 0)),
    ],
)
def test_tells_whole_dollars_and_net_contracts_within_their_fields(
    nets: tuple[int, ...], told: str, figures: tuple[int, int]
) -> None:
    positions: tuple[PositionView, ...] = tuple(replace(POSITION, net=net) for net in nets)
    view = replace(CALM, positions=positions, today=replace(TODAY, net=told))
    assert lights.figures(view) == figures
    assert messages.valid(messages.LIGHTS, (lights.status(view), *figures))
    assert lights.figures(replace(view, today=None))[1] == 0


def test_gives_each_status_a_look_of_its_own() -> None:
    assert set(lights.COLOURS) == set(range(len(messages.STATUSES)))
    assert len(set(lights.COLOURS.values())) == len(lights.COLOURS)


def test_shows_green_only_where_positions_may_be_opened() -> None:
    green = {code for code, halves in lights.COLOURS.items() if lights.GREEN in halves}
    assert green == {lights.ARMED_FLAT, lights.IN_POSITION}
    assert lights.COLOURS[lights.TRIPPED] == (lights.RED, lights.RED)


def test_blinks_by_the_clock() -> None:
    half = lights.BLINK_NS
    shown = [lights.colour(lights.STARTING, n * half + 1) for n in range(4)]
    assert shown == [lights.BLUE, lights.DARK] * 2
    assert lights.colour(lights.TRIPPED, 7) == lights.colour(lights.TRIPPED, 7 + half) == lights.RED
