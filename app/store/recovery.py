"""What a restart needs back from state.db. Reads only; decides nothing about what it finds.

Where the exact window would need the calendar, more is returned instead: 14 calendar days always hold 5
trading days.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import aiosqlite

from app.clock import NS
from app.domain.events import Fill
from app.domain.orders import TERMINAL, Bracket, Order, OrderState, OrderType, Role, Side
from app.engine.records import EndOfDay, FillBooked, GoalChanged, Latch, Recovered, TwinException
from app.risk.state import Code, Goal, Kind, Reason, TradingState
from app.store.rows import (
    END_OF_DAY_COLUMNS,
    EXCEPTION_COLUMNS,
    FILL_COLUMNS,
    GOAL_COLUMNS,
    ORDER_COLUMNS,
    REASON_COLUMNS,
)

WINDOW_NS = 14 * 24 * 3_600 * NS  # calendar time kept: holds 5 trading days even over Christmas and New Year
PAGE_ROWS = 1_000  # fills read at a time on the way back to the last flat moment
END_NS = 2**63 - 1

_LIVE = tuple(state.value for state in OrderState if state not in TERMINAL)
_NEWEST = (
    "SELECT max((SELECT ifnull(max(utc_ns), 0) FROM fills), (SELECT ifnull(max(changed_ns), 0) FROM orders))"
)
_ORDERS = f"""SELECT {ORDER_COLUMNS} FROM orders
WHERE state IN ({", ".join("?" for _ in _LIVE)}) OR changed_ns >= ? ORDER BY rowid"""
_OPEN_BOOKS = """SELECT account_id, contract, sum(side * size) AS net FROM fills WHERE voided = 0
GROUP BY account_id, contract HAVING net <> 0"""
_FILLS_BACK = f"""SELECT {FILL_COLUMNS} FROM fills WHERE (utc_ns, account_id, id) < (?, ?, ?)
ORDER BY utc_ns DESC, account_id DESC, id DESC LIMIT {PAGE_ROWS}"""
_LATCH = "SELECT armed FROM latch ORDER BY id DESC LIMIT 1"
_REASONS = f"""SELECT {REASON_COLUMNS} FROM reasons
WHERE id IN (SELECT max(id) FROM reasons GROUP BY code, scope) AND opened = 1 ORDER BY id"""
_EXCEPTIONS = f"""SELECT {EXCEPTION_COLUMNS} FROM native_exceptions
WHERE id IN (SELECT max(id) FROM native_exceptions GROUP BY module) AND standing = 1 ORDER BY id"""

Row = Mapping[str, Any]


async def recover(db: aiosqlite.Connection, utc_ns: int) -> Recovered:
    """All of the last 14 days and whatever is still open. Raises sqlite3.Error, ValueError (strange row)."""
    newest = int((await _all(db, _NEWEST))[0][0])
    since_ns = min(utc_ns, newest) - WINDOW_NS  # a clock that runs ahead must not hide what happened
    return Recovered(
        latch=await _latch(db),
        orders=tuple(map(_order, await _all(db, _ORDERS, (*_LIVE, since_ns)))),
        fills=await _fills(db, since_ns),
        end_of_days=tuple(
            map(_end_of_day, await _all(db, f"SELECT {END_OF_DAY_COLUMNS} FROM end_of_days ORDER BY 1, 2"))
        ),
        goals=tuple(
            map(_goal, await _all(db, f"SELECT {GOAL_COLUMNS} FROM goals WHERE done = 0 ORDER BY 1"))
        ),
        tags_reserved=sum(row[0] for row in await _all(db, "SELECT up_to FROM tag_counter")),
        strategy_states={
            row[0]: row[1]
            for row in await _all(db, "SELECT strategy, text FROM strategy_states ORDER BY utc_ns")
        },
    )


async def exceptions(db: aiosqlite.Connection) -> list[TwinException]:
    """The native modules that must run on their pure twin. Raises sqlite3.Error."""
    return [TwinException(row[0], bool(row[1]), *row[2:]) for row in await _all(db, _EXCEPTIONS)]


async def _all(db: aiosqlite.Connection, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
    return list(await db.execute_fetchall(statement, values))


async def _latch(db: aiosqlite.Connection) -> Latch | None:
    """The latch, None when it is missing or holds a word this program does not know."""
    rows = await _all(db, _LATCH)
    try:
        reasons = tuple(map(_reason, await _all(db, _REASONS)))
    except ValueError:
        return None
    durable = tuple(reason for reason in reasons if reason.kind is not Kind.CONDITION)
    return Latch(bool(rows[0][0]), durable) if rows else None


async def _fills(db: aiosqlite.Connection, since_ns: int) -> tuple[FillBooked, ...]:
    """Fills in order of time, back to the last moment before `since_ns` at which every account was flat: then
    so was every strategy (`app.domain.ledger`).
    """
    books = {tuple(row)[:2]: row["net"] for row in await _all(db, _OPEN_BOOKS)}
    found: list[FillBooked] = []
    before = (END_NS, END_NS, END_NS)
    while page := await _all(db, _FILLS_BACK, before):
        for row in page:
            if not books and row["utc_ns"] < since_ns:
                return tuple(reversed(found))
            found.append(_fill(row))
            _undo(books, row)
        before = (page[-1]["utc_ns"], page[-1]["account_id"], page[-1]["id"])
    return tuple(reversed(found))


def _undo(books: dict[tuple[Any, ...], int], row: Row) -> None:
    """Take one fill out of the nets; a flat book is no entry."""
    if row["voided"]:
        return
    key = (row["account_id"], row["contract"])
    books[key] = books.get(key, 0) - row["side"] * row["size"]
    if not books[key]:
        del books[key]


def _order(row: Row) -> Order:
    values = dict(row)
    stop, target = values.pop("bracket_stop_ticks"), values.pop("bracket_target_ticks")
    values.update(
        side=Side(row["side"]),
        type=OrderType(row["type"]),
        role=Role(row["role"]),
        state=OrderState(row["state"]),
        bracket=None if stop is None else Bracket(stop, target),
        cancel_requested=bool(row["cancel_requested"]),
    )
    return Order(**values)


def _fill(row: Row) -> FillBooked:
    values = dict(row)
    tag, strategy = values.pop("tag"), values.pop("strategy")
    day = date.fromisoformat(values.pop("trade_date"))
    values.update(side=Side(row["side"]), voided=bool(row["voided"]))
    return FillBooked(Fill(**values), tag, strategy, day)


def _reason(row: Row) -> Reason:
    values = dict(row)
    values.update(
        by=values.pop("opened_by"),
        code=Code(row["code"]),
        kind=Kind(row["kind"]),
        state=TradingState(row["state"]),
        goal=Goal(row["goal"]),
    )
    return Reason(**values)


def _end_of_day(row: Row) -> EndOfDay:
    return EndOfDay(row[0], date.fromisoformat(row[1]), row[2], row[3])  # type: ignore[index]


def _goal(row: Row) -> GoalChanged:
    return GoalChanged(row["account_id"], Goal(row["goal"]), bool(row["done"]), row["detail"], row["utc_ns"])
