"""The real service on the simulator: the plug is pulled while it trades, and its disk fails while it holds a
position.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.cuts import bad, cuts, lost

pytestmark = pytest.mark.long

RIG = "tests.power.desk"
CUTS = 4


def test_knows_every_order_at_the_venue_and_agrees_with_it_after_each_cut(tmp_path: Path) -> None:
    found = cuts(tmp_path, CUTS, "FULL", rig=RIG)
    assert len(found) == CUTS and bad(found) == []
    assert found[-1]["acked"] > CUTS, "nothing was traded"


def test_sees_an_order_that_was_sent_before_it_was_durable(tmp_path: Path) -> None:
    assert lost(cuts(tmp_path, 1, "NORMAL", rig=RIG))
