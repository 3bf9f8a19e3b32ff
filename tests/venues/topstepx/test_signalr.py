"""Hub records: cut anywhere, wrapped or flat, single or many, and Theirs for whatever does not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.domain.events import AccountReport, Fill, OrderReport, PositionReport
from app.domain.orders import OrderState, Side
from app.errors import Theirs
from app.venues.topstepx.codec import signalr
from native import frames
from tests.venues.topstepx.scripted import CONTRACT, account_row, order_row, position_row, trade_row

# The captured shape of a suspended leg (facts 2.3).
LEG = (
    b'{"type":1,"target":"GatewayUserOrder","arguments":[{"action":1,"data":{"id":70000002,"accountId":9001,"contractId":'
    b'"CON.F.US.MNQ.Z26","symbolId":"F.US.MNQ","creationTimestamp":"2026-11-20T19:48:53.5274910+00:00","updateTimestamp":'
    b'"2026-11-20T19:48:53.527+00:00","status":8,"type":4,"side":1,"size":1,"fillVolume":0,"customTag":"x-SL","parentOrderId":'
    b'70000001,"trailDistance":-20,"trailPrice":5}}]}'
)


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def events(target: str, value: Any) -> list[signalr.UserEvent]:
    return signalr.user_events(target, [raw(value)])


def test_refuses_a_record_without_end() -> None:
    reader = frames.Reader(frames.Contracts(), signalr.MAX_RECORD)
    with pytest.raises(Theirs):
        for _ in range(5):
            signalr.feed(reader, b"x" * (1024 * 1024))


def test_reads_the_captured_leg() -> None:
    message = signalr.decode_message(LEG)
    assert message.target == "GatewayUserOrder" and message.arguments is not None
    (leg,) = signalr.user_events(message.target, message.arguments)
    assert isinstance(leg, OrderReport)
    assert (leg.venue_id, leg.state, leg.side, leg.parent_id) == (
        70000002,
        OrderState.SUSPENDED,
        Side.SELL,
        70000001,
    )
    assert leg.updated_ns < leg.created_ns + 1 and leg.limit_ticks is None and leg.stop_ticks is None


@pytest.mark.parametrize(
    ("target", "row", "kind"),
    [
        ("GatewayUserOrder", order_row(), OrderReport),
        ("GatewayUserTrade", trade_row(), Fill),
        ("GatewayUserPosition", position_row(), PositionReport),
        ("GatewayUserAccount", account_row(), AccountReport),
    ],
)
def test_wrapped_flat_and_many_mean_the_same(target: str, row: dict[str, Any], kind: type) -> None:
    (flat,) = events(target, row)
    assert isinstance(flat, kind)
    assert events(target, {"action": 1, "data": row}) == [flat]
    assert events(target, [row, {"action": 0, "data": row}]) == [flat, flat]
    omitted = {name: value for name, value in row.items() if value is not None}
    assert events(target, {"action": 1, "data": omitted}) == [flat]


def test_a_closed_position_is_flat() -> None:
    (closed,) = events("GatewayUserPosition", {"action": 2, "data": position_row(type=0, size=0)})
    assert isinstance(closed, PositionReport) and closed.net == 0


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("GatewayUserPosition", {"action": 2, "data": position_row(size=1)}),
        ("GatewayUserTrade", {"action": 2, "data": trade_row()}),
        ("GatewayUserOrder", {"action": 3, "data": order_row()}),
        ("GatewayUserOrder", {"action": 1, "data": {}}),
        ("GatewayUserOrder", {"action": 1}),
        ("GatewayUserOrder", "text"),
        ("GatewayUserOrder", None),
        ("GatewayUserOrder", [order_row(), 7]),
        ("GatewayUserAccount", account_row(balance=None)),
        ("GatewayUserPosition", [position_row()] * 5_001),
    ],
)
def test_what_it_does_not_understand_is_theirs(target: str, value: Any) -> None:
    with pytest.raises(Theirs):
        events(target, value)


def test_refuses_a_wrong_number_of_arguments() -> None:
    for arguments in ([], [raw({}), raw({})]):
        with pytest.raises(Theirs):
            signalr.user_events("GatewayUserOrder", arguments)
    with pytest.raises(Theirs):
        signalr.market_contract([raw(CONTRACT)])


def merge(
    book: signalr.QuoteBook, mono_ns: int = 1, **delta: Any
) -> tuple[int | None, int | None, int | None]:
    quote = book.merge(CONTRACT, raw(delta), mono_ns)
    return quote.bid_ticks, quote.ask_ticks, quote.last_ticks


def test_quotes_merge_and_missing_is_not_zero() -> None:
    book = signalr.QuoteBook()
    assert merge(book, lastPrice=6700.25) == (None, None, 26801)
    assert merge(book, bestBid=6700, bestAsk=None) == (26800, None, 26801)
    assert merge(book, bestAsk=6700.5) == (26800, 26802, 26801)
    assert merge(book) == (26800, 26802, 26801)
    assert merge(book, bestBid=0) == (0, 26802, 26801)


def test_a_bad_delta_leaves_the_quote_as_it_was() -> None:
    book = signalr.QuoteBook()
    merge(book, bestBid=6700, bestAsk=6700.25)
    for delta in (
        {"bestBid": 6700.1, "bestAsk": 1},
        {"bestAsk": "6700"},
        {"lastPrice": []},
        {"lastUpdated": "soon"},
    ):
        with pytest.raises(Theirs):
            merge(book, **delta)
    assert merge(book) == (26800, 26801, None)


def test_each_quote_is_a_new_object_with_its_own_times() -> None:
    book = signalr.QuoteBook()
    first = book.merge(CONTRACT, raw({"lastPrice": 1, "lastUpdated": "2026-11-20T19:48:53Z"}), 5)
    second = book.merge(CONTRACT, raw({"bestBid": 1}), 6)
    assert (first.recv_mono_ns, second.recv_mono_ns) == (5, 6)
    assert first.utc_ns == second.utc_ns == 1_795_204_133_000_000_000 and first.bid_ticks is None


def test_forgets_quotes_when_told() -> None:
    book = signalr.QuoteBook()
    merge(book, bestBid=6700)
    book.clear()
    assert merge(book, bestAsk=6700.25) == (None, 26801, None)


@pytest.mark.parametrize("many", [False, True])
def test_tape_events_come_single_or_as_arrays(many: bool) -> None:
    row = {
        "symbolId": "F.US.EP",
        "price": 6700.25,
        "timestamp": "2026-11-20T19:48:53Z",
        "type": 0,
        "volume": 3,
    }
    trades = signalr.tape(CONTRACT, raw([row, row] if many else row))
    assert [(t.price_ticks, t.size) for t in trades] == [(26801, 3)] * (2 if many else 1)


@pytest.mark.parametrize(
    "change", [{"volume": -1}, {"volume": 10**8}, {"price": None}, {"timestamp": None}, {"price": 0.1}]
)
def test_refuses_a_tape_that_makes_no_sense(change: dict[str, Any]) -> None:
    with pytest.raises(Theirs):
        signalr.tape(CONTRACT, raw({"price": 1, "timestamp": "2026-11-20T19:48:53Z", "volume": 1} | change))


@given(
    st.lists(st.tuples(st.integers(0, len(LEG) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 40),
)
def test_mutated_records_are_read_or_theirs_and_nothing_else(
    changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(LEG)
    for index, value in changes:
        data[index] = value
    try:
        message = signalr.decode_message(bytes(data[: len(data) - cut]))
        if message.target in signalr.USER_TARGETS and message.arguments is not None:
            signalr.user_events(message.target, message.arguments)
        outcome = "read"
    except Theirs:
        outcome = "theirs"
    assert outcome in ("read", "theirs")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda c: (
            st.lists(c, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "action", "data", "size", "bestBid", "price"]), c, max_size=4
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_at_all_is_read_or_theirs(value: Any) -> None:
    for read in (
        lambda: signalr.user_events("GatewayUserOrder", [raw(value)]),
        lambda: signalr.user_events("GatewayUserAccount", [raw(value)]),
        lambda: signalr.QuoteBook().merge(CONTRACT, raw(value), 1),
        lambda: signalr.tape(CONTRACT, raw(value)),
    ):
        try:
            outcome = "read" if read() is not None else "nothing"
        except Theirs:
            outcome = "theirs"
        assert outcome in ("read", "theirs")


def test_handshakes_and_negotiations() -> None:
    signalr.check_handshake(b"{}")
    assert signalr.connection_key(b'{"negotiateVersion":1,"connectionId":"a","connectionToken":"b"}') == "b"
    assert signalr.connection_key(b'{"negotiateVersion":0,"connectionId":"a"}') == "a"
    with pytest.raises(Theirs, match="not supported"):
        signalr.check_handshake(b'{"error":"protocol not supported"}')
    for body in (b"{}", b'{"error":"no"}', b"<html>"):
        with pytest.raises(Theirs):
            signalr.connection_key(body)


def test_invocations_carry_numbers_as_numbers() -> None:
    assert signalr.invocation("SubscribeOrders", (1001,), "1") == (
        b'{"type":1,"invocationId":"1","target":"SubscribeOrders","arguments":[1001]}\x1e'
    )
