"""A desk on which everything is in order: each test breaks one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.domain.calendar import CHICAGO, TradingCalendar
from app.domain.events import AccountReport
from app.domain.instruments import by_contract
from app.domain.market import Quote
from app.domain.orders import Bracket, Order, OrderState, OrderType, Role, Side
from app.domain.units import MICRO
from app.errors import Refused
from app.risk.gate import Gate, GateView
from app.risk.limits import Limits
from app.risk.state import TradingState

ES, MES, NQ, MCL = "CON.F.US.EP.Z26", "CON.F.US.MES.Z26", "CON.F.US.ENQ.Z26", "CON.F.US.MCLE.Z26"
NS = 1_000_000_000
MONO = 1_000 * NS
BUY, SELL = Side.BUY, Side.SELL
CALENDAR = TradingCalendar()

LIMITS = Limits(
    max_contracts_tenths=50,
    maximum_loss_limit_micro=2_000 * MICRO,
    daily_loss_limit_micro=1_000 * MICRO,
)


def at(text: str) -> int:
    """UTC ns of a Chicago wall clock time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=CHICAGO).timestamp()) * NS


OPEN = at("2026-11-19T17:00")
MORNING = at("2026-11-20T08:30")


def limits(**changes: Any) -> Limits:
    return replace(LIMITS, **changes)


def gate(encode: Callable[[Order], bytes] = lambda order: b"place", **changes: Any) -> Gate:
    return Gate(limits(**changes), CALENDAR, encode, lambda order, limit, stop, size: b"modify")


# What a view shows that knows nothing and stands still.
BLIND: dict[str, Any] = {
    "state": TradingState.HALTED,
    "because": "switch",
    "armed": False,
    "journal_failed": "disk full",
    "unknown_orders": 2,
    "quote": None,
    "account": None,
    "day_net_micro": None,
    "balance_micro": None,
    "equity_micro": None,
    "floor_micro": None,
}


def quote(contract: str = ES, **changes: Any) -> Quote:
    return replace(Quote(contract, 100, 101, 100, MORNING, MONO), **changes)


def view(contract: str = ES, **changes: Any) -> GateView:
    """Trading is open, flat, fresh and 50,000 USD are there."""
    made = GateView(
        utc_ns=MORNING,
        mono_ns=MONO,
        epoch=3,
        state=TradingState.ACTIVE,
        because="",
        armed=True,
        account=AccountReport(1, "SIM-50K", 50_000 * MICRO, True, True),
        listed=True,
        synced=True,
        journal_failed="",
        instrument=by_contract(contract),
        quote=quote(contract),
        day_net_micro=0,
        balance_micro=50_000 * MICRO,
        equity_micro=50_000 * MICRO,
        floor_micro=48_000 * MICRO,
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def entry(tag: str = "new", side: Side = BUY, size: int = 1, **changes: Any) -> Order:
    """A market entry with a stop of 20 ticks (250 USD an ES contract) and a target of 32."""
    made = Order(tag, "manual", 1, ES, side, size, OrderType.MARKET, bracket=Bracket(20, 32), ref=tag)
    return replace(made, **changes)


def exit_of(tag: str = "exit", side: Side = SELL, size: int = 1, **changes: Any) -> Order:
    made = Order(tag, "manual", 1, ES, side, size, OrderType.MARKET, role=Role.EXIT, ref=tag)
    return replace(made, **changes)


def working(order: Order, **changes: Any) -> Order:
    return replace(order, **{"state": OrderState.WORKING, "venue_id": 77, **changes})


def leg(tag: str, role: Role, side: Side = SELL, size: int = 1, parent: str = "", price: int = 80) -> Order:
    """A working stop or target."""
    stop = role is Role.STOP
    return Order(
        *(tag, "manual", 1, ES, side, size),
        OrderType.STOP if stop else OrderType.LIMIT,
        role,
        None if stop else price,
        price if stop else None,
        parent_tag=parent,
        state=OrderState.WORKING,
        venue_id=78,
    )


def refusal(call: Callable[..., object], *args: Any) -> Refused | None:
    """The refusal of a call, None when it passed."""
    try:
        call(*args)
    except Refused as refused:
        return refused
    return None


def rule(call: Callable[..., object], *args: Any) -> str:
    """The name of the rule that refused, "" when the call passed."""
    refused = refusal(call, *args)
    return refused.rule if refused else ""


def stop(ticks: int, side: Side = BUY) -> Order:
    return entry(side=side, type=OrderType.STOP, stop_ticks=ticks)


def limit(ticks: int, side: Side = BUY) -> Order:
    return entry(side=side, type=OrderType.LIMIT, limit_ticks=ticks)


def later(seconds: int, **changes: Any) -> GateView:
    mono = MONO + seconds * NS
    return view(mono_ns=mono, quote=quote(recv_mono_ns=mono), **changes)
