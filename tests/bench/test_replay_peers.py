"""What is compared of a replay and its peers, and that the peers' sources are there. Nothing is timed."""

from __future__ import annotations

import pytest

from tests.bench import replay_peers

FILL = {"time": "2014-01-02T06:35:00Z", "side": "sell", "price": "1679.00"}
REPORT = {
    "fills": [FILL, FILL | {"side": "buy", "price": "1681.25"}],
    "gross": "-112.50",
    "fees": "3.78",
    "net": "-116.28",
}


def test_says_fills_in_ticks_and_sums_in_micro_dollars() -> None:
    said = "1388644500,-1,6716;1388644500,1,6725;-112500000,3780000,-116280000"
    assert replay_peers.totals(REPORT) == said


@pytest.mark.parametrize("change", [{"fees": "3.79"}, {"net": "-116.29"}, {"fills": [FILL]}])
def test_another_cent_or_fill_is_another_result(change: dict[str, object]) -> None:
    assert replay_peers.totals(REPORT | change) != replay_peers.totals(REPORT)
