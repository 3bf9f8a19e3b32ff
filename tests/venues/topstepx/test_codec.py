"""Request bodies and REST replies: golden bytes, tolerance where the venue varies, else refusal."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import Outcome
from app.domain.orders import Bracket, OrderState, OrderType, Side
from app.errors import LoginRefused, Refused, Theirs
from app.venues.topstepx.codec import entities, jwt, requests
from app.venues.topstepx.codec.replies import (
    AccountsReply,
    Endpoint,
    Envelope,
    OrdersReply,
    TokenReply,
    check,
    decode_reply,
    judge,
)
from tests.venues.topstepx import scripted
from tests.venues.topstepx.scripted import (
    ACCOUNT,
    CONTRACT,
    entry,
    ok,
    order_row,
    position_row,
    refused,
    trade_row,
    working,
)

# -- requests


def test_a_long_stop_entry_has_a_negative_stop_and_a_positive_target() -> None:
    assert requests.place_body(entry(tag="t")) == (
        b'{"accountId":1001,"contractId":"CON.F.US.EP.Z26","type":4,"side":0,"size":1,"stopPrice":6700.25,'
        b'"stopLossBracket":{"ticks":-10,"type":4},"takeProfitBracket":{"ticks":16,"type":1},"customTag":"t"}'
    )


def test_a_short_bracket_is_mirrored() -> None:
    body = json.loads(requests.place_body(entry(side=Side.SELL)))
    assert body["side"] == 1
    assert body["stopLossBracket"] == {"ticks": 10, "type": 4}
    assert body["takeProfitBracket"] == {"ticks": -16, "type": 1}


@pytest.mark.parametrize(
    ("kind", "limit", "stop", "members"),
    [
        (OrderType.MARKET, None, None, {"type": 2}),
        (OrderType.LIMIT, 26801, None, {"type": 1, "limitPrice": 6700.25}),
        (OrderType.STOP, None, 26800, {"type": 4, "stopPrice": 6700}),
        (OrderType.TRAILING_STOP, None, 26799, {"type": 5, "trailPrice": 6699.75}),
        (OrderType.JOIN_BID, None, None, {"type": 6}),
        (OrderType.JOIN_ASK, None, None, {"type": 7}),
    ],
)
def test_each_type_carries_its_own_price_and_no_other(
    kind: OrderType, limit: int | None, stop: int | None, members: dict[str, Any]
) -> None:
    body = json.loads(requests.place_body(entry(type=kind, limit_ticks=limit, stop_ticks=stop, bracket=None)))
    assert members.items() <= body.items()
    assert {"limitPrice", "stopPrice", "trailPrice"} & set(body) == {
        "limitPrice",
        "stopPrice",
        "trailPrice",
    } & set(members)


@pytest.mark.parametrize(
    "members",
    [
        {"type": OrderType.UNKNOWN},
        {"type": OrderType.MARKET},  # with a stop price
        {"type": OrderType.LIMIT},
        {"type": OrderType.STOP, "stop_ticks": None},
        {"size": 0},
        {"size": -1},
        {"size": 10_001},
        {"contract": "CON.F.US.XYZ.Z26"},
        {"bracket": Bracket(-4, 8)},
    ],
)
def test_refuses_what_the_venue_cannot_express(members: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        requests.place_body(entry(**members))


@given(st.text(max_size=40))
def test_any_tag_stays_one_json_string(tag: str) -> None:
    assert json.loads(requests.place_body(entry(tag=tag))).get("customTag", "") == tag


def test_a_leg_that_is_not_wanted_is_left_out() -> None:
    body = json.loads(requests.place_body(entry(bracket=Bracket(10))))
    assert "takeProfitBracket" not in body and body["stopLossBracket"]["ticks"] == -10


def test_modify_sends_only_what_changes() -> None:
    assert (
        requests.modify_body(working(), None, 26805, None)
        == b'{"accountId":1001,"orderId":70,"stopPrice":6701.25}'
    )
    assert requests.modify_body(working(), None, None, 2) == b'{"accountId":1001,"orderId":70,"size":2}'


def test_refuses_a_modify_of_nothing_or_of_nobody() -> None:
    for order, values in (
        (working(), (None, None, None)),
        (entry(), (None, 1, None)),
        (working(), (1, None, None)),
    ):
        with pytest.raises(Refused):
            requests.modify_body(order, *values)


def test_reading_bodies_name_the_members_the_venue_knows() -> None:
    since = json.loads(requests.since_body(ACCOUNT, 1_795_000_000_123_456_789))
    assert since == {"accountId": ACCOUNT, "startTimestamp": "2026-11-18T11:06:40.1234567Z"}
    bars = json.loads(requests.bars_body(CONTRACT, False, 0, 10**18, 20))
    assert (bars["unit"], bars["unitNumber"], bars["includePartialBar"], bars["live"]) == (2, 1, False, False)
    query = json.loads(requests.query_body(ACCOUNT, (1, 8), 500, 0))
    assert query["filter"] == {"accountId": ACCOUNT, "statuses": [1, 8]}


# -- replies


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


def orders_of(*rows: dict[str, Any]) -> list[entities.WireOrder]:
    return decode_reply(Endpoint.ORDERS, as_bytes(ok(orders=list(rows))), OrdersReply).orders or []


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (1, OrderState.WORKING),
        (2, OrderState.FILLED),
        (3, OrderState.CANCELLED),
        (4, OrderState.EXPIRED),
        (5, OrderState.REJECTED),
        (6, OrderState.WORKING),
        (7, OrderState.WORKING),
        (8, OrderState.SUSPENDED),
    ],
)
def test_reads_every_documented_status(status: int, state: OrderState) -> None:
    assert entities.order_report(orders_of(order_row(status=status))[0]).state is state


@pytest.mark.parametrize(
    "members",
    [{"status": 0}, {"status": 9}, {"side": 2}, {"fillVolume": 2}, {"size": 0}, {"limitPrice": 0.1}],
)
def test_never_guesses_an_order(members: dict[str, Any]) -> None:
    rows = orders_of(order_row(**members))
    with pytest.raises(Theirs):
        entities.order_report(rows[0])


@pytest.mark.parametrize("code", [0, 3, 8, 99, -1])
def test_an_order_type_it_does_not_know_is_unknown(code: int) -> None:
    assert entities.order_report(orders_of(order_row(type=code))[0]).type is OrderType.UNKNOWN


@pytest.mark.parametrize("contract", ["CON.F.US.XYZ.Z26", "novel", ""])
def test_an_order_of_a_product_it_does_not_know_is_there_without_prices(contract: str) -> None:
    row = order_row(contractId=contract, limitPrice=0.1, stopPrice=6700.25)
    report = entities.order_report(orders_of(row)[0])
    assert (report.contract, report.limit_ticks, report.stop_ticks) == (contract, None, None)


def test_reads_a_suspended_leg_and_ignores_members_it_does_not_know() -> None:
    row = order_row(
        status=8,
        stopPrice=None,
        parentOrderId=69,
        linkedOrderId=None,
        trailDistance=-20,
        trailPrice=5,
        customTag="x-SL",
        novel=[1],
    )
    report = entities.order_report(orders_of(row)[0])
    assert (report.state, report.stop_ticks, report.parent_id, report.tag) == (
        OrderState.SUSPENDED,
        None,
        69,
        "x-SL",
    )
    assert report.updated_ns == report.created_ns == 1_795_204_133_527_491_000


def test_the_venues_average_never_becomes_ticks() -> None:
    assert entities.order_report(orders_of(order_row(filledPrice=6700.333))[0]).limit_ticks is None
    assert "average_price" not in entities.WirePosition.__struct_fields__


def trade(**members: Any) -> Any:
    return entities.fill(msgspec.json.decode(as_bytes(trade_row(**members)), type=entities.WireTrade))


def test_fees_and_commissions_are_one_sum() -> None:
    assert trade().fees_micro == 1_890_000
    assert trade(commissions=None).fees_micro == 1_400_000


def test_a_result_of_zero_is_not_an_opening_execution() -> None:
    assert trade().gross_micro is None
    assert trade(profitAndLoss=0).gross_micro == 0
    assert trade(profitAndLoss=-12.5).gross_micro == -12_500_000


def test_a_voided_execution_is_flagged() -> None:
    assert trade(voided=True).voided and not trade(voided=None).voided


@pytest.mark.parametrize("members", [{"fees": None}, {"fees": -1}, {"size": 0}, {"price": None}, {"side": 7}])
def test_refuses_an_execution_that_lacks_what_matters(members: dict[str, Any]) -> None:
    with pytest.raises(Theirs):
        trade(**members)


def position(**members: Any) -> Any:
    return entities.position_report(
        msgspec.json.decode(as_bytes(position_row(**members)), type=entities.WirePosition)
    )


def test_positions_are_signed() -> None:
    assert position(type=1, size=3).net == 3
    assert position(type=2, size=3).net == -3
    assert position(type=0, size=0).net == 0


def test_a_position_in_a_product_it_does_not_know_is_a_position() -> None:
    report = position(contractId="CON.F.US.XYZ.Z26", type=2, size=3)
    assert (report.contract, report.net) == ("CON.F.US.XYZ.Z26", -3)


def test_an_execution_of_a_product_it_does_not_know_is_refused() -> None:
    with pytest.raises(Theirs):
        trade(contractId="CON.F.US.XYZ.Z26")


@pytest.mark.parametrize("code", [0, 3, -1])
def test_an_unknown_direction_is_never_read_as_short(code: int) -> None:
    with pytest.raises(Theirs):
        position(type=code, size=1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        b'{"success":true}',
        b'{"success":true,"errorCode":2}',
        b'{"success":false,"errorCode":0}',
        b'{"success":true,"errorCode":0,"orders":{}}',
        b'{"success":true,"errorCode":0,"orders":[{"id":-1}]}',
        b'{"success":true,"errorCode":0,"errorMessage":"\xff","orders":[]}',
        b"[" * 100_000,
    ],
)
def test_bad_bytes_are_theirs(body: bytes) -> None:
    with pytest.raises(Theirs):
        decode_reply(Endpoint.ORDERS, body, OrdersReply)


GOLDEN = as_bytes(ok(orders=[order_row(), order_row(id=71, status=2, fillVolume=1)]))


@given(
    st.lists(st.tuples(st.integers(0, len(GOLDEN) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 40),
)
def test_mutated_replies_are_read_or_theirs_and_nothing_else(
    changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(GOLDEN)
    for index, value in changes:
        data[index] = value
    try:
        for row in decode_reply(Endpoint.ORDERS, bytes(data[: len(data) - cut]), OrdersReply).orders or []:
            assert entities.order_report(row).size > 0
    except Theirs as error:
        assert "\n" not in str(error) and len(str(error)) < 300


def test_login_errors_name_themselves() -> None:
    reply = decode_reply(Endpoint.LOGIN, as_bytes(refused(9, "", token=None)), TokenReply)
    with pytest.raises(LoginRefused, match="no API subscription"):
        check(Endpoint.LOGIN, reply)


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (1, "User not found.", "topstepx.login: error 1, user not found; check topstepx.user_name"),
        (
            3,
            "Invalid credentials.",
            "topstepx.login: error 3, invalid credentials; "
            "check topstepx.user_name and topstepx.api_key_file",
        ),
        (9, None, "topstepx.login: error 9, no API subscription; subscribe on the platform"),
        (8, "Busy", "topstepx.login: error 8; Busy"),
    ],
)
def test_a_refused_login_names_the_setting_and_repeats_nothing(
    code: int, words: str | None, said: str
) -> None:
    reply = decode_reply(Endpoint.LOGIN, as_bytes(refused(code, words, token=None)), TokenReply)
    with pytest.raises(LoginRefused) as error:
        check(Endpoint.LOGIN, reply)
    assert str(error.value) == said


def test_a_refused_read_names_the_venues_words() -> None:
    reply = decode_reply(Endpoint.ACCOUNTS, as_bytes(refused(1, "Account not\nfound")), AccountsReply)
    with pytest.raises(Refused, match=r"error 1; Account not\?found"):
        check(Endpoint.ACCOUNTS, reply)


# -- what an answer proves


@pytest.mark.parametrize(
    ("endpoint", "status", "body", "outcome"),
    [
        (Endpoint.PLACE, 200, ok(orderId=5), Outcome.ACCEPTED),
        (Endpoint.PLACE, 200, ok(orderId=None), Outcome.AMBIGUOUS),
        (Endpoint.PLACE, 200, ok(orderId=0), Outcome.AMBIGUOUS),
        (Endpoint.PLACE, 200, refused(2, "Invalid price", orderId=6), Outcome.REJECTED),
        (Endpoint.PLACE, 200, refused(6, "pending"), Outcome.AMBIGUOUS),
        (Endpoint.PLACE, 200, refused(7, "unknown"), Outcome.AMBIGUOUS),
        (Endpoint.PLACE, 200, refused(99, "novel"), Outcome.AMBIGUOUS),
        (Endpoint.PLACE, 200, "garbage", Outcome.AMBIGUOUS),
        (Endpoint.PLACE, 400, "", Outcome.REJECTED),
        (Endpoint.PLACE, 401, "", Outcome.REJECTED),
        (Endpoint.PLACE, 408, "", Outcome.AMBIGUOUS),
        (Endpoint.PLACE, 409, "", Outcome.AMBIGUOUS),
        (Endpoint.PLACE, 429, "", Outcome.AMBIGUOUS),
        (Endpoint.PLACE, 302, "", Outcome.AMBIGUOUS),
        (Endpoint.PLACE, 500, ok(orderId=5), Outcome.AMBIGUOUS),
        (Endpoint.MODIFY, 200, refused(4, "pending"), Outcome.AMBIGUOUS),
        (Endpoint.MODIFY, 200, refused(3, "not working"), Outcome.REJECTED),
        (Endpoint.CANCEL, 200, ok(), Outcome.ACCEPTED),
        (Endpoint.CANCEL, 200, refused(2, "order not found"), Outcome.REJECTED),
        (Endpoint.CLOSE, 200, refused(2, "position not found"), Outcome.REJECTED),
        (Endpoint.CLOSE, 200, refused(6, "pending"), Outcome.AMBIGUOUS),
    ],
)  # fmt: skip
def test_only_proof_is_proof(endpoint: Endpoint, status: int, body: Any, outcome: Outcome) -> None:
    assert judge(endpoint, status, as_bytes(body)).outcome is outcome


def test_a_refused_place_keeps_the_id_it_was_given() -> None:
    verdict = judge(Endpoint.PLACE, 200, as_bytes(refused(2, "custom tag already in use", orderId=6)))
    assert (verdict.venue_id, verdict.reason, verdict.error_code) == (6, "custom tag already in use", 2)


@given(
    st.sampled_from([Endpoint.PLACE, Endpoint.MODIFY, Endpoint.CANCEL, Endpoint.CLOSE]),
    st.integers(100, 599),
    st.binary(max_size=60),
)
def test_judging_never_raises_and_never_accepts_noise(endpoint: Endpoint, status: int, body: bytes) -> None:
    assert judge(endpoint, status, body).outcome is not Outcome.ACCEPTED


# -- tokens


def test_the_life_of_a_token_is_read_from_its_own_times() -> None:
    assert jwt.life_ns(scripted.jwt(3600), wall_ns=0) == 3600 * 10**9


@given(st.text(max_size=80))
def test_a_token_that_cannot_be_read_has_no_known_life(text: str) -> None:
    assert jwt.life_ns(text, wall_ns=0) is None


@pytest.mark.parametrize("token", [None, "", "a b", "a\r\nX: y", "é", "x" * 9000])
def test_refuses_a_token_that_could_break_a_head(token: str | None) -> None:
    with pytest.raises(Theirs) as caught:
        jwt.safe_token(token)
    assert not token or token not in str(caught.value)


def test_every_endpoint_has_a_reply_and_every_reading_body_is_json() -> None:
    body = as_bytes(ok(contract=None, order=None))
    for endpoint in set(Endpoint) - {Endpoint.PING}:
        assert decode_reply(endpoint, body, Envelope).success
    assert json.loads(requests.contract_body(CONTRACT)) == {"contractId": CONTRACT}
    assert json.loads(requests.search_body("ES", False)) == {"searchText": "ES", "live": False}
    assert json.loads(requests.available_body(True)) == {"live": True}
    assert json.loads(requests.accounts_body()) == {"onlyActiveAccounts": True}
    assert json.loads(requests.order_body(ACCOUNT, 7)) == {"accountId": ACCOUNT, "orderId": 7}
    assert json.loads(requests.close_body(ACCOUNT, CONTRACT)) == {
        "accountId": ACCOUNT,
        "contractId": CONTRACT,
    }
    partial = json.loads(requests.partial_close_body(ACCOUNT, CONTRACT, 2))
    assert partial == {"accountId": ACCOUNT, "contractId": CONTRACT, "size": 2}


def test_unlisted_replies_share_the_envelope() -> None:
    assert decode_reply(Endpoint.LOGOUT, as_bytes(ok()), Envelope).success
