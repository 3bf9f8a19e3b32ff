"""The venue of a replay: told at the same instant, never inside a call."""

from __future__ import annotations

from typing import Any

import pytest

from app.backtest.account import ACCOUNT_ID, Account
from app.backtest.clock import ReplayClock
from app.backtest.venue import BarVenue
from app.domain.events import AccountSnapshot, Fill, OpenSnapshot, OrderReport, Outcome, Reply, Request
from app.domain.market import MINUTE_NS, Bar
from app.domain.orders import Bracket, Order, OrderState, OrderType, Role, Side
from app.errors import Refused
from app.risk.approved import SEAL, Action, Approved
from app.simulator.bars import Slippage

CONTRACT = "CON.F.US.EP.Z13"
START = 1_381_096_800_000_000_000


class Sink:
    """Remembers every word; `withhold` is what the last check answers."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.withhold = ""

    def may_send(self, approved: Approved) -> str:
        return self.withhold

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.heard.append((name, args[0] if len(args) == 1 else args))

    def all(self, name: str) -> list[Any]:
        return [what for who, what in self.heard if who == name]


class Floor:
    """A venue with one account, its clock, and bars by hand."""

    def __init__(self, slippage: Slippage = Slippage(1, 0)) -> None:  # noqa: B008 - frozen
        self.clock, self.sink = ReplayClock(START), Sink()
        self.account = Account(50_000_000_000, 12_500_000, 3_780_000)
        self.venue = BarVenue(self.clock, CONTRACT, self.account, slippage)
        self.venue.connect(self.sink)  # type: ignore[arg-type]
        self.count = 0

    def place(self, side: Side, kind: OrderType, price: int | None = None, **more: Any) -> Order:
        self.count += 1
        limit = price if kind is OrderType.LIMIT else None
        stop = price if kind is OrderType.STOP else None
        tag = f"t{self.count}"
        order = Order(
            tag, "s", ACCOUNT_ID, CONTRACT, side, 1, kind, limit_ticks=limit, stop_ticks=stop, **more
        )
        body = self.venue.encode_place(order)
        self.venue.submit(approve(Action.PLACE, order, body))
        self.clock.settle()
        for reply in self.sink.all("on_reply"):
            if reply.ref == tag and reply.request is Request.PLACE:
                order.venue_id = reply.venue_id
        return order

    def modify(self, order: Order, stop: int) -> Reply:
        body = self.venue.encode_modify(order, None, stop, None)
        self.venue.submit(approve(Action.MODIFY, order, body))
        self.clock.settle()
        reply: Reply = self.sink.all("on_reply")[-1]
        return reply

    def bar(self, opened: int, high: int, low: int, close: int) -> None:
        bar = Bar(self.clock.utc_ns(), opened, high, low, close, 1)
        self.venue.open_bar(bar)
        self.clock.advance_to(bar.start_ns + MINUTE_NS - 1)
        self.venue.fill_within(bar)
        self.clock.arrive(bar.start_ns + MINUTE_NS)
        self.venue.tell(bar)
        self.clock.settle()

    def fills(self) -> list[tuple[int, int]]:
        return [(fill.side * fill.size, fill.price_ticks) for fill in self.sink.all("on_fill")]

    def state(self, venue_id: int) -> OrderState:
        reports: list[OrderReport] = self.sink.all("on_order")
        return [r for r in reports if r.venue_id == venue_id][-1].state


def approve(action: Action, order: Order, body: bytes) -> Approved:
    return Approved(
        SEAL, action, order, body, epoch=1, expires_mono_ns=1 << 62, max_quote_age_ns=0, exposing=True
    )


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_answers_at_the_same_instant_but_not_inside_the_call(floor: Floor) -> None:
    order = Order("t", "s", 1, CONTRACT, Side.BUY, 1, OrderType.MARKET)
    floor.venue.submit(approve(Action.PLACE, order, b""))
    floor.venue.close(CONTRACT)
    floor.venue.read(0)
    assert floor.sink.heard == []
    floor.clock.settle()
    assert [name for name, _ in floor.sink.heard] == [
        "on_sent",
        "on_reply",
        "on_order",
        "on_reply",
        "on_snapshot",
    ]


def test_a_withheld_order_never_arrives(floor: Floor) -> None:
    floor.sink.withhold = "halted after approval"
    floor.place(Side.BUY, OrderType.MARKET)
    (reply,) = floor.sink.all("on_reply")
    assert (reply.outcome, reply.reason) == (Outcome.WITHDRAWN, "halted after approval")
    floor.sink.withhold = ""
    floor.bar(100, 101, 99, 100)
    assert floor.fills() == []


def test_a_bracket_is_n_and_its_legs_wait_suspended_without_prices(floor: Floor) -> None:
    floor.place(Side.BUY, OrderType.STOP, 110, bracket=Bracket(5, 8))
    entry, stop, target = floor.sink.all("on_order")
    assert [stop.venue_id - entry.venue_id, target.venue_id - entry.venue_id] == [1, 2]
    assert (stop.state, target.state) == (OrderState.SUSPENDED, OrderState.SUSPENDED)
    assert (stop.tag, target.tag) == ("t1-SL", "t1-TP")
    assert stop.parent_id == target.parent_id == entry.venue_id
    assert (stop.stop_ticks, target.limit_ticks, target.linked_id) == (None, None, stop.venue_id)


def test_a_fill_works_its_legs_from_the_price_it_got(floor: Floor) -> None:
    floor.place(Side.BUY, OrderType.MARKET, bracket=Bracket(5, 8))
    floor.bar(100, 104, 98, 103)
    assert floor.fills() == [(1, 101)]
    legs = floor.sink.all("on_order")[-2:]
    assert [(leg.state, leg.stop_ticks, leg.limit_ticks) for leg in legs] == [
        (OrderState.WORKING, 96, None),
        (OrderState.WORKING, None, 109),
    ]


@pytest.mark.parametrize(
    ("bar", "fill", "cancelled"),
    [
        ((100, 110, 99, 108), (-1, 109), 2),
        ((100, 103, 96, 97), (-1, 96), 3),
        ((100, 115, 90, 100), (-1, 96), 3),
    ],
)
def test_one_leg_cancels_the_other(
    floor: Floor, bar: tuple[int, int, int, int], fill: tuple[int, int], cancelled: int
) -> None:
    floor.place(Side.BUY, OrderType.MARKET, bracket=Bracket(5, 8))
    floor.bar(100, 101, 99, 100)
    floor.bar(*bar)
    assert floor.fills()[1:] == [fill]
    assert floor.state(cancelled) is OrderState.CANCELLED
    floor.bar(100, 120, 80, 100)
    assert len(floor.fills()) == 2


def test_the_stop_is_live_in_the_entry_bar_and_the_target_is_not(floor: Floor) -> None:
    floor.place(Side.BUY, OrderType.STOP, 105, bracket=Bracket(5, 3))
    floor.bar(102, 120, 101, 119)
    assert floor.fills() == [(1, 105)]
    floor.bar(119, 120, 118, 119)
    assert floor.fills() == [(1, 105), (-1, 108)]
    floor = Floor()
    floor.place(Side.BUY, OrderType.STOP, 105, bracket=Bracket(5, 3))
    floor.bar(102, 120, 100, 119)
    assert floor.fills() == [(1, 105), (-1, 100)]


def test_an_order_meets_the_bar_after_it_arrived(floor: Floor) -> None:
    floor.clock.advance_to(START + 30_000_000_000)
    floor.place(Side.BUY, OrderType.STOP, 105)
    begun = Bar(START, 100, 110, 99, 100, 1)
    floor.venue.fill_within(begun)
    assert floor.fills() == []
    floor.clock.arrive(START + MINUTE_NS)
    floor.bar(100, 110, 99, 100)
    assert floor.fills() == [(1, 105)]


def test_a_cancelled_entry_takes_its_legs_along(floor: Floor) -> None:
    order = floor.place(Side.SELL, OrderType.STOP, 90, bracket=Bracket(5, 8))
    floor.venue.cancel(order)
    floor.clock.settle()
    assert [floor.state(i) for i in (1, 2, 3)] == [OrderState.CANCELLED] * 3
    floor.venue.cancel(order)
    floor.clock.settle()
    assert floor.sink.all("on_reply")[-1].outcome is Outcome.REJECTED


def test_a_stop_on_the_wrong_side_of_the_market_is_rejected(floor: Floor) -> None:
    floor.bar(100, 101, 99, 100)
    floor.place(Side.BUY, OrderType.STOP, 100)
    reply = floor.sink.all("on_reply")[-1]
    assert (reply.outcome, reply.reason) == (Outcome.REJECTED, "Invalid stop price")
    floor.place(Side.BUY, OrderType.STOP, 101)
    assert floor.sink.all("on_reply")[-1].outcome is Outcome.ACCEPTED


def test_a_leg_can_be_modified_and_what_is_gone_cannot(floor: Floor) -> None:
    floor.place(Side.BUY, OrderType.MARKET, bracket=Bracket(10, 0))
    floor.bar(100, 104, 98, 103)
    leg = Order("t1-SL", "s", 1, CONTRACT, Side.SELL, 1, OrderType.STOP, Role.STOP, stop_ticks=91, venue_id=2)
    assert floor.modify(leg, 104).reason == "Invalid stop price"
    assert floor.modify(leg, 101).outcome is Outcome.ACCEPTED
    floor.bar(103, 104, 101, 103)
    assert floor.fills() == [(1, 101), (-1, 101)]
    assert floor.modify(leg, 90).outcome is Outcome.REJECTED


def test_close_fills_the_whole_position_at_the_next_open_and_leaves_the_legs(floor: Floor) -> None:
    floor.place(Side.SELL, OrderType.MARKET, bracket=Bracket(20, 20))
    floor.bar(100, 104, 98, 103)
    floor.venue.close(CONTRACT)
    floor.venue.close(CONTRACT)
    floor.clock.settle()
    assert [r.outcome for r in floor.sink.all("on_reply")[-2:]] == [Outcome.ACCEPTED, Outcome.REJECTED]
    floor.bar(102, 103, 101, 102)
    assert floor.fills() == [(-1, 99), (1, 103)]
    assert floor.state(2) is OrderState.WORKING
    floor.venue.close(CONTRACT)
    floor.clock.settle()
    assert floor.sink.all("on_reply")[-1].reason == "no position"


def test_a_complete_read_lists_everything_since_and_an_open_read_what_works(floor: Floor) -> None:
    floor.place(Side.BUY, OrderType.MARKET, bracket=Bracket(5, 8))
    floor.place(Side.SELL, OrderType.STOP, 80, bracket=Bracket(5, 8))
    floor.bar(100, 104, 98, 103)
    floor.venue.read(START)
    floor.venue.read_open()
    floor.clock.settle()
    (whole,), (now,) = floor.sink.all("on_snapshot"), floor.sink.all("on_open")
    assert isinstance(whole, AccountSnapshot)
    assert isinstance(now, OpenSnapshot)
    assert sorted(o.venue_id for o in whole.orders) == [1, 2, 3, 4, 5, 6]
    assert [f.price_ticks for f in whole.fills] == [101]
    assert [p.net for p in whole.positions] == [p.net for p in now.positions] == [1]
    assert sorted(o.venue_id for o in now.orders) == [2, 3, 4]
    assert whole.account.balance_micro == 50_000_000_000 - 1_890_000


@pytest.mark.parametrize("kind", [OrderType.TRAILING_STOP, OrderType.JOIN_BID, OrderType.UNKNOWN])
def test_refuses_order_types_that_bars_cannot_fill(floor: Floor, kind: OrderType) -> None:
    with pytest.raises(Refused, match=r"replay\.order_type"):
        floor.place(Side.BUY, kind)


def test_refuses_a_stop_without_a_price_and_another_contract(floor: Floor) -> None:
    with pytest.raises(Refused, match=r"replay\.price"):
        floor.place(Side.BUY, OrderType.STOP)
    order = Order("t", "s", 1, "CON.F.US.ENQ.Z13", Side.BUY, 1, OrderType.MARKET)
    with pytest.raises(Refused, match=r"replay\.contract"):
        floor.venue.encode_place(order)


def test_fees_are_half_a_round_turn_each_way_and_gross_is_fifo() -> None:
    account = Account(0, 12_500_000, 3_780_001)
    assert account.book(Side.BUY, 2, 100) == (2 * 1_890_000, None)
    assert account.book(Side.BUY, 1, 110) == (1_890_000, None)
    assert account.book(Side.SELL, 2, 104) == (2 * 1_890_001, 2 * 4 * 12_500_000)
    assert account.book(Side.SELL, 3, 108) == (1_890_001 + 2 * 1_890_000, -2 * 12_500_000)
    assert account.net == -2
    assert account.balance_micro == 6 * 12_500_000 - 3 * 3_780_001 - 2 * 1_890_000


def test_a_fill_carries_the_time_of_its_bar(floor: Floor) -> None:
    floor.place(Side.BUY, OrderType.MARKET, bracket=Bracket(2, 0))
    floor.bar(100, 104, 95, 103)
    fills: list[Fill] = floor.sink.all("on_fill")
    assert [(f.utc_ns, f.gross_micro) for f in fills] == [(START, None), (START, -2 * 12_500_000)]


def test_timers_of_an_instant_wait_for_what_arrives_at_it() -> None:
    clock, seen = ReplayClock(START), list[str]()
    clock.call_at(START + 10, seen.append, "due")
    clock.call_at(START + 9, seen.append, "before")
    clock.arrive(START + 10)
    assert (seen, clock.utc_ns()) == (["before"], START + 10)
    clock.settle()
    assert seen == ["before", "due"]
