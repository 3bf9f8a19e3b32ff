"""What comes back after a restart: every record equal to what was appended, and never too few of them."""

from __future__ import annotations

import sqlite3
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.clock import SystemClock
from app.domain.events import AccountReport, Fill
from app.domain.market import Bar
from app.domain.orders import Bracket, Order, OrderState, OrderType, Role, Side
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
    Latch,
    LatencyMeasured,
    OrderChanged,
    ReasonClosed,
    ReasonOpened,
    Record,
    Recovered,
    StrategyState,
    TagsReserved,
    VenueCalled,
)
from app.errors import Theirs
from app.risk.state import Code, Goal, Kind, Reason, TradingState
from app.store import Store, open_journal
from app.store.recovery import WINDOW_NS
from app.store.rows import MARKET_ROWS, STATE_ROWS
from tests.store.records import changed, durable, fill

NOW = 1_795_000_000_000_000_000
DAY = 86_400_000_000_000
INT = st.integers(-(2**63), 2**63 - 1)
SMALL = st.integers(-(10**12), 10**12)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

ORDERS = st.builds(
    Order,
    tag=TEXT,
    strategy=TEXT,
    account_id=INT,
    contract=TEXT,
    side=st.sampled_from(Side),
    size=INT,
    type=st.sampled_from(OrderType),
    role=st.sampled_from(Role),
    limit_ticks=st.none() | INT,
    stop_ticks=st.none() | INT,
    bracket=st.none() | st.builds(Bracket, INT, INT),
    oco=TEXT,
    parent_tag=TEXT,
    state=st.sampled_from(OrderState),
    venue_id=INT,
    filled=INT,
    created_ns=INT,
    updated_ns=st.just(NOW),
    reason=TEXT,
    cancel_requested=st.booleans(),
    ref=TEXT,
)
FILLS = st.builds(
    Fill,
    id=INT,
    order_id=INT,
    account_id=INT,
    contract=TEXT,
    side=st.sampled_from(Side),
    size=SMALL,
    price_ticks=INT,
    fees_micro=INT,
    utc_ns=st.integers(NOW - DAY, NOW),
    gross_micro=st.none() | INT,
    voided=st.booleans(),
)
REASONS = st.builds(
    Reason,
    code=st.sampled_from(Code),
    kind=st.sampled_from(Kind),
    scope=TEXT,
    since_ns=INT,
    detail=TEXT,
    state=st.sampled_from(TradingState),
    goal=st.sampled_from(Goal),
    until_ns=INT,
    by=TEXT,
)
RECORDS = st.one_of(
    st.builds(OrderChanged, ORDERS, TEXT, st.just(NOW)),
    st.builds(FillBooked, FILLS, TEXT, TEXT, st.dates()),
    st.builds(EndOfDay, INT, st.dates(), INT, INT),
    st.builds(ReasonOpened, REASONS),
    st.builds(ReasonClosed, REASONS, TEXT, INT),
    st.builds(ArmedChanged, st.booleans(), TEXT, TEXT, INT),
    st.builds(GoalChanged, INT, st.sampled_from(Goal), st.booleans(), TEXT, INT),
    st.builds(TagsReserved, st.integers(0, 2**62)),
    st.builds(StrategyState, TEXT, st.just(7), TEXT, INT),
)


