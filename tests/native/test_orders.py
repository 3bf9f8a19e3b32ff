"""Both twins of native.orders against the full encoder: the same bytes, or None where it must decide.

The oracle is `codec.requests.formatted_*`, which writes one member at a time and refuses; a golden test there
holds it to the venue's own shape.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.instruments import TABLE, by_contract
from app.domain.orders import Bracket, Order, OrderState, OrderType, Role, Side
from app.errors import Refused
from app.venues.topstepx.codec import requests
from native import orders_py

orders_c = importlib.import_module("native.orders_c")
CORPUS = Path(__file__).parent / "corpus" / "orders"
MAX = 2**63 - 1
TAG = "Plimsoll-v1.0-strategy-test-stop-1-1795000000"
CONTRACTS = [f"CON.F.US.{instrument.product}.Z26" for instrument in TABLE]


def writer(orders: ModuleType) -> Any:
    """One that knows every product."""
    made = orders.Writer(requests.KINDS, requests.STOP_CODE, requests.LIMIT_CODE)
    for contract in CONTRACTS:
        instrument = by_contract(contract)
        assert made.know(contract, instrument.tick_nano, instrument.decimals)
    return made


PURE, COMPILED = writer(orders_py), writer(orders_c)


@pytest.fixture(params=[PURE, COMPILED], ids=["pure", "compiled"])
def written(request: pytest.FixtureRequest) -> Any:
    return request.param


def order(**members: Any) -> Order:
    values: dict[str, Any] = {
        "tag": TAG, "strategy": "test", "account_id": 1001, "contract": "CON.F.US.EP.Z26", "side": Side.BUY,
        "size": 1, "type": OrderType.STOP, "stop_ticks": 26801, "bracket": Bracket(10, 16), "venue_id": 70,
        "role": Role.ENTRY, "state": OrderState.WORKING,
    }  # fmt: skip
    return Order(**(values | members))


def place(one: Order) -> tuple[Any, ...]:
    """An order as the writer takes it."""
    legs = one.bracket or Bracket(0)
    return (
        one.type, one.contract, one.account_id, one.side, one.size, one.limit_ticks, one.stop_ticks,
        legs.stop_ticks, legs.target_ticks, one.tag,
    )  # fmt: skip


def modify(one: Order, *changes: Any) -> tuple[Any, ...]:
    return one.type, one.contract, one.account_id, one.venue_id, *changes


def both(call: str, *arguments: Any) -> bytes | None:
    """What the twins write, the same for both: their bytes, None, or the type of their error."""
    answers: list[Any] = []
    for twin in (PURE, COMPILED):
        try:
            answers.append(getattr(twin, call)(*arguments))
        except (TypeError, AttributeError) as error:
            answers.append(type(error))
    assert answers[0] == answers[1]
    return None if isinstance(answers[0], type) else answers[0]


def holds_place(one: Order) -> bytes | None:
    body = both("place", *place(one))
    if body is not None:
        assert body == requests.formatted_place(one)
        json.loads(body)
    return body


def holds_modify(one: Order, *changes: int | None) -> bytes | None:
    body = both("modify", *modify(one, *changes))
    if body is not None:
        assert body == requests.formatted_modify(one, *changes)
        json.loads(body)
    return body


# -- equal bytes

PRICES = {
    OrderType.LIMIT: {"limit_ticks": -3, "stop_ticks": None},
    OrderType.STOP: {"limit_ticks": None, "stop_ticks": 26801},
    OrderType.TRAILING_STOP: {"limit_ticks": None, "stop_ticks": 0},
}


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("kind", list(requests.KINDS))
def test_writes_every_type_in_every_product_like_the_encoder(contract: str, kind: OrderType) -> None:
    prices = PRICES.get(kind, {"limit_ticks": None, "stop_ticks": None})
    for side in Side:
        assert holds_place(order(contract=contract, type=kind, side=side, **prices)) is not None
        assert holds_place(order(contract=contract, type=kind, side=side, tag="", bracket=None, **prices))


ticks = (
    st.none() | st.integers(-(10**6), 10**6) | st.integers(-(2**70), 2**70) | st.sampled_from([MAX, -MAX - 1])
)
sizes = st.integers(-1, 10_001) | st.integers(-(2**70), 2**70)
ids = st.integers(0, 10**10) | st.integers(-(2**70), 2**70)
tags = st.just(TAG) | st.text(max_size=140) | st.text(st.characters(max_codepoint=127), max_size=20)
legs = st.integers(-1, 10**4) | st.integers(-(2**70), 2**70)
anything = st.builds(
    order,
    contract=st.sampled_from([*CONTRACTS, "CON.F.US.NONE.Z26", "CON.F.US.EP.H27", ""]),
    account_id=ids, venue_id=ids, side=st.sampled_from(Side), size=sizes, type=st.sampled_from(OrderType),
    limit_ticks=ticks, stop_ticks=ticks, bracket=st.none() | st.builds(Bracket, legs, legs), tag=tags,
)  # fmt: skip


@given(anything)
@example(order(tag='"'))
@example(order(tag="\\"))
@example(order(tag="\x7f"))
@example(order(tag="é"))
@example(order(tag="x" * 128))
@example(order(tag="x" * 129))
@example(order(size=10_000))
@example(order(size=10_001))
@example(order(bracket=Bracket(0, 0)))
@example(order(bracket=Bracket(-1, 0)))
@example(order(bracket=Bracket(10**9, 10**9)))
def test_writes_any_order_like_the_encoder_or_leaves_it(one: Order) -> None:
    assert holds_place(one) is None or one.size >= 1


@given(anything, ticks, ticks, st.none() | sizes)
def test_writes_any_change_like_the_encoder_or_leaves_it(
    one: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None
) -> None:
    assert holds_modify(one, limit_ticks, stop_ticks, size) is None or one.venue_id > 0


@given(ids, ids)
def test_names_an_order_like_the_encoder_or_leaves_it(account: int, venue_id: int) -> None:
    body = both("cancel", account, venue_id)
    assert body is None or json.loads(body) == {"accountId": account, "orderId": venue_id}


def test_two_accounts_are_never_mixed_up(written: Any) -> None:
    for account in (1001, 1002, 1001, 7):
        for side in Side:
            one = order(account_id=account, side=side)
            assert written.place(*place(one)) == requests.formatted_place(one)


def test_each_character_is_judged_at_each_place_of_a_tag() -> None:
    for code in range(256):
        for place_of in range(18):
            one = order(tag="a" * place_of + chr(code) + "~" * (17 - place_of))
            assert (holds_place(one) is None) == (not 32 <= code <= 126 or chr(code) in '"\\')


@given(st.text(st.sampled_from('a~ !#[]\x7f\x1f\x00"\\\x80'), max_size=40))
def test_runs_of_odd_characters_are_never_passed(tag: str) -> None:
    plain = tag.isascii() and tag.isprintable() and not set(tag) & {'"', "\\"}
    assert (holds_place(order(tag=tag)) is not None) == plain


def test_the_longest_body_fits_twice(written: Any) -> None:
    contract = "C" * 40
    assert written.know(contract, 500, 9)
    longest = order(
        contract=contract, account_id=10**15, side=Side.SELL, size=10_000, stop_ticks=-(10**17) // 500,
        type=OrderType.TRAILING_STOP, bracket=Bracket(10**9, 10**9), tag="x" * 128,
    )  # fmt: skip
    body = written.place(*place(longest))
    assert body is not None and json.loads(body)["customTag"] == "x" * 128 and 300 < len(body) < 512


# -- what is left to the encoder


@pytest.mark.parametrize(
    "members",
    [
        {"size": 0}, {"size": True}, {"size": 1.0}, {"size": "1"}, {"size": None}, {"size": 10**20},
        {"account_id": -1}, {"account_id": 10**20}, {"account_id": None}, {"contract": "CON.F.US.EP.H27"},
        {"type": OrderType.UNKNOWN}, {"type": OrderType.MARKET}, {"type": None}, {"stop_ticks": None},
        {"stop_ticks": 1.5}, {"stop_ticks": float("nan")}, {"stop_ticks": True}, {"stop_ticks": 10**20},
        {"stop_ticks": -(10**20)}, {"limit_ticks": 1}, {"side": 0}, {"side": None}, {"tag": None},
        {"tag": b"x"}, {"tag": "\n"}, {"tag": "\ud800"}, {"bracket": Bracket(-4, 8)},
        {"bracket": Bracket(4, -8)}, {"bracket": Bracket(10**20)}, {"bracket": Bracket(1.5)},
    ],
)  # fmt: skip
def test_leaves_what_it_is_not_sure_of(written: Any, members: dict[str, Any]) -> None:
    assert written.place(*place(order(**members))) is None
    assert written.place(*place(order())) == requests.formatted_place(order())  # and the next one is whole


@pytest.mark.parametrize(
    ("members", "changes"),
    [
        ({}, (None, None, None)), ({}, (1, None, None)), ({}, (None, None, 0)), ({}, (None, None, 10_001)),
        ({}, (None, 10**20, None)), ({}, (None, 1.0, None)), ({"venue_id": 0}, (None, 1, None)),
        ({"type": OrderType.MARKET}, (None, 1, None)), ({"contract": ""}, (None, 1, None)),
    ],
)  # fmt: skip
def test_leaves_changes_it_is_not_sure_of(
    written: Any, members: dict[str, Any], changes: tuple[Any, ...]
) -> None:
    assert written.modify(*modify(order(**members), *changes)) is None


def test_refuses_a_tick_that_its_decimals_do_not_show(written: Any) -> None:
    for tick, places in ((250_000_000, 1), (0, 2), (-1, 9), (1, 10), (1, -1), (10**16, 0)):
        with pytest.raises(ValueError, match="is not shown by"):
            written.know("CON.F.US.EP.Z26", tick, places)


def test_knows_a_bounded_number_of_plain_contracts() -> None:
    for orders in (orders_py, orders_c):
        made = orders.Writer(requests.KINDS, 4, 1)
        assert not any(made.know(name, 1, 9) for name in ('"', "\\", "é", "\n", "x" * 41))
        assert [made.know(f"C{index}", 1, 9) for index in range(65)] == [True] * 64 + [False]


# -- the codec uses it


def test_the_codec_writes_with_it_once_it_has_met_the_contract() -> None:
    one = order(contract="CON.F.US.ENQ.M27")
    first = requests.place_body(one)
    assert (
        first
        == requests.formatted_place(one)
        == requests._writer.place(*place(one))
        == requests.place_body(one)
    )
    assert requests.modify_body(one, None, 4, None) == requests.formatted_modify(one, None, 4, None)


def test_the_codec_refuses_in_its_own_words_what_was_left() -> None:
    requests.place_body(order())
    for members in ({"size": 0}, {"stop_ticks": None}, {"bracket": Bracket(-4, 8)}, {"stop_ticks": 10**18}):
        with pytest.raises((Refused, OverflowError)):
            requests.place_body(order(**members))


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_replays_the_kept_corpus(path: Path) -> None:
    for line in path.read_text().splitlines():
        members = json.loads(line)
        bracket = members.pop("bracket")
        one = order(
            **members | {"side": Side(members["side"]), "type": OrderType(members["type"])},
            bracket=None if bracket is None else Bracket(*bracket),
        )
        holds_place(one)
        assert holds_modify(one, one.limit_ticks, one.stop_ticks, one.size) is None or one.venue_id > 0
