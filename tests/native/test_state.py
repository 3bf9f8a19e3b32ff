"""What a twin remembers goes to the other and back, and nobody can tell: the same answers, the same state."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.risk import checks
from app.venues.topstepx.codec import requests
from native.shadow import copied, seen
from tests.native.test_frames import DEPTH, MNQ, QUOTE, TAPE, record, wrapped
from tests.native.test_market import OPEN, day_of
from tests.native.test_orders import order, place
from tests.native.test_wire import HEADER
from tests.risk.views import ES, entry, exit_of, limits, view
from tests.venues.topstepx.scripted import account_row

NS = 1_000_000_000
SUFFIXES = ("_py", "_c")
Call = tuple[str, tuple[Any, ...]]

prices = st.integers(-(2**20), 2**20)
floats = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 25_000.0, float("nan")])


def twin(module: str, suffix: str) -> Any:
    return importlib.import_module(f"native.{module}{suffix}")


def calls(*choices: tuple[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[list[Call]]:
    return st.lists(st.one_of([st.tuples(st.just(name), args) for name, args in choices]), max_size=40)


def answer(each: Any, call: Call) -> Any:
    name, args = call
    try:
        return seen(getattr(each, name)(*args))
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        return type(error), str(error)


def parted(make: Callable[[Any, str], Any], module: str, before: list[Call], after: list[Call]) -> list[Call]:
    """The calls that told lines of objects apart: each twin, handed over to the other, and back."""
    lines = []
    for own, other in (SUFFIXES, SUFFIXES[::-1]):
        first = make(twin(module, own), own)
        for call in before:
            answer(first, call)
        second = copied(first, other, {})
        assert type(second).__module__ == f"native.{module}{other}"
        third = copied(second, own, {})
        lines += [first, second, third]
    told = []
    for call in [("state", ()), *after, ("state", ())]:
        answers = [answer(line, call) for line in lines]
        if any(each != answers[0] for each in answers):
            told.append(call)
    return told


INDICATORS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "Sma": ("update", st.tuples(floats)),
    "Ema": ("update", st.tuples(floats)),
    "Rsi": ("update", st.tuples(floats)),
    "Atr": ("update", st.tuples(floats, floats, floats)),
    "Bollinger": ("update", st.tuples(floats)),
    "Vwap": ("update", st.tuples(floats, floats)),
    "Donchian": ("update", st.tuples(floats, floats)),
}


@pytest.mark.parametrize("name", INDICATORS)
@given(st.data())
@settings(max_examples=30)
def test_hands_over_an_indicator(name: str, data: st.DataObject) -> None:
    period = data.draw(st.integers(1, 6))
    some = calls(INDICATORS[name])

    def make(module: Any, _suffix: str) -> Any:
        return getattr(module, name)(*([] if name == "Vwap" else [period]))

    assert parted(make, "indicators", data.draw(some), data.draw(some)) == []


trades = st.tuples(prices, st.integers(-1, 9), st.integers(-100, 400).map(lambda s: OPEN + s * 30 * NS))
ticks = prices | st.none()
market_calls = calls(
    ("on_trade", trades),
    ("close_until", st.tuples(st.integers(0, 400).map(lambda s: OPEN + s * 30 * NS))),
    ("on_quote", st.tuples(ticks, ticks, ticks, st.integers(0, 2**62))),
    ("clear_quote", st.just(())),
    ("growing", st.tuples(st.integers(0, 2))),
    ("late", st.tuples(st.integers(0, 2))),
)


@given(market_calls, market_calls)
@settings(max_examples=60)
def test_hands_over_a_market_with_the_indicators_it_feeds(before: list[Call], after: list[Call]) -> None:
    def make(module: Any, suffix: str) -> Any:
        own = twin("indicators", suffix)
        market = module.Market((1, 5), day_of)
        shared = own.Sma(3)
        market.attach(shared)
        market.attach(shared, 1)
        market.attach(own.Vwap(), 5)
        return market

    assert parted(make, "market", before, after) == []


rows = st.lists(st.tuples(*[st.integers(-5, 5)] * 6), max_size=5)
bars_calls = calls(
    ("extend", st.tuples(rows)),
    ("rows", st.just(())),
    ("row", st.tuples(st.integers(-1, 6))),
    ("clear", st.just(())),
)


@given(bars_calls, bars_calls)
@settings(max_examples=30)
def test_hands_over_bars(before: list[Call], after: list[Call]) -> None:
    assert parted(lambda module, _suffix: module.Bars(), "market", before, after) == []


ACCOUNT = account_row()
STREAM = b"\x1e".join(
    [
        record("GatewayQuote", MNQ, QUOTE),
        record("GatewayTrade", MNQ, [TAPE, TAPE]),
        record("GatewayDepth", MNQ, [DEPTH]),
        record("GatewayQuote", MNQ, QUOTE | {"lastPrice": "?"}),
        record("GatewayUserAccount", wrapped(ACCOUNT, 2)),
        record("GatewayUserAccount", ACCOUNT),
        b'{"type":6}',
        b"",
    ]
)
pieces = st.tuples(st.integers(0, len(STREAM)), st.integers(0, 600)).map(
    lambda at: (STREAM[at[0] :][: at[1]],)
)
reader_calls = calls(
    ("feed", st.just((STREAM,)) | pieces),
    ("next", st.just(())),
    ("record", st.just(())),
    ("contract", st.just(())),
    ("quote", st.just(())),
    ("number", st.tuples(st.integers(0, 2), st.integers(0, 23))),
    ("text", st.tuples(st.integers(0, 0), st.just(0))),
    ("action", st.tuples(st.integers(0, 2))),
)


@given(reader_calls, reader_calls)
@settings(max_examples=60)
def test_hands_over_a_reader_in_the_middle_of_a_stream(before: list[Call], after: list[Call]) -> None:
    def make(module: Any, _suffix: str) -> Any:
        contracts = module.Contracts()
        assert contracts.follow(MNQ, 250_000_000)
        return module.Reader(contracts, 4_096)

    legal = [call for call in (*before, *after) if call[0] not in ("contract", "text")]
    assert parted(make, "frames", legal[: len(before)], legal[len(before) :]) == []


names = st.tuples(
    st.sampled_from(["CON.F.US.EP.Z26", MNQ, 'a"b', "x" * 50]), st.sampled_from([250_000_000, 1])
)
contracts_calls = calls(("follow", names))


@given(contracts_calls, contracts_calls)
@settings(max_examples=20)
def test_hands_over_what_is_followed(before: list[Call], after: list[Call]) -> None:
    assert parted(lambda module, _suffix: module.Contracts(), "frames", before, after) == []


sizes = st.integers(0, 3)
writer_calls = calls(
    ("know", st.just(("CON.F.US.EP.Z26", 250_000_000, 2)) | st.just((MNQ, 250_000_000, 2))),
    (
        "place",
        st.tuples(sizes, st.sampled_from([1, 7])).map(lambda n: place(order(size=n[0], account_id=n[1]))),
    ),
    ("modify", st.tuples(prices).map(lambda p: (*place(order())[:3], 70, None, p[0], None))),
    ("cancel", st.tuples(st.integers(-1, 9), st.integers(-1, 9))),
)


@given(writer_calls, writer_calls)
@settings(max_examples=40)
def test_hands_over_a_writer(before: list[Call], after: list[Call]) -> None:
    kinds = requests.KINDS, requests.STOP_CODE, requests.LIMIT_CODE
    assert parted(lambda module, _suffix: module.Writer(*kinds), "orders", before, after) == []


FRAME = importlib.import_module("native.wire_py").encode(*HEADER, (7, -3, "kill", b"\0"))
parts = st.binary(max_size=40) | st.sampled_from([FRAME, FRAME[:20], FRAME[20:], b"\1" * 200])
decoder_calls = calls(("feed", st.tuples(parts)), ("counts", st.just(())))


@given(decoder_calls, decoder_calls)
@settings(max_examples=40)
def test_hands_over_a_decoder_in_the_middle_of_a_frame(before: list[Call], after: list[Call]) -> None:
    assert parted(lambda module, _suffix: module.Decoder(), "wire", before, after) == []


gate_calls = calls(
    ("check", st.tuples(st.sampled_from([entry(), entry(size=11), exit_of()]), st.sampled_from([view()]))),
    ("counted", st.tuples(*[st.sampled_from([0, view().utc_ns, 2**62])] * 4)),
    ("product", st.just((ES,))),
    ("forget", st.just(())),
)


@given(gate_calls, gate_calls)
@settings(max_examples=40)
def test_hands_over_a_gate_with_its_products(before: list[Call], after: list[Call]) -> None:
    def make(module: Any, suffix: str) -> Any:
        gate = module.Gate(limits(), checks._WORDS, {}, checks._KINDS)
        gate.know(ES, product_of(suffix))
        return gate

    assert parted(make, "gate", before, after) == []


def product_of(suffix: str) -> Any:
    product = twin("gate", suffix).Product(view().instrument, 10, 12_500_000, 3_780_000, 5)
    product.entries(0, 2**62)
    return product
