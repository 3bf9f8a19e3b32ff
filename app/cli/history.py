"""The journal's rows as an owner reads them: buy and sell, prices and money as exact text. Pure.

The journal keeps integers with their unit in the name (`_ticks`, `_micro`); the answers of the service keep
texts. Both reach the owner in the second form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.instruments import by_contract, ticks_to_price
from app.domain.units import money
from app.errors import Refused

Row = Mapping[str, Any]

SIDES = {1: "buy", -1: "sell"}


def trade(row: Row) -> dict[str, Any]:
    """One execution. `gross` is "" for one that opened a position."""
    return {
        "id": row["id"],
        "order_id": row["order_id"],
        "tag": row["tag"],
        "account_id": row["account_id"],
        "trade_date": row["trade_date"],
        "utc_ns": row["utc_ns"],
        "strategy": row["strategy"],
        "contract": row["contract"],
        "side": SIDES[row["side"]],
        "size": row["size"],
        "price": _price(row, "price_ticks"),
        "fees": _money(row, "fees_micro"),
        "gross": _money(row, "gross_micro"),
        "voided": bool(row["voided"]),
        "type": row.get("order_type") or "",
        "role": row.get("role") or "",
        "ref": row.get("ref") or "",
    }


def order(row: Row) -> dict[str, Any]:
    """One order, its columns named as in the service's own answer."""
    kept = ("tag", "venue_id", "strategy", "contract", "size", "filled", "type", "role", "state", "reason")
    return {
        **{name: row[name] for name in kept},
        "side": SIDES[row["side"]],
        "limit": _price(row, "limit_ticks"),
        "stop": _price(row, "stop_ticks"),
        "created_ns": row["created_ns"],
        "updated_ns": row["updated_ns"],
    }


def _price(row: Row, key: str) -> str:
    """ "5790.25"; "" without a price; the ticks as they are for a contract this program does not know."""
    ticks = row[key]
    if ticks is None:
        return ""
    try:
        return ticks_to_price(by_contract(row["contract"]), ticks)
    except Refused:
        return f"{ticks} ticks"


def _money(row: Row, key: str) -> str:
    return "" if row[key] is None else money(row[key])
