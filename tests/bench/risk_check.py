"""Job `risk_check`: every rule of the gate on an order that could add exposure, with a position and its legs.

A thousand different orders, half of which pass; the same rules in Go and C on structs of their own, looked up
by contract text. Ours is `native.gate.Gate.check` on the engine's own order and view objects, one Python call
an order; `engine_ns` is the call that the engine's gate makes (`Desk.first_doubt`, which makes that one),
`cython_caller_ns` the same from another compiled module, `rules_ns` is `app.risk.checks` without it, which is
what it replaces.
"""

from __future__ import annotations

import importlib
import random
import struct
from collections.abc import Callable
from itertools import chain
from types import ModuleType

from app.domain.calendar import TradingCalendar
from app.domain.events import AccountReport
from app.domain.market import Quote
from app.domain.orders import Bracket, Order, OrderState, OrderType, Role, Side
from app.errors import Refused
from app.risk import checks
from app.risk.checks import Desk, GateView
from app.risk.limits import Limits
from app.risk.state import TradingState
from native import gate_py
from tests.bench.compiled_caller import caller
from tests.bench.figures import Row
from tests.bench.side_by_side import BUILT, Inside, compare, compile_c, compile_go, promise

CONTRACTS = ("CON.F.US.EP.Z26", "CON.F.US.MES.Z26", "CON.F.US.ENQ.Z26")
NOW_NS, MONO_NS = 1_795_185_000_000_000_000, 1_000_000_000_000  # Friday 2026-11-20, 08:30 Chicago
TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP)
ORDERS = 1_000
LIMITS = Limits(
    max_contracts_tenths=150, maximum_loss_limit_micro=4_500_000_000, daily_loss_limit_micro=3_000_000_000
)


def measure() -> list[Row]:
    orders = _orders(random.Random(20261120))
    view, desk = _view(orders[0].contract), Desk(LIMITS, TradingCalendar())
    _tell(desk, view)
    BUILT.mkdir(parents=True, exist_ok=True)
    file = BUILT / "risk_check.bin"
    file.write_bytes(_packed(desk, view, orders))
    twins = {"pure": gate_py, "cython": importlib.import_module("native.gate_c")}
    inside = {name: Inside(_checking(twin, view, orders), str) for name, twin in twins.items()}
    inside["engine"] = Inside(_asking(view, orders), str)
    inside["cython_caller"] = Inside(_from_cython(view, orders), str)
    inside["rules"] = Inside(_ruling(desk, view, orders), str)
    peers = {"c": (compile_c("risk_check"), file), "go": (compile_go("risk_check"), file)}
    row = compare("risk_check", inside, peers, ORDERS)
    for name, key in (("engine_ns", "ratio_go_engine"), ("cython_caller_ns", "ratio_go_from_cython")):
        row[key] = row[name] / row["go_ns"] if row["go_ns"] else None
    row = promise(promise(row, "ratio_go", 4.0), "ratio_go_engine", 4.0)
    return [promise(row, "ratio_go_from_cython", 1.5)]


def _orders(chance: random.Random) -> list[Order]:
    """Entries of one contract: sizes, prices and brackets on both sides of the limits."""
    made = []
    for number in range(ORDERS):
        side, kind = chance.choice((Side.BUY, Side.SELL)), chance.choice(TYPES)
        near = 26_000 + chance.randrange(-30, 430) * side * (1 if kind is OrderType.STOP else -1)
        order = Order(f"t{number}", "bench", 1, CONTRACTS[0], side, chance.randrange(1, 8), kind)
        order.limit_ticks = near if kind is OrderType.LIMIT else None
        order.stop_ticks = near if kind is OrderType.STOP else None
        order.bracket = Bracket(chance.choice((3, 16, 20, 40)), chance.choice((0, 32)))
        order.oco = chance.choice(("", "pair"))
        made.append(order)
    return made


def _view(contract: str) -> GateView:
    leg = {"account_id": 1, "contract": contract, "side": Side.SELL, "size": 1, "strategy": "bench"}
    leg |= {"state": OrderState.WORKING, "parent_tag": "filled"}
    live = (
        Order(tag="SL", type=OrderType.STOP, role=Role.STOP, stop_ticks=25_900, **leg),
        Order(tag="TP", type=OrderType.LIMIT, role=Role.TARGET, limit_ticks=26_100, **leg),
        Order("e", "bench", 1, CONTRACTS[1], Side.BUY, 2, OrderType.LIMIT, limit_ticks=25_990, oco="pair",
              bracket=Bracket(16, 32), state=OrderState.WORKING),
    )  # fmt: skip
    return GateView(
        utc_ns=NOW_NS, mono_ns=MONO_NS, state=TradingState.ACTIVE, because="", armed=True, listed=True,
        account=AccountReport(1, "BENCH", 50_000_000_000, True, True), synced=True, journal_failed="",
        quote=Quote(contract, 26_000, 26_001, 26_000, NOW_NS, MONO_NS - 1_000_000),
        positions={contract: 1, CONTRACTS[1]: -2}, orders={order.tag: order for order in live}.values(),
        day_net_micro=-100_000_000, balance_micro=50_000_000_000, equity_micro=49_900_000_000,
        floor_micro=46_000_000_000,
    )  # fmt: skip


