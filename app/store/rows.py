"""Records as rows: for each record type, the statements and the plain parameter tuples that journal it.

Pure; no connection lives here. Text from outside may hold what SQLite cannot store (lone surrogates) or be
endless; free text is made safe here, because a message from the venue must never be the reason why the
journal stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from app.domain.orders import Order
from app.engine.records import (
    AccountSeen,
    ArmedChanged,
    Audited,
    BarClosed,
    EndOfDay,
    FillBooked,
    FillVoided,
    GoalChanged,
    Happened,
    LatencyMeasured,
    OrderChanged,
    ReasonClosed,
    ReasonOpened,
    StrategyState,
    TagsReserved,
    TwinException,
    TwinsDiffered,
    VenueCalled,
)
from app.risk.state import Reason

TEXT_LIMIT = 2_000  # characters of a free text kept; the longest message of ours is a tenth of it


class Statement(NamedTuple):
    """SQL and the table it writes. Rows of one table keep their order, rows of different tables need none."""

    table: str
    sql: str


Row: TypeAlias = tuple[Statement, tuple[Any, ...]]
Rows: TypeAlias = tuple[Row, ...]


def _insert(table: str, columns: str, conflict: str = "") -> Statement:
    marks = ", ".join("?" for _ in columns.split(", "))
    return Statement(table, f"INSERT INTO {table} ({columns}) VALUES ({marks}) {conflict}".rstrip())


def _upsert(table: str, key: str, columns: str) -> Statement:
    names = [name for name in columns.split(", ") if name not in key.split(", ")]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names)
    return _insert(table, columns, f"ON CONFLICT ({key}) DO UPDATE SET {changes}")


ORDER_COLUMNS = (
    "tag, strategy, account_id, contract, side, size, type, role, limit_ticks, stop_ticks, "
    "bracket_stop_ticks, bracket_target_ticks, oco, parent_tag, state, venue_id, filled, created_ns, "
    "updated_ns, reason, cancel_requested, ref"
)
FILL_COLUMNS = (
    "account_id, id, order_id, contract, side, size, price_ticks, fees_micro, utc_ns, gross_micro, voided, "
    "tag, strategy, trade_date"
)
REASON_COLUMNS = "code, kind, scope, since_ns, detail, state, goal, until_ns, opened_by"
END_OF_DAY_COLUMNS = "account_id, trade_date, balance_micro, floor_micro"
GOAL_COLUMNS = "account_id, goal, done, detail, utc_ns"
EXCEPTION_COLUMNS = "module, standing, actor, why, utc_ns"
LATENCY_COLUMNS = "tag, frame_ns, strategy_ns, gate_ns, journal_ns, send_ns, acknowledge_ns, utc_ns"
BAR_COLUMNS = "contract, minutes, start_ns, open_ticks, high_ticks, low_ticks, close_ticks, volume"

_ORDER = _upsert("orders", "tag", f"{ORDER_COLUMNS}, changed_ns")
_ORDER_EVENT = _insert(
    "order_events", "utc_ns, tag, event, state, venue_id, size, filled, limit_ticks, stop_ticks, reason"
)
_FILL = _insert("fills", FILL_COLUMNS, "ON CONFLICT (account_id, id) DO NOTHING")
_VOID = Statement("fills", "UPDATE fills SET voided = 1 WHERE account_id = ? AND id = ?")
_ACCOUNT = _insert("account_snapshots", "utc_ns, account_id, name, balance_micro, can_trade, simulated")
_END_OF_DAY = _upsert("end_of_days", "account_id, trade_date", END_OF_DAY_COLUMNS)
_REASON = _insert("reasons", f"utc_ns, opened, closed_by, {REASON_COLUMNS}")
_LATCH = _insert("latch", "utc_ns, armed, actor, why")
_GOAL = _upsert("goals", "account_id", GOAL_COLUMNS)
_TAGS = _insert(
    "tag_counter", "id, up_to", "ON CONFLICT (id) DO UPDATE SET up_to = max(up_to, excluded.up_to)"
)
_STRATEGY = _upsert("strategy_states", "strategy, account_id", "strategy, account_id, text, utc_ns")
_EVENT = _insert("events", "utc_ns, level, code, text, account_id, strategy")
_AUDIT = _insert("audit", "utc_ns, actor, command, detail, outcome")
_DIFFERENCE = _insert("native_differences", "utc_ns, module, function, arguments, compiled, pure")
_EXCEPTION = _insert("native_exceptions", EXCEPTION_COLUMNS)
_LATENCY = _insert("latencies", LATENCY_COLUMNS)
_CALL = _insert("venue_calls", "utc_ns, endpoint, status, error_code, duration_ns, attempts")
_BAR = _upsert("bars", "contract, minutes, start_ns", BAR_COLUMNS)


def storable(text: str) -> str:
    """`text` as SQLite can store it: lone surrogates replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def safe(text: str) -> str:
    """Free text: storable, and at most TEXT_LIMIT characters."""
    return storable(text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…")


def _order_row(o: Order) -> tuple[Any, ...]:
    legs = (None, None) if o.bracket is None else (o.bracket.stop_ticks, o.bracket.target_ticks)
    return (
        *(storable(o.tag), o.strategy, o.account_id, storable(o.contract), int(o.side), o.size, o.type.value),
        *(o.role.value, o.limit_ticks, o.stop_ticks, *legs, storable(o.oco), storable(o.parent_tag)),
        *(o.state.value, o.venue_id, o.filled, o.created_ns, o.updated_ns, safe(o.reason)),
        *(int(o.cancel_requested), storable(o.ref)),
    )


def _order(record: OrderChanged) -> Rows:
    o, at = record.order, record.utc_ns
    row = _order_row(o)
    event = (
        *(at, row[0], record.event, o.state.value, o.venue_id, o.size, o.filled, o.limit_ticks, o.stop_ticks),
        safe(o.reason),
    )
    return (_ORDER, (*row, max(at, o.created_ns, o.updated_ns))), (_ORDER_EVENT, event)


def _fill(record: FillBooked) -> Rows:
    f, day = record.fill, record.trade_date.isoformat()
    row = (
        *(f.account_id, f.id, f.order_id, storable(f.contract), int(f.side), f.size, f.price_ticks),
        *(f.fees_micro, f.utc_ns, f.gross_micro, int(f.voided), storable(record.tag), record.strategy, day),
    )
    return ((_FILL, row),)


def _void(record: FillVoided) -> Rows:
    return ((_VOID, (record.account_id, record.fill_id)),)


def _account(record: AccountSeen) -> Rows:
    r = record.report
    flags = (int(r.can_trade), int(r.simulated))
    return ((_ACCOUNT, (record.utc_ns, r.account_id, safe(r.name), r.balance_micro, *flags)),)


def _end_of_day(record: EndOfDay) -> Rows:
    day = record.trade_date.isoformat()
    return ((_END_OF_DAY, (record.account_id, day, record.balance_micro, record.floor_micro)),)


def _reason_row(r: Reason) -> tuple[Any, ...]:
    numbers = (int(r.state), int(r.goal), r.until_ns)
    return r.code.value, r.kind.value, r.scope, r.since_ns, safe(r.detail), *numbers, safe(r.by)


def _reason_opened(record: ReasonOpened) -> Rows:
    return ((_REASON, (record.reason.since_ns, 1, "", *_reason_row(record.reason))),)


def _reason_closed(record: ReasonClosed) -> Rows:
    return ((_REASON, (record.utc_ns, 0, safe(record.by), *_reason_row(record.reason))),)


def _latch(record: ArmedChanged) -> Rows:
    return ((_LATCH, (record.utc_ns, int(record.armed), safe(record.by), safe(record.why))),)


def _goal(record: GoalChanged) -> Rows:
    row = (record.account_id, int(record.goal), int(record.done), safe(record.detail), record.utc_ns)
    return ((_GOAL, row),)


def _tags(record: TagsReserved) -> Rows:
    return ((_TAGS, (1, record.up_to)),)


def _strategy(record: StrategyState) -> Rows:
    return ((_STRATEGY, (record.strategy, record.account_id, storable(record.text), record.utc_ns)),)


def _event(record: Happened) -> Rows:
    row = (record.utc_ns, record.level, record.code, safe(record.text), record.account_id, record.strategy)
    return ((_EVENT, row),)


def _audit(record: Audited) -> Rows:
    texts = (record.actor, record.command, record.detail, record.outcome)
    return ((_AUDIT, (record.utc_ns, *map(safe, texts))),)


def _difference(r: TwinsDiffered) -> Rows:
    return ((_DIFFERENCE, (r.utc_ns, *map(safe, (r.module, r.function, r.arguments, r.compiled, r.pure)))),)


def _exception(r: TwinException) -> Rows:
    return ((_EXCEPTION, (r.module, int(r.standing), safe(r.by), safe(r.why), r.utc_ns)),)


def _latency(r: LatencyMeasured) -> Rows:
    stamps = (r.frame_ns, r.strategy_ns, r.gate_ns, r.journal_ns, r.send_ns, r.acknowledge_ns)
    return ((_LATENCY, (r.tag, *stamps, r.utc_ns)),)


def _call(r: VenueCalled) -> Rows:
    row = (r.utc_ns, safe(r.endpoint), r.status, r.error_code, r.duration_ns, r.attempts)
    return ((_CALL, row),)


def _bar(record: BarClosed) -> Rows:
    b = record.bar
    prices = (b.open_ticks, b.high_ticks, b.low_ticks, b.close_ticks)
    return ((_BAR, (record.contract, record.minutes, b.start_ns, *prices, b.volume)),)


STATE_ROWS: dict[type, Callable[[Any], Rows]] = {
    OrderChanged: _order,
    FillBooked: _fill,
    FillVoided: _void,
    AccountSeen: _account,
    EndOfDay: _end_of_day,
    ReasonOpened: _reason_opened,
    ReasonClosed: _reason_closed,
    ArmedChanged: _latch,
    GoalChanged: _goal,
    TagsReserved: _tags,
    StrategyState: _strategy,
    Happened: _event,
    Audited: _audit,
    TwinsDiffered: _difference,
    TwinException: _exception,
}
MARKET_ROWS: dict[type, Callable[[Any], Rows]] = {
    LatencyMeasured: _latency,
    VenueCalled: _call,
    BarClosed: _bar,
}
