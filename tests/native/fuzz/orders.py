"""Fuzz target `orders`: any values as the members of an order; both twins write what the encoder does."""

from __future__ import annotations

import importlib
import json
from typing import Any

from app.domain.orders import Bracket, OrderType, Side
from app.venues.topstepx.codec import requests
from native import orders_py
from tests.native.bad_input import ORDERS
from tests.native.fuzz.values import Values
from tests.native.test_orders import CONTRACTS, order, writer

orders_c = importlib.import_module("native.orders_c")
TWINS = writer(orders_py), writer(orders_c)

MAX_INPUT = 300
KINDS = (*OrderType, None, "stop")
NAMES = (*CONTRACTS, "CON.F.US.NONE.Z26", "", None)
CALLS = ("place", "modify", "cancel")
SEEDS = ORDERS


def check(data: bytes) -> None:
    """Raise AssertionError when the twins differ, or write what the full encoder would not."""
    values = Values(data)
    call = CALLS[values.byte() % 3]
    if call == "cancel":
        body = _both(call, values.value(), values.value())
    else:
        kind, contract = KINDS[values.byte() % len(KINDS)], NAMES[values.byte() % len(NAMES)]
        count = 8 if call == "place" else 5
        members = [values.value() for _ in range(count)]
        body = _both(call, kind, contract, *members)
        if body is not None:
            assert body == _encoded(call, kind, contract, members)
    assert body is None or isinstance(json.loads(body), dict)


def _both(call: str, *arguments: Any) -> bytes | None:
    answers: list[Any] = []
    for twin in TWINS:
        try:
            answers.append(getattr(twin, call)(*arguments))
        except (TypeError, AttributeError, ValueError, OverflowError) as error:
            answers.append(type(error))
    assert answers[0] == answers[1]
    return None if isinstance(answers[0], type) else answers[0]


def _encoded(call: str, kind: Any, contract: Any, members: list[Any]) -> bytes:
    """The same by the full encoder, from an order with these members."""
    if call == "modify":
        account, venue_id, *changes = members
        one = order(type=kind, contract=contract, account_id=account, venue_id=venue_id)
        return requests.formatted_modify(one, *changes)
    account, side, size, limit, stop, stop_leg, target_leg, tag = members
    prices = {"limit_ticks": limit, "stop_ticks": stop, "bracket": Bracket(stop_leg, target_leg)}
    ids = {"type": kind, "contract": contract, "account_id": account, "tag": tag}
    return requests.formatted_place(order(side=Side(side), size=size, **prices, **ids))
