"""Every fault on every board: ends tripped or unharmed, never armed, heals, and a person arms it again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.matrix.faults import BOARDS, FAULTS, Fault
from tests.matrix.parties import Parties
from tests.matrix.report import Report
from tests.matrix.row import Row

pytestmark = pytest.mark.long

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
