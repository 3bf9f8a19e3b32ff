"""Do the service's books agree with the venue? Both sides are asked from outside and compared field by field.

The venue by its own REST answers, the service by its command socket and by the rows of its journal. Nothing
of the service's code decides here.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

Row = dict[str, Any]

USER, KEY = "demo", "demo-key"
START = Decimal(50_000)  # of the simulator's 50K account
MICRO = 1_000_000
STATES = {
    1: "working", 2: "filled", 3: "cancelled", 4: "expired", 5: "rejected", 6: "working", 7: "working",
    8: "suspended",
}  # fmt: skip
STOP_TYPES = (4, 5)  # stop, trailing stop
WORKING = 1
SIGN = {0: 1, 1: -1}  # the wire's side: 0 = buy, 1 = sell
POSITION = {1: 1, 2: -1}  # the wire's position type: 1 = long, 2 = short
PAGE = 1_000
# What the journal may say of an order that never had an id at the venue.
NEVER_SENT = frozenset({"withdrawn", "rejected", "lost", "unknown"})


@dataclass(frozen=True, slots=True)
class Venue:
    """Everything the venue says of the account at one moment, by id."""

    balance: Decimal
    orders: dict[int, Row]
    trades: dict[int, Row]
    positions: dict[str, int]

    @property
    def gross(self) -> Decimal:
        return sum((_money(t["profitAndLoss"] or 0) for t in self.trades.values()), Decimal(0))

    @property
    def fees(self) -> Decimal:
        both = (_money(t["fees"]) + _money(t["commissions"] or 0) for t in self.trades.values())
        return sum(both, Decimal(0))


@dataclass(frozen=True, slots=True)
class Books:
    """What the service says: its snapshot, and every order and execution of its journal."""

    snapshot: Row
    orders: list[Row]
    fills: list[Row]


def _money(value: Any) -> Decimal:
    return Decimal(str(value))


async def read_venue(url: str, account: int) -> Venue:
    """Ask the venue with a login of our own. Raises RuntimeError for any answer that is no success."""
    async with aiohttp.ClientSession(url) as session:

        async def ask(path: str, body: Row, token: str = "") -> Row:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with session.post(path, json=body, headers=headers) as response:
                answer: Row = await response.json()
            if not answer["success"]:
                raise RuntimeError(f"{path}: {answer}")
            return answer

        token = (await ask("/api/Auth/loginKey", {"userName": USER, "apiKey": KEY}))["token"]
        own = {"accountId": account}
        accounts = (await ask("/api/Account/search", {"onlyActiveAccounts": False}, token))["accounts"]
        orders: list[Row] = []
        while len(orders) % PAGE == 0:
            query = {"filter": own, "pageSize": PAGE, "pageOffset": len(orders)}
            page = (await ask("/api/Order/v2/query", query, token))["orders"]
            orders += page
            if not page:
                break
        trades = (await ask("/api/Trade/search", {**own, "startTimestamp": None}, token))["trades"]
        positions = (await ask("/api/Position/searchOpen", own, token))["positions"]
    return Venue(
        _money(next(a["balance"] for a in accounts if a["id"] == account)),
        {order["id"]: order for order in orders},
        {trade["id"]: trade for trade in trades},
        {p["contractId"]: POSITION[p["type"]] * p["size"] for p in positions if p["size"]},
    )


def read_journal(file: Path) -> tuple[list[Row], list[Row]]:
    """Orders and fills of state.db, read as any reader may while the service writes."""
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        connection.row_factory = sqlite3.Row
        tables = ("orders", "fills")
        orders, fills = ([dict(row) for row in connection.execute(f"SELECT * FROM {t}")] for t in tables)
    finally:
        connection.close()
    return orders, fills


def differences(venue: Venue, books: Books, *, one_day: bool = True) -> list[str]:
    """Every disagreement in words; empty = agreed. `one_day`: all trading was of the running trading day."""
    checks = (_tags, _orders, _live, _fills, _positions, _balance, _protected)
    found = [line for check in checks for line in check(venue, books)]
    return found + list(_today(venue, books)) if one_day else found


def _tags(venue: Venue, books: Books) -> Iterator[str]:
    """No duplicate order: a tag is used once at the venue, and every order of ours there was journalled."""
    used = Counter(order["customTag"] for order in venue.orders.values() if order["customTag"])
    yield from (f"tag {tag} is on {count} orders" for tag, count in used.items() if count > 1)
    journalled = {order["tag"] for order in books.orders}
    yield from (f"tag {tag} is not in the journal" for tag in used if tag not in journalled)
    ids = Counter(order["venue_id"] for order in books.orders if order["venue_id"])
    yield from (f"order {number} is journalled {count} times" for number, count in ids.items() if count > 1)


def _orders(venue: Venue, books: Books) -> Iterator[str]:
    """Each order has the same state, side, size and filled quantity on both sides."""
    tags = {order["customTag"] for order in venue.orders.values()}
    known = {order["venue_id"] for order in books.orders}
    yield from (f"order {number} is not in the journal" for number in venue.orders if number not in known)
    for order in books.orders:
        theirs = venue.orders.get(order["venue_id"])
        if theirs is not None:
            yield from _same_order(order, theirs)
        elif order["venue_id"]:
            yield f"order {order['venue_id']} ({order['state']}) is unknown to the venue"
        elif order["state"] not in NEVER_SENT or order["tag"] in tags:
            yield f"{order['tag']} is {order['state']} without an id"


def _same_order(ours: Row, theirs: Row) -> Iterator[str]:
    pairs = {
        "state": (ours["state"], STATES[theirs["status"]]),
        "side": (ours["side"], SIGN[theirs["side"]]),
        "size": (ours["size"], theirs["size"]),
        "filled": (ours["filled"], theirs["fillVolume"]),
    }
    if theirs["status"] == WORKING:
        pairs["stop"] = (_price(ours["stop_ticks"]), _optional(theirs["stopPrice"]))
        pairs["limit"] = (_price(ours["limit_ticks"]), _optional(theirs["limitPrice"]))
    for name, (mine, venue) in pairs.items():
        if mine != venue:
            yield f"{name} of order {theirs['id']} ({ours['tag']}): {mine}, at the venue {venue}"


def _price(ticks: int | None) -> Decimal | None:
    """ES, MES, NQ and MNQ, all that is traded here, move by a quarter of a point."""
    return None if ticks is None else Decimal(ticks) / 4


def _optional(price: Any) -> Decimal | None:
    return None if price is None else Decimal(str(price))


def _live(venue: Venue, books: Books) -> Iterator[str]:
    """The picture shows the same live orders as the venue."""
    theirs = {
        n: STATES[o["status"]]
        for n, o in venue.orders.items()
        if STATES[o["status"]] in ("working", "suspended")
    }
    shown = {o["venue_id"]: o["state"] for o in books.snapshot["orders"]}
    ours = {n: state for n, state in shown.items() if state in ("working", "suspended")}
    if ours != theirs:
        yield f"live orders {ours}, at the venue {theirs}"


def _fills(venue: Venue, books: Books) -> Iterator[str]:
    """Every execution is booked exactly once, for what it was."""
    count = Counter(fill["id"] for fill in books.fills)
    yield from (f"execution {number} is booked {n} times" for number, n in count.items() if n > 1)
    yield from (f"execution {number} is not booked" for number in venue.trades if number not in count)
    for fill in books.fills:
        theirs = venue.trades.get(fill["id"])
        if theirs is None:
            yield f"execution {fill['id']} is unknown to the venue"
            continue
        fees = _money(theirs["fees"]) + _money(theirs["commissions"] or 0)
        expected = (SIGN[theirs["side"]], theirs["size"], _money(theirs["price"]), fees, theirs["orderId"])
        booked = (
            fill["side"],
            fill["size"],
            Decimal(fill["price_ticks"]) / 4,
            Decimal(fill["fees_micro"]) / MICRO,
        )
        if (*booked, fill["order_id"]) != expected:
            yield f"execution {fill['id']}: {booked}, at the venue {expected}"


def _positions(venue: Venue, books: Books) -> Iterator[str]:
    ours = {p["contract"]: p["net"] for p in books.snapshot["positions"] if p["net"]}
    if ours != venue.positions:
        yield f"positions {ours}, at the venue {venue.positions}"


def _balance(venue: Venue, books: Books) -> Iterator[str]:
    if venue.balance != START + venue.gross - venue.fees:
        yield f"the venue's own balance {venue.balance} is not the sum of its trades"
    ours = _money(books.snapshot["account"]["balance"])
    if ours != venue.balance:
        yield f"balance {ours}, at the venue {venue.balance}"


def _today(venue: Venue, books: Books) -> Iterator[str]:
    """The one P&L: gross, fees and, with no position open, net."""
    today = books.snapshot["today"]
    pairs = {"gross": venue.gross, "fees": venue.fees}
    if not venue.positions:
        pairs["net"] = venue.gross - venue.fees
    for name, theirs in pairs.items():
        if not today[name] or _money(today[name]) != theirs:
            yield f"today's {name} {today[name]}, at the venue {theirs}"


def _protected(venue: Venue, books: Books) -> Iterator[str]:
    """Working stops against every position, for its whole size."""
    for contract, net in venue.positions.items():
        stops = [
            order["size"] - order["fillVolume"]
            for order in venue.orders.values()
            if order["contractId"] == contract and order["status"] == WORKING
            and order["type"] in STOP_TYPES and SIGN[order["side"]] * net < 0
        ]  # fmt: skip
        if sum(stops) < abs(net):
            yield f"position {net} {contract} has stops for {sum(stops)}"
