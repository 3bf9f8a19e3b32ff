"""The venue's JSON members for accounts, orders, positions, trades and contracts. Pure: records in, dicts
out.

REST writes every member, null when there is nothing; the hubs leave nulls out (`without_nulls`).
"""

from __future__ import annotations

from typing import Any

from app.domain.contracts import ContractId
from app.domain.instruments import Instrument, by_contract, ticks_to_nano
from app.domain.units import MICRO, NANO
from app.simulator.accounts import Account, Position, Trade
from app.simulator.orders import Order
from app.simulator.stamps import iso

Row = dict[str, Any]
LONG, SHORT, FLAT = 1, 2, 0
ROUND = 9  # decimals: finer than any tick, so that a quotient of integers prints as the price it is


def dollars(amount_micro: int | None) -> float | None:
    return None if amount_micro is None else amount_micro / MICRO


def price(instrument: Instrument, ticks: int | None) -> float | None:
    """A price as the nearest double, which prints as the exact decimal (division rounds correctly)."""
    return None if ticks is None else ticks_to_nano(instrument, ticks) / NANO


def wire_side(side: int) -> int:
    """0 = bid = buy, 1 = ask = sell."""
    return 0 if side > 0 else 1


def symbol_id(contract: str) -> str:
    return contract[len("CON.") :].rsplit(".", 1)[0]


def account_row(account: Account) -> Row:
    return {
        "id": account.id,
        "name": account.name,
        "balance": dollars(account.balance_micro),
        "canTrade": account.can_trade,
        "isVisible": True,
        "simulated": True,
    }


def order_row(order: Order) -> Row:
    """An order as REST shows it; members that do not apply to it at all are absent, as on the wire."""
    instrument = by_contract(order.contract)
    row: Row = {
        "id": order.id,
        "accountId": order.account_id,
        "contractId": order.contract,
        "symbolId": symbol_id(order.contract),
        "creationTimestamp": iso(order.created_ns),
        "updateTimestamp": None if order.updated_ns is None else iso(order.updated_ns),
        "status": int(order.status),
        "type": int(order.type),
        "side": wire_side(order.side),
        "size": order.size,
        "limitPrice": price(instrument, order.limit_ticks),
        "stopPrice": price(instrument, order.stop_ticks),
        "fillVolume": order.filled,
        "filledPrice": price(instrument, order.filled_ticks),
        "customTag": order.tag,
    }
    if order.trail_ticks is not None:
        row["trailDistance"] = order.trail_ticks
        row["trailPrice"] = price(instrument, abs(order.trail_ticks))
    if order.parent_id is not None:
        row["parentOrderId"] = order.parent_id
    if order.linked_id is not None:
        row["linkedOrderId"] = order.linked_id
    return row


def position_row(account_id: int, position: Position) -> Row:
    net = position.net
    average = position.cost_ticks * position.instrument.tick_nano / net / NANO if net else 0.0
    return {
        "id": position.id,
        "accountId": account_id,
        "contractId": position.contract,
        "contractDisplayName": ContractId.parse(position.contract).name,
        "creationTimestamp": iso(position.created_ns),
        "type": FLAT if net == 0 else LONG if net > 0 else SHORT,
        "size": abs(net),
        "averagePrice": round(average, ROUND),
    }


def trade_row(trade: Trade) -> Row:
    return {
        "id": trade.id,
        "accountId": trade.account_id,
        "contractId": trade.contract,
        "creationTimestamp": iso(trade.created_ns),
        "price": price(by_contract(trade.contract), trade.price_ticks),
        "profitAndLoss": dollars(trade.gross_micro),
        "fees": dollars(trade.fees_micro),
        "commissions": dollars(trade.commissions_micro),
        "side": wire_side(trade.side),
        "size": trade.size,
        "voided": False,
        "orderId": trade.order_id,
    }


def without_nulls(row: Row) -> Row:
    return {key: value for key, value in row.items() if value is not None}
