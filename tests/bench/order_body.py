"""Job `order_body`: the body of a place request from an order object, as the adapter makes it.

Bracketed entries with a tag. `cython` is the call that the gate makes (`place_body`), `pure` the same on
the other twin, `formatted` the codec's full encoder, `msgspec` a generic one on a typed body, `orjson`
on a dictionary. Prices
are odd numbers of ticks, so that Go's shortest floats are the same text as ours with two places.
"""

from __future__ import annotations

import importlib
import random
import struct
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import msgspec

from app.domain.instruments import by_contract
from app.domain.orders import Bracket, Order, OrderType, Side
from app.venues.topstepx.codec import requests
from native import orders_py
from tests.bench.figures import Row
from tests.bench.side_by_side import (
    BUILT,
    Contender,
    Inside,
    compare,
    compile_c,
    compile_go,
    optional,
    promise,
)

ORDERS = 200
CONTRACT = "CON.F.US.MNQ.Z26"
LAYOUT = struct.Struct("<7q24s64s")


class Leg(msgspec.Struct):
    ticks: int
    type: int


class Body(msgspec.Struct, rename="camel", omit_defaults=True):
    account_id: int
    contract_id: str
    type: int
    side: int
    size: int
    limit_price: float | None = None
    stop_price: float | None = None
    stop_loss_bracket: Leg | None = None
    take_profit_bracket: Leg | None = None
    custom_tag: str = ""


def measure() -> list[Row]:
    """One row, nanoseconds per body."""
    orders = _orders(random.Random(20261120))
    BUILT.mkdir(parents=True, exist_ok=True)
    file = BUILT / "order_body.bin"
    file.write_bytes(b"".join(map(_packed, orders)))
    ways: dict[str, Callable[[Order], Any]] = {
        "pure": _with(orders_py),
        "cython": _with(importlib.import_module("native.orders_c")),
        "formatted": requests.formatted_place,
        "msgspec": _typed,
    }
    orjson = optional("orjson")
    inside: dict[str, Contender | None] = {name: _encoding(way, orders) for name, way in ways.items()}
    inside["orjson"] = None if orjson is None else _encoding(_mapped(orjson), orders)
    go = compile_go("order_body")
    peers = {"c": (compile_c("order_body"), file), "go": (go, file, "json")}
    peers |= {"go_v2": (go, file, "json2"), "go_hand": (go, file, "hand")}
    return [promise(compare("order_body", inside, peers, ORDERS), "ratio_go", 0.25)]


def _orders(chance: random.Random) -> list[Order]:
    return [
        Order(
            tag=f"Plimsoll-v1.0-strategy-cross-{index}-{1_795_000_000 + index}",
            strategy="cross",
            account_id=9_000_001,
            contract=CONTRACT,
            side=chance.choice(list(Side)),
            size=chance.randrange(1, 16),
            type=kind,
            limit_ticks=ticks if kind is OrderType.LIMIT else None,
            stop_ticks=ticks if kind is OrderType.STOP else None,
            bracket=Bracket(chance.randrange(8, 120), chance.randrange(8, 300)),
        )
        for index in range(ORDERS)
        for kind in [chance.choice([OrderType.LIMIT, OrderType.STOP])]
        for ticks in [2 * chance.randrange(45_000, 55_000) + 1]
    ]


def _packed(order: Order) -> bytes:
    kind, ticks = requests.KINDS[order.type][0], order.limit_ticks or order.stop_ticks or 0
    legs = order.bracket or Bracket(0)
    numbers = (order.account_id, kind, order.side, order.size, ticks, legs.stop_ticks, legs.target_ticks)
    return LAYOUT.pack(*numbers, order.contract.encode(), order.tag.encode())


def _with(module: ModuleType) -> Callable[[Order], bytes | None]:
    """`place_body` on this twin."""
    instrument = by_contract(CONTRACT)
    writer: Any = module.Writer(requests.KINDS, requests.STOP_CODE, requests.LIMIT_CODE)
    writer.know(CONTRACT, instrument.tick_nano, instrument.decimals)
    code, place = requests.place_body.__code__, {**vars(requests), "_writer": writer}
    return FunctionType(code, place)


def _encoding(way: Callable[[Order], Any], orders: list[Order]) -> Inside:
    def encode() -> None:
        for order in orders:
            way(order)

    return Inside(encode, lambda _: "".join(f"{way(order).decode()};" for order in orders))


_encode = msgspec.json.Encoder().encode


def _typed(order: Order) -> bytes:
    """What one would write with a generic encoder, prices as floats."""
    sign, legs = int(order.side), order.bracket or Bracket(0)
    body = Body(
        order.account_id, order.contract, requests.KINDS[order.type][0], 0 if sign > 0 else 1, order.size,
        None if order.limit_ticks is None else order.limit_ticks * 0.25,
        None if order.stop_ticks is None else order.stop_ticks * 0.25,
        Leg(-sign * legs.stop_ticks, requests.STOP_CODE), Leg(sign * legs.target_ticks, requests.LIMIT_CODE),
        order.tag,
    )  # fmt: skip
    return _encode(body)


def _mapped(orjson: ModuleType) -> Callable[[Order], bytes]:
    """The same from a dictionary."""
    dumps = orjson.dumps

    def encode(order: Order) -> bytes:
        sign, legs = int(order.side), order.bracket or Bracket(0)
        body: dict[str, Any] = {
            "accountId": order.account_id, "contractId": order.contract,
            "type": requests.KINDS[order.type][0], "side": 0 if sign > 0 else 1, "size": order.size,
        }  # fmt: skip
        if order.limit_ticks is not None:
            body["limitPrice"] = order.limit_ticks * 0.25
        if order.stop_ticks is not None:
            body["stopPrice"] = order.stop_ticks * 0.25
        body["stopLossBracket"] = {"ticks": -sign * legs.stop_ticks, "type": requests.STOP_CODE}
        body["takeProfitBracket"] = {"ticks": sign * legs.target_ticks, "type": requests.LIMIT_CODE}
        body["customTag"] = order.tag
        return bytes(dumps(body))

    return encode
