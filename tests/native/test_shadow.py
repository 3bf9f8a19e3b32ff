"""A module in shadow: one call in so many is compared, a difference is told, and what follows from it.

The differences are planted: a doctored method of the pure twin, which is the one that a comparison calls.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import native
from app.risk import checks
from app.risk.checks import EXPOSING_PLACE, Desk
from app.venues.topstepx.codec import requests
from native import (
    fixed_py,
    frames_py,
    gate_py,
    indicators_py,
    market_py,
    matching_py,
    modes,
    orders_py,
    shadow,
    wire_py,
)
from native.shadow import Difference
from tests.native.test_frames import MNQ, QUOTE, record
from tests.native.test_market import OPEN, day_of
from tests.native.test_orders import order, place
from tests.native.test_wire import HEADER
from tests.risk.views import CALENDAR, ES, entry, limits, view

SECOND_NS = 1_000_000_000
QUOTED = record("GatewayQuote", MNQ, QUOTE) + b"\x1e"
FRAME = wire_py.encode(*HEADER, (1, 2))


class Heard:
    """A listener that keeps what it hears, and refuses where an order depends on it."""

    def __init__(self) -> None:
        self.told: list[Difference] = []

    def __call__(self, difference: Difference) -> None:
        self.told.append(difference)
        if difference.module in modes.REFUSING:
            raise LookupError("refused")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """All modules in shadow, every call compared, and somebody who listens."""
    monkeypatch.delenv(native.VARIABLE, raising=False)
    begin(1)
    heard = Heard()
    native.listen(heard)
    yield heard
    native.listen(None)
    monkeypatch.undo()
    native.select()


def begin(every: int) -> None:
    native.select({name: "shadow" for name in native.MODULES if name not in modes.NO_SHADOW}, every)


def reader() -> Any:
    contracts = native.frames.Contracts()
    contracts.follow(MNQ, 250_000_000)
    return native.frames.Reader(contracts, 1_000)


def market() -> Any:
    return native.market.Market((1, 5), day_of)


def writer() -> Any:
    made = native.orders.Writer(requests.KINDS, requests.STOP_CODE, requests.LIMIT_CODE)
    made.know("CON.F.US.EP.Z26", 250_000_000, 2)
    return made


def gate() -> Any:
    """One that the rules have told of contracts, hours and rates."""
    desk = Desk(limits(), CALENDAR)
    desk.instrument(ES)
    checks.entry_hours(desk, entry(), view())
    checks.order_rate(desk, entry(), view())
    return desk._native


Act = Callable[[Any], Any]
# Of each module: what makes its object, a call, and the method of the pure twin to be doctored.
CASES: dict[str, tuple[Callable[[], Any], Act, Any, str]] = {
    "fixed": (lambda: native.fixed, lambda each: each.muldiv(7, 3, 2), fixed_py, "muldiv"),
    "frames": (reader, lambda each: each.feed(QUOTED), frames_py.Reader, "feed"),
    "gate": (gate, lambda each: each.check(entry(), view()), gate_py.Gate, "check"),
    "indicators": (
        lambda: native.indicators.Sma(1),
        lambda each: each.update(4.0),
        indicators_py.Sma,
        "update",
    ),
    "market": (market, lambda each: each.on_trade(5, 1, OPEN), market_py.Market, "on_trade"),
    "matching": (lambda: native.matching, lambda each: each.trailed(1, 5, -2, 9), matching_py, "trailed"),
    "orders": (writer, lambda each: each.place(*place(order())), orders_py.Writer, "place"),
    "wire": (lambda: native.wire.Decoder(), lambda each: len(each.feed(FRAME)), wire_py.Decoder, "feed"),
}


def raising(call: Callable[..., Any], *args: Any) -> Any:
    raise ValueError("planted")


def more(call: Callable[..., Any], *args: Any) -> Any:
    value = call(*args)
    return value + (b"!" if isinstance(value, bytes) else (0,) if isinstance(value, tuple) else 1)


def plant(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, fault: Callable[..., Any]) -> None:
    call = getattr(place, name)
    monkeypatch.setattr(place, name, lambda *args: fault(call, *args))


@pytest.mark.parametrize("name", CASES)
def test_keeps_quiet_while_the_twins_agree(heard: Heard, name: str) -> None:
    make, act, _, _ = CASES[name]
    act(make())
    assert heard.told == [] and native.active()[name] == "shadow"


@pytest.mark.parametrize("fault", [more, raising])
@pytest.mark.parametrize("name", sorted(set(CASES) - modes.REFUSING))
def test_falls_back_to_the_pure_twin_when_they_differ(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, name: str, fault: Callable[..., Any]
) -> None:
    make, act, where, method = CASES[name]
    each = make()
    plant(monkeypatch, where, method, fault)
    if fault is raising:
        with pytest.raises(ValueError, match="planted"):
            act(each)
    else:
        act(each)
    (told,) = heard.told
    assert (told.module, told.function.rpartition(".")[2]) == (name, method)
    assert native.active()[name] == modes.EXCEPTION
    monkeypatch.undo()
    act(make())
    assert len(heard.told) == 1, "the pure twin runs alone now"
    native.require_compiled(dev=False)


@pytest.mark.parametrize("fault", [more, raising])
@pytest.mark.parametrize("name", sorted(set(CASES) & modes.REFUSING))
def test_refuses_the_order_when_they_differ(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, name: str, fault: Callable[..., Any]
) -> None:
    make, act, where, method = CASES[name]
    each = make()
    plant(monkeypatch, where, method, fault)
    for times in (1, 2):
        with pytest.raises(LookupError, match="refused"):
            act(each)
        assert [told.module for told in heard.told] == [name] * times
    assert native.active()[name] == "shadow"
    monkeypatch.undo()
    act(each)
    assert len(heard.told) == 2


def test_goes_on_from_the_call_that_differed(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the objects remember moves to the pure twin, of those that did not differ too."""
    first, second = native.indicators.Sma(2), native.indicators.Sma(2)
    for each in (first, second):
        each.update(10.0)
    plant(monkeypatch, indicators_py.Sma, "update", more)
    assert first.update(20.0) == 16.0  # 15 by the books, and the doctored twin's 1 more: its word counts
    monkeypatch.undo()
    assert (first.value, first.ready) == (15.0, True)
    assert second.update(30.0) == 20.0
    assert first.update(0.0) == 10.0
    assert {type(each._native).__module__ for each in (first, second)} == {"native.indicators_py"}
    assert len(heard.told) == 1


