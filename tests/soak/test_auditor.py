"""The auditor finds each planted disagreement, and none where there is none."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal

import pytest

from tests.soak.auditor import Books, Row, Venue, differences

MES = "CON.F.US.MES.Z26"
TAG = "Plimsoll-v1.0-strategy-restless-market-1-1"


def _venue_order(number: int, **more: object) -> Row:
    order: Row = {"id": number, "contractId": MES, "status": 2, "type": 2, "side": 0, "size": 1}
    return order | {"fillVolume": 1, "stopPrice": None, "limitPrice": None, "customTag": TAG} | more


def _order(number: int, **more: object) -> Row:
    order: Row = {"venue_id": number, "tag": TAG, "state": "filled", "side": 1, "size": 1, "filled": 1}
    return order | {"stop_ticks": None, "limit_ticks": None} | more


def _agreed() -> tuple[Venue, Books]:
    """One long contract, its stop working, one execution, its fee paid."""
    stop = {
        "status": 1,
        "type": 4,
        "side": 1,
        "fillVolume": 0,
        "stopPrice": 6000.25,
        "customTag": f"{TAG}-SL",
    }
    trade: Row = {"id": 7, "orderId": 1, "side": 0, "size": 1, "price": 6010.5, "profitAndLoss": None}
    trade |= {"fees": 0.36, "commissions": 0.25}
    orders = {1: _venue_order(1), 2: _venue_order(2, **stop)}
    venue = Venue(Decimal("49999.39"), orders, {7: trade}, {MES: 1})
    own_stop = {"tag": f"{TAG}-SL", "state": "working", "side": -1, "filled": 0, "stop_ticks": 24_001}
    fill: Row = {"id": 7, "order_id": 1, "side": 1, "size": 1, "price_ticks": 24_042, "fees_micro": 610_000}
    snapshot: Row = {
        "orders": [{"venue_id": 2, "state": "working"}],
        "positions": [{"contract": MES, "net": 1}],
        "account": {"balance": "49999.39"},
        "today": {"gross": "0.00", "fees": "0.61", "net": ""},
    }
    return venue, Books(snapshot, [_order(1), _order(2, **own_stop)], [fill])


def test_finds_nothing_where_both_sides_agree() -> None:
    assert differences(*_agreed()) == []


def _second_order(venue: Venue, books: Books) -> None:
    venue.orders[3] = _venue_order(3)
    books.orders.append(_order(3, tag="another"))


def _not_journalled(venue: Venue, books: Books) -> None:
    venue.orders[3] = _venue_order(3, customTag="lost")


def _pending(venue: Venue, books: Books) -> None:
    books.orders.append(_order(0, tag="never answered", state="pending"))


def _invented(venue: Venue, books: Books) -> None:
    books.orders.append(_order(9, tag="invented"))


def _stale(venue: Venue, books: Books) -> None:
    venue.orders[2]["stopPrice"] = 6000.5


def _not_booked(venue: Venue, books: Books) -> None:
    books.fills.clear()


def _booked_twice(venue: Venue, books: Books) -> None:
    books.fills.append(books.fills[0])


def _another_price(venue: Venue, books: Books) -> None:
    books.fills[0]["price_ticks"] += 1


def _another_position(venue: Venue, books: Books) -> None:
    books.snapshot["positions"] = []


def _another_balance(venue: Venue, books: Books) -> None:
    books.snapshot["account"]["balance"] = "50000.00"


def _another_fee(venue: Venue, books: Books) -> None:
    books.snapshot["today"]["fees"] = "0.60"


def _unprotected(venue: Venue, books: Books) -> None:
    venue.orders[2]["side"], books.orders[1]["side"] = 0, 1


def _not_shown(venue: Venue, books: Books) -> None:
    books.snapshot["orders"] = []


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (_second_order, f"tag {TAG} is on 2 orders"),
        (_not_journalled, "order 3 is not in the journal"),
        (_pending, "never answered is pending without an id"),
        (_invented, "order 9 (filled) is unknown to the venue"),
        (_stale, "stop of order 2"),
        (_not_booked, "execution 7 is not booked"),
        (_booked_twice, "execution 7 is booked 2 times"),
        (_another_price, "execution 7:"),
        (_another_position, "positions {}"),
        (_another_balance, "balance 50000.00"),
        (_another_fee, "today's fees 0.60"),
        (_unprotected, f"position 1 {MES} has stops for 0"),
        (_not_shown, "live orders {}"),
    ],
)
def test_names_each_planted_disagreement(plant: Callable[[Venue, Books], None], words: str) -> None:
    venue, books = deepcopy(_agreed())
    plant(venue, books)
    found = differences(venue, books)
    assert [line for line in found if words in line], found
