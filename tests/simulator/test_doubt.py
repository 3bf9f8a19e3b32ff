"""The simulator when the twins of its matching disagree: no order is taken any more, what is there rests."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

import native
from app.simulator.exchange import REJECTED
from app.simulator.orders import Status, Type
from native import matching_py
from tests.native.test_shadow import more, plant
from tests.simulator.test_exchange import ACCOUNT, ES, NOON, dollars, exchange, placed, tick, ticket


@pytest.fixture(autouse=True)
def shadowed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Matching in shadow, every call compared, nobody who listens: as in a process of the simulator alone."""
    monkeypatch.delenv(native.VARIABLE, raising=False)
    native.select({"matching": "shadow"}, 1)
    with caplog.at_level(logging.CRITICAL, "native"):
        yield
    monkeypatch.undo()
    native.listen(None)
    native.select()


def test_rejects_the_order_whose_fill_is_in_doubt_and_every_one_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    venue = exchange()
    plant(monkeypatch, matching_py, "market_price", more)
    answer = venue.place(ticket(Type.MARKET), NOON)
    assert answer.code == REJECTED and "unavailable" in str(answer.text)
    assert venue.accounts[ACCOUNT].orders[answer.order_id or 0].status is Status.REJECTED
    assert venue.accounts[ACCOUNT].net(ES) == 0
    monkeypatch.undo()
    assert venue.place(ticket(Type.MARKET), NOON).code == REJECTED


def test_leaves_a_resting_order_where_its_fill_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = exchange()
    order = placed(venue, ticket(Type.LIMIT, limit_price=dollars(19_990)))
    plant(monkeypatch, matching_py, "limit_fills", lambda call, *args: not call(*args))
    venue.on_tick(ES, tick(order.limit_ticks or 0, NOON))
    assert order.working and venue.doubt
    assert venue.place(ticket(Type.MARKET), NOON).code == REJECTED


def test_closes_a_position_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = exchange()
    assert venue.place(ticket(Type.MARKET), NOON).code == 0
    plant(monkeypatch, matching_py, "market_price", more)
    assert venue.close(ACCOUNT, ES, NOON).code == 0
    assert venue.accounts[ACCOUNT].net(ES) == 0 and venue.doubt