class Model:
    """What `recover` must give, by the words of `records.Recovered` alone."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.fills: dict[tuple[int, int], FillBooked] = {}
        self.days: dict[Any, EndOfDay] = {}
        self.reasons: dict[Any, Reason] = {}
        self.goals: dict[int, GoalChanged] = {}
        self.states: dict[str, StrategyState] = {}
        self.armed: bool | None = None
        self.tags = 0

    def add(self, record: Record) -> None:
        match record:
            case OrderChanged():
                self.orders[record.order.tag] = replace(record.order)
            case FillBooked():
                self.fills.setdefault((record.fill.account_id, record.fill.id), record)
            case EndOfDay():
                self.days[record.account_id, record.trade_date] = record
            case ReasonOpened():
                self.reasons.pop(record.reason.key, None)
                self.reasons[record.reason.key] = record.reason
            case ReasonClosed():
                self.reasons.pop(record.reason.key, None)
            case ArmedChanged():
                self.armed = record.armed
            case GoalChanged():
                self.goals[record.account_id] = record
            case TagsReserved():
                self.tags = max(self.tags, record.up_to)
            case StrategyState():
                self.states[record.strategy] = record

    def check(self, found: Recovered) -> None:
        reasons = tuple(reason for reason in self.reasons.values() if reason.kind is not Kind.CONDITION)
        assert found.latch == (None if self.armed is None else Latch(self.armed, reasons))
        assert list(found.orders) == list(self.orders.values())
        assert list(found.fills) == sorted(
            self.fills.values(), key=lambda f: (f.fill.utc_ns, f.fill.account_id, f.fill.id)
        )
        assert list(found.end_of_days) == [self.days[key] for key in sorted(self.days)]
        assert list(found.goals) == [
            self.goals[key] for key in sorted(self.goals) if not self.goals[key].done
        ]
        assert found.tags_reserved == self.tags
        assert found.strategy_states == {name: state.text for name, state in self.states.items()}


@settings(max_examples=30)
@given(st.lists(RECORDS, max_size=25))
async def test_gives_back_every_record_equal(records: list[Record]) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        store = await open_journal(Path(folder), SystemClock())
        for record in records:
            store.append([record])
            model.add(record)
        await store.close()
        store = await open_journal(Path(folder), SystemClock())
        model.check(await store.recover(NOW))
        await store.close()


def test_has_a_table_for_every_record() -> None:
    assert set(STATE_ROWS) | set(MARKET_ROWS) == set(Record.__args__)  # type: ignore[attr-defined]


async def test_writes_every_column_of_what_is_not_recovered(store: Store, tmp_path: Path) -> None:
    records: list[Record] = [
        AccountSeen(AccountReport(7, "SIM", 50_000_000_000, True, False), 1),
        Happened("alarm", "halt", "text", 2, 7, "manual"),
        Audited("owner", "halt", "why", "done", 3),
        LatencyMeasured("tag", 1, 2, 3, 4, 5, 6, 7),
        VenueCalled("Order/place", 200, 2, 3, 4, 5),
        BarClosed("C", 5, Bar(1, 2, 3, 4, 5, 6)),
    ]
    assert await durable(store, *records) is None
    state, market = sqlite3.connect(tmp_path / "state.db"), sqlite3.connect(tmp_path / "market.db")
    assert state.execute("SELECT * FROM account_snapshots").fetchall() == [
        (1, 1, 7, "SIM", 50_000_000_000, 1, 0)
    ]
    assert state.execute("SELECT * FROM events").fetchall() == [(1, 2, "alarm", "halt", "text", 7, "manual")]
    assert state.execute("SELECT * FROM audit").fetchall() == [(1, 3, "owner", "halt", "why", "done")]
    assert market.execute("SELECT * FROM latencies").fetchall() == [(1, 7, "tag", 1, 2, 3, 4, 5, 6)]
    assert market.execute("SELECT * FROM venue_calls").fetchall() == [(1, 5, "Order/place", 200, 2, 3, 4)]
    assert market.execute("SELECT * FROM bars").fetchall() == [("C", 5, 1, 2, 3, 4, 5, 6)]
    state.close()
    market.close()


async def recovered(store: Store, *records: Record, now: int = NOW) -> Recovered:
    assert await durable(store, *records) is None
    return await store.recover(now)


async def test_counts_an_empty_journal_as_never_armed(store: Store) -> None:
    assert await store.recover(NOW) == Recovered()


async def test_takes_a_latch_with_an_unknown_word_as_missing(store: Store, tmp_path: Path) -> None:
    assert await durable(store, ArmedChanged(True, "owner", "", 1)) is None
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute(
            "INSERT INTO reasons VALUES (1, 1, 1, '', 'of_the_future', 'person', '*', 1, '', 2, 2, 0, '')"
        )
    other.close()
    assert (await store.recover(NOW)).latch is None


async def test_says_which_file_holds_an_order_it_cannot_read(store: Store, tmp_path: Path) -> None:
    assert await durable(store, changed("a")) is None
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("UPDATE orders SET type = 'of_the_future'")
    other.close()
    with pytest.raises(Theirs, match=r"state\.db: 'of_the_future' is not a valid OrderType"):
        await store.recover(NOW)


async def test_marks_a_fill_the_venue_took_back(store: Store) -> None:
    found = await recovered(store, fill(1), FillVoided(7, 1, 5))
    assert [booked.fill.voided for booked in found.fills] == [True]


async def test_books_a_fill_once_whatever_is_repeated(store: Store) -> None:
    found = await recovered(store, fill(1, size=1), fill(1, size=2), fill(1, account_id=8))
    assert [(b.fill.account_id, b.fill.size) for b in found.fills] == [(7, 1), (8, 1)]


async def test_leaves_out_finished_orders_older_than_the_window(store: Store) -> None:
    old, new = NOW - WINDOW_NS - 1, NOW - WINDOW_NS
    found = await recovered(
        store,
        changed("old", old, state=OrderState.FILLED),
        changed("old but live", old, state=OrderState.UNKNOWN),
        changed("new", new, state=OrderState.FILLED),
        changed("now", NOW, state=OrderState.LOST),
    )
    assert [order.tag for order in found.orders] == ["old but live", "new", "now"]


def trips(*nets: int, start: int, strategy: str = "a", contract: str = "C") -> list[FillBooked]:
    """Fills one hour apart that take the position through `nets`."""
    made, net = [], 0
    for number, target in enumerate(nets):
        booked = fill(
            start + number,
            utc_ns=start + number * DAY // 24,
            side=Side(1 if target > net else -1),
            size=abs(target - net),
            contract=contract,
        )
        made.append(replace(booked, strategy=strategy))
        net = target
    return made


OLD = NOW - WINDOW_NS - 10 * DAY


async def test_leaves_out_fills_before_the_last_flat_moment_outside_the_window(store: Store) -> None:
    older, recent = trips(1, 0, -2, 0, start=OLD), trips(1, 0, start=NOW - DAY)
    assert (await recovered(store, *older, *recent)).fills == tuple(recent)


async def test_keeps_fills_from_the_last_flat_moment_however_old(store: Store) -> None:
    older, still_open = trips(1, 0, start=OLD), trips(2, 1, start=OLD + DAY)
    recent = trips(1, 0, start=NOW - DAY, contract="D")
    assert (await recovered(store, *older, *still_open, *recent)).fills == (*still_open, *recent)


async def test_an_account_flat_by_two_is_a_flat_moment(store: Store) -> None:
    """The ledger leaves nobody a position where the account has none."""
    one, other = trips(1, start=OLD), trips(-1, start=OLD + 1, strategy="manual")
    recent = trips(1, 0, start=NOW - DAY)
    assert (await recovered(store, *one, *other, *recent)).fills == tuple(recent)


async def test_hides_nothing_when_the_clock_runs_ahead(store: Store) -> None:
    records = trips(1, 0, start=OLD)
    assert (await recovered(store, *records, now=NOW + 400 * DAY)).fills == tuple(records)


async def test_reads_back_over_many_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    records = trips(*range(1, 2_600), start=OLD)
    assert (await recovered(store, *records)).fills == tuple(records)


async def test_keeps_the_end_of_day_last_told(store: Store) -> None:
    day = date(2026, 11, 20)
    found = await recovered(store, EndOfDay(7, day, 1, 2), EndOfDay(7, day, 3, 4))
    assert found.end_of_days == (EndOfDay(7, day, 3, 4),)
