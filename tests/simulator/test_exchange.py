"""The exchange alone: random requests against random markets, and the sums that must always agree."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calendar import TradingCalendar
from app.errors import IllegalTransition
from app.simulator.accounts import KINDS, Account, side_fees_micro
from app.simulator.book import Event
from app.simulator.changes import Change
from app.simulator.exchange import Exchange, Rules
from app.simulator.feed import Tick
from app.simulator.listing import instrument_of
from app.simulator.matching import Fill, Matching
from app.simulator.orders import TRANSITIONS, Leg, Order, Status, Ticket, Type
from tests.simulator.conftest import ACCOUNT, DEMO_DATE, ES, MES, new_york

CALENDAR = TradingCalendar()
NOON = new_york(DEMO_DATE, "12:00")
START = 20_000  # ticks


def tick(price: int, now: int, size: int = 1, side: int = 1) -> Tick:
    bid, ask = (price - 1, price) if side > 0 else (price, price + 1)
    return Tick(now, price, size, bid, ask, side)


def exchange(**choices: Any) -> Exchange:
    made = Exchange(CALENDAR, Matching(**choices))
    made.open_account(KINDS["150k"])
    for contract in (ES, MES):
        made.on_tick(contract, tick(START, NOON))
    return made


def dollars(ticks: int) -> Decimal:
    return Decimal(ticks) / 4


def ticket(kind: Type, side: int = 1, size: int = 1, contract: str = ES, **more: Any) -> Ticket:
    return Ticket(ACCOUNT, contract, kind, side, size, **more)


# -- matching --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fill", "price", "filled"),
    [("through", 19_990, None), ("through", 19_989, 19_990), ("touch", 19_990, 19_990)],
)
def test_a_resting_limit_needs_trade_through_or_touch(fill: str, price: int, filled: int | None) -> None:
    venue = exchange(fill=Fill(fill))
    order = placed(venue, ticket(Type.LIMIT, limit_price=dollars(19_990)))
    venue.on_tick(ES, tick(price, NOON + 1))
    assert order.filled_ticks == filled


def test_a_marketable_limit_fills_at_the_touch_not_at_its_price() -> None:
    venue = exchange()
    assert placed(venue, ticket(Type.LIMIT, limit_price=dollars(START + 50))).filled_ticks == START


@pytest.mark.parametrize(
    ("side", "stop", "price", "filled"),
    [
        (1, 20_010, 20_010, 20_010),
        (1, 20_010, 20_025, 20_025),
        (-1, 19_990, 19_990, 19_989),
        (-1, 19_990, 19_960, 19_959),
    ],
)
def test_a_stop_fills_at_the_worse_of_its_price_and_the_market(
    side: int, stop: int, price: int, filled: int
) -> None:
    venue = exchange()
    order = placed(venue, ticket(Type.STOP, side, stop_price=dollars(stop)))
    venue.on_tick(ES, tick(stop - side, NOON + 1))
    assert order.working
    venue.on_tick(ES, tick(price, NOON + 2))
    assert order.filled_ticks == filled


def test_a_quote_without_a_trade_triggers_nothing() -> None:
    venue = exchange()
    order = placed(venue, ticket(Type.STOP, stop_price=dollars(20_010)))
    venue.on_tick(ES, tick(20_020, NOON + 1, size=0))
    assert order.working


@pytest.mark.parametrize("side", [1, -1])
def test_market_orders_pay_the_far_touch_and_slippage(side: int) -> None:
    order = placed(exchange(slippage_ticks=2), ticket(Type.MARKET, side))
    assert order.filled_ticks == (START + 2 if side > 0 else START - 1 - 2)


def test_stops_are_matched_before_limits_and_the_sibling_is_cancelled() -> None:
    venue = exchange()
    entry = placed(venue, ticket(Type.MARKET, stop_loss=Leg(-10, 4), take_profit=Leg(10, 1)))
    stop, target = venue.book.legs(entry)
    target.limit_ticks = START - 50  # both legs within reach of one tick
    venue.on_tick(ES, tick(START - 20, NOON + 1))
    assert (stop.status, target.status) == (Status.FILLED, Status.CANCELLED)


def placed(venue: Exchange, wanted: Ticket) -> Order:
    answer = venue.place(wanted, NOON)
    assert answer.order_id is not None, answer
    return venue.accounts[ACCOUNT].orders[answer.order_id]


def test_illegal_status_changes_raise_and_change_nothing() -> None:
    for status, allowed in TRANSITIONS.items():
        for wanted in set(Status) - allowed:
            order = Order(1, 1, ES, 1, 1, Type.LIMIT, 0, status=status)
            with pytest.raises(IllegalTransition):
                order.move(wanted, 5)
            assert (order.status, order.updated_ns) == (status, None)


def test_a_product_cap_is_a_rule_of_the_venue() -> None:
    venue = exchange()
    venue.rules = Rules(caps={"ES": 1})
    placed(venue, ticket(Type.MARKET))
    refused = venue.place(ticket(Type.MARKET), NOON)
    assert "max position size of 1 ES" in str(refused.text)


@pytest.mark.parametrize(
    ("symbol", "fees"), [("MNQ", 360_000), ("ES", 1_640_000), ("6E", 1_640_000), ("M6E", 360_000)]
)
def test_fees_of_one_side_are_half_the_round_turn_without_commission(symbol: str, fees: int) -> None:
    from app.domain.instruments import by_symbol

    assert side_fees_micro(by_symbol(symbol)) == (fees, 250_000)


# -- properties ------------------------------------------------------------------------------------

SIDES = st.sampled_from((1, -1))
CONTRACTS = st.sampled_from((ES, MES))
OFFSETS = st.integers(-30, 30)
STEPS = st.one_of(
    st.tuples(st.just("market"), CONTRACTS, SIDES, st.integers(1, 3), st.booleans()),
    st.tuples(st.just("limit"), CONTRACTS, SIDES, OFFSETS, st.booleans()),
    st.tuples(st.just("stop"), CONTRACTS, SIDES, OFFSETS, st.booleans()),
    st.tuples(st.just("tick"), CONTRACTS, st.integers(-25, 25), SIDES, st.booleans()),
    st.tuples(st.just("cancel"), st.integers(0, 40)),
    st.tuples(st.just("modify"), st.integers(0, 40), OFFSETS),
    st.tuples(st.just("close"), CONTRACTS, st.sampled_from((None, 1))),
)


class Run:
    """Plays steps on an exchange and keeps everything it told."""

    def __init__(self) -> None:
        self.venue, self.now, self.told = exchange(), NOON, list[Event]()
        self.account: Account = self.venue.accounts[ACCOUNT]
        self.venue.take_events()

    def play(self, step: tuple[Any, ...]) -> None:
        self.now += 1_000_000
        getattr(self, f"do_{step[0]}")(*step[1:])
        self.told += self.venue.take_events()
        self.check()

    def _legs(self, side: int, bracket: bool) -> dict[str, Leg]:
        return {"stop_loss": Leg(-12 * side, 4), "take_profit": Leg(9 * side, 1)} if bracket else {}

    def _last(self, contract: str) -> int:
        return self.venue.book.touch[contract].price

    def do_market(self, contract: str, side: int, size: int, bracket: bool) -> None:
        self.venue.place(ticket(Type.MARKET, side, size, contract, **self._legs(side, bracket)), self.now)

    def do_limit(self, contract: str, side: int, offset: int, bracket: bool) -> None:
        price = dollars(self._last(contract) + offset)
        self.venue.place(
            ticket(Type.LIMIT, side, 1, contract, limit_price=price, **self._legs(side, bracket)), self.now
        )

    def do_stop(self, contract: str, side: int, offset: int, bracket: bool) -> None:
        price = dollars(self._last(contract) + offset)
        self.venue.place(
            ticket(Type.STOP, side, 1, contract, stop_price=price, **self._legs(side, bracket)), self.now
        )

    def do_tick(self, contract: str, move: int, side: int, quote_only: bool) -> None:
        self.venue.on_tick(
            contract, tick(self._last(contract) + move, self.now, 0 if quote_only else 1, side)
        )

    def do_cancel(self, pick: int) -> None:
        if orders := list(self.account.orders):
            self.venue.cancel(ACCOUNT, orders[pick % len(orders)], self.now)

    def do_modify(self, pick: int, offset: int) -> None:
        if orders := list(self.account.orders.values()):
            order = orders[pick % len(orders)]
            price = dollars(self._last(order.contract) + offset)
            change = Change(limit_price=price) if order.type is Type.LIMIT else Change(stop_price=price)
            self.venue.modify(ACCOUNT, order.id, change, self.now)

    def do_close(self, contract: str, size: int | None) -> None:
        self.venue.close(ACCOUNT, contract, self.now, size)

    # what must hold after every step

    def check(self) -> None:
        self.check_sums()
        self.check_brackets()
        assert set(self.account.tags) >= {o.tag for o in self.account.orders.values() if o.tag}

    def check_sums(self) -> None:
        account, nets, by_order = self.account, defaultdict(int), defaultdict(int)
        for trade in account.trades:
            nets[trade.contract] += trade.side * trade.size
            by_order[trade.order_id] += trade.size
        for contract in (ES, MES):
            assert account.net(contract) == nets[contract]
        assert all(position.net for position in account.positions.values())
        filled = {order.id: order.filled for order in account.orders.values() if order.filled}
        assert filled == dict(by_order)
        paid = sum((t.gross_micro or 0) - t.fees_micro - t.commissions_micro for t in account.trades)
        assert account.balance_micro == account.kind.start_micro + paid
        for position in account.positions.values():  # gross + unrealised is the plain cash flow of the fills
            cash = sum(
                -t.side * t.size * t.price_ticks for t in account.trades if t.contract == position.contract
            )
            gross = sum(t.gross_micro or 0 for t in account.trades if t.contract == position.contract)
            marked = gross + position.unrealised_micro(START)
            assert marked == (cash + position.net * START) * position.instrument.tick_value_micro

    def check_brackets(self) -> None:
        for parent in [o for o in self.account.orders.values() if o.parent_id is None]:
            legs = self.venue.book.legs(parent)
            states = {leg.status for leg in legs}
            if parent.status is Status.FILLED:
                assert Status.SUSPENDED not in states
                assert Status.FILLED not in states or all(not leg.live for leg in legs)
            else:
                assert states <= ({Status.SUSPENDED} if parent.live else {Status.CANCELLED})

    def sweep(self) -> None:
        """The client's duty: once flat, cancel what is left, and nothing outlives it."""
        for contract in (ES, MES):
            self.do_close(contract, None)
        for order in list(self.account.orders.values()):
            if order.working:
                self.venue.cancel(ACCOUNT, order.id, self.now)
        assert not self.account.positions
        assert not self.venue.book.resting
        assert not any(order.live for order in self.account.orders.values())


