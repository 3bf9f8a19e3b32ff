"""Takes the snapshot: the engine's state as exact texts. Reads only; decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from app.clock import Clock
from app.domain.market import Quote
from app.domain.orders import Order, OrderState, Role
from app.domain.pnl import DayPnl
from app.domain.units import money
from app.engine import words
from app.engine.board import Board
from app.engine.book import Book
from app.engine.events import EventLog
from app.engine.hours import Hours
from app.engine.money import Money
from app.engine.ports import Journal, Panel
from app.engine.pursuit import Pursuit
from app.engine.runner import Runner
from app.engine.settings import ORDERS_SHOWN, EngineSettings
from app.engine.snapshot import (
    AccountView,
    EventView,
    FeedView,
    OrderView,
    PositionView,
    ReasonView,
    Snapshot,
    StorageView,
    StrategyLine,
    TodayView,
    UpdateView,
)
from app.engine.trading import Trading
from app.risk.limits import Limits
from app.risk.state import Code, Kind, Reason


class Source(Protocol):
    """The parts of the engine that a picture shows."""

    clock: Clock
    settings: EngineSettings
    limits: Limits
    native: Mapping[str, str]
    journal: Journal
    panel: Panel
    trading: Trading
    book: Book
    money: Money
    hours: Hours
    board: Board
    pursuit: Pursuit
    log: EventLog
    runners: dict[str, Runner]
    contracts: dict[str, str]
    link_up: bool
    link_detail: str
    update: UpdateView
    storage: StorageView


_ENDS = {Kind.PERSON: "a person re-arms", Kind.TIME: "by the calendar", Kind.CONDITION: "by itself"}


def take(engine: Source) -> Snapshot:
    """One consistent picture of `engine`."""
    settings, trading = engine.settings, engine.trading
    today = engine.money.today()
    return Snapshot(
        version=settings.version,
        mode=settings.mode,
        clock=settings.clock,
        utc_ns=engine.clock.utc_ns(),
        state=trading.state.name.lower(),
        armed=trading.armed,
        synced=engine.book.synced,
        link_up=engine.link_up,
        link_detail=engine.link_detail,
        session_open=trading.reasons.get(Code.SESSION_CLOSED) is None,
        journal=engine.journal.failed,
        panel=engine.board.words,
        reasons=tuple(_reason(engine, r) for r in trading.reasons.all()),
        goal=engine.pursuit.view(),
        account=_account(engine, today),
        today=_today(engine, today),
        positions=tuple(_position(engine, c) for c in engine.book.exposed_contracts()),
        orders=tuple(_order(o) for o in _orders(engine)),
        strategies=tuple(_strategies(engine)),
        feeds=tuple(_feed(engine, symbol, contract) for symbol, contract in engine.contracts.items()),
        events=tuple(EventView(e.utc_ns, e.level, e.code, e.text) for e in engine.log.recent),
        native=dict(engine.native),
        board=engine.panel.view(),
        update=engine.update,
        storage=engine.storage,
    )


def _reason(engine: Source, reason: Reason) -> ReasonView:
    ends = _ENDS[reason.kind]
    if engine.trading.waits_for_rearm(reason.code):
        ends = (
            "over; waits for a re-arm (board.resume is false)" if engine.trading.armed else _ENDS[Kind.PERSON]
        )
    return ReasonView(
        str(reason.code),
        str(reason.kind),
        reason.scope,
        reason.state.name.lower(),
        reason.goal.name.lower(),
        reason.since_ns,
        reason.until_ns,
        reason.detail,
        ends,
    )


def _account(engine: Source, today: DayPnl | None) -> AccountView | None:
    account, limits = engine.book.account, engine.limits
    if account is None:
        return None
    equity, floor = engine.money.equity_micro(today), engine.money.floor_micro()
    daily = limits.daily_loss_limit_micro
    net = today.net_micro if today is not None else None
    room = equity - floor if equity is not None and floor is not None else None
    return AccountView(
        account.account_id,
        account.name,
        money(account.balance_micro),
        _money(equity),
        account.can_trade,
        _money(floor),
        _money(room),
        0
        if room is None
        else _percent(limits.maximum_loss_limit_micro - room, limits.maximum_loss_limit_micro),
        _money(daily),
        0 if daily is None or net is None else _percent(-net, daily),
    )


def _percent(used: int, limit: int) -> int:
    return max(0, min(100, used * 100 // limit))


def _money(amount_micro: int | None) -> str:
    return "" if amount_micro is None else money(amount_micro)


def _today(engine: Source, today: DayPnl | None) -> TodayView | None:
    if today is None:
        return None
    ended = [t for t in engine.book.ledger.trades() if t.trade_date == today.trade_date]
    return TodayView(
        today.trade_date.isoformat(),
        money(today.gross_micro),
        money(today.fees_micro),
        _money(today.unrealised_micro),
        _money(today.net_micro),
        len(ended),
        sum(t.size for t in ended),
    )


def _pricer(contract: str) -> Callable[[int | None], str]:
    return partial(words.price, contract)


def _position(engine: Source, contract: str) -> PositionView:
    book, price = engine.book, _pricer(contract)
    legs = [o for o in book.live_orders(contract) if o.state is OrderState.WORKING]
    stops = [o.stop_ticks for o in legs if o.role is Role.STOP]
    targets = [o.limit_ticks for o in legs if o.role is Role.TARGET]
    return PositionView(
        contract,
        words.symbol(contract),
        book.net(contract),
        _average(engine, contract),
        _money(book.ledger.unrealised_micro(contract, book.quotes.get(contract))),
        price(stops[0]) if stops else "",
        price(targets[0]) if targets else "",
        {s: net for s in book.ledger.strategies() if (net := book.ledger.net_of(s, contract))},
    )


def _average(engine: Source, contract: str) -> str:
    """The mean entry price of the open lots, for the eye only."""
    net, instrument = engine.book.net(contract), words.instrument(contract)
    if not net or instrument is None:
        return ""
    # gross at a mark of zero ticks is minus what the open lots cost
    cost = -engine.book.ledger.open_micro(contract, 0)
    points = cost * instrument.tick_nano / (net * instrument.tick_value_micro) / 1e9
    return f"{points:.{instrument.decimals}f}"


def _orders(engine: Source) -> list[Order]:
    """Live ones first, then the newest others of the trading day."""
    since = engine.hours.day_start_ns() or 0
    live = sorted(engine.book.live_orders(), key=lambda o: -o.created_ns)
    ended = [o for o in engine.book.orders.values() if o.state.terminal and o.created_ns >= since]
    ended.sort(key=lambda o: (-o.updated_ns, o.tag))
    return [*live, *ended][:ORDERS_SHOWN]


def _order(order: Order) -> OrderView:
    price = _pricer(order.contract)
    return OrderView(
        order.tag,
        order.venue_id,
        order.strategy,
        order.contract,
        words.symbol(order.contract),
        order.side.name.lower(),
        order.size,
        order.filled,
        str(order.type),
        str(order.role),
        price(order.limit_ticks),
        price(order.stop_ticks),
        str(order.state),
        order.reason,
        order.created_ns,
        order.updated_ns,
    )


def _strategies(engine: Source) -> list[StrategyLine]:
    ledger, day = engine.book.ledger, engine.money.trade_date()
    ended = [t for t in ledger.trades() if t.trade_date == day]
    return [
        StrategyLine(
            name,
            runner.strategy.symbol,
            runner.contract,
            runner.ready,
            money(ledger.net_micro_of(name, day)) if day is not None else "",
            sum(t.strategy == name for t in ended),
            dict(runner.strategy.facts()),
        )
        for name, runner in engine.runners.items()
    ]


def _feed(engine: Source, symbol: str, contract: str) -> FeedView:
    quote, price = engine.book.quotes.get(contract) or Quote(contract), _pricer(contract)
    age = engine.clock.mono_ns() - quote.recv_mono_ns if quote.recv_mono_ns else -1_000_000
    return FeedView(
        symbol,
        contract,
        price(quote.bid_ticks),
        price(quote.ask_ticks),
        price(quote.last_ticks),
        age // 1_000_000,
        age < 0 or age > engine.settings.feed_silence_ns,
    )
