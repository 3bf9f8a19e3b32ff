"""Every fault on every board: ends tripped or unharmed, never armed, heals, and a person arms it again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.venues.topstepx.writes import KillWrite
from tests.bench import board_trip
from tests.matrix.faults import BOARDS, FAULTS, Fault
from tests.matrix.parties import COMMANDS, Parties
from tests.matrix.report import Report
from tests.matrix.row import KILL_US, Row

pytestmark = pytest.mark.long

OPENINGS = 6
CANCELS = 8
TRIES = 4  # of a row that a stalling machine held; safe it must be each time


@pytest.fixture(scope="module", params=BOARDS)
def parties(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, report: Report
) -> Iterator[Parties]:
    """A board and its host; skips where there are no tools for that board, which CI takes for a failure."""
    try:
        made = Parties(request.param, tmp_path_factory.mktemp(request.param))
    except pytest.skip.Exception as skipped:
        report.missing[request.param] = str(skipped)
        raise
    yield made
    made.close()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_ends_tripped_or_unharmed_and_never_armed(parties: Parties, fault: Fault, report: Report) -> None:
    for _ in range(TRIES):
        try:
            result = Row(parties, fault).run()
        except BaseException:
            parties.renew()
            raise
        if not result.soft:
            break
        print(f"{fault.name}: {', '.join(result.soft)}; tried again")
    report.add(parties.name, fault.name, result)
    assert not result.soft, result


def test_the_output_goes_off_within_5_ms_by_the_boards_own_time(parties: Parties, report: Report) -> None:
    taken = sorted(opened(parties) for _ in range(OPENINGS))
    report.figures.append(
        f"{parties.name}: contact open to output off and latched, {OPENINGS} times by the board's own time: "
        f"p50 {taken[len(taken) // 2] / 1000:.2f} ms, longest {taken[-1] / 1000:.2f} ms"
    )
    assert taken[0] >= 0
    if parties.name == "qemu":  # the others' time is that of a process, which this machine may stall
        assert taken[-1] <= KILL_US


def opened(parties: Parties) -> int:
    """Microseconds that the output of a running board took to follow an opening."""
    fault = next(fault for fault in FAULTS if fault.name == "both contacts open")
    for _ in range(TRIES):
        result = Row(parties, fault).run()
        if not result.soft:
            break
    return result.trip_us


def test_cancels_leave_soon_after_the_contact_opened(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole desk on the virtual board and the simulator. Printed; what it may take is the benchmark's."""
    COMMANDS["virtual"]()  # skips where it cannot be built
    monkeypatch.setattr(KillWrite, "sent", KillWrite.sent)  # the benchmark puts its own there
    monkeypatch.setattr(board_trip, "ROUNDS", CANCELS)
    (row,) = board_trip.measure()
    assert row["n"] == CANCELS and row["p50"] > 0
    report.figures.append(
        f"virtual: contact open to the first byte of a cancel or close, {CANCELS} times: "
        f"p50 {row['p50']:.1f} ms, p99 {row['p99']:.1f} ms"
    )