@given(st.lists(STEPS, max_size=30))
def test_positions_balances_and_brackets_always_agree(steps: list[tuple[Any, ...]]) -> None:
    run = Run()
    for step in steps:
        run.play(step)
    run.sweep()
    assert not run.venue.needs_prices()


@given(st.lists(STEPS, max_size=12))
def test_the_same_requests_tell_the_same_events(steps: list[tuple[Any, ...]]) -> None:
    first, second = Run(), Run()
    for step in steps:
        first.play(step)
        second.play(step)
    assert first.told == second.told


@given(st.lists(STEPS, max_size=30))
def test_a_client_that_upserts_events_ends_with_the_venues_own_orders(steps: list[tuple[Any, ...]]) -> None:
    from app.simulator.rows import order_row

    run, seen, stamps = Run(), dict[int, dict[str, Any]](), dict[int, str]()
    for step in steps:
        run.play(step)
    for event in run.told:
        if event.target == "GatewayUserOrder":
            identity, stamp = event.data["id"], event.data["updateTimestamp"]
            assert stamp >= stamps.get(identity, "")
            seen[identity], stamps[identity] = event.data, stamp
    assert seen == {identity: order_row(order) for identity, order in run.account.orders.items()}


def test_every_listed_contract_has_an_instrument() -> None:
    assert instrument_of(ES) is not None
    assert instrument_of("CON.F.US.EP.F26") is None  # no January in a quarterly cycle