def test_an_indicator_stays_fed_when_its_market_falls_back(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeding, fed = market(), native.indicators.Sma(2)
    feeding.attach(fed)
    feeding.on_trade(10, 1, OPEN)
    plant(monkeypatch, market_py.Market, "close_until", more)
    feeding.close_until(OPEN + SECOND_NS)
    monkeypatch.undo()
    feeding.on_trade(20, 1, OPEN + SECOND_NS)
    assert fed.value == 15.0
    assert type(fed._native).__module__ == "native.indicators_py"


@pytest.mark.parametrize("name", sorted(modes.TOGETHER))
def test_an_indicator_stays_fed_though_its_market_alone_was_asked_for(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    native.select({name: "shadow"}, 1)
    feeding, fed = market(), native.indicators.Sma(1)
    feeding.attach(fed)
    plant(monkeypatch, market_py.Market, "close_until", more)
    feeding.close_until(OPEN)
    monkeypatch.undo()
    feeding.on_trade(20, 1, OPEN)
    assert fed.value == 20.0


def test_sees_a_difference_that_only_the_state_has(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(call: Callable[..., Any], self: Any, *args: Any) -> Any:
        value = call(self, *args)
        self._room = 5
        return value

    plant(monkeypatch, market_py.Market, "on_trade", forgets)
    market().on_trade(5, 1, OPEN)
    (told,) = heard.told
    assert told.function == "Market.on_trade" and "5" in told.pure and str(2**63 - 2) in told.compiled


def test_sees_words_of_an_error_that_differ(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_py, "_refuse", lambda volume: raising(len, volume))
    with pytest.raises(ValueError, match="planted"):
        market().on_trade(5, -1, OPEN)
    (told,) = heard.told
    assert "volume -1 is negative" in told.compiled and "planted" in told.pure


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (float("nan"), float("nan"), True),
        (0.0, -0.0, False),
        (1.0, 1, False),
        (True, 1, False),
        ((1, [2.0]), (1, [2.0]), True),
        ((1, [2.0]), (1, (2.0,)), False),
        (b"a", bytearray(b"a"), False),
        (array("d", [float("nan")]), array("d", [float("nan")]), True),
        (array("q", [1]), array("q", [2]), False),
        (0.1 + 0.2, 0.3, False),
        ({"a": 1}, {"a": 1}, True),
        (memoryview(b"ab"), memoryview(b"ab"), True),
    ],
)
def test_compares_to_the_bit(one: Any, other: Any, same: bool) -> None:
    assert (shadow.seen(one) == shadow.seen(other)) is same


@pytest.mark.parametrize("every", [1, 3, 10])
def test_compares_one_call_in_so_many(heard: Heard, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    begin(every)
    asked: list[int] = []
    plant(monkeypatch, matching_py, "ticks", lambda call, value: asked.append(value) or call(value))
    for number in range(1, 31):
        native.matching.ticks(number)
    assert asked == [number for number in range(1, 31) if number % every == 0]


def test_counts_the_calls_of_all_objects_of_a_module(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(4)
    asked: list[float] = []
    first, second = native.indicators.Sma(1), native.indicators.Sma(1)
    plant(monkeypatch, indicators_py.Sma, "update", lambda call, self, n: asked.append(n) or call(self, n))
    for number in range(4):
        first.update(2.0 * number)
        second.update(2.0 * number + 1)
    assert asked == [1.0, 5.0]  # the two were made by the first two calls


def test_compares_nothing_while_somebody_is_told(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    def tells(difference: Difference) -> None:
        heard.told.append(difference)
        native.matching.ticks(5)

    native.listen(tells)
    plant(monkeypatch, matching_py, "ticks", more)
    assert native.matching.ticks(7) == 8
    assert [told.arguments for told in heard.told] == ["(7,)"]


def test_keeps_a_difference_for_who_listens_later(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    native.listen(None)
    plant(monkeypatch, fixed_py, "muldiv", more)
    with caplog.at_level(logging.ERROR):
        assert native.fixed.muldiv(7, 3, 2) == 11
    assert "native.fixed: the twins differ" in caplog.text
    assert [told.module for told in native.listen(heard)] == ["fixed"]
    assert native.listen(heard) == []


def test_raises_where_an_order_depends_on_it_and_nobody_listens(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    native.listen(None)
    plant(monkeypatch, matching_py, "ticks", more)
    with caplog.at_level(logging.CRITICAL, "native"), pytest.raises(native.Differs, match="ticks differ"):
        native.matching.ticks(7)
    assert len(native.listen(heard)) == 1


def test_keeps_texts_of_bounded_length(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, wire_py.Decoder, "feed", lambda call, self, data: ("x" * 100_000,) * 50)
    native.wire.Decoder().feed(b"\1" * 50_000)
    (told,) = heard.told
    assert max(map(len, (told.arguments, told.compiled, told.pure))) <= shadow.TEXT_LIMIT


def test_an_object_given_away_comes_back_as_itself(heard: Heard) -> None:
    fine = native.market.Bars([(OPEN, 1, 2, 0, 1, 5)])
    out = native.market.Bars()
    assert native.market.coarsen(fine, 5, day_of, out) is out
    assert isinstance(native.market.coarsen(fine, 5, day_of), native.market.Bars)
    assert len(out) == 1 and out.rows() == [(OPEN, 1, 2, 0, 1, 5)]
    assert isinstance(market().closed, native.market.Bars)


def test_a_product_told_to_the_gate_is_its_own(heard: Heard) -> None:
    each = gate()
    assert each.check(entry(), view()) == -1
    each.product(ES).entries(0, 0)
    assert EXPOSING_PLACE[each.check(entry(), view())] is checks.entry_hours
    assert heard.told == [] and type(each._native).__module__ == "native.gate_c"


def test_takes_rows_that_can_be_read_only_once(heard: Heard) -> None:
    rows = [(OPEN, 1, 2, 0, 1, 5)]
    assert native.market.Bars(iter(rows)).rows() == rows
    assert heard.told == []