def _tell(desk: Desk, view: GateView) -> None:
    """What the rules tell the arithmetic when they are first asked."""
    for contract in CONTRACTS:
        view.instrument = desk.instrument(contract)
        order = Order("x", "bench", 1, contract, Side.BUY, 1, OrderType.MARKET)
        checks.entry_hours(desk, order, view)
    checks.order_rate(desk, order, view)
    view.instrument = desk.instrument(CONTRACTS[0])


def _desk(twin: ModuleType, view: GateView) -> Desk:
    desk = Desk(LIMITS, TradingCalendar())
    desk._native = twin.Gate(LIMITS, checks._WORDS, desk.raised, checks._KINDS)
    _tell(desk, view)
    return desk


def _from_cython(view: GateView, orders: list[Order]) -> Callable[[], object]:
    native = _desk(importlib.import_module("native.gate_c"), view)._native
    work = caller("risk_check").work
    return lambda: work(native, orders, view)


def _checking(twin: ModuleType, view: GateView, orders: list[Order]) -> Callable[[], object]:
    check = _desk(twin, view)._native.check

    def work() -> int:
        total = 0
        for order in orders:
            total = (total * 31 + check(order, view)) % 1_000_003
        return total

    return work


def _asking(view: GateView, orders: list[Order]) -> Callable[[], object]:
    ask, most = _desk(importlib.import_module("native.gate_c"), view).first_doubt, len(checks.EXPOSING_PLACE)

    def work() -> int:
        total = 0
        for order in orders:
            place = ask(order, view)
            total = (total * 31 + (place if place < most else -1)) % 1_000_003
        return total

    return work


def _ruling(desk: Desk, view: GateView, orders: list[Order]) -> Callable[[], object]:
    def first(order: Order) -> int:
        for place, rule in enumerate(checks.EXPOSING_PLACE):
            try:
                rule(desk, order, view)
            except Refused:
                return place
        return -1

    def work() -> int:
        total = 0
        for order in orders:
            total = (total * 31 + first(order)) % 1_000_003
        return total

    return work


def _packed(desk: Desk, view: GateView, orders: list[Order]) -> bytes:
    """Integers: limits, products, view, positions, live orders, orders (see go/risk_check.go)."""
    limits = desk.limits
    head = [
        limits.collar_ticks, limits.max_quote_age_ns, limits.max_order_contracts, limits.max_contracts_tenths,
        limits.slippage_reserve_ticks, limits.daily_loss_limit_micro or 0, limits.min_bracket_ticks,
    ]  # fmt: skip
    full_until, day_from, day_until, echo_until = desk.throttle.known_until(NOW_NS, MONO_NS)
    head += [full_until, day_from, day_until, echo_until, len(CONTRACTS)]
    for contract in CONTRACTS:
        product = desk._native.product(contract)
        assert product is not None
        head += [product.weight, product.tick_value, product.fee, product.most]
        head += [product.open_ns, product.until_ns]
    quote = view.quote
    assert quote is not None
    head += [view.utc_ns, view.mono_ns, quote.bid_ticks or 0, quote.ask_ticks or 0, quote.last_ticks or 0]
    head += [quote.recv_mono_ns, view.day_net_micro or 0, view.balance_micro or 0, view.equity_micro or 0]
    head += [view.floor_micro or 0]
    head += [len(view.positions), *chain(*((CONTRACTS.index(c), net) for c, net in view.positions.items()))]
    head += [len(view.orders), *chain(*map(_row, view.orders)), len(orders), *chain(*map(_row, orders))]
    return struct.pack(f"<{len(head)}q", *head)


def _row(order: Order) -> list[int]:
    bracket = order.bracket or Bracket(0)
    return [
        CONTRACTS.index(order.contract), order.side, order.size, order.filled, TYPES.index(order.type),
        order.role is Role.ENTRY, order.limit_ticks or 0, order.stop_ticks or 0, bracket.stop_ticks,
        bracket.target_ticks, bool(order.parent_tag), bool(order.oco), order.state.live,
    ]  # fmt: skip
